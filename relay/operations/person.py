"""Whether a person's address, or a conversation's id, stands in something: plainly, or in any of the ways that mails, forms and
JSON write it. Whole addresses only: `ann@example.com` is neither in `joann@example.com` nor in `ann@example.com.au`."""

from __future__ import annotations

import base64
import binascii
import html
import quopri
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

#: Encodings lie within each other: a mail in base64 within a form within JSON.
_MAX_DEPTH = 3
#: Lines of base64 as mails have them (no dash: a boundary ends them), and one run of the URL-safe kind.
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}(?:\r?\n[A-Za-z0-9+/]+={0,2})*|[A-Za-z0-9_-]{16,}")
_PADDING = re.compile(rb"=+")
_ESCAPE = re.compile(rb"\\u([0-9A-Fa-f]{4})")
_URLSAFE = bytes.maketrans(b"-_", b"+/")


class Needle:
    """`email`, or an externalId (`conversation`); one of them. `spellings`: how it may be written, the given one first."""

    def __init__(self, *, email: str = "", conversation: str = "") -> None:
        self.email = email.strip().lower()
        self.conversation = conversation
        self.spellings = spellings(self.email) if self.email else (conversation,)
        if self.email:
            forms = b"|".join(b"".join(map(_forms, one)) for one in self.spellings)
            behind = rb"(?![a-z0-9-]|\.[a-z0-9])"
            self._text = re.compile(rb"(?<![a-z0-9._%+-])(?:" + forms + rb")" + behind)
            # What may stand before an address in an id: "mail-ann_40example.com".
            self._name = re.compile(rb"(?<![a-z0-9])(?:" + forms + rb")" + behind)
        else:
            word = re.escape(conversation.encode())
            self._text = self._name = re.compile(rb"(?<![A-Za-z0-9._-])" + word + rb"(?![A-Za-z0-9._-])")

    def in_name(self, name: str | bytes) -> bool:
        """Tell whether a key or an id holds it."""
        raw = name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name
        return bool(self._name.search(raw.lower() if self.email else raw))

    def in_bytes(self, value: bytes) -> bool:
        """Tell whether bytes of whatever kind hold it, with what is encoded in them."""
        return any(self._text.search(one.lower() if self.email else one) for one in _readings(value, 0))

    def replaced(self, value: bytes, instead: bytes) -> bytes:
        """Return `value` with `instead` in the place of every mention that stands there plainly."""
        pattern = re.compile(self._name.pattern, re.IGNORECASE if self.email else 0)
        return pattern.sub(instead, value)

    def in_value(self, value: Any) -> bool:
        """Tell whether the texts of parsed JSON hold it."""
        if isinstance(value, str):
            return self._in_text(value)
        if isinstance(value, Mapping):
            return any(self._in_text(str(key)) or self.in_value(child) for key, child in value.items())
        if isinstance(value, (list, tuple)):
            return any(self.in_value(child) for child in value)
        return False

    def _in_text(self, text: str) -> bool:
        if "&" in text:
            text = html.unescape(text)
        raw = text.encode("utf-8", "surrogatepass")
        return bool(self._text.search(raw.lower() if self.email else raw))


def spellings(email: str) -> tuple[str, ...]:
    """Return the ways in which senders write the same address: with a domain of other letters than ASCII's as it is read, and as DNS has it
    (`xn--`); the given one first."""
    local, at, domain = email.rpartition("@")
    labels = domain.split(".")
    found = [email]
    for convert in (_as_dns_has_it, _as_it_is_read):
        # What no name server could have has one spelling.
        with suppress(UnicodeError):
            found.append(f"{local}{at}{'.'.join(map(convert, labels)).lower()}")
    return tuple(dict.fromkeys(found))


def _as_dns_has_it(label: str) -> str:
    # Not Python's "idna": that is of 2003, and takes "straße.de" for "strasse.de", which is somebody else's.
    return (
        label if label.isascii() else f"xn--{unicodedata.normalize('NFC', label).encode('punycode').decode()}"
    )


def _as_it_is_read(label: str) -> str:
    return label[4:].encode("ascii").decode("punycode") if label.startswith("xn--") else label


def _forms(letter: str) -> bytes:
    """The ways in which one letter of an address stands in bytes whose ASCII letters are small: as it is, and, where an externalId does not
    hold it, as `safe_external_id` writes it."""
    if letter.isascii() and (letter.isalnum() or letter in ".-_"):
        return re.escape(letter.encode())
    found = []
    for one in {letter, letter.upper()}:
        raw = one.encode()
        found += [re.escape(raw), b"".join(b"_%02x" % byte for byte in raw)]
        # Where it is not known in which way the whole is encoded, or it is so in part.
        if one == "@":
            found += [rb"%40", rb"=40", rb"\\u0040", rb"&#64;", rb"&#x40;"]
    return b"(?:" + b"|".join(found) + b")"


def _readings(value: bytes, depth: int) -> Iterator[bytes]:
    """The bytes, and what they say once they are decoded in each way that fits."""
    yield value
    if depth == _MAX_DEPTH:
        return
    for decoded in (*_whole(value), *_base64_runs(value)):
        if decoded != value:
            yield from _readings(decoded, depth + 1)


def _whole(value: bytes) -> Iterator[bytes]:
    if b"\x00" in value:
        # UTF-16 and UTF-32 of what an address is made of: the letters, and zeros.
        yield value.replace(b"\x00", b"")
    if b"\\" in value:
        plain = value.replace(rb"\r", b"\r").replace(rb"\n", b"\n").replace(rb"\/", b"/")
        yield _ESCAPE.sub(lambda found: chr(int(found[1], 16)).encode("utf-8", "surrogatepass"), plain)
    if b"%" in value:
        yield unquote_to_bytes(value)
    if b"&" in value:
        yield html.unescape(value.decode("latin-1")).encode("utf-8", "surrogatepass")
    if b"=" in value:
        yield quopri.decodestring(value)


def _base64_runs(value: bytes) -> Iterator[bytes]:
    for found in _BASE64.finditer(value):
        for piece in _PADDING.split(b"".join(found[0].split()).translate(_URLSAFE)):
            # What ends a run may be no part of it: a length that cannot be is cut.
            whole = piece[: -1 or None] if len(piece) % 4 == 1 else piece
            try:
                yield base64.b64decode(whole + b"=" * (-len(whole) % 4))
            except (binascii.Error, ValueError):
                continue
