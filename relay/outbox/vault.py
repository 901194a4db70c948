"""What payloads look like at rest: compressed where large, encrypted where keys are set.

Every stored value opens with one byte: `j` as it is, `z` zlib, `e` encrypted (Fernet, with a `j` or `z` value inside).
Keys may be several, newest first, so that a rotation reads old values and writes new ones.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from relay.outbox.items import Entry
from relay.secret import split_keys

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

#: Below this, compressing costs the door more time than it saves memory (1-2 KB bodies are the common case).
COMPRESS_FROM_BYTES = 4096


class Vault:
    """`keys()` gives comma- or newline-separated Fernet keys (`Fernet.generate_key()` of the `cryptography` package makes
    one); empty: nothing is encrypted."""

    def __init__(self, keys: Callable[[], str] = lambda: "") -> None:
        self._keys = keys
        self._made_of = ""
        self._fernet: MultiFernet | None = None

    def seal(self, plain: bytes) -> bytes:
        if len(plain) >= COMPRESS_FROM_BYTES:
            value = b"z" + zlib.compress(plain, 1)
        else:
            value = b"j" + plain
        fernet = self._current()
        return b"e" + fernet.encrypt(value) if fernet else value

    def seal_entry(self, entry: Entry, body: bytes) -> Entry:
        """The entry with all of it sealed, `body` behind its record. A large body is put together with nothing."""
        packer = zlib.compressobj(1)
        pieces = [b"z", packer.compress(entry.record), packer.compress(body), packer.flush()]
        fernet = self._current()
        record = b"".join(pieces)
        return replace(
            entry,
            record=b"e" + fernet.encrypt(record) if fernet else record,
            patch=self.seal(entry.patch) if entry.patch else b"",
            dead=self.seal(entry.dead) if entry.dead else b"",
            sealed=True,
        )

    def open(self, stored: bytes) -> bytes:
        """Raises ValueError for what is damaged, or was encrypted with a key that is no longer given."""
        kind, value = stored[:1], stored[1:]
        if kind == b"j":
            return value
        if kind == b"z":
            try:
                return zlib.decompress(value)
            except zlib.error as error:
                raise ValueError("a stored value is damaged") from error
        if kind == b"e":
            from cryptography.fernet import InvalidToken

            fernet = self._current()
            if fernet is None:
                raise ValueError("a stored value is encrypted and RELAY_ENCRYPTION_KEYS is not set")
            try:
                return self.open(fernet.decrypt(value))
            except InvalidToken as error:
                raise ValueError("a stored value was encrypted with a key that is no longer given") from error
        raise ValueError("a stored value of an unknown kind")

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
