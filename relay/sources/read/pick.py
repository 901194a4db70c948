"""Finds an event's parts in JSON that nobody described: by the names most senders use, or by given paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from relay.event import Person
from relay.sources.read.moment import moment_us

#: What may be mapped by `fields: {thread: data.ticket.id}`.
FIELD_KEYS = frozenset(
    {
        *("id", "kind", "time", "version", "thread", "subject", "text", "html", "message_id", "url", "tags"),
        *("sender.id", "sender.name", "sender.email", "channel.id", "channel.name"),
        *("ticket.id", "ticket.status", "ticket.priority", "ticket.assignee"),
    }
)

#: Names are compared without case, "_" and "-": `ticket_id`, `ticketId` and `Ticket-Id` are one.
#: Where senders put what happened, inside their envelope.
_ENVELOPES = ("data", "payload", "eventdata", "body", "detail")
_INNER = ("object", "ticket", "conversation", "message", "comment", "item")
#: Where senders put many at once.
_BATCHES = ("items", "events", "records", "notifications", "messages", "value", "data")

TYPE = ("type", "eventtype", "event", "eventname", "topic", "trigger", "action")
DELIVERY = ("eventid", "deliveryid", "webhookeventid", "notificationid")
TIME = (
    *("timestamp", "time", "occurredat", "eventtime", "sentat", "sentatdate", "updatedat", "sysupdatedon"),
    *("createdat", "createddatetime", "created", "date"),
)
THREAD = ("threadid", "conversationid", "ticketid", "caseid", "issueid", "sessionid", "threadkey")
THREAD_OBJECTS = (
    *("thread", "conversation", "ticket", "case", "issue", "object", "item", "data", "payload", "eventdata"),
)
OWN_ID = ("id", "sysid", "number")
MESSAGE = ("messageid", "commentid")
SUBJECT = ("subject", "title", "summary", "shortdescription", "topicname")
TEXT = (
    *(
        "text",
        "plaintextbody",
        "bodytext",
        "textbody",
        "rawtextbody",
        "message",
        "body",
        "content",
        "comment",
    ),
    *("description", "lastmessage", "note", "plain", "summary"),
)
HTML = ("html", "bodyhtml", "htmlbody", "rawhtmlbody")
URL = ("url", "htmlurl", "permalink", "link", "weburl", "ticketurl", "appticketurl", "appurl")
PERSON = ("from", "sender", "author", "user", "actor", "requester", "customer", "contact", "person", "caller")
EMAIL = ("email", "useremail", "fromemail", "senderemail", "requesteremail", "customeremail", "address")
NAME = ("name", "displayname", "fullname", "nickname", "customername")
AUTHOR_NAME = ("customername", "username", "fromname")

#: A longer key is none of the names above.
_MAX_KEY_CHARS = 40


@lru_cache(maxsize=4096)
def _bare(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


def bare(value: dict[str, Any]) -> dict[str, Any]:
    """The object under bare names; of two keys that become one name, the first counts."""
    return {_bare(key): value[key] for key in reversed(value) if len(key) <= _MAX_KEY_CHARS}


def places(payload: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects that may hold a field, under bare names: the payload itself, its envelope's content, what
    that is about."""
    top = bare(payload)
    found = [top]
    for name in _ENVELOPES:
        inner = top.get(name)
        if isinstance(inner, dict):
            found.append(bare(inner))
    for outer in tuple(found):
        for name in _INNER:
            inner = outer.get(name)
            if isinstance(inner, dict):
                found.append(bare(inner))
    return found


def flatten(among: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The strings and whole numbers of all places as one; of equal names the outermost counts."""
    return {
        key: value
        for place in reversed(among)
        for key, value in place.items()
        if value and (value.__class__ is str or value.__class__ is int)
    }


def batch(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objects of an envelope that holds nothing but a list of them (and perhaps a word or two); else []."""
    if len(payload) > 3:
        return []
    for key, value in payload.items():
        if key.lower() in _BATCHES and isinstance(value, list) and value:
            return value if all(isinstance(item, dict) for item in value) else []
    return []


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


def first_person(among: Sequence[Mapping[str, Any]], flat: Mapping[str, Any]) -> Person:
    for place in among:
        for name in PERSON:
            value = place.get(name)
            if isinstance(value, dict):
                person = bare(value)
                found = Person(
                    id=ident(person.get("id")),
                    name=first_text((person,), NAME),
                    email=first_text((person,), EMAIL),
                    bot=person.get("type") in ("bot", "Bot") or person.get("bot") is True,
                )
                if found != Person():
                    return found
            elif isinstance(value, str) and "@" in value and " " not in value.strip():
                return Person(email=value.strip("<> "))
    return Person(name=first_text((flat,), AUTHOR_NAME), email=first_text((flat,), EMAIL))


def thread_of(among: Sequence[Mapping[str, Any]], flat: Mapping[str, Any]) -> str:
    """The id of the conversation, ticket or object that this is about; "" where nothing names one."""
    found = first_ident((flat,), THREAD)
    if found:
        return found
    for place in among:
        for name in THREAD_OBJECTS:
            value = place.get(name)
            if isinstance(value, dict) and (found := ident(value.get("id") or value.get("Id"))):
                return found
    links = among[0].get("links")
    if isinstance(links, dict):
        for name in THREAD_OBJECTS:
            link = links.get(name)
            href = link.get("href") if isinstance(link, dict) else link
            if isinstance(href, str) and (found := href.rstrip("/").rpartition("/")[2]):
                return found
    return first_ident(among[:1], OWN_ID)


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
