"""HubSpot: the text, HTML, files, sender and recipients of a message of a conversation's thread; subject and description of a new
ticket.

Source: HubSpot, "Conversations inbox and messages", "CRM API: Tickets".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from relay.event import Attachment
from relay.sources.foreign_json import Walk
from relay.sources.read.attached import read_files
from relay.sources.read.hubspot_ticket import is_ticket
from relay.sources.read.look_up import LookUp, has_text, put_either, put_person, put_text, quoted


def _path(view: Mapping[str, Any], payload: Walk) -> str:
    if view.get("kind") == "ticket.created" and is_ticket(payload):
        ticket = quote(payload.maybe_ident("objectId"), safe="")
        return f"/crm/v3/objects/tickets/{ticket}?properties=subject,content" if not has_text(view) else ""
    thread, message = quoted(view, "thread"), quoted(view, "message_id")
    if view.get("kind") != "message.created" or has_text(view) or not (thread and message):
        return ""
    return f"/conversations/v3/conversations/threads/{thread}/messages/{message}"


def _fill(view: dict[str, Any], answer: Walk) -> None:
    ticket = answer.maybe("properties")
    if ticket.value:
        put_either(view, ticket.maybe_text("content"))
        view["subject"] = view.get("subject") or ticket.maybe_text("subject")
        return
    put_text(view, answer.maybe_text("text"), answer.maybe_text("richText"))
    if not view.get("subject"):
        view["subject"] = answer.maybe_text("subject")
    if not view.get("attachments"):
        view["attachments"] = [file.view() for file in _files(answer)]
    for sender in answer.items("senders")[:1]:
        email = sender.maybe("deliveryIdentifier").maybe_text("value")
        put_person(view, sender.maybe_text("actorId"), sender.maybe_text("name"), email)
    if not view.get("recipients"):
        view["recipients"] = [
            {
                "name": one.maybe_text("name"),
                "email": email,
                "role": one.maybe_text("recipientField").lower() or "to",
            }
            for one in answer.items("recipients")
            if "@" in (email := one.maybe("deliveryIdentifier").maybe_text("value"))
        ]


def _files(answer: Walk) -> tuple[Attachment, ...]:
    """A message's files, of what it has attached; what sort of file each is, `fileUsageType` tells ("AUDIO")."""
    listed = []
    for one in answer.items("attachments"):
        if one.maybe_text("type") == "FILE":
            sort = one.maybe_text("fileUsageType").lower()
            named = one.maybe_text("name") or one.maybe_text("url")
            listed.append({**one.value, "type": sort, **({} if named else {"name": sort or "file"})})
    return read_files(listed)


def _hides(payload: Walk, answer: Walk) -> bool:
    """An internal comment; one that its source keeps says so already."""
    return answer.maybe_text("type") == "COMMENT" and payload.maybe_text("messageType") != "COMMENT"


HUBSPOT_LOOKUP = LookUp(_path, _fill, api="https://api.hubapi.com", hides=_hides)
