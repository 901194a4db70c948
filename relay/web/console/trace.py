"""The story of one id."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from relay.errors import NotFound
from relay.operations.context import tenant_of
from relay.operations.trace import find
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, View


def routes(frame: Frame) -> list[Route]:
    context = frame.context

    def trace(request: Request, operator: Operator, form: FormValues) -> View:
        asked = request.query_params.get("id", "").strip()[:1000]
        shown: dict[str, Any] = {"wanted": asked, "found": None, "message": ""}
        status = 200
        if asked:
            try:
                shown["found"] = find(
                    context.outbox, asked, context.config.sources, tenant=tenant_of(context)
                )
            except NotFound as error:
                shown["message"], status = str(error), 404
        return View("trace.html", shown, here="/trace", status=status)

    return [frame.get("/trace", trace)]
