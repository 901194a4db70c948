// Times in the viewer's zone (UTC stays in the title), forms that ask before they change much. Reading needs none of it.
(function () {
  "use strict";
  var format = new Intl.DateTimeFormat(undefined, {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  function localise(root) {
    root.querySelectorAll("time[datetime]").forEach(function (element) {
      var moment = new Date(element.getAttribute("datetime"));
      if (!isNaN(moment)) { element.textContent = format.format(moment); }
    });
  }
  document.addEventListener("DOMContentLoaded", function () { localise(document); });
  document.addEventListener("htmx:afterSwap", function (event) { localise(event.detail.target); });
  document.addEventListener("htmx:sendError", function () { document.body.classList.add("away"); });
  document.addEventListener("htmx:afterOnLoad", function () { document.body.classList.remove("away"); });
  document.addEventListener("submit", function (event) {
    var question = event.target.getAttribute("data-ask");
    if (question && !window.confirm(question)) { event.preventDefault(); }
  });
})();
