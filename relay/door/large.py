"""A large body where no process holds it twice: in a file in memory that one process hands to another."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Self

#: What a request may take in all, in sizes of the largest body that its source takes.
MEMORY_FACTOR = 4


class LargeBody:
    """Bytes in memory outside of any process. To be closed; `fd` may be sent to another process, which has its own of it
    then."""

    def __init__(self, fd: int | None = None) -> None:
        self.fd = _new_file() if fd is None else fd
        self.size = 0 if fd is None else os.fstat(fd).st_size

    def append(self, part: bytes) -> None:
        """Add a piece of the body. Raises OSError where there is no memory for it."""
        view = memoryview(part)
        while view:
            written = os.pwrite(self.fd, view, self.size)
            self.size += written
            view = view[written:]

    def read(self) -> bytes:
        """Return all of it, as bytes of this process."""
        pieces: list[bytes] = []
        at = 0
        while at < self.size:
            piece = os.pread(self.fd, self.size - at, at)
            if not piece:
                break
            pieces.append(piece)
            at += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def pieces(self) -> Iterator[bytes]:
        """Return the same, a piece at a time."""
        at = 0
        while piece := os.pread(self.fd, _PIECE_BYTES, at):
            yield piece
            at += len(piece)

    def become(self, fd: int) -> None:
        """Take over the content of another such file, which is ours from here on."""
        self.close()
        self.fd, self.size = fd, os.fstat(fd).st_size

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _new_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("relay-body", os.MFD_CLOEXEC)
    # Elsewhere a file without a name, for machines that people develop on.
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def held_bytes(pid: int) -> int:
    """Return what a process holds in memory now; 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


_PIECE_BYTES = 256 * 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
