"""What one field of a document holds, by merge way: which of two values wins, and which way speaks. Pure.

A register is a JSON list, [version, event_id, revision, value], because it lives in Redis as JSON; an entry of an `append`
has the time at which it stands behind these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import orjson

Way = Literal["replace", "first", "union", "append", "fallback", "placeholder"]
#: What stands where no real value does, the better first.
STAND_INS: tuple[Way, ...] = ("fallback", "placeholder")
#: Ways that keep one value.
SINGLE_WAYS: Final = ("replace", "first", *STAND_INS)

Register = list[Any]


def newer(left: Register, right: Register) -> bool:
    """Tell whether `left` wins over `right` by version, then event, then revision, then the value itself."""
    a, b = (left[0], left[1], left[2]), (right[0], right[1], right[2])
    if a != b:
        return a > b
    return orjson.dumps(left[3], option=orjson.OPT_SORT_KEYS) > orjson.dumps(
        right[3], option=orjson.OPT_SORT_KEYS
    )


def earlier(left: Register, right: Register) -> bool:
    """Tell whether `left` wins as the first: the smallest version; of one event, its newest mapping."""
    a, b = (left[0], left[1], -left[2]), (right[0], right[1], -right[2])
    if a != b:
        return a < b
    return orjson.dumps(left[3], option=orjson.OPT_SORT_KEYS) > orjson.dumps(
        right[3], option=orjson.OPT_SORT_KEYS
    )


def member_key(value: Any) -> str:
    """Return what a member of a `union` is known by: its id, its address, or all of it."""
    if isinstance(value, dict):
        for key in ("id", "_id", "email", "externalId"):
            if isinstance(value.get(key), str) and value[key]:
                return str(value[key])
    if isinstance(value, str):
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def newest_entry(ways: Mapping[str, Any]) -> tuple[int, str, int]:
    return max(_version_of(way, held) for way, held in ways.items())


def speaking_way(ways: Mapping[str, Any]) -> str:
    """Return the way whose value stands: that of the newest patch, a stand-in only where nothing else is."""
    real = [way for way in ways if way not in STAND_INS]
    if len(real) > 1:
        return max(real, key=lambda way: (_version_of(way, ways[way]), way))
    return real[0] if real else next(way for way in STAND_INS if way in ways)


def _version_of(way: str, held: Any) -> tuple[int, str, int]:
    if way in SINGLE_WAYS:
        return held[0], held[1], held[2]
    if not held:
        return (-1, "", 0)
    return max((entry[0], entry[1], entry[2]) for entry in held.values())
