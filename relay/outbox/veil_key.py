"""The key that hashes are made with: of redacted values, and of what an erased person is remembered by. One of its own, so that
a rotation of encryption keys changes no hash.

RELAY_REDACTION_KEY gives it. Without that one is made and kept in Redis (key `veil_key`), sealed as everything there: it keeps
hashes from being guessed by whoever sees Planhat, an answer or a log, not by whoever reads this Redis without encryption.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from relay.errors import OutboxUnavailable
from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis


class VeilKey:
    """Calling it gives the key. `configured` is RELAY_REDACTION_KEY, "" where there is none."""

    def __init__(self, outbox: Outbox, configured: Callable[[], str]) -> None:
        self._outbox = outbox.home
        self._configured = configured
        self._kept = b""

    def __call__(self) -> bytes:
        """Never asks Redis once it knows. Raises OutboxUnavailable where it does not know yet and Redis is away, or where the
        kept one cannot be read: another would silently part what belongs together."""
        configured = self._configured()
        if configured:
            return blake2b(configured.encode(), digest_size=32, person=b"relay-veil").digest()
        if not self._kept:
            self._kept = self._read()
        return self._kept

    def known(self) -> bytes:
        """Return the key, without asking Redis: for the event loop. Raises OutboxUnavailable before the first call."""
        if not self._kept and not self._configured():
            raise OutboxUnavailable("the key of redacted values is not known yet")
        return self()

    def digest(self, kind: str, value: str) -> str:
        """Return what `value` is remembered by; 24 hex digits."""
        text = f"{kind}\x1f{value}".encode("utf-8", "surrogatepass")
        return blake2b(text, key=self(), digest_size=12).hexdigest()

    def _read(self) -> bytes:
        redis, vault, key = self._outbox.redis, self._outbox.vault, self._outbox.prefix + keys.VEIL_KEY
        with reaching_redis():
            stored: Any = redis.get(key)
            if not stored:
                redis.set(key, vault.seal(secrets.token_bytes(32)), nx=True)
                stored = redis.get(key)
            try:
                kept = vault.open(stored or b"")
            except ValueError as error:
                raise OutboxUnavailable(
                    "the key of redacted values cannot be read: it was sealed with an encryption key that is no longer given"
                ) from error
            # With today's key, so that yesterday's may go.
            redis.set(key, vault.seal(kept))
        return kept
