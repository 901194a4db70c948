"""The sandbox's state on disk: a file of JSON lines, one per change, read again at the start.

A line is written before the call is answered; it survives the death of the process, not that of the machine. At the
start, and whenever it has grown to several times of what it holds, the file is rewritten without what has been
overwritten since.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from relay.errors import SettingsInvalid

REWRITE_OVER_BYTES: Final = 64_000_000
_GROWTH: Final = 4


class Journal:
    """Appends to `<folder>/sandbox.jsonl`. Raises SettingsInvalid when the folder cannot be used."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder) / "sandbox.jsonl"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self.path.open("ab")
        except OSError as error:
            raise SettingsInvalid(f"{self.path}: cannot be written: {error.strerror}") from error
        self._held_bytes = self._written_bytes = 0

    def read(self) -> Iterator[dict[str, Any]]:
        """Return every entry, oldest first; a last line that was cut by a crash is left out."""
        with self.path.open("rb") as lines:
            for line in lines:
                with contextlib.suppress(orjson.JSONDecodeError):
                    yield orjson.loads(line)

    def append(self, entry: dict[str, Any]) -> None:
        line = orjson.dumps(entry) + b"\n"
        self._file.write(line)
        self._file.flush()
        self._written_bytes += len(line)

    @property
    def overgrown(self) -> bool:
        """Whether a rewrite would pay."""
        return self._written_bytes > max(REWRITE_OVER_BYTES, _GROWTH * self._held_bytes)

    def rewrite(self, entries: Iterable[dict[str, Any]]) -> None:
        """Replace all by these, in one step."""
        fresh = self.path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.writelines(orjson.dumps(entry) + b"\n" for entry in entries)
        self._file.close()
        fresh.replace(self.path)
        self._file = self.path.open("ab")
        self._held_bytes = self.path.stat().st_size
        self._written_bytes = 0

    def close(self) -> None:
        self._file.close()
