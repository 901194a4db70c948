"""What companies were asked for and not found, with the YAML that answers them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from relay.operations.companies import missing_companies
from relay.operations.pause import known_sources
from relay.operations.selection import read_moment
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, View


def routes(frame: Frame) -> list[Route]:
    context = frame.context

    def companies(request: Request, operator: Operator, form: FormValues) -> View:
        asked = {name: request.query_params.get(name, "")[:1000] for name in ("source", "since")}
        since_ms = read_moment(asked, "since", context.outbox.now_ms(), blank=True)
        shown = {
            "found": missing_companies(context.outbox, source=asked["source"], since_ms=since_ms, limit=100),
            "filter": asked,
            "sources": sorted(known_sources(context.outbox, context.sources)),
        }
        return View("companies.html", shown, here="/companies")

    return [frame.get("/companies", companies)]
