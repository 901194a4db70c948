"""JSON of many megabytes, without a second and a third of it in memory.

A text of a megabyte or more (an attachment, a raw mail) is not made when the rest is parsed: it stays in the body, as a `LongText`,
and is read from there by whoever needs it. What the rest takes when it is parsed is worked out before.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from io import BytesIO
from itertools import accumulate
from typing import Any, Final

import orjson

from relay.errors import PayloadInvalid

#: A text of more bytes is a long one; of a long one nobody reads more characters.
LONG_BYTES = HEAD_CHARS = 1_000_000
#: Smaller bodies are parsed as they are.
LARGE_BYTES = 64 * 1024
#: What the parsed form of one body may take, where nobody says otherwise.
_ROOM_BYTES = 256 * 1024 * 1024
#: Long texts are read and written in such pieces.
_PIECE_BYTES = 64 * 1024
_WINDOW_BYTES = 32 * 1024

# What a parsed value takes (CPython 3.11, 64 bit): its place in its holder, itself, and the parser's own note of it.
_MEMBER_BYTES = 48 + 32
_TEXT_BYTES = 56
_NUMBER_BYTES = 32
_OBJECT_BYTES = 200
_LIST_BYTES = 80

_room: ContextVar[int] = ContextVar("room", default=_ROOM_BYTES)

# All possessive: they never turn back.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_WHOLE_TEXTS = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_ASTRAL = re.compile(rb"[\xf0-\xf7]")
_COLON = re.compile(rb"[ \t\r\n]*+:")
#: As much of a text as ends behind a whole escape; two surrogates are one.
_WHOLE = re.compile(
    rb"(?:[^\\]++|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|\\u(?![dD][89abAB])[0-9a-fA-F]{4}|\\[^u])*+",
    re.DOTALL,
)


class TooDense(MemoryError):
    """A body whose parsed form would be out of proportion to its size. It is no PayloadInvalid: whoever takes it for "not JSON"
    would leave what is secret in it where it is."""


class LongText(str):
    """The first `HEAD_CHARS` characters of a text of at least `LONG_BYTES`; `whole` gives all of it."""

    _body: bytes
    _span: tuple[int, int] | None = None
    #: Of all of it: its bytes in UTF-8, and its last characters.
    utf8_size: int
    tail: str

    @classmethod
    def standing(cls, body: bytes, span: tuple[int, int]) -> LongText:
        """Return the text between the quotes there. Raises PayloadInvalid for what is no text of JSON."""
        head: list[str] = []
        count = size = 0
        tail = ""
        for piece in _pieces(body, span):
            if count < HEAD_CHARS:
                head.append(piece)
                count += len(piece)
            size += len(piece.encode())
            tail = (tail + piece)[-2:]
        text = cls("".join(head)[:HEAD_CHARS])
        text._body, text._span, text.utf8_size, text.tail = body, span, size, tail
        return text

    @classmethod
    def of(cls, utf8: bytes) -> LongText:
        """Return a text that was made anew; bytes that are no UTF-8 become a replacement character each."""
        text = cls(utf8[: 4 * HEAD_CHARS].decode("utf-8", "ignore")[:HEAD_CHARS])
        text._body, text.utf8_size = utf8, len(utf8)
        text.tail = utf8[-16:].decode("utf-8", "ignore")[-2:]
        return text

    def whole(self) -> bytes:
        """Return all of it in UTF-8. Takes the memory of that once."""
        if self._span is None:
            return self._body
        into = BytesIO()
        for piece in _pieces(self._body, self._span):
            into.write(piece.encode())
        return into.getvalue()

    def write(self, into: BytesIO) -> None:
        """Write it as it stands in JSON, with its quotes."""
        if self._span is not None:
            into.write(memoryview(self._body)[slice(*self._span)])
            return
        into.write(b'"')
        at = 0
        while at < len(self._body):
            end = _character_end(self._body, min(at + _PIECE_BYTES, len(self._body)))
            into.write(orjson.dumps(self._body[at:end].decode("utf-8", "replace"))[1:-1])
            at = end
        into.write(b'"')


def utf8_of(text: str) -> bytes:
    """Return all of a text as bytes; a lone surrogate becomes "?"."""
    return text.whole() if isinstance(text, LongText) else text.encode("utf-8", "replace")


def utf8_size(text: str) -> int:
    """Return how many bytes all of a text is."""
    return text.utf8_size if isinstance(text, LongText) else len(text.encode("utf-8", "replace"))


def base64_size(text: str) -> int:
    """Return how many bytes all of a text in base64 stands for."""
    tail = text.tail if isinstance(text, LongText) else text[-2:]
    return (text.utf8_size if isinstance(text, LongText) else len(text)) * 3 // 4 - tail.count("=")


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Within it, a body's parsed form may take `size` bytes."""
    token = _room.set(size)
    try:
        yield
    finally:
        _room.reset(token)


def load_large(body: bytes) -> Any:
    """Return the body as JSON, its long texts as `LongText`. Raises orjson.JSONDecodeError, PayloadInvalid, TooDense."""
    longs = _long_texts(body) if len(body) > LONG_BYTES else []
    if not longs:
        _weigh(body)
        return orjson.loads(body)
    texts = {}
    nonce = secrets.token_hex(16)
    lean = BytesIO()
    at = 0
    for number, span in enumerate(longs):
        lean.write(memoryview(body)[at : span[0]])
        lean.write(b'"%s%d"' % (nonce.encode(), number))
        texts[f"{nonce}{number}"] = LongText.standing(body, span)
        at = span[1]
    lean.write(memoryview(body)[at:])
    parsed = lean.getvalue()
    _weigh(parsed)
    return _put_back(orjson.loads(parsed), texts)


def dump_large(value: Any) -> bytes:
    """Return JSON of what `load_large` gave, changed or not."""
    texts: list[LongText] = []
    nonce = secrets.token_hex(16)

    def mark(text: Any) -> str:
        assert isinstance(text, LongText)
        texts.append(text)
        return f"{nonce}{len(texts) - 1}"

    lean = orjson.dumps(value, default=mark, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
    if not texts:
        return lean
    into = BytesIO()
    at = 0
    for found in re.finditer(b'"%s([0-9]+)"' % nonce.encode(), lean):
        into.write(memoryview(lean)[at : found.start()])
        texts[int(found[1])].write(into)
        at = found.end()
    into.write(memoryview(lean)[at:])
    return into.getvalue()


def _long_texts(body: bytes) -> list[tuple[int, int]]:
    """Where they stand with their quotes. Nothing of a body whose last text does not end: the parser refuses it."""
    found = []
    at = body.find(b'"')
    while at >= 0:
        text = _STRING.match(body, at)
        if text is None:
            return []
        if text.end() - at > LONG_BYTES and not _COLON.match(body, text.end()):
            found.append((at, text.end()))
        at = body.find(b'"', text.end())
    return found


def _put_back(value: Any, texts: dict[str, LongText]) -> Any:
    if isinstance(value, str):
        return texts[value]
    holders = [value]
    while holders:
        holder = holders.pop()
        for key, inner in holder.items() if isinstance(holder, dict) else enumerate(holder):
            if isinstance(inner, str):
                if inner in texts:
                    holder[key] = texts[inner]
            elif isinstance(inner, (dict, list)):
                holders.append(inner)
    return value


def _pieces(body: bytes, span: tuple[int, int]) -> Iterator[str]:
    """A text of JSON, piece by piece. Raises PayloadInvalid for what is none."""
    at, last = span[0] + 1, span[1] - 1
    while at < last:
        found = _WHOLE.match(body, at, min(at + _PIECE_BYTES, last))
        end = found.end() if found else at
        if end < last:
            end = _character_end(body, end)
        if end <= at:
            raise PayloadInvalid("not JSON")
        try:
            piece: str = orjson.loads(b'"%b"' % body[at:end])
        except orjson.JSONDecodeError as error:
            raise PayloadInvalid("not JSON") from error
        yield piece
        at = end


def _character_end(text: bytes, at: int) -> int:
    """The place, or one before it, at which no character of UTF-8 is cut."""
    for back in range(4):
        if at - back <= 0 or at >= len(text) or text[at - back] & 0xC0 != 0x80:
            return at - back
    return at


#: orjson goes no deeper.
_DEEPEST: Final = 1024
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"{}[]"))
#: Brackets whose depth is followed; further ones are counted.
_LOOKED_AT_MOST: Final = 2_000_000


def _weigh(body: bytes) -> None:
    """Raises TooDense where the body may take more than its room when it is parsed."""
    room = _room.get()
    if len(body) <= LARGE_BYTES:
        return
    # The parser copies what it is given.
    least = 2 * len(body) if body.isascii() else 2 * len(body) + _widened(body)
    if least + _values_bytes(body) <= room:
        return
    # Commas and brackets within texts were counted as well.
    if least + sum(map(_values_bytes, _skeletons(body))) > room:
        _require_brackets(body)
        raise TooDense("more values than a body of its size may hold")


def _require_brackets(body: bytes) -> None:
    """Raises PayloadInvalid where brackets are left open, or lie deeper than the parser goes: no parser would have taken it."""
    depth, looked_at = 0, 0
    opened = closed = 0
    for skeleton in _skeletons(body):
        brackets = skeleton.translate(None, _NO_BRACKETS)
        opens = brackets.count(b"{") + brackets.count(b"[")
        opened, closed = opened + opens, closed + len(brackets) - opens
        if looked_at < _LOOKED_AT_MOST:
            looked_at += len(brackets)
            steps = (1 if one in b"{[" else -1 for one in brackets)
            for at in accumulate(steps, initial=depth):
                if at > _DEEPEST:
                    raise PayloadInvalid("not JSON: too deep")
                depth = at
    if opened != closed:
        raise PayloadInvalid("not JSON")


def _values_bytes(body: bytes) -> int:
    objects, lists = body.count(b"{"), body.count(b"[")
    commas, keys, texts = body.count(b","), body.count(b":"), body.count(b'"') // 2
    values = commas + objects + lists
    said = max(0, texts - keys)
    numbers = max(0, values - said - objects - lists)
    empty = body.count(b"{}")
    return (
        values * _MEMBER_BYTES
        + said * _TEXT_BYTES
        + numbers * _NUMBER_BYTES
        + (objects - empty) * _OBJECT_BYTES
        + empty * 64
        + lists * _LIST_BYTES
    )


def _skeletons(body: bytes) -> Iterator[bytes]:
    """The body without what stands in its texts."""
    return (_STRING.sub(b'""', window) for window in _windows(body))


def _widened(body: bytes) -> int:
    """How much longer texts with wide characters are in memory than in UTF-8, at most."""
    return sum(
        len(text) * (3 if _ASTRAL.search(text) else 1)
        for window in _windows(body)
        if not window.isascii()
        for text in _STRING.findall(window)
        if not text.isascii()
    )


def _windows(body: bytes) -> Iterator[bytes]:
    """The body in pieces that cut no text; without its end where its last text has none."""
    at = 0
    while at < len(body):
        window = body[at : at + _WINDOW_BYTES]
        found = _WHOLE_TEXTS.match(window)
        end = found.end() if found else 0
        if not end:
            text = _STRING.match(body, at)
            if text is None:
                return
            window, end = text[0], len(text[0])
        yield window[:end]
        at += end
