"""Percent-encoded values of a form, in the memory of their result, however many percent signs they are made of."""

from __future__ import annotations

import re
from io import BytesIO
from urllib.parse import unquote_to_bytes

#: Percent-encoded values are decoded piece by piece.
PIECE_BYTES = 64 * 1024
_PERCENTS = re.compile(rb"(?:%[0-9a-fA-F]{2})++")


def percent_decoded(raw: bytes) -> bytes:
    """Return a form's value. Memory: that of the result and one piece."""
    if len(raw) <= PIECE_BYTES:
        return _piece_decoded(raw.replace(b"+", b" "))
    found = BytesIO()
    at = 0
    while at < len(raw):
        end = min(at + PIECE_BYTES, len(raw))
        if end < len(raw) and (cut := raw.rfind(b"%", end - 2, end)) > at:
            end = cut
        found.write(_piece_decoded(raw[at:end].replace(b"+", b" ")))
        at = end
    return found.getvalue()


def _piece_decoded(piece: bytes) -> bytes:
    # Quick where percent signs are few; where they are many it makes an object of each.
    if piece.count(b"%") * 12 < len(piece):
        return unquote_to_bytes(piece)
    return _PERCENTS.sub(lambda found: bytes.fromhex(found[0].replace(b"%", b"").decode()), piece)
