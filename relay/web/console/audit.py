"""Who changed or looked at what."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from relay.operations.audit import list_audit
from relay.operations.selection import InputInvalid, read_moment
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, View


def routes(frame: Frame) -> list[Route]:
    outbox = frame.context.outbox

    def audit(request: Request, operator: Operator, form: FormValues) -> View:
        asked = {name: request.query_params.get(name, "")[:1000] for name in ("since", "after")}
        since_ms = read_moment(asked, "since", outbox.now_ms(), blank=True)
        try:
            found = list_audit(outbox, since_ms=since_ms, after=asked["after"])
        except ValueError as error:
            raise InputInvalid(str(error), "after") from None
        return View("audit.html", {"found": found, "filter": asked}, here="/audit")

    return [frame.get("/audit", audit, own=True)]
