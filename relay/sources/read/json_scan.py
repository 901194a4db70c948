"""Single fields out of a JSON body without parsing it: for proofs that lie in what nobody has proven yet.

Memory is fixed whatever the body: what is not asked for is stepped over, by patterns that never turn back. For every valid
body the result is the parser's; of a body that is cut off, or has more members than any provider sends, nothing is told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from relay.errors import PayloadInvalid
from relay.sources.foreign_json import MAX_JSON_DEPTH, loads

#: Members of one object, or items of one list, that are looked at: no envelope has more.
MAX_MEMBERS = 10_000
#: No proof is longer.
MAX_VALUE_BYTES = 16 * 1024

#: Where a value begins and ends in the body.
Span = tuple[int, int]

_STRING = rb'"(?:[^"\\\x00-\x1f]++|\\.)*+"'
_PLAIN = rb'[^"\[\]{}]++|' + _STRING


def _nested(depth: int) -> bytes:
    """Whatever stands in brackets, `depth` deep. Each level holds the one below once, so that the pattern stays small."""
    inner = rb"(?:" + _PLAIN + rb")*+"
    for _ in range(depth):
        inner = rb"(?:" + _PLAIN + rb"|[\[{]" + inner + rb"[\]}])*+"
    return rb"[\[{]" + inner + rb"[\]}]"


_BLANK = re.compile(rb"[ \t\r\n]*+")
_KEY = re.compile(rb"(" + _STRING + rb")[ \t\r\n]*+:[ \t\r\n]*+")
_VALUE = re.compile(_STRING + rb"|" + _nested(MAX_JSON_DEPTH) + rb"|[-+.0-9a-zA-Z]++")
_COMMA = re.compile(rb"[ \t\r\n]*+,[ \t\r\n]*+")


def members(body: bytes, names: Collection[str], within: Span | None = None) -> dict[str, Span]:
    """Return where the values of these names stand in the object that is `within`, or that the whole body is. Of a name that comes
    twice, the last. Raises PayloadInvalid for what is no such object."""
    wanted = {name.encode("utf-8", "surrogatepass"): name for name in names}
    longest = 6 * max(map(len, wanted)) + 2  # a letter may be written as \uXXXX
    found: dict[str, Span] = {}
    at, end = _inside(body, within or whole(body), *b"{}")
    for _ in range(MAX_MEMBERS):
        if at == end:
            return found
        key = _KEY.match(body, at, end)
        if key is None:
            break
        value = _VALUE.match(body, key.end(), end)
        if value is None:
            break
        if key.end(1) - key.start(1) <= longest:
            name = _name(key[1], wanted, names)
            if name is not None:
                found[name] = value.span()
        at = _after(body, value.end(), end)
    raise PayloadInvalid("not JSON")


def items(body: bytes, within: Span) -> Iterator[Span]:
    """Return where the items of the list `within` stand. Raises PayloadInvalid for what is no list."""
    at, end = _inside(body, within, *b"[]")
    for _ in range(MAX_MEMBERS):
        if at == end:
            return
        value = _VALUE.match(body, at, end)
        if value is None:
            break
        yield value.span()
        at = _after(body, value.end(), end)
    raise PayloadInvalid("not JSON")


def small_value(body: bytes, span: Span | None) -> Any:
    """Return the value there, if it is a string, a number or a word, and no longer than a proof may be; else None."""
    if span is None or span[1] - span[0] > MAX_VALUE_BYTES or body[span[0]] in (_OBJECT, _LIST):
        return None
    return loads(body[slice(*span)])


def large_text(body: bytes, span: Span | None) -> str | None:
    """Return the string there, however long; None for anything else."""
    if span is None or body[span[0]] != _QUOTE:
        return None
    value = loads(memoryview(body)[slice(*span)])
    return value if isinstance(value, str) else None


def scan_path(body: bytes, path: str) -> Any:
    """Return the small value at a dotted path ("data.items.0.id"), as `pick.follow` finds it in the parsed body. Raises PayloadInvalid
    for what is no JSON."""
    span: Span | None = whole(body)
    for step in path.split("."):
        if span is None:
            return None
        if body[span[0]] == _OBJECT:
            span = members(body, (step,), span).get(step)
        elif body[span[0]] == _LIST and step.isascii() and step.isdigit():
            wanted = int(step)
            span = next((one for number, one in enumerate(items(body, span)) if number == wanted), None)
        else:
            return None
    return small_value(body, span)


def whole(body: bytes) -> Span:
    """Return the body without the blanks around it. Raises PayloadInvalid where nothing is left."""
    start, end = _end_of_blank(body, 0, len(body)), len(body)
    while end > start:
        tail = len(body[max(start, end - 4096) : end].rstrip(b" \t\r\n"))
        if tail:
            return start, max(start, end - 4096) + tail
        end = max(start, end - 4096)
    raise PayloadInvalid("not JSON")


_QUOTE, _OBJECT, _LIST = b'"{['


def _inside(body: bytes, within: Span, opening: int, closing: int) -> Span:
    """From the first thing in the brackets to the closing one."""
    start, end = within
    if end - start < 2 or body[start] != opening or body[end - 1] != closing:
        raise PayloadInvalid("not JSON")
    return _end_of_blank(body, start + 1, end - 1), end - 1


def _after(body: bytes, at: int, end: int) -> int:
    """Where the next member begins, after one that ends at `at`; `end` after the last."""
    comma = _COMMA.match(body, at, end)
    following = comma.end() if comma else _end_of_blank(body, at, end)
    if (following == end) is (comma is not None):
        raise PayloadInvalid("not JSON")
    return following


def _end_of_blank(body: bytes, at: int, end: int) -> int:
    found = _BLANK.match(body, at, end)
    return found.end() if found else at


def _name(key: bytes, wanted: Mapping[bytes, str], names: Collection[str]) -> str | None:
    if b"\\" not in key:
        return wanted.get(key[1:-1])
    name = loads(key)
    return name if isinstance(name, str) and name in names else None
