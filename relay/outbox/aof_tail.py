"""The end of an append-only file that a server will not read: cut where its last whole command ends, with a copy kept.

A machine that lost power may leave zero bytes, or half a block of something else, behind the last command; the server
then refuses to start, and the wheel that it comes from has no tool for it. Only the end is cut: where whole commands
follow the damage nothing is touched, since that would be a loss of what was acknowledged.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from relay.errors import UserError

_MANIFEST: Final = "appendonlydir/appendonly.aof.manifest"
_COMMAND: Final = re.compile(rb"\*[1-9]\d{0,6}\r\n\$\d{1,9}\r\n")


def mend_tail(folder: Path, *, clock: Callable[[], float] = time.time) -> str:
    """Return what was cut, in a sentence; "" where the file's end is whole. Raises UserError where the damage is not at its end."""
    path = _last_file(folder)
    if path is None or not path.stat().st_size:
        return ""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        size = len(data)
        good = whole_commands(data)
        follows = _whole_command_after(data, good)
    if good == size:
        return ""
    if follows is not None:
        raise UserError(
            f"{path}: damaged at byte {good}, and whole commands follow at byte {follows}: nothing was cut. Copy the folder "
            f"{folder} before anything else, then restore a backup, or cut the file there by hand and lose what follows"
        )
    kept = folder / f"{path.name}.damaged-{int(clock())}"
    shutil.copy2(path, kept)
    with open(path, "r+b") as changed:
        changed.truncate(good)
        os.fsync(changed.fileno())
    return (
        f"{path.name} had {size - good} damaged bytes behind its last whole command (a power loss leaves such); they were cut, "
        f"and the file as it was is kept as {kept}"
    )


def whole_commands(data: bytes | mmap.mmap) -> int:
    """Return the offset behind the last whole command, or, within MULTI ... EXEC, before its MULTI."""
    at = good = 0
    in_multi = False
    while at < len(data):
        if data[at : at + 1] == b"#":
            # A timestamp, on a line of its own.
            end = data.find(b"\r\n", at, at + 64)
            if end < 0:
                break
            at = end + 2
        else:
            end, name = _command(data, at)
            if end < 0:
                break
            at = end
            if name == b"MULTI":
                in_multi = True
            elif name == b"EXEC":
                in_multi = False
        if not in_multi:
            good = at
    return good


def _command(data: bytes | mmap.mmap, at: int) -> tuple[int, bytes]:
    """(where the command at `at` ends, its name); -1 where there is no whole one."""
    count, at = _number(data, at, b"*")
    if count < 1:
        return -1, b""
    name = b""
    for position in range(count):
        length, at = _number(data, at, b"$")
        if length < 0 or data[at + length : at + length + 2] != b"\r\n":
            return -1, b""
        if position == 0:
            name = bytes(data[at : at + min(length, 16)]).upper()
        at += length + 2
    return at, name


def _number(data: bytes | mmap.mmap, at: int, mark: bytes) -> tuple[int, int]:
    """(the number behind `mark`, where its line ends); -1 where there is none."""
    if data[at : at + 1] != mark:
        return -1, at
    end = data.find(b"\r\n", at, at + 16)
    digits = bytes(data[at + 1 : end]) if end > 0 else b""
    return (int(digits), end + 2) if digits.isdigit() else (-1, at)


def _whole_command_after(data: bytes | mmap.mmap, good: int) -> int | None:
    """Where, behind damage at `good`, a whole command begins. A half one there is no damage: it is what was being written."""
    for found in _COMMAND.finditer(data, good + 1):
        if _command(data, found.start())[0] > 0:
            return found.start()
    return None


def _last_file(folder: Path) -> Path | None:
    """The file that is appended to now, by the manifest."""
    try:
        lines = (folder / _MANIFEST).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    newest: tuple[int, str] | None = None
    for line in lines:
        words = line.split()
        told = dict(zip(words[::2], words[1::2], strict=False))
        if told.get("type") == "i" and told.get("seq", "").isdigit():
            newest = max(newest or (0, ""), (int(told["seq"]), told.get("file", "")))
    if newest is None or not newest[1]:
        return None
    path = folder / "appendonlydir" / newest[1]
    return path if path.exists() else None
