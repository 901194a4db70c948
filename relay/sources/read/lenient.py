"""JSON that a template broke, mended where it can be read in one way only.

Placeholders are not escaped by those who fill them in: a comment of two lines breaks the string around it, a field
without a value leaves a comma alone. A quotation mark in a text is not mended: where the string ends then is a guess.
"""

from __future__ import annotations

import re
from typing import Any

from relay.errors import PayloadInvalid
from relay.sources.foreign_json import parse_json
from relay.sources.large_json import LONG_BYTES

#: A string, or what is left of one that never ends. One pass, whatever the text.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:(u[0-9a-fA-F]{4}|[\"\\/bfnrt])|(.))", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LONE_COMMA = re.compile(r",(\s*[}\]])")
_NO_VALUE = re.compile(r":(\s*)(?=[,}])")


def parse_lenient(body: bytes) -> Any:
    """Return the body as JSON; where it is none, as it was meant: raw line breaks and tabs inside of strings, a backslash that
    escapes nothing, a comma before a closing bracket, a key without a value (null), a byte order mark. Raises
    PayloadInvalid for what may be meant in two ways, and for a text of a megabyte: no template makes one."""
    try:
        return parse_json(body)
    except PayloadInvalid:
        mended = _mended(body) if len(body) <= LONG_BYTES else None
        if mended is None or mended == body:
            raise
        return parse_json(mended)


def _mended(body: bytes) -> bytes | None:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    parts: list[str] = []
    place = 0
    for found in _STRING.finditer(text):
        parts.append(_outside(text[place : found.start()]))
        parts.append(_string(found[0]))
        place = found.end()
    parts.append(_outside(text[place:]))
    return "".join(parts).encode()


def _string(quoted: str) -> str:
    if "\\" in quoted:
        quoted = _ESCAPE.sub(lambda m: m[0] if m[1] else f"\\\\{m[2]}", quoted)
    return _CONTROL.sub(lambda m: _NAMED.get(m[0]) or f"\\u{ord(m[0]):04x}", quoted)


def _outside(text: str) -> str:
    return _LONE_COMMA.sub(r"\1", _NO_VALUE.sub(r":\1null", text))
