"""What Planhat keeps, or shows, otherwise than it is sent: found by the workers, and custom fields that the rules write beside
those that the tenant was last seen to have."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from relay.operations.differences import list_differences, texts_compared, written_and_defined
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, View


def routes(frame: Frame) -> list[Route]:
    context = frame.context

    def differences(request: Request, operator: Operator, form: FormValues) -> View:
        """The list, and with a rule the description of its that was found mangled."""
        outbox, rule = context.outbox, request.query_params.get("rule", "")[:1000]
        shown = {
            "rows": list_differences(outbox),
            "custom": written_and_defined(outbox, context.rulebook),
            "rule": rule,
            "compared": texts_compared(outbox, rule) if rule else None,
        }
        return View("differences.html", shown, here="/differences")

    return [frame.get("/differences", differences)]
