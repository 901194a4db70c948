"""Addresses in the names of keys: the look-up caches know people by a hash."""

from __future__ import annotations

from hashlib import blake2b


def address_digest(email: str) -> str:
    """Return what an address is called in `directory:email:<hash>` and in `directory:team`."""
    return blake2b(email.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
