"""The page that shows what Planhat keeps, or shows, otherwise than it is sent: found by the workers, and custom fields that the
rules write beside those that the tenant was last seen to have."""

from __future__ import annotations

from relay.operations.context import WebContext
from relay.operations.differences import list_differences, texts_compared, written_and_defined
from relay.web.console.view import View


def differences_page(context: WebContext, rule: str) -> View:
    """The list, and with a rule the description of its that was found mangled. Raises OutboxUnavailable."""
    outbox = context.outbox
    shown = {
        "rows": list_differences(outbox),
        "custom": written_and_defined(outbox, context.rulebook),
        "rule": rule,
        "compared": texts_compared(outbox, rule) if rule else None,
    }
    return View("differences.html", shown, here="/differences")
