"""Whether a payload of a shape that nobody knows holds somebody's words: then it is kept, not refused."""

from __future__ import annotations

from collections.abc import Set
from typing import Any
from urllib.parse import parse_qsl

from relay.errors import PayloadInvalid
from relay.sources.base import Inbound, Skipped
from relay.sources.read.lenient import parse_lenient
from relay.sources.read.pick import HTML, TEXT
from relay.sources.read.place import under
from relay.sources.read.xml import Element, parse_xml

#: A WhatsApp message's words lie nine levels deep.
_MAX_LEVELS = 12
_WORDED = frozenset(
    {*TEXT, *HTML, "transcription", "question", "caption", "subject", "preview", "raw", "cooked"}
)
#: Where words of people stand; what a thing is called, or is about, is none of them.
SAID = _WORDED - {"subject", "description", "summary", "lastmessage", "preview"}


def holds_words(inbound: Inbound) -> bool:
    """Tell whether the body is JSON, a form or XML with a text in it that a person may have written."""
    content_type = inbound.headers.get("content-type", "").lower()
    if content_type.startswith("application/x-www-form-urlencoded"):
        try:
            fields = dict(parse_qsl(inbound.body.decode("utf-8", "replace"), max_num_fields=1000))
        except ValueError:
            return False
        return is_worded(fields)
    try:
        if inbound.body.lstrip()[:1] == b"<":
            return _is_worded_xml(parse_xml(inbound.body))
        return is_worded(parse_lenient(inbound.body))
    except PayloadInvalid:
        return False


def skip_unknown(payload: Any) -> Skipped:
    """Return what no message of this sender looks like: nothing to relay. Raises PayloadInvalid where it holds words: then it is
    a message in a shape that is not known yet, and kept."""
    if is_worded(payload):
        raise PayloadInvalid("a message of an unknown shape")
    return Skipped("type")


def _is_worded_xml(root: Element) -> bool:
    level = [root]
    while level:
        if any(one.text and one.name.lower().replace("_", "") in _WORDED for one in level):
            return True
        level = [inner for one in level for inner in one.children]
    return False


def is_worded(value: Any, names: Set[str] = _WORDED) -> bool:
    """Tell whether a text that a person may have written stands in this JSON, under one of these names."""
    level = [value]
    for _ in range(_MAX_LEVELS):
        below: list[Any] = []
        for place in level:
            if isinstance(place, dict):
                if any(isinstance(text, str) and text.strip() for text in under(place, names)):
                    return True
                below += [inner for inner in place.values() if isinstance(inner, (dict, list))]
            elif isinstance(place, list):
                below += [inner for inner in place if isinstance(inner, (dict, list))]
        if not below:
            return False
        level = below
    return False
