"""What payloads look like at rest: compressed where large, encrypted where keys are set.

Every stored value opens with one byte: `j` as it is, `d` zstd with a dictionary (`compression.py`), `z` zlib, `e` encrypted (Fernet,
with one of these inside), `p` in two parts (four bytes: how long the first is; then each as a value), so that of something large and encrypted the head can be read alone.
A patch repeats the event that it was made of. So it is compressed as the end of the event's frame: the event is `s`, which is read alone; the patch
`c`, then what continues it as a value, which is read with the event; `q` both together (four bytes: how long the event is).
Keys may be several, newest first, so that a rotation reads old values and writes new ones.

What is encrypted was compressed before, so its length says how much it repeats. Each value is compressed by itself, with a dictionary
that everybody has, and without its sender's credentials: whoever may look at lengths in Redis learns of a text how long and how
repetitive it is, and nothing of any other.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from io import BytesIO
from itertools import chain
from struct import pack, unpack
from typing import TYPE_CHECKING

from relay.errors import NewerRecord
from relay.outbox.compression import (
    MOST_BYTES,
    compress,
    compress_pair,
    expand,
    expand_first,
    expand_second,
)
from relay.outbox.fernet_pieces import fernet_token
from relay.outbox.items import Entry
from relay.secret import split_keys

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

#: How a patch begins that is the end of its archived event.
CONTINUES = b"c"
#: Below this nothing is gained.
COMPRESS_FROM_BYTES = 64
#: A first line is not longer: a request's head is at most 32 KiB.
_LINE_BYTES = 256 * 1024


class Vault:
    """`keys()` gives comma- or newline-separated Fernet keys (`Fernet.generate_key()` of the `cryptography` package makes
    one); empty: nothing is encrypted."""

    def __init__(self, keys: Callable[[], str] = lambda: "") -> None:
        self._keys = keys
        self._made_of = ""
        self._fernet: MultiFernet | None = None

    def seal(self, plain: bytes) -> bytes:
        if len(plain) > MOST_BYTES:
            value = b"z" + zlib.compress(plain, 1)
        else:
            value = b"j" + plain
            if len(plain) >= COMPRESS_FROM_BYTES:
                value = min(b"d" + compress(plain), value, key=len)
        fernet = self._current()
        return b"e" + fernet.encrypt(value) if fernet else value

    def seal_pair(self, record: bytes, patch: bytes) -> tuple[bytes, bytes]:
        """Return an archived event and the patch that was made of it, each sealed; the patch may need the event to be opened."""
        if max(len(record), len(patch)) > MOST_BYTES or not record or len(patch) < COMPRESS_FROM_BYTES:
            return self.seal(record), self.seal(patch)
        first, second = compress_pair(record, patch)
        fernet = self._current()
        if fernet is None:
            return b"s" + first, b"cj" + second
        return b"e" + fernet.encrypt(b"s" + first), b"ce" + fernet.encrypt(b"j" + second)

    def seal_entry(self, entry: Entry, body: Iterable[bytes]) -> Entry:
        """Return the entry with all of it sealed, a body behind its record that comes in pieces: of a large one there is one sealed copy at a
        time, and nothing beside it."""
        fernet = self._current()
        packer = zlib.compressobj(1)
        into = BytesIO()
        if fernet is None:
            into.write(b"z" + packer.compress(entry.record))
            into.writelines(map(packer.compress, body))
            into.write(packer.flush())
        else:
            head = self.seal(entry.record)
            into.write(b"".join((b"p", pack(">I", len(head)), head, b"e")))
            packed = chain((b"z",), map(packer.compress, body), map(packer.flush, (zlib.Z_FINISH,)))
            into.writelines(fernet_token(split_keys(self._made_of)[0], packed))
        return replace(
            entry,
            record=into.getvalue(),
            patch=self.seal(entry.patch) if entry.patch else b"",
            dead=self.seal(entry.dead) if entry.dead else b"",
            sealed=True,
        )

    def open(self, stored: bytes) -> bytes:
        """Return what was sealed. Raises NewerRecord for what a newer release wrote, ValueError for what is damaged, or was encrypted with a key that is no
        longer given."""
        kind, value = stored[:1], stored[1:]
        if kind == b"d":
            return expand(value)
        if kind == b"j":
            return value
        if kind == b"z":
            try:
                return zlib.decompress(value)
            except zlib.error as error:
                raise ValueError("a stored value is damaged") from error
        if kind == b"e":
            return self.open(self._decrypted(stored))
        if kind == b"s":
            return expand_first(value)
        if kind == b"q":
            return self.open_second(*_parts(value))
        if kind == CONTINUES:
            raise ValueError("a stored patch without the event that it was made of")
        if kind == b"p":
            head, body = _parts(value)
            return self.open(head) + self.open(body)
        raise _unknown(kind)

    def open_second(self, record: bytes, patch: bytes) -> bytes:
        """Return of a pair the second, which is given without its letter. Raises as `open` does."""
        record, patch = self._decrypted(record), self._decrypted(patch)
        if record[:1] == b"s" and patch[:1] == b"j":
            return expand_second(record[1:], patch[1:])
        if record[:1] in (b"", b"j", b"d", b"z", b"p"):
            raise ValueError(
                "a stored value's other part, the archived event that a patch was made of, is gone"
            )
        raise _unknown(record[:1] if record[:1] != b"s" else patch[:1])

    def _decrypted(self, value: bytes) -> bytes:
        if value[:1] != b"e":
            return value
        from cryptography.fernet import InvalidToken

        fernet = self._current()
        if fernet is None:
            raise ValueError("a stored value is encrypted and RELAY_ENCRYPTION_KEYS is not set")
        try:
            return fernet.decrypt(value[1:])
        except InvalidToken as error:
            raise ValueError("a stored value was encrypted with a key that is no longer given") from error

    def open_line(self, stored: bytes, *, whole: bool) -> bytes | None:
        """Return the first line of a value, of which `stored` is all (`whole`) or the beginning. None: more of it is needed. Raises
        ValueError as `open` does."""
        kind, value = stored[:1], stored[1:]
        if kind == b"p":
            head, body = _parts(value)
            return self.open_line(head, whole=True) if whole or body else None
        if kind == b"e" or whole:
            return self.open(stored).partition(b"\n")[0] if whole else None
        if kind == b"z":
            try:
                value = zlib.decompressobj().decompress(value, _LINE_BYTES)
            except zlib.error as error:
                raise ValueError("a stored value is damaged") from error
        elif kind in (b"d", b"s"):
            return None
        elif kind != b"j":
            raise _unknown(kind)
        line, ended, _ = value.partition(b"\n")
        return line if ended else None

    def _current(self) -> MultiFernet | None:
        keys = self._keys()
        if keys != self._made_of:
            if keys:
                from cryptography.fernet import Fernet, MultiFernet

                self._fernet = MultiFernet([Fernet(key) for key in split_keys(keys)])
            else:
                self._fernet = None
            self._made_of = keys
        return self._fernet


def _unknown(kind: bytes) -> ValueError:
    """Kinds are small letters: one that this release does not know is a newer one's."""
    if kind.isalpha() and kind.islower():
        return NewerRecord(f"a stored value of kind {kind.decode()}, which this release does not know")
    return ValueError("a stored value of an unknown kind: it is damaged")


def _parts(value: bytes) -> tuple[bytes, bytes]:
    """Of a value in two parts, both; the second is b"" where only a beginning is at hand. Raises ValueError."""
    if len(value) < 4:
        raise ValueError("a stored value is damaged")
    [size] = unpack(">I", value[:4])
    return value[4 : 4 + size], value[4 + size :]
