"""Planhat's ids: what one looks like, how a path or a query names a record by one of its keys, how new ones are made."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Final

OBJECT_ID: Final = re.compile(r"[0-9a-f]{24}", re.ASCII | re.IGNORECASE)
PREFIXES: Final = {"externalId": "extid-", "sourceId": "srcid-"}

BAD_IDENTIFIER: Final = "Params identifier must be planhat _id OR start with `extid-` or `srcid-`"
"""Source: public notes of a team that uses Planhat, an answer to an update by a bare key. The status is assumed: 400."""


def is_object_id(text: object) -> bool:
    """Tell whether this is a MongoDB object id: 24 hexadecimal digits."""
    return isinstance(text, str) and OBJECT_ID.fullmatch(text) is not None


def is_identifier(key: str) -> bool:
    """Tell whether a path may name a record by this: an object id, `extid-...` or `srcid-...`."""
    return key.startswith(("extid-", "srcid-")) or is_object_id(key)


class IdMaker:
    """Makes object ids as MongoDB does: the second, five random bytes of this process, a counter."""

    def __init__(self) -> None:
        self._random = os.urandom(5).hex()
        self._made = int.from_bytes(os.urandom(2))

    def new(self, now_ms: int) -> str:
        """Make an id that sorts by its second."""
        self._made += 1
        return f"{now_ms // 1000:08x}{self._random}{self._made & 0xFFFFFF:06x}"


def seeded_id(model: str, key: str) -> str:
    """Derive an id for a seeded row from what it is known by, so that the same seed gives the same id every time."""
    return hashlib.sha256(f"{model}:{key}".encode()).hexdigest()[:24]
