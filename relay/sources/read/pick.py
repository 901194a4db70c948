"""Finds an event's parts in JSON that nobody described: by the names most senders use, or by given paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from relay.event import Channel, Person, Ticket
from relay.sources.read.moment import moment_us
from relay.sources.read.place import NOTHING, Names, Place, held

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
_ENVELOPES = Names("data payload eventdata event body detail")
_INNER = Names(
    "object ticket conversation message comment item reply note review issue pullrequest discussion",
    "release case incident post article",
)
#: What somebody said, as an object of its own; and lists of such, of which the newest is meant.
_MESSAGES = Names(
    "comment message reply note review post article response lastmessage latestmessage latestcomment",
    "lastcomment newmessage",
)
_MESSAGE_LISTS = Names("messages comments replies notes conversationparts posts articles")
#: Where senders put many at once.
_BATCHES = Names("items events records notifications messages value data")

TYPE = Names("type eventtype event eventname eventfqn topic trigger action")
DELIVERY_PATHS = Names("eventid deliveryid webhookeventid notificationid")
TIME = Names(
    "timestamp time eventtimestamp occurredat eventtime sentat sentatdate updatedat sysupdatedon",
    "syscreatedon createdat createddatetime created date",
)
THREAD = Names("threadid conversationid ticketid caseid issueid sessionid threadkey")
THREAD_OBJECTS = Names("thread conversation ticket case issue pullrequest discussion incident")
#: Boxes whose id is the thread's only where nothing better names one.
_BOXES = Names("object item data payload eventdata")
_MAX_ID_CHARS = 200
OWN_ID = Names("id sysid csid number")
MESSAGE = Names("messageid commentid")
SUBJECT = Names("subject title summary shortdescription topicname")
TEXT = Names(
    "text strippedtext plaintextbody bodytext textbody rawtextbody bodyplain plainbody message body",
    "content comment messagetext commenttext commentbody messagebody comments additionalcomments reply",
    "replytext answer remark feedback transcript description lastmessage note plain summary",
)
HTML = Names(
    "html bodyhtml htmlbody rawhtmlbody contenthtml htmlcontent texthtml htmltext commenthtml messagehtml",
    "strippedhtml descriptionhtml richtext",
)
_WORDED = Names(*HTML, *TEXT)
#: An answer that is a number alone.
RATING = Names("rating score npsscore csat csatscore satisfactionrating stars")
URL = Names("htmlurl permalink weburl url link ticketurl appticketurl appurl conversationurl")
PERSON = Names(
    "from sender author user createdby actor requester customer contact person caller callerid openedby",
    "submitter",
)
EMAIL = Names("email useremail fromemail senderemail requesteremail customeremail address")
NAME = Names("name displayname fullname nickname customername login displayvalue")
#: An object that stands for a value: ServiceNow's, Telegram's, rich texts'.
_VALUES = Names("displayvalue text plaintext plain value content body html rendered")
AUTHOR_NAME = Names("customername username fromname")

_IDS = Names("id sysid csid")
#: Whose value is a name where it is no object (ServiceNow's `caller_id`).
_NAMED = frozenset({"caller", "callerid", "openedby", "author", "customer", "requester"})


def places(payload: dict[str, Any]) -> list[Place]:
    """Return the objects that may hold a field, under bare names: the payload itself, its envelope's content, what
    that is about."""
    top = Place(payload)
    found = [top]
    for name in held(top, _ENVELOPES):
        inner = top[name]
        if isinstance(inner, dict):
            found.append(Place(inner))
    for outer in tuple(found):
        for name in held(outer, _INNER):
            inner = outer[name]
            if isinstance(inner, dict):
                found.append(Place(inner))
    return found


def flatten(among: Sequence[Mapping[str, Any]]) -> Place:
    """Return the strings and whole numbers of all places as one; of equal names the outermost counts."""
    return Place(
        {
            key: value
            for place in reversed(among)
            for key, value in place.items()
            if value and (isinstance(value, str) or value.__class__ is int)
        }
    )


def message_in(among: Sequence[Mapping[str, Any]]) -> Place:
    """Return what was said, as an object under bare names: a comment, a reply; {} where the payload has none."""
    for place in among:
        for name in held(place, _MESSAGES):
            inner = place.get(name)
            if isinstance(inner, dict) and inner:
                return Place(inner)
    return NOTHING


def newest_in(among: Sequence[Mapping[str, Any]], readers: Callable[[Mapping[str, Any]], str]) -> Place:
    """Return the newest of a list of messages, under bare names; {} without a list. Where `readers` says that it is "private", the
    newest "public" one: it may be as new, and is the same entry once more if it is not."""
    for place in among:
        for name in held(place, _MESSAGE_LISTS):
            listed = place.get(name)
            if isinstance(listed, list) and (
                found := [Place(one) for one in listed if isinstance(one, dict)]
            ):
                ordered = sorted(enumerate(found), key=_when_said, reverse=True)
                newest = ordered[0][1]
                if readers(newest) != "private":
                    return newest
                return next((one for _, one in ordered if readers(one) == "public"), newest)
    return NOTHING


def _when_said(listed: tuple[int, Mapping[str, Any]]) -> tuple[int, int]:
    """What a message of a list is sorted by: its time, else its place."""
    place, message = listed
    return first_moment_us((message,), TIME) or 0, place


def worded(place: Place) -> Place:
    """Return the object with the text of each inner object that stands for a text: {"body": {"plain": ".."}}."""
    told = {
        name: text
        for name in held(place, _WORDED)
        if isinstance(value := place[name], dict) and (text := first_text((Place(value),), _VALUES))
    }
    return Place({**place, **told}) if told else place


def batch(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the objects of an envelope that holds nothing but a list of them (and perhaps a word or two); else []."""
    if len(payload) > 3:
        return []
    for key, value in payload.items():
        if key.lower() in _BATCHES and isinstance(value, list) and value:
            return value if all(isinstance(item, dict) for item in value) else []
    return []


def header(headers: Mapping[str, str], name: str) -> str:
    """Return a header's value that may go into an event: what is no text becomes "?"."""
    value = headers.get(name, "")
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def first_text(among: Iterable[Mapping[str, Any]], names: Sequence[str]) -> str:
    for place in among:
        for name in held(place, names):
            value = place.get(name)
            if isinstance(value, str) and value:
                return value
    return ""


def ident(value: Any) -> str:
    """Return an id as a string; "" for what is none."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def first_ident(among: Iterable[Mapping[str, Any]], names: Sequence[str]) -> str:
    for place in among:
        for name in held(place, names):
            value = place.get(name)
            if value is not None and (found := ident(value)):
                return found
    return ""


def first_moment_us(among: Iterable[Mapping[str, Any]], names: Sequence[str]) -> int | None:
    for place in among:
        for name in held(place, names):
            value = place.get(name)
            if value is not None and (found := moment_us(value)) is not None:
                return found
    return None


def first_person(among: Sequence[Mapping[str, Any]], flat: Mapping[str, Any]) -> Person:
    for place in among:
        for name in held(place, PERSON):
            value = place.get(name)
            if isinstance(value, dict):
                person = Place(value)
                found = Person(
                    id=ident(person.get("id") or person.get("sysid") or person.get("value")),
                    name=first_text((person,), NAME),
                    email=first_text((person,), EMAIL),
                    bot=person.get("type") in ("bot", "Bot") or person.get("bot") is True,
                )
                if found != Person():
                    return found
            elif isinstance(value, str) and "@" in value and " " not in value.strip():
                return Person(email=value.strip("<> "))
            elif name in _NAMED and isinstance(value, str) and (" " in value.strip() or value.isalpha()):
                return Person(name=value.strip())
    return Person(name=first_text((flat,), AUTHOR_NAME), email=first_text((flat,), EMAIL))


def thread_of(among: Sequence[Mapping[str, Any]], flat: Mapping[str, Any]) -> str:
    """Return the id of the conversation, ticket or object that this is about; "" where nothing names one."""
    found = first_ident((flat,), THREAD)
    if found:
        return found
    for names in (THREAD_OBJECTS, _BOXES):
        for place in among:
            for name in held(place, names):
                value = place.get(name)
                if isinstance(value, dict) and (found := first_ident((Place(value),), _IDS)):
                    return found
    for place in among:
        for name in held(place, THREAD_OBJECTS):
            # Its id alone; what has blanks in it is a name or a text.
            found = ident(place.get(name))
            if found and len(found) <= _MAX_ID_CHARS and not any(char.isspace() for char in found):
                return found
    links = among[0].get("links")
    if isinstance(links, dict):
        for name in THREAD_OBJECTS:
            link = links.get(name)
            href = link.get("href") if isinstance(link, dict) else link
            if isinstance(href, str) and (found := href.rstrip("/").rpartition("/")[2]):
                return found
    return first_ident(among[:1], OWN_ID)


def author_of(
    message: Mapping[str, Any], among: Sequence[Mapping[str, Any]], flat: Mapping[str, Any]
) -> Person:
    """Return who said it; only where the message itself does not tell, whom the payload names."""
    found = first_person((message,), {}) if message else Person()
    return found if found != Person() else first_person(among, flat)


def channel_of(among: Sequence[Mapping[str, Any]]) -> Channel:
    for place in among:
        value = place.get("channel")
        if isinstance(value, dict):
            return Channel(id=ident(value.get("id")), name=first_text((value,), ("name",)))
        if value:
            return Channel(id=ident(value))
    return Channel()


def ticket_of(among: Sequence[Mapping[str, Any]], flat: Mapping[str, Any]) -> Ticket:
    ticket_id = first_ident((flat,), ("ticketid", "caseid"))
    for place in among:
        if isinstance(inner := place.get("ticket"), dict):
            ticket_id = ticket_id or ident(inner.get("id"))
            break
    return Ticket(
        id=ticket_id,
        status=first_ident((flat,), ("status", "state")),
        priority=ident(flat.get("priority")),
        assignee=first_ident((flat,), ("assignee", "assigneeid")),
    )


def tags_of(payload: Mapping[str, Any]) -> tuple[str, ...]:
    value = payload.get("tags")
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def follow(payload: Any, path: str) -> Any:
    """Return the value at a dotted path ("data.items.0.id"), or None."""
    for step in path.split("."):
        if isinstance(payload, dict):
            payload = payload.get(step)
        elif isinstance(payload, list) and step.isascii() and step.isdigit() and int(step) < len(payload):
            payload = payload[int(step)]
        else:
            return None
    return payload
