"""Single values of a request to the API, checked as they are read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from relay.operations.selection import InputInvalid

#: Changes that one answer lists; of more, `relay replay --json-lines` tells.
MOST_LISTED: Final = 10_000


def require_keys(asked: Iterable[str], known: Collection[str]) -> None:
    """Raise InputInvalid for a name that none of `known` is."""
    for key in asked:
        if key not in known:
            raise InputInvalid(f"unknown; known are {', '.join(sorted(known))}", key[:80])


def read_values(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return an object of the body, path -> value; {} where it is not given. Raises InputInvalid."""
    value = body.get(key, {})
    if not isinstance(value, dict) or not all(path for path in value):
        raise InputInvalid("wanted an object: path -> value", key)
    return value


def read_listed(body: Mapping[str, Any], default: int) -> int:
    """Return a body's `limit`: how many of the changes the answer lists, none at all with 0. Raises InputInvalid."""
    limit = body.get("limit", default)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 <= limit <= MOST_LISTED:
        raise InputInvalid(f"wanted a number from 0 to {MOST_LISTED}", "limit")
    return limit


def read_whole(asked: Mapping[str, str], key: str, default: int, most: int) -> int:
    """Return a number from 1 to `most`. Raises InputInvalid."""
    text = asked.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise InputInvalid(f"wanted a number from 1 to {most}", key)
    return int(text)
