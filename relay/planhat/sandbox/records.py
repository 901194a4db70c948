"""One conversation as the sandbox keeps it, and how it looks when it is read.

Kept is what was sent; what Planhat generates is made when somebody reads, so that a bulk upsert stays cheap.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from relay.planhat.fields import FIELDS

_TAG: Final = re.compile(r"<[^>]*>")
_BLANKS: Final = re.compile(r"\s+")
_SNIPPET_CHARS: Final = 500
_DAY_S: Final = 86_400

LIST_COLUMNS: Final = (
    *("date", "outDate", "userIds", "hasMore", "isCustomType", "subject", "snippet", "_id", "type", "tags"),
    *("createDate", "companyId", "companyName", "users", "endusers", "assigneeName", "activityTags"),
    *("hasAttachments", "isSeen", "starred", "pinned", "archived", "custom", "externalId", "sourceId"),
)
"""What a list shows when nothing is selected. Source: the answer in the document, which has no description."""


@dataclass(slots=True)
class Record:
    """`sent` is the last value of each property as it was sent, except for `companyId`, which is resolved."""

    id: str
    company_id: str
    created_ms: int
    sent: dict[str, Any]
    changed_ms: int = 0
    writes: int = 1
    #: Which write of the whole store changed it last; what the page sorts by.
    turn: int = field(default=0, compare=False)


def iso_ms(at_ms: int) -> str:
    """Unix milliseconds as Planhat writes dates: `2021-07-29T15:29:34.330Z`."""
    stamp = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def effective_type(sent: Mapping[str, Any], types: Iterable[str]) -> str:
    """The type that Planhat would show: an unknown one silently becomes `note`."""
    kind = sent.get("type")
    return kind if isinstance(kind, str) and kind in types else "note"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What reading a record needs beside the record: the tenant's names and types."""

    company_name: Callable[[str], str]
    user_name: Callable[[str], str]
    enduser_name: Callable[[str], str]
    #: Every type that stands as it was sent.
    types: Iterable[str]
    standard_types: Iterable[str]


def render(record: Record, around: Surroundings) -> dict[str, Any]:
    """The whole conversation as `GET /conversations/{id}` gives it."""
    sent = record.sent
    kind = effective_type(sent, around.types)
    date = sent.get("date") or iso_ms(record.created_ms)
    description = sent.get("description")
    users = _people(sent.get("users"), around.user_name)
    owner = sent.get("ownerId")
    for user in users:
        user["isOwner"] = user.get("id") == owner if owner else user is users[0]
    shown: dict[str, Any] = {
        "_id": record.id,
        "starred": False,
        "pinned": False,
        "autoTags": [],
        "activityTags": [],
        "emailTemplateIds": [],
        "isOpen": False,
        "tags": [],
        "waitsToBeFiltered": True,
        "timeBucket": time_bucket(date),
        "archived": False,
        **{name: value for name, value in sent.items() if name in FIELDS or name == "sourceId"},
        "date": date,
        "type": kind,
        "companyId": record.company_id,
        "companyName": around.company_name(record.company_id),
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
    }
    if description is not None or "snippet" in sent:
        shown["snippet"] = sent.get("snippet") or plain_text(str(description or ""))
    shown["note"] = f"{sent.get('subject') or ''}: {description or ''}"
    return shown


def plain_text(markup: str) -> str:
    """HTML without its tags, on one line, cut."""
    return _BLANKS.sub(" ", html.unescape(_TAG.sub(" ", markup[: 8 * _SNIPPET_CHARS]))).strip()[
        :_SNIPPET_CHARS
    ]


def time_bucket(date: str) -> list[str]:
    """`["2016", "2016-Q4", "2016-10", "2016-W43"]`, as Planhat makes it from a date. Week numbers start at Sunday
    there; nobody documents them, so ISO weeks are used here."""
    try:
        at = datetime.fromisoformat(date)
    except ValueError:
        return []
    year = f"{at.year:04d}"
    return [
        year,
        f"{year}-Q{(at.month + 2) // 3}",
        f"{year}-{at.month:02d}",
        f"{year}-W{at.isocalendar().week:02d}",
    ]


def _people(sent: Any, name_of: Callable[[str], str]) -> list[dict[str, Any]]:
    people: list[dict[str, Any]] = []
    for person in sent if isinstance(sent, list) else ():
        shown: dict[str, Any] = dict(person) if isinstance(person, dict) else {"id": person}
        key = shown.get("id") or shown.get("_id")
        if isinstance(key, str):
            shown["id"] = key
            name = name_of(key)
            if name:
                shown["name"] = name
        people.append(shown)
    return people


def select_columns(shown: dict[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    return {name: shown[name] for name in columns if name in shown}


def sort_key(name: str) -> Callable[[dict[str, Any]], tuple[int, Any]]:
    """Orders records by one property of any type; those without it come first, as in MongoDB."""

    def key(shown: dict[str, Any]) -> tuple[int, Any]:
        value = shown.get(name)
        if value is None:
            return (0, 0)
        if isinstance(value, (int, float)):
            return (1, value)
        return (2, str(value))

    return key
