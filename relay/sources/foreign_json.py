"""JSON that strangers wrote: parsed with a bound of depth, and read without trusting its types."""

from __future__ import annotations

import re
from math import isnan
from typing import Any

import orjson

from relay.errors import PayloadInvalid
from relay.sources.large_json import LARGE_BYTES, LONG_BYTES, load_large

#: JSON nested deeper than this is refused: no provider comes near, and walkers may recurse safely.
MAX_JSON_DEPTH = 64
#: An escape within a text. Two surrogates that belong together are one; each group holds one that stands alone.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def parse_json(body: bytes) -> Any:
    """Return the body as JSON. Raises PayloadInvalid for what is no JSON, not UTF-8, or nested deeper than
    `MAX_JSON_DEPTH` (orjson itself stops at 1,024, so no parser is driven into recursion)."""
    value = loads(body)
    # Cheap first: a body with few opening brackets cannot be deep.
    if body.count(b"[") + body.count(b"{") > MAX_JSON_DEPTH and _deeper_than(value, MAX_JSON_DEPTH):
        raise PayloadInvalid(f"JSON nested deeper than {MAX_JSON_DEPTH}")
    return value


def loads(body: bytes | memoryview) -> Any:
    """Return the body as JSON, however deep. Raises PayloadInvalid for what is no JSON, MemoryError where there is no memory for it:
    the parser itself calls both the same, and who takes the second for the first takes secrets for no secrets. Of a large body,
    long texts are `LongText`, and TooDense is a MemoryError that comes before there is none."""
    try:
        return _loads(body)
    except PayloadInvalid:
        whole = _with_whole_characters(body)
        if whole == body:
            raise
        return _loads(whole)


def _loads(body: bytes | memoryview) -> Any:
    try:
        return (
            orjson.loads(body)
            if len(body) <= LARGE_BYTES or isinstance(body, memoryview)
            else load_large(body)
        )
    except orjson.JSONDecodeError as error:
        if error.msg.startswith("Not enough memory"):
            raise MemoryError from error
        raise PayloadInvalid("not JSON") from error


def _with_whole_characters(body: bytes | memoryview) -> bytes | memoryview:
    """Return the body with U+FFFD for each half of a character: a sender that cuts a text after so many UTF-16 units leaves one
    (`"...\\ud83d"`), and the grammar of JSON allows it."""
    if (
        isinstance(body, memoryview)
        or len(body) > LONG_BYTES
        or (b"\\ud" not in body and b"\\uD" not in body)
    ):
        return body
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)


def json_object(body: bytes) -> dict[str, Any]:
    value = parse_json(body)
    if not isinstance(value, dict):
        raise PayloadInvalid("wanted a JSON object")
    return value


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


class Walk:
    """Reads foreign JSON without trusting it: each getter wants a type and names the path where it is not so.

    `Walk(body)["event"].text("ts")` raises PayloadInvalid("wanted a string", "event.ts").
    The `maybe_` getters give an empty value for what is absent or null or of another type.
    """

    __slots__ = ("path", "value")

    def __init__(self, value: Any, path: str = "") -> None:
        self.value = value
        self.path = path

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def __getitem__(self, key: str) -> Walk:
        """The object under `key`; raises PayloadInvalid where it is not one."""
        found = self.value.get(key) if isinstance(self.value, dict) else None
        if not isinstance(found, dict):
            raise PayloadInvalid("wanted an object", self._at(key))
        return Walk(found, self._at(key))

    def maybe(self, key: str) -> Walk:
        """Return the object under `key`, or an empty one."""
        found = self.value.get(key) if isinstance(self.value, dict) else None
        return Walk(found if isinstance(found, dict) else {}, self._at(key))

    def text(self, key: str) -> str:
        found = self.value.get(key) if isinstance(self.value, dict) else None
        if not isinstance(found, str) or not found:
            raise PayloadInvalid("wanted a string", self._at(key))
        return found

    def ident(self, key: str) -> str:
        """Return an id: a string or an int, as a string."""
        found = self.value.get(key) if isinstance(self.value, dict) else None
        if isinstance(found, bool) or not isinstance(found, (str, int)) or found == "":
            raise PayloadInvalid("wanted an id", self._at(key))
        return str(found)

    def maybe_text(self, key: str) -> str:
        found = self.value.get(key) if isinstance(self.value, dict) else None
        return found if isinstance(found, str) else ""

    def maybe_ident(self, key: str) -> str:
        found = self.value.get(key) if isinstance(self.value, dict) else None
        if isinstance(found, bool) or not isinstance(found, (str, int)):
            return ""
        return str(found)

    def maybe_number(self, key: str) -> float | None:
        found = self.value.get(key) if isinstance(self.value, dict) else None
        if isinstance(found, bool) or not isinstance(found, (int, float)) or isnan(found):
            return None
        return found

    def maybe_size(self, key: str) -> int | None:
        """Return a count of bytes: an int that is not negative."""
        found = self.value.get(key) if isinstance(self.value, dict) else None
        return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None

    def items(self, key: str) -> list[Walk]:
        """Return the objects of the list under `key`; what is no object, or no list, is left out."""
        found = self.value.get(key) if isinstance(self.value, dict) else None
        if not isinstance(found, list):
            return []
        return [Walk(item, f"{self._at(key)}[{n}]") for n, item in enumerate(found) if isinstance(item, dict)]

    def texts(self, key: str) -> list[str]:
        found = self.value.get(key) if isinstance(self.value, dict) else None
        return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []
