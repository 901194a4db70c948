"""A long operation: how far it is, and ending it."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.routing import Route

from relay.operations.progress import Operation
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, Go, View


def routes(frame: Frame) -> list[Route]:
    pages = _Operations(frame)
    return [
        frame.get("/operations/{id}", pages.one),
        frame.get("/operations/{id}/live", pages.live),
        frame.post("/operations/{id}/cancel", pages.cancel, act="operation cancel"),
    ]


class _Operations:
    def __init__(self, frame: Frame) -> None:
        self._outbox = frame.context.outbox

    def one(self, request: Request, operator: Operator, form: FormValues) -> View:
        return View("operation.html", {"one": self._named(request).read()})

    def live(self, request: Request, operator: Operator, form: FormValues) -> View:
        return View("operation_live.html", {"one": self._named(request).read()})

    def cancel(self, request: Request, operator: Operator, form: FormValues) -> Go:
        operation = self._named(request)
        operation.cancel()
        return Go(f"/operations/{quote(operation.operation_id, safe='')}", "cancelled")

    def _named(self, request: Request) -> Operation:
        return Operation(self._outbox, request.path_params["id"])
