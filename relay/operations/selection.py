"""Which dead letters, or which stretch of time: the filters of list, replay and discard, checked in one place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay.errors import UserError
from relay.operations.moments import parse_moment

MAX_IDS = 10_000


class InputInvalid(UserError):
    """What was asked makes no sense; `path` is the key."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.message = message
        self.path = path


@dataclass(frozen=True, slots=True)
class Selection:
    """`ids` alone, or everything that fits all the filters given; `everything` is the filter that all fit. `cause` is what was
    asked: an id, a text, or a part of one. `until_ms` 0: open."""

    ids: tuple[str, ...] = ()
    cause: str = ""
    source: str = ""
    since_ms: int = 0
    until_ms: int = 0
    everything: bool = False


def read_selection(body: Mapping[str, Any], now_ms: int) -> Selection:
    """Read a selection from `{"ids"|"cause"|"source"|"since"|"until"|"all"}`. Raises InputInvalid; naming nothing is a mistake too."""
    if "ids" in body:
        ids = body["ids"]
        if not isinstance(ids, list) or not all(isinstance(one, str) and one for one in ids):
            raise InputInvalid("wanted a list of ids", "ids")
        if not ids:
            raise InputInvalid("names nothing", "ids")
        if len(ids) > MAX_IDS:
            raise InputInvalid(f"more than {MAX_IDS} ids; use a filter", "ids")
        for key in ("cause", "source", "since", "until", "all"):
            if body.get(key, False) is not False:
                raise InputInvalid("ids are named, so no filter goes with them", key)
        return Selection(ids=tuple(dict.fromkeys(ids)))
    everything = body.get("all", False)
    if not isinstance(everything, bool):
        raise InputInvalid("wanted true or false", "all")
    found = Selection(
        cause=read_text(body, "cause"),
        source=read_text(body, "source"),
        since_ms=read_moment(body, "since", now_ms),
        until_ms=read_moment(body, "until", now_ms),
        everything=everything,
    )
    if found == Selection():
        raise InputInvalid("say which: ids, cause, source, since, until, or all")
    return found


def read_text(body: Mapping[str, Any], key: str, *, blank: bool = False) -> str:
    """Return "" where the key is not given. One that is given and says nothing (null, or empty unless `blank`) is a mistake:
    a program that lost its filter must not act on everything."""
    if key not in body:
        return ""
    value = body[key]
    if not isinstance(value, str) or len(value) > 1000 or (not value and not blank):
        raise InputInvalid("wanted a string", key)
    return value


_EPOCH_MS = re.compile(r"[0-9]{12,15}")


def read_moment(body: Mapping[str, Any], key: str, now_ms: int, *, blank: bool = False) -> int:
    """Read ISO 8601, `2h` (so long ago), or epoch milliseconds; 0 where it is not given."""
    if key not in body or (blank and body[key] == ""):
        return 0
    value = body[key]
    if isinstance(value, str) and _EPOCH_MS.fullmatch(value):
        # What stands in a URL is text.
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < 10**15:
            raise InputInvalid("wanted a time", key)
        return value
    if not isinstance(value, str):
        raise InputInvalid("wanted a time", key)
    try:
        return parse_moment(value, now_ms)
    except ValueError as error:
        raise InputInvalid(str(error), key) from None


def read_flag(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise InputInvalid("wanted true or false", key)
    return value


# What differs between two letters of one cause: addresses, ids, numbers, quoted values.
_VARIABLE = (
    (re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.-]+"), "<address>"),
    (re.compile(r"https?://[^\s'\"]+"), "<url>"),
    (re.compile(r"\b(?:evt|dead)_[0-9a-f]{24}\b"), "<id>"),
    (re.compile(r"\b[0-9a-f]{24}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b\d{4,}(?:\.\d+)?\b"), "<n>"),
)


def cause_group(facts: Mapping[str, Any]) -> str:
    """Return the cause that groups a letter: its own, without what changes from letter to letter."""
    cause = str(facts.get("cause") or "unknown")
    for pattern, word in _VARIABLE:
        cause = pattern.sub(word, cause)
    return cause
