// The list of events as it changes, by server-sent events. Reading needs none of it.
(function () {
  "use strict";
  var list = document.querySelector("[data-live]");
  var badge = document.getElementById("live-state");
  if (!list || !window.EventSource) { return; }
  var waiting = null;
  // Nothing moves under whoever reads, or goes by the keyboard.
  function inUse() {
    var chosen = document.getSelection();
    return (chosen && !chosen.isCollapsed && list.contains(chosen.anchorNode)) || list.querySelector(":focus-visible");
  }
  function show() {
    if (waiting === null || inUse()) { return; }
    list.innerHTML = waiting;
    waiting = null;
    // console.js turns the times of what is new into the viewer's zone.
    list.dispatchEvent(new CustomEvent("htmx:afterSwap", { bubbles: true, detail: { target: list } }));
  }
  function say(word, kind) {
    badge.textContent = word;
    badge.className = "state " + kind;
    badge.hidden = false;
  }
  var source = new EventSource(list.getAttribute("data-live"));
  source.addEventListener("open", function () { say("live", "good"); });
  source.addEventListener("list", function (event) { waiting = event.data; show(); });
  source.addEventListener("end", function (event) { source.close(); say(event.data, "warn"); });
  source.addEventListener("error", function () { say(source.readyState === 2 ? "not live" : "connecting", "warn"); });
  document.addEventListener("selectionchange", show);
  list.addEventListener("focusout", function () { window.setTimeout(show, 0); });
  window.addEventListener("pagehide", function () { source.close(); });
})();
