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
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from relay.planhat.answers import (
    Answer,
    Forbidden,
    Garbled,
    ItemError,
    Key,
    NotTheApi,
    PlainKeys,
    Rejected,
    Report,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from relay.planhat.blame import Blame, blame

__all__ = [
    "Answer",
    "Blame",
    "Forbidden",
    "Garbled",
    "ItemError",
    "Key",
    "NotTheApi",
    "Rejected",
    "Report",
    "Throttled",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "blame",
    "is_page",
    "not_the_api",
    "read_report",
    "read_retry_after",
]

UNAUTHORIZED: Final = "Planhat answered 401: the token is wrong or has expired, or the region is the wrong one; `relay doctor` tells which"
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


def read_report(status: int, headers: Mapping[str, str], body: bytes, *, now_s: float) -> Answer:
    """Return what an answer to `PUT /conversations` says. `now_s` is Unix time, for a Retry-After that is a date.

    Never raises: whatever cannot be read is a Garbled (2xx) or a verdict by its status.
    """
    retry_after_s = read_retry_after(headers, now_s=now_s)
    if status == 429:
        return Throttled(retry_after_s)
    if status == 401:
        return Unauthorized(UNAUTHORIZED)
    if status >= 500 or status in (408, 425) or status < 200:
        return Unavailable(status, f"Planhat answered {status}", retry_after_s)
    if status != 413 and is_page(status, headers, body):
        return NotTheApi(status, not_the_api(status))
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


def is_page(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Tell whether an answer is for a browser: HTML, or a redirect. Planhat's API gives neither."""
    if 300 <= status < 400:
        return True
    start = body[:200].lstrip()[:14].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return True
    # A bare string is called text/html by many servers: it takes a tag as well.
    kind = (_header(headers, "content-type") or "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") and start.startswith(b"<")


def not_the_api(status: int) -> str:
    """Return what an answer for a browser means, in a sentence."""
    what = "with a redirect" if 300 <= status < 400 else "with a web page"
    return (
        f"this is not the API: what is at RELAY_PLANHAT_URL (or stands before it) answered {status} {what}."
        " Set RELAY_PLANHAT_URL to Planhat's API, such as https://api.planhat.com"
    )


def read_retry_after(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Read Retry-After in seconds, from a number or an HTTP date. None when missing, malformed or beyond reason."""
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


def _keys(value: Any) -> Sequence[Key]:
    if not isinstance(value, list) or not value:
        return ()
    return _plain_keys(value) or tuple(key for key in map(_key, value) if key)


def _plain_keys(elements: list[Any]) -> PlainKeys | None:
    """None where any of them is otherwise."""
    try:
        planhat_ids = [element["_id"] for element in elements]
        external_ids = [element["externalId"] for element in elements]
    except (KeyError, TypeError):
        return None
    if {*map(type, planhat_ids), *map(type, external_ids)} != {str} or {*map(len, elements)} != {2}:
        return None
    return PlainKeys(planhat_ids, external_ids) if all(planhat_ids) and all(external_ids) else None


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
