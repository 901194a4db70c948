"""How a conversation looks in each of Planhat's answers, property by property.

Source: the answers in the document. A create, a change and a delete show one set of properties, a read another, a list
a third. What was sent is shown as well, in every one of them: the document's examples have no externalId, and say that a
conversation can be read by it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from relay.planhat.sandbox.editor import as_edited
from relay.planhat.sandbox.listing import Row, select_columns
from relay.planhat.sandbox.records import Record, iso_ms
from relay.planhat.sandbox.values import SETTABLE

_TAG: Final = re.compile(r"<[^>]*>")
_BLANKS: Final = re.compile(r"\s+")
_SNIPPET_CHARS: Final = 500
_EPOCH: Final = date(1970, 1, 1)

ACCOUNT_ID: Final = "5d00000000000000000000ff"
ACCOUNT_NAME: Final = "Planhat sandbox"
"""Whose token it is: `userId` and `nickName` of what the token creates."""

_CHANGED: Final = (
    *("_id", "starred", "pinned", "autoTags", "activityTags", "emailTemplateIds", "isOpen", "tags"),
    *("waitsToBeFiltered", "timeBucket", "archived", "users", "date", "type", "companyId", "endusers"),
    *("companyName", "createDate", "sender", "history", "__v"),
)
_CREATED: Final = (*_CHANGED, "owner", "followers", "userId", "note", "nickName")
_READ: Final = (
    *("_id", "type", "numberOfParts", "hasAttachments", "source", "days", "companyId", "timeBucket"),
    *("history", "tags", "isOpen", "users", "endusers", "date", "__v", "companyName", "createDate"),
    *("numberOfRelevantParts", "userIds", "hasMore", "isCustomType", "assigneeName", "isSeen", "starred"),
    *("pinned", "archived"),
)
_LISTED: Final = (
    *("date", "userIds", "hasMore", "isCustomType", "_id", "type", "tags", "createDate", "companyId"),
    *("companyName", "users", "endusers", "assigneeName", "activityTags", "hasAttachments", "isSeen"),
    *("starred", "pinned", "archived"),
)
_UNSHOWN: Final = frozenset({"useSubject", "ownerId", "companyExternalId"})
"""Sent in the document's examples, and in none of its answers."""
_SENT: Final = tuple(name for name in SETTABLE if name not in _UNSHOWN)
_SENT_LISTED: Final = tuple(name for name in _SENT if name not in ("description", "transcript"))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What reading a record needs beside the record: the tenant's names and types."""

    company: Callable[[str], Mapping[str, Any]]
    user_name: Callable[[str], str]
    enduser_name: Callable[[str], str]
    #: Every type that stands as it was sent.
    types: Container[str]
    standard_types: frozenset[str]
    strict_editor: bool = False


def created(record: Record, around: Surroundings) -> Row:
    """Show a conversation as the answer to its creation does."""
    # Planhat fills the time buckets later.
    return {**_shown(record, around, _CREATED, _SENT), "timeBucket": []}


def changed(record: Record, around: Surroundings) -> Row:
    """Show a conversation as the answers to a change and to a deletion do."""
    return {**_shown(record, around, _CHANGED, _SENT), "timeBucket": []}


def read(record: Record, around: Surroundings) -> Row:
    """Show a conversation as it is read by one of its keys."""
    return _shown(record, around, _READ, _SENT)


def listed(record: Record, around: Surroundings) -> Row:
    """Show a conversation as a list does when nothing is selected: without its description."""
    return _shown(record, around, _LISTED, _SENT_LISTED)


def _shown(record: Record, around: Surroundings, generated: Iterable[str], sent: Iterable[str]) -> Row:
    row = whole(record, around)
    present = record.sent
    sent_here = [name for name in sent if present.get(name) not in (None, {})]
    snippet = ("snippet",) if "snippet" in row else ()
    return select_columns(row, dict.fromkeys((*generated, *sent_here, *snippet)))


def whole(record: Record, around: Surroundings) -> Row:
    """Make every property of a conversation that any answer shows."""
    sent = record.sent
    kind = effective_type(sent, around.types)
    at = record.date
    description = sent.get("description")
    if around.strict_editor and description:
        description = as_edited(description).html
    users = _users(sent, around.user_name)
    row: Row = {
        "_id": record.id,
        "starred": False,
        "pinned": False,
        "autoTags": [],
        "activityTags": [],
        "emailTemplateIds": [],
        "isOpen": False,
        "tags": [],
        "waitsToBeFiltered": True,
        "archived": False,
        "source": "api",
        **{name: sent[name] for name in _SENT if sent.get(name) is not None},
        "timeBucket": time_bucket(at),
        "days": days(at),
        "date": at,
        "type": kind,
        "companyId": record.company_id,
        "companyName": str(around.company(record.company_id).get("name", "")),
        "users": users,
        "userIds": [user["id"] for user in users if "id" in user],
        "endusers": _people(sent.get("endusers"), around.enduser_name),
        "createDate": iso_ms(record.created_ms),
        "sender": [],
        "history": [],
        "numberOfParts": 1,
        "numberOfRelevantParts": 1,
        "hasMore": False,
        "isCustomType": kind not in around.standard_types,
        "assigneeName": "",
        "hasAttachments": False,
        "isSeen": False,
        "__v": 0,
        "owner": around.company(record.company_id).get("owner") or ACCOUNT_ID,
        "followers": [],
        "userId": ACCOUNT_ID,
        "nickName": ACCOUNT_NAME,
        "note": f"{sent.get('subject') or ''}: {description or ''}",
    }
    if description is not None:
        row["description"] = description
    if description is not None or sent.get("snippet") is not None:
        row["snippet"] = sent.get("snippet") or plain_text(str(description or ""))
    return row


def effective_type(sent: Mapping[str, Any], types: Container[str]) -> str:
    """Tell the type that Planhat would show: one that the tenant does not have silently becomes `note`."""
    kind = sent.get("type")
    stands = isinstance(kind, str) and kind and (kind in types or "ticket" in sent)
    return str(kind) if stands else "note"


def plain_text(markup: str) -> str:
    """Take HTML's text without its tags, on one line, cut at 500 characters."""
    return _BLANKS.sub(" ", html.unescape(_TAG.sub(" ", markup[: 8 * _SNIPPET_CHARS]))).strip()[
        :_SNIPPET_CHARS
    ]


def time_bucket(at: str) -> list[str]:
    """Make `["2021", "2021-Q2", "2021-6", "2021-W26"]` of a date: weeks begin on Sunday, the first is that of January 1.

    Source: the document's example (2016-10-21 is in W43), and Planhat's page on tickets (2021-06-24: month 6, W26). What
    the last days of a year are called, when they lie in the first week of the next, is not known; here they are W53.
    """
    try:
        day = datetime.fromisoformat(at).astimezone(UTC).date()
    except (ValueError, OverflowError):
        return []
    first = date(day.year, 1, 1)
    # Sunday is 7 for isoweekday() and 0 here: how many days of the first week lie in the year before.
    week = ((day - first).days + first.isoweekday() % 7) // 7 + 1
    year = f"{day.year:04d}"
    return [year, f"{year}-Q{(day.month + 2) // 3}", f"{year}-{day.month}", f"{year}-W{week}"]


def days(at: str) -> int:
    """Count the days from 1970-01-01 to a date. Source: the document's example, 17095 for 2016-10-21."""
    try:
        return (datetime.fromisoformat(at).astimezone(UTC).date() - _EPOCH).days
    except (ValueError, OverflowError):
        return 0


def _users(sent: Mapping[str, Any], name_of: Callable[[str], str]) -> list[Row]:
    users = _people(sent.get("users"), name_of)
    owner = sent.get("ownerId")
    for user in users:
        user.setdefault("isOwner", user.get("id") == owner if owner else user is users[0])
    return users


def _people(sent: Any, name_of: Callable[[str], str]) -> list[Row]:
    people: list[Row] = []
    for person in sent if isinstance(sent, list) else ():
        shown: Row = dict(person) if isinstance(person, dict) else {"id": person}
        key = shown.get("id") or shown.get("_id")
        if isinstance(key, str):
            shown["id"] = key
            name = name_of(key)
            if name:
                shown["name"] = name
        people.append(shown)
    return people
