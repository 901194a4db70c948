"""How an answer to a bulk upsert is read. Pure: status, headers and body in, one value out.

The body is read before the status, since 200, 206, 400 and 403 may all carry the same envelope
(Source: Planhat, HTTP response codes, and the bulk upsert's example):

    {"created": 1, "createdErrors": [], "insertsKeys": [{"_id", "externalId"?, "sourceId"?}],
     "updated": 0, "updatedErrors": [], "updatesKeys": [], "nonupdates": 0,
     "modified": [], "upsertedIds": [], "permissionErrors": []}

Nobody documents what an element of an error list looks like, so anything is taken: a string, an object with an id,
an index or neither, nested or not. Every top-level key that ends in "errors" and holds something counts. What an
answer does not say is not guessed: it stays unattributed, and the sender finds the culprit by halving.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import orjson

EXCERPT_CHARS: Final = 2_000
_DETAIL_CHARS: Final = 200
_MAX_NODES: Final = 200
_COUNTS: Final = ("created", "updated", "nonupdates")
_ENVELOPE: Final = frozenset(
    {
        *_COUNTS,
        "createdErrors",
        "updatedErrors",
        "permissionErrors",
        "validationErrors",
        "insertsKeys",
        "updatesKeys",
        "modified",
        "upsertedIds",
    }
)
_MESSAGE_KEYS: Final = ("message", "error", "errmsg", "msg", "reason", "description", "detail", "title")
_INDEX_KEYS: Final = ("index", "idx", "position")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_TELLING_ID: Final = re.compile(r"[0-9._-]", re.ASCII)
_TELLING_CHARS: Final = 4
_ODD_COMPARISONS: Final = 1_000_000


class Key(NamedTuple):
    """What the answer calls a conversation by. It echoes the keys that were sent beside Planhat's own id."""

    planhat_id: str | None
    external_id: str | None = None
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class ItemError:
    """One element of an error list. `kind` is the list's name; `raw_excerpt` is the element as text, cut.

    `message` and `raw_excerpt` may quote what was sent: they belong into a dead letter, never into a log.
    """

    kind: str
    message: str
    external_id: str | None = None
    planhat_id: str | None = None
    index: int | None = None
    raw_excerpt: str = field(default="", repr=False)
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The envelope. Counts and lists as they came; what was missing is 0 or empty."""

    created: int
    updated: int
    nonupdates: int
    inserted: tuple[Key, ...]
    updated_keys: tuple[Key, ...]
    modified: tuple[str, ...]
    upserted: tuple[str, ...]
    errors: tuple[ItemError, ...]
    status: int

    @property
    def accounted(self) -> int:
        """How many items the counts claim to have succeeded."""
        return self.created + self.updated + self.nonupdates

    @property
    def wholly_forbidden(self) -> bool:
        """A total 403: nothing went through and every complaint is about permission. No item is to blame."""
        return (
            self.status == 403
            and self.accounted == 0
            and not (self.inserted or self.updated_keys or self.modified or self.upserted)
            and all(error.kind.lower() == "permissionerrors" for error in self.errors)
        )


@dataclass(frozen=True, slots=True)
class Throttled:
    """429. `retry_after_s` is None when the answer names no time."""

    retry_after_s: float | None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No answer, or one that says "not now". `status` is None when there was no answer at all."""

    status: int | None
    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """401: the token is wrong or has expired, or the tenant lives in another region."""

    reason: str


@dataclass(frozen=True, slots=True)
class Forbidden:
    """403 that names no item: the token may not do this at all."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """413: the request as a whole; nothing in it was looked at."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A refusal of the whole request (400, 404, 422, ...) that blames nothing in particular."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Garbled:
    """A 2xx that cannot be read: whether anything was done is unknown."""

    status: int
    reason: str


Answer = Report | Throttled | Unavailable | Unauthorized | Forbidden | TooLarge | Rejected | Garbled


def read_report(status: int, headers: Mapping[str, str], body: bytes, *, now_s: float) -> Answer:
    """What an answer to `PUT /conversations` says. `now_s` is Unix time, for a Retry-After that is a date.

    Never raises: whatever cannot be read is a Garbled (2xx) or a verdict by its status.
    """
    retry_after_s = read_retry_after(headers, now_s=now_s)
    if status == 429:
        return Throttled(retry_after_s)
    if status == 401:
        return Unauthorized(
            "Planhat answered 401: the token is wrong or has expired, or the region is the wrong one"
        )
    if status >= 500 or status in (408, 425) or status < 200:
        return Unavailable(status, f"Planhat answered {status}", retry_after_s)
    if 300 <= status < 400:
        return Unavailable(status, f"Planhat answered {status}, a redirect: the base URL is probably wrong")
    parsed = _parse(body)
    report = _read_envelope(status, parsed)
    if report is not None and not (status == 403 and not report.accounted and not report.errors):
        return report
    if status == 413:
        return TooLarge()
    if status == 403:
        return Forbidden(_detail(parsed, body) or "Planhat answered 403 and named no item")
    if status >= 400:
        return Rejected(status, _detail(parsed, body) or f"Planhat answered {status} without a reason")
    return Garbled(status, _why_unreadable(parsed, body))


def read_retry_after(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Retry-After in seconds, from a number or an HTTP date. None when missing, malformed or beyond reason."""
    text = (_header(headers, "retry-after") or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            at = parsedate_to_datetime(text).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
        seconds = at - now_s
    if not math.isfinite(seconds):
        return None
    return max(0.0, seconds)


def _header(headers: Mapping[str, str], name: str) -> str | None:
    found = headers.get(name)
    if found is not None:
        return found
    return next((value for key, value in headers.items() if key.lower() == name), None)


class _Unreadable:
    pass


_UNREADABLE: Final = _Unreadable()


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError):
        return _UNREADABLE


def _read_envelope(status: int, parsed: Any) -> Report | None:
    if not isinstance(parsed, dict):
        return None
    errors = tuple(_read_errors(parsed))
    # Outside of 2xx a lone "errors" is the ordinary way of refusing a request; it takes one of the envelope's own
    # keys to make it a report. Within 2xx a complaint must never pass for success.
    if _ENVELOPE.isdisjoint(parsed) and not (errors and status < 300):
        return None
    return Report(
        created=_count(parsed.get("created")),
        updated=_count(parsed.get("updated")),
        nonupdates=_count(parsed.get("nonupdates")),
        inserted=_keys(parsed.get("insertsKeys")),
        updated_keys=_keys(parsed.get("updatesKeys")),
        modified=_ids(parsed.get("modified")),
        upserted=_ids(parsed.get("upsertedIds")),
        errors=errors,
        status=status,
    )


def _count(value: Any) -> int:
    """A count; what is not a count is 0, which leaves items in doubt instead of calling them delivered."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return max(0, value)
    if isinstance(value, float) and value.is_integer():
        return max(0, int(value))
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return 0


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    if isinstance(value, dict):  # MongoDB's extended JSON
        return _text(value.get("$oid"))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def _keys(value: Any) -> tuple[Key, ...]:
    return tuple(key for key in map(_key, value) if key) if isinstance(value, list) else ()


def _key(element: Any) -> Key | None:
    if isinstance(element, dict):
        key = Key(_text(element.get("_id")), _text(element.get("externalId")), _text(element.get("sourceId")))
        return key if any(key) else None
    text = _text(element)
    return Key(text) if text else None


def _ids(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(key.planhat_id for key in map(_key, value) if key and key.planhat_id)


def _read_errors(envelope: dict[str, Any]) -> Iterator[ItemError]:
    for name, value in envelope.items():
        if not name.lower().endswith("errors") or not value:
            continue
        if isinstance(value, list):
            for element in value:
                yield _read_error(name, element)
        elif isinstance(value, dict):
            # Keyed by position or by id: the key is the only thing that tells whose it is.
            for key, element in value.items():
                yield _read_error(
                    name, {"index": int(key), "error": element} if _is_index(key) else {key: element}
                )
        else:
            yield _read_error(name, value)


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 7


def _read_error(kind: str, element: Any) -> ItemError:
    raw = element if isinstance(element, str) else _dump(element)
    found: dict[str, Any] = {}
    _look_into(element, found)
    message = found.get("message") or (element if isinstance(element, str) else "") or raw
    return ItemError(
        kind=kind,
        message=message[:EXCERPT_CHARS],
        external_id=found.get("external_id"),
        planhat_id=found.get("planhat_id"),
        index=found.get("index"),
        raw_excerpt=raw[:EXCERPT_CHARS],
        source_id=found.get("source_id"),
    )


def _dump(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except (TypeError, orjson.JSONEncodeError):
        return "?"


def _look_into(element: Any, found: dict[str, Any]) -> None:
    """Ids, index and message of an error element, wherever they are in it: the outermost wins."""
    level: list[Any] = [element]
    seen = 0
    while level and seen < _MAX_NODES:
        deeper: list[Any] = []
        for node in level:
            seen += 1
            if isinstance(node, dict):
                _look_at(node, found)
                deeper.extend(inner for inner in node.values() if isinstance(inner, (dict, list)))
            elif isinstance(node, list):
                deeper.extend(node)
            elif isinstance(node, str):
                found.setdefault("message", node)
        level = deeper[:_MAX_NODES]


def _look_at(node: dict[str, Any], found: dict[str, Any]) -> None:
    for name, key in (("external_id", "externalId"), ("planhat_id", "_id"), ("source_id", "sourceId")):
        text = _text(node.get(key))
        # A value of the form "externalId: duplicated" under the key's name is a complaint, not an id.
        if text and not any(character.isspace() for character in text):
            found.setdefault(name, text)
    for key in _INDEX_KEYS:
        index = node.get(key)
        if isinstance(index, str) and _is_index(index):
            index = int(index)
        if isinstance(index, int) and not isinstance(index, bool) and index >= 0:
            found.setdefault("index", index)
    for key in _MESSAGE_KEYS:
        message = node.get(key)
        if isinstance(message, str) and message:
            found.setdefault("message", message)


def _detail(parsed: Any, body: bytes) -> str:
    """A short reason out of a body that is no envelope: a JSON message or a bare string, never a page of HTML."""
    if isinstance(parsed, (dict, list)):
        found: dict[str, Any] = {}
        _look_into(parsed, found)
        text = str(found.get("message", ""))
    elif isinstance(parsed, str):
        text = parsed
    elif parsed is _UNREADABLE and body.lstrip()[:1] != b"<":
        text = body[: 4 * _DETAIL_CHARS].decode("utf-8", "replace")
    else:
        text = ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_DETAIL_CHARS]


def _why_unreadable(parsed: Any, body: bytes) -> str:
    if not body.strip():
        return "the body is empty"
    if parsed is _UNREADABLE:
        return "the body is not JSON"
    if isinstance(parsed, dict):
        return "the body is an object without any key of a bulk answer"
    return (
        f"the body is JSON, but {'a list' if isinstance(parsed, list) else 'a bare value'} and not an object"
    )


@dataclass(frozen=True, slots=True)
class Blame:
    """Whose each error is, by position in the request. `certain`: the error names the item's id. `hinted`: it gives
    only an index, whose base nobody documents: a suspect to be sent alone, not a verdict. `unnamed`: nobody's."""

    certain: Mapping[int, ItemError]
    hinted: Mapping[int, ItemError]
    unnamed: tuple[ItemError, ...]


def blame(errors: Iterable[ItemError], sent: Sequence[Key]) -> Blame:
    """Match errors with the items that were sent (`sent[i]` holds the keys of item i).

    An id inside of a message counts when it stands there whole and looks like one (four characters, one of them a
    digit or punctuation); a message that names two of the items names none. What is left unnamed is found by halving.
    """
    by_id: dict[str, int] = {}
    odd: list[tuple[str, int]] = []
    for position, key in enumerate(sent):
        for text in key:
            if text:
                by_id.setdefault(text, position)
                if not _TOKEN.fullmatch(text):
                    odd.append((text, position))
    certain: dict[int, ItemError] = {}
    hinted: dict[int, ItemError] = {}
    unnamed: list[ItemError] = []
    budget = _ODD_COMPARISONS
    for error in errors:
        suspects = _named(error, by_id)
        if not suspects:
            suspects = _mentioned(error, by_id)
            if odd and budget > 0:
                budget -= len(odd)
                suspects |= {position for text, position in odd if _stands_whole(text, error.raw_excerpt)}
        if len(suspects) == 1:
            certain.setdefault(next(iter(suspects)), error)
        elif not suspects and error.index is not None and error.index < len(sent):
            hinted.setdefault(error.index, error)
        else:
            unnamed.append(error)
    return Blame(certain, hinted, tuple(unnamed))


def _named(error: ItemError, by_id: Mapping[str, int]) -> set[int]:
    ids = (error.external_id, error.planhat_id, error.source_id)
    return {by_id[text] for text in ids if text is not None and text in by_id}


def _mentioned(error: ItemError, by_id: Mapping[str, int]) -> set[int]:
    found: set[int] = set()
    for token in _TOKEN.findall(error.raw_excerpt):
        # "slack-1.2." at the end of a sentence: the full stop may or may not be part of the id.
        for text in (token, token.rstrip("."), token.rstrip("._-")):
            if text in by_id and _TELLING_ID.search(text) and len(text) >= _TELLING_CHARS:
                found.add(by_id[text])
                break
    return found


def _stands_whole(text: str, within: str) -> bool:
    if len(text) < _TELLING_CHARS:
        return False
    at = within.find(text)
    if at < 0:
        return False
    before, after = within[at - 1 : at] if at else "", within[at + len(text) : at + len(text) + 1]
    return not (before.isalnum() or after.isalnum() or before in ("-", "_") or after in ("-", "_"))
