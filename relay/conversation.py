"""A conversation's key: what an externalId may look like, and the content hash that tells "nothing changed"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

MAX_EXTERNAL_ID_CHARS = 128
_HASH_CHARS = 16
_SAFE_WHOLE = re.compile(r"[A-Za-z0-9._-]{0,128}", re.ASCII)
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def safe_external_id(text: str) -> str:
    """Return `text` as an externalId: each byte outside of `[A-Za-z0-9._-]` becomes `_` and two hex digits, and what is
    longer than 128 characters ends in a hash of the whole. Doing it twice is doing it once. Empty stays empty.

    Why: how Planhat treats slashes, brackets and case in `extid-` paths is not documented, and mail ids are full
    of them.
    """
    if _SAFE_WHOLE.fullmatch(text):
        return text
    raw = text.encode("utf-8", "surrogatepass")
    if _SAFE.issuperset(raw):
        safe = text
    else:
        safe = "".join(chr(byte) if byte in _SAFE else f"_{byte:02x}" for byte in raw)
    if len(safe) <= MAX_EXTERNAL_ID_CHARS:
        return safe
    digest = blake2b(raw, digest_size=_HASH_CHARS // 2).hexdigest()
    return f"{safe[: MAX_EXTERNAL_ID_CHARS - _HASH_CHARS - 1]}-{digest}"


def canonical(payload: Mapping[str, Any]) -> bytes:
    """Return the payload as JSON; the same bytes for equal content, whatever the order of keys."""
    return orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)


def content_hash(canonical_json: bytes) -> str:
    """Give 16 hex digits, equal for equal content."""
    return blake2b(canonical_json, digest_size=8).hexdigest()
