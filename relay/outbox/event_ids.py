"""Events' ids as bytes: 12 of them instead of 28 letters, where many stand behind each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_PREFIX: Final = "evt_"
ID_BYTES: Final = 12


def pack_id(event_id: str) -> bytes:
    """Return the 12 bytes of an id, b"" for what is none of `relay.event.event_id`."""
    try:
        packed = bytes.fromhex(event_id[4:])
    except ValueError:
        return b""
    return packed if len(packed) == ID_BYTES and _PREFIX + packed.hex() == event_id else b""


def unpack_ids(packed: bytes) -> Iterator[str]:
    """Yield the ids that stand behind each other."""
    for at in range(0, len(packed) - ID_BYTES + 1, ID_BYTES):
        yield _PREFIX + packed[at : at + ID_BYTES].hex()
