"""Who is signed in at the console, and the one-time codes of sign-in links. Redis holds hashes of both: whoever reads it cannot
sign in with what stands there.

Keys: `session:<hash>`, `code:<hash>` (strings that expire).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import orjson

from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis


class Sessions:
    """The sessions of one installation. Every method may raise OutboxUnavailable."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox.home

    def store(self, session: str, facts: Mapping[str, Any], ttl_s: int) -> None:
        self._set(self._key(keys.session, session), facts, ttl_s)

    def read(self, session: str) -> dict[str, Any] | None:
        """Return what was kept of a session; None where it was ended, has expired or never was."""
        with reaching_redis():
            return self._facts(self._outbox.redis.get(self._key(keys.session, session)))

    def end(self, session: str) -> None:
        with reaching_redis():
            self._outbox.redis.delete(self._key(keys.session, session))

    def store_code(self, code: str, facts: Mapping[str, Any], ttl_s: int) -> None:
        self._set(self._key(keys.code, code), facts, ttl_s)

    def take_code(self, code: str) -> dict[str, Any] | None:
        """Return what was kept of a code; it is good once."""
        with reaching_redis():
            return self._facts(self._outbox.redis.getdel(self._key(keys.code, code)))

    def _key(self, key: Callable[[str], str], word: str) -> str:
        digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return self._outbox.prefix + key(digest)

    def _set(self, key: str, facts: Mapping[str, Any], ttl_s: int) -> None:
        sealed = self._outbox.vault.seal(orjson.dumps(dict(facts)))
        with reaching_redis():
            self._outbox.redis.set(key, sealed, ex=ttl_s)

    def _facts(self, stored: Any) -> dict[str, Any] | None:
        if not stored:
            return None
        try:
            facts = orjson.loads(self._outbox.vault.open(stored))
        except ValueError:
            # Sealed with a key that is gone: whoever it was signs in again.
            return None
        return facts if isinstance(facts, dict) else None
