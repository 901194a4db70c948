"""How full Redis is. The door stops below the limit: what is left there belongs to delivering what waits, which is how room
comes about."""

from __future__ import annotations

from typing import Final

from relay.outbox.durability import Durability

#: Kept for the drain: this part of the limit, within these bounds.
_PART: Final = 0.05
_LEAST_BYTES: Final = 2_000_000
_MOST_BYTES: Final = 256_000_000


def head_room(max_bytes: int) -> int:
    """Return bytes below `maxmemory` that the door does not use; 0 where there is no limit."""
    if not max_bytes:
        return 0
    return int(min(max(max_bytes * _PART, _LEAST_BYTES), _MOST_BYTES, max_bytes / 4))


def room_left(found: Durability) -> int | None:
    """Return bytes that the door may still write; None: no limit."""
    if not found.max_bytes:
        return None
    return found.max_bytes - head_room(found.max_bytes) - found.used_bytes


def nearly_full(found: Durability) -> str:
    """Return "" while the door may write, else a sentence that says what to do."""
    left = room_left(found)
    if left is None or left > 0:
        return ""
    return (
        f"Redis is nearly full ({found.used_bytes / 1e6:.0f} of {found.max_bytes / 1e6:.0f} MB; the last "
        f"{head_room(found.max_bytes) / 1e6:.0f} MB are kept for delivering what waits); raise maxmemory, lower keep:, or free "
        "memory with `relay prune`"
    )
