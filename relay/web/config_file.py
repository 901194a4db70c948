"""The config file as it lies on disk: its text, and whether it is another one than before."""

from __future__ import annotations

import os
from pathlib import Path


def text_of(path: str) -> str | None:
    """Return the file as it is now; None where it cannot be read, which whoever loads it says in better words."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def stamp_of(path: str) -> tuple[int, int, int] | None:
    """Another value once the file was changed or exchanged; None where it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
