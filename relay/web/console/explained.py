"""What `explain` says, with where the conversation stands already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.errors import OutboxUnavailable
from relay.operations.context import WebContext, tenant_of
from relay.operations.explain import explain_request
from relay.patch import Document
from relay.planhat.address import record_link


def explain_with_links(
    context: WebContext, source: str, body: bytes, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return `explain_request`, and for each event `known` (the conversation is in the outbox) and `planhat_link`."""
    told = explain_request(context, source, body, headers)
    for one in told["events"]:
        one.update(_place(context, (one["document"] or {}).get("externalId", "")))
    return told


def _place(context: WebContext, external_id: str) -> dict[str, Any]:
    try:
        stored = context.outbox.document(external_id) if external_id else None
        planhat_id = Document.decode(stored).planhat_id if stored else ""
    except (OutboxUnavailable, ValueError, KeyError):
        # What the rules say is told without Redis, too.
        return {"known": False, "planhat_link": None}
    return {"known": stored is not None, "planhat_link": record_link(tenant_of(context), planhat_id) or None}
