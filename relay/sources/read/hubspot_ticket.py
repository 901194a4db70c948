"""HubSpot's notices of tickets: `ticket.*`, and `object.*` of the object type 0-5. They tell ids and single properties; a new
ticket's subject and words are the API's to give (`enrich`).

Source: HubSpot, "Webhooks API": CRM object subscriptions, generic webhook subscriptions.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.sources.foreign_json import Walk

#: HubSpot's number for tickets among the types of objects.
TICKET_TYPE = "0-5"
#: Of changes in the same millisecond the later in this order counts as newer.
RANK = {"creation": 0, "restore": 1, "propertyChange": 2, "deletion": 3, "privacyDeletion": 4}
#: The default pipeline's last stage; a pipeline of one's own says `hs_is_closed` beside its stage.
_CLOSED = frozenset({"4", "closed"})


@dataclass(frozen=True, slots=True)
class TicketNotice:
    """What one notice says of the ticket; `text` is its description. `skipped` is why it is no event."""

    change: str = ""
    kind: str = ""
    thread: str = ""
    subject: str = ""
    text: str = ""
    status: str = ""
    priority: str = ""
    assignee: str = ""
    thin: bool = False
    skipped: str = ""


def is_ticket(item: Walk) -> bool:
    """Tell whether the notice is about a ticket."""
    family = item.maybe_text("subscriptionType").partition(".")[0]
    return family == "ticket" or (family == "object" and item.maybe_ident("objectTypeId") == TICKET_TYPE)


def read_ticket(item: Walk) -> TicketNotice:
    """Return the notice. Raises PayloadInvalid where it names no ticket."""
    change = item.maybe_text("subscriptionType").partition(".")[2]
    if change not in RANK:
        # Merges and associations say nothing of what a customer said.
        return TicketNotice(skipped="type")
    thread = f"ticket-{item.ident('objectId')}"
    if change in ("deletion", "privacyDeletion"):
        return TicketNotice(change, "message.deleted", thread)
    if change != "propertyChange":
        return TicketNotice(change, "ticket.created", thread, thin=True)
    name, value = item.maybe_text("propertyName"), item.maybe_ident("propertyValue")
    if name == "subject":
        return TicketNotice(change, "ticket.updated", thread, subject=value)
    if name == "content":
        return TicketNotice(change, "message.updated" if value else "ticket.updated", thread, text=value)
    if name == "hs_pipeline_stage":
        kind = "ticket.solved" if value.lower() in _CLOSED else "ticket.updated"
        return TicketNotice(change, kind, thread, status=value)
    if name == "hs_is_closed":
        return TicketNotice(change, "ticket.solved" if value.lower() == "true" else "ticket.updated", thread)
    if name == "hs_ticket_priority":
        return TicketNotice(change, "ticket.updated", thread, priority=value)
    if name == "hubspot_owner_id":
        return TicketNotice(change, "ticket.updated", thread, assignee=value)
    return TicketNotice(skipped="type")
