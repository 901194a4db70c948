"""The sources: what came in, what was refused, and holding one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from relay.operations.stats import read_sources
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, View


def routes(frame: Frame) -> list[Route]:
    context = frame.context

    def sources(request: Request, operator: Operator, form: FormValues) -> View:
        adapters = {name: source.adapter for name, source in context.config.sources.items()}
        rows = read_sources(context.outbox, adapters)
        return View(
            "sources.html", {"rows": rows, "paused": context.delivery.paused_sources()}, here="/sources"
        )

    return [frame.get("/sources", sources)]
