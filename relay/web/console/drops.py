"""What is being dropped now, with its counts; beginning and ending a drop."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from relay.operations.drops import begin_drop, end_drop, list_drops
from relay.operations.pause import known_sources
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, Go, View


def routes(frame: Frame) -> list[Route]:
    pages = _Drops(frame)
    return [
        frame.get("/drops", pages.drops),
        frame.post("/drops", pages.begin, act="drop"),
        frame.post("/drops/{id}/end", pages.end, act="drop end"),
    ]


class _Drops:
    def __init__(self, frame: Frame) -> None:
        self._context = frame.context

    def drops(self, request: Request, operator: Operator, form: FormValues) -> View:
        known = self._known()
        rows = list_drops(self._context.outbox, known)
        return View("drops.html", {"rows": rows, "sources": sorted(known)}, here="/drops")

    def begin(self, request: Request, operator: Operator, form: FormValues) -> Go:
        begin_drop(
            self._context.outbox,
            self._known(),
            source=form.get("source", ""),
            where=form.get("where", "").strip(),
            lasts=form.get("for", "").strip() or "1h",
            by=operator.name,
        )
        return Go("/drops", "drops")

    def end(self, request: Request, operator: Operator, form: FormValues) -> Go:
        end_drop(self._context.outbox, request.path_params["id"])
        return Go("/drops", "drop-ended")

    def _known(self) -> frozenset[str]:
        return known_sources(self._context.outbox, self._context.config.sources)
