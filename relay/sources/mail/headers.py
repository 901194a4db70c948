"""Header fields of a mail: found in any case, decoded, unfolded; addresses and message ids out of them.

Everything here is total and takes linear time: the standard library's address parser is quadratic over long
headers and raises over odd ones.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable
from typing import Any

from relay.event import Attachment
from relay.sources.read.charset import decode_bytes, printable
from relay.sources.read.moment import moment_us

#: Longer than any header a mail system lets through; what is beyond is cut.
MAX_VALUE_CHARS = 64 * 1024
_MAX_FIELDS = 2000
MAX_ADDRESSES = 500

_FOLD = re.compile(r"\r?\n[ \t]*")
#: "GMT+01:00": the offset counts.
_NAMED_OFFSET = re.compile(r"\b(?:GMT|UTC)(?=[+-]\d\d:?\d\d\b)")
_COLON_OFFSET = re.compile(r"([+-]\d\d):(\d\d)\b")


class MailHeaders:
    """Pairs of name and value in their order; names are compared in lower case."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for count, (name, value) in enumerate(pairs):
            if count >= _MAX_FIELDS:
                break
            self._values.setdefault(name.strip().lower(), []).append(value[:MAX_VALUE_CHARS])

    def get(self, name: str) -> str:
        """Return the first value, unfolded and decoded; "" where there is none."""
        found = self._values.get(name)
        return decoded(found[0]) if found else ""

    def raw(self, name: str) -> str:
        """Return the first value, unfolded but with its encoded words: for addresses, where decoding comes last."""
        found = self._values.get(name)
        return unfolded(found[0]) if found else ""

    def all(self, name: str) -> list[str]:
        return [unfolded(value) for value in self._values.get(name, [])]

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def pairs(self) -> list[list[str]]:
        return [[name, printable(value)] for name, values in self._values.items() for value in values]


def header_pairs(value: Any) -> list[tuple[str, str]]:
    """Read header fields that a provider gives as an object: a text for each name, or a list where a field repeats."""
    pairs: list[tuple[str, str]] = []
    for name, given in value.items() if isinstance(value, dict) else ():
        pairs.extend(
            (name, one) for one in (given if isinstance(given, list) else [given]) if isinstance(one, str)
        )
    return pairs


def header_block(text: str) -> list[tuple[str, str]]:
    """Return the fields of a raw header block, as SendGrid posts it beside the parsed parts."""
    found: list[tuple[str, str]] = []
    name, lines = "", []
    for line in text[: MAX_VALUE_CHARS * 8].replace("\r\n", "\n").split("\n"):
        if line[:1] in (" ", "\t"):
            lines.append(line.strip())
            continue
        if name:
            found.append((name, " ".join(lines)))
        name, colon, value = line.partition(":")
        name = name if colon and name.strip() else ""
        lines = [value.strip()]
    if name:
        found.append((name, " ".join(lines)))
    return found


def unfolded(value: str) -> str:
    return printable(_FOLD.sub(" ", value) if "\n" in value else value).strip()


#: Bounded on every side, so that a header full of beginnings costs no more than its length.
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]{0,2000})\?=")


def decoded(value: str) -> str:
    """Return the value with its encoded words (RFC 2047) read; blanks between two of them are no text."""
    value = unfolded(value)
    if "=?" not in value:
        return value
    pieces: list[str] = []
    pending, charset, at = b"", "", 0
    for found in _ENCODED_WORD.finditer(value):
        between = value[at : found.start()]
        here = found[1].partition("*")[0].lower()
        # A character may be split over two words, so that only their bytes together can be decoded.
        if pending and (between.strip() or here != charset):
            pieces.append(decode_bytes(pending, charset))
            pending = b""
        if between.strip() or not at:
            pieces.append(between)
        charset, at = here, found.end()
        pending += _word_bytes(found[2], found[3])
    if pending:
        pieces.append(decode_bytes(pending, charset))
    pieces.append(value[at:])
    return printable("".join(pieces)).strip()


def _word_bytes(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    try:
        if encoding in "bB":
            return b64decode(raw + b"=" * (-len(raw) % 4))
        return binascii.a2b_qp(raw, header=True)
    except (binascii.Error, ValueError):
        return raw


def addresses(value: str) -> list[tuple[str, str]]:
    """Return `(name, email)` of each mailbox of an address list; groups are opened, comments read as names."""
    value = unfolded(value[:MAX_VALUE_CHARS])
    found: list[tuple[str, str]] = []
    words: list[str] = []  # the phrase so far
    before = ""  # "Lind, Nora <nora@acme.example>": what stands before a comma that nobody quoted
    angle: list[str] | None = None  # what stands in <...>
    comment: list[str] = []
    quoted, escaped, depth, has_at = False, False, 0, False

    def finish(end: str = "") -> None:
        nonlocal before
        phrase = decoded("".join(words)).strip().strip("\"'").strip()
        email = printable("".join(angle).strip() if angle is not None else "")
        note = decoded("".join(comment)).strip()
        if angle is None and "@" in phrase and not any(char in phrase for char in " \t"):
            email, phrase, before = phrase, note, ""
        email = email.removeprefix("mailto:").strip("<>").replace(" ", "")
        if "@" in email and ":" not in email and len(email) <= 320 and len(found) < MAX_ADDRESSES:
            name = f"{before}, {phrase}" if before and phrase else phrase
            found.append((name[:256] or note[:256], email))
            phrase = ""
        before = phrase if end == "," and not before and angle is None else ""

    for char in value:
        if escaped:
            (comment if depth else words if angle is None else angle).append(char)
            escaped = False
        elif char == "\\" and (quoted or depth):
            escaped = True
        elif depth:
            depth += (char == "(") - (char == ")")
            if depth:
                comment.append(char)
        elif quoted:
            if char == '"':
                quoted = False
            else:
                (words if angle is None else angle).append(char)
        elif char == '"':
            quoted = True
        elif char == "(" and angle is None:
            depth = 1
        elif char == "<" and angle is None:
            angle = []
        elif char == ">":
            continue
        elif char in ",;":
            finish(char)
            words, angle, comment, has_at = [], None, [], False
        elif char == ":" and angle is None and not has_at and "".join(words).strip().lower() != "mailto":
            words = []  # a group's name
        else:
            has_at = has_at or char == "@"
            (words if angle is None else angle).append(char)
    finish()
    return found


def date_us(value: str) -> int | None:
    """Return a `Date` field in microseconds since 1970; None for what is no date. Postmark writes "-04:00"."""
    value = unfolded(value[:200])
    if not value[:4].isdigit():
        value = _COLON_OFFSET.sub(r"\1\2", _NAMED_OFFSET.sub("", value))
    return moment_us(value)


def attachment(name: str, kind: str, size: Any, url: str = "") -> Attachment:
    """Return an attachment's entry: the name without folders, the type without parameters."""
    base = " ".join(printable(name).split()).replace("\\", "/").rstrip("/").rpartition("/")[2].strip()
    base = base if base.strip(".") else ""
    known = size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None
    return Attachment(
        name=base[:255], type=printable(kind).partition(";")[0].strip().lower()[:127], size=known, url=url
    )
