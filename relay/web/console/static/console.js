// Times in the viewer's zone (UTC stays in the title), forms that ask before they change much, a button that copies, and a page that
// keeps still while somebody is in it. Reading needs none of it.
(function () {
  "use strict";
  var whole = new Intl.DateTimeFormat(undefined, {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  var clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  function localise(root) {
    root.querySelectorAll("time[datetime]").forEach(function (element) {
      var moment = new Date(element.getAttribute("datetime"));
      if (isNaN(moment)) { return; }
      element.textContent = (element.hasAttribute("data-clock") ? clock : whole).format(moment);
    });
    root.querySelectorAll("button[data-copy]").forEach(function (button) { button.hidden = !navigator.clipboard; });
  }
  document.addEventListener("DOMContentLoaded", function () { localise(document); });

  var open = [];
  document.addEventListener("htmx:beforeRequest", function (event) {
    var live = event.detail.elt;
    var chosen = document.getSelection();
    var reading = chosen && !chosen.isCollapsed && live.contains(chosen.anchorNode);
    var focused = live.querySelector(":focus-visible");
    if (reading || focused) { event.preventDefault(); }
  });
  document.addEventListener("htmx:beforeSwap", function (event) {
    open = Array.from(event.detail.target.querySelectorAll("details[id][open]"), function (one) { return one.id; });
  });
  document.addEventListener("htmx:afterSwap", function (event) {
    open.forEach(function (id) {
      var one = document.getElementById(id);
      if (one) { one.open = true; }
    });
    localise(event.detail.target);
  });
  document.addEventListener("htmx:sendError", function () { document.body.classList.add("away"); });
  document.addEventListener("htmx:afterOnLoad", function () { document.body.classList.remove("away"); });

  document.addEventListener("submit", function (event) {
    var question = event.target.getAttribute("data-ask");
    if (question && !window.confirm(question)) { event.preventDefault(); }
  });
  document.addEventListener("click", function (event) {
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) { menu.open = false; }
    });
    var button = event.target.closest("button[data-copy]");
    if (!button) { return; }
    var field = document.getElementById(button.getAttribute("data-copy"));
    navigator.clipboard.writeText(field.value).then(function () { button.textContent = "Copied"; }, function () { field.select(); });
  });
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") { return; }
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  });
})();
