"""Finds an event's parts in JSON that nobody described: by the names most senders use, or by given paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relay.event import Person
from relay.sources.moment import moment_us

#: What may be mapped by `fields: {thread: data.ticket.id}`.
FIELD_KEYS = frozenset(
    {
        *("id", "kind", "time", "version", "thread", "subject", "text", "html", "message_id", "url", "tags"),
        *("sender.id", "sender.name", "sender.email", "channel.id", "channel.name"),
        *("ticket.id", "ticket.status", "ticket.priority", "ticket.assignee"),
    }
)

#: Where senders put what happened, inside their envelope.
_ENVELOPES = ("data", "payload", "event_data", "body", "detail")
_INNER = ("object", "ticket", "conversation", "message", "comment", "item")

TYPE = ("type", "event_type", "eventType", "event", "event_name", "topic", "trigger", "action")
DELIVERY = ("event_id", "eventId", "delivery_id", "deliveryId", "webhook_event_id", "notification_id")
TIME = (
    *("timestamp", "time", "occurred_at", "occurredAt", "event_time", "sent_at", "sentAt", "updated_at"),
    *("updatedAt", "sys_updated_on", "created_at", "createdAt", "created_datetime", "created", "date"),
)
THREAD = (
    *("thread_id", "threadId", "conversation_id", "conversationId", "ticket_id", "ticketId", "case_id"),
    *("caseId", "issue_id", "issueId", "session_id", "thread_key"),
)
THREAD_OBJECTS = (
    "thread",
    "conversation",
    "ticket",
    "case",
    "issue",
    "object",
    "item",
    "data",
    "payload",
    "event_data",
)
MESSAGE = ("message_id", "messageId", "comment_id", "commentId")
SUBJECT = ("subject", "title", "summary", "short_description", "topic_name")
TEXT = (
    *("text", "plain_text_body", "body_text", "text_body", "message", "body", "content", "comment"),
    *("description", "last_message", "note"),
)
HTML = ("html", "body_html", "html_body", "bodyHtml", "htmlBody")
URL = ("url", "html_url", "permalink", "link", "web_url", "ticket_url", "app_ticket_url", "app_url")
PERSON = ("sender", "from", "author", "user", "actor", "requester", "customer", "contact", "person", "caller")
EMAIL = ("email", "user_email", "from_email", "sender_email", "requester_email", "customer_email", "address")
NAME = ("name", "display_name", "displayName", "full_name", "fullName", "nickname", "customer_name")


def places(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The objects that may hold a field: the payload itself, its envelope's content, what that is about."""
    found: list[Mapping[str, Any]] = [payload]
    for name in _ENVELOPES:
        inner = payload.get(name)
        if isinstance(inner, dict):
            found.append(inner)
    for outer in tuple(found):
        for name in _INNER:
            inner = outer.get(name)
            if isinstance(inner, dict):
                found.append(inner)
    return found


def header(headers: Mapping[str, str], name: str) -> str:
    """A header's value that may go into an event: what is no text becomes "?"."""
    value = headers.get(name, "")
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def first_text(among: Iterable[Mapping[str, Any]], names: Sequence[str]) -> str:
    for place in among:
        for name in names:
            value = place.get(name)
            if isinstance(value, str) and value:
                return value
    return ""


def ident(value: Any) -> str:
    """An id as a string; "" for what is none."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def first_ident(among: Iterable[Mapping[str, Any]], names: Sequence[str]) -> str:
    for place in among:
        for name in names:
            value = place.get(name)
            if value is not None and (found := ident(value)):
                return found
    return ""


def first_moment_us(among: Iterable[Mapping[str, Any]], names: Sequence[str]) -> int | None:
    for place in among:
        for name in names:
            value = place.get(name)
            if value is not None and (found := moment_us(value)) is not None:
                return found
    return None


def first_person(among: Sequence[Mapping[str, Any]]) -> Person:
    for place in among:
        for name in PERSON:
            value = place.get(name)
            if isinstance(value, dict):
                found = Person(
                    id=ident(value.get("id")),
                    name=first_text((value,), NAME),
                    email=first_text((value,), EMAIL),
                    bot=value.get("type") in ("bot", "Bot") or value.get("bot") is True,
                )
                if found != Person():
                    return found
            elif isinstance(value, str) and "@" in value and " " not in value.strip():
                return Person(email=value.strip("<> "))
    email = first_text(among, EMAIL)
    return Person(name=first_text(among, ("customer_name", "user_name", "from_name")), email=email)


def thread_of(among: Sequence[Mapping[str, Any]]) -> str:
    """The id of the conversation, ticket or object that this is about; "" where nothing names one."""
    found = first_ident(among, THREAD)
    if found:
        return found
    for place in among:
        for name in THREAD_OBJECTS:
            value = place.get(name)
            if isinstance(value, dict) and (found := ident(value.get("id"))):
                return found
    return first_ident(among[:1], ("id", "sys_id", "number"))


def follow(payload: Any, path: str) -> Any:
    """The value at a dotted path ("data.items.0.id"), or None."""
    for step in path.split("."):
        if isinstance(payload, dict):
            payload = payload.get(step)
        elif isinstance(payload, list) and step.isascii() and step.isdigit() and int(step) < len(payload):
            payload = payload[int(step)]
        else:
            return None
    return payload
