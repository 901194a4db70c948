"""Whether a payload of a shape that nobody knows holds somebody's words: then it is kept, not refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from relay.errors import PayloadInvalid
from relay.sources.base import Inbound
from relay.sources.read.lenient import parse_lenient
from relay.sources.read.pick import HTML, TEXT, bare

_MAX_LEVELS = 8
_WORDED = frozenset({*TEXT, *HTML, "transcription", "question", "caption", "subject"})


def holds_words(inbound: Inbound) -> bool:
    """Whether the body is JSON or a form with a text in it that a person may have written."""
    content_type = inbound.headers.get("content-type", "").lower()
    if content_type.startswith("application/x-www-form-urlencoded"):
        try:
            fields = dict(parse_qsl(inbound.body.decode("utf-8", "replace"), max_num_fields=1000))
        except ValueError:
            return False
        return _worded(fields)
    try:
        return _worded(parse_lenient(inbound.body))
    except PayloadInvalid:
        return False


def _worded(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_LEVELS):
        below: list[Any] = []
        for place in level:
            if isinstance(place, Mapping):
                named = bare({key: inner for key, inner in place.items() if isinstance(key, str)})
                if any(
                    isinstance(named.get(key), str) and named[key].strip() for key in _WORDED & named.keys()
                ):
                    return True
                below += [inner for inner in place.values() if isinstance(inner, (Mapping, list))]
            elif isinstance(place, list):
                below += [inner for inner in place if isinstance(inner, (Mapping, list))]
        if not below:
            return False
        level = below
    return False
