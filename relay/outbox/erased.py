"""What was erased, remembered so that it stays so: ids of events, hashes of addresses and conversations, and what of it still
stands in Planhat. Nobody is named here: hashes are keyed, and what has to be found again in Planhat is encrypted.

Keys: `erased` (zset: event id -> when), `erased_names` (hash: hash -> when, ms), `erased_standing` (hash: hash -> sealed list).
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import orjson
from cryptography.fernet import Fernet, InvalidToken

from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis, run_script
from relay.outbox.veil_key import VeilKey

#: As long as a stored event, a dead letter or a backup of ours could bring something back.
_KEPT_MS = 400 * 86_400_000
_PART = 1_000

ErasedKind = Literal["email", "conversation"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A conversation that Planhat still has: by its `_id` where it is known, else by its externalId."""

    external_id: str
    planhat_id: str = ""

    @property
    def key(self) -> str:
        return self.planhat_id or f"extid-{self.external_id}"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What `forget` took away."""

    events: int
    patches: int
    in_flight: bool


class Erased:
    """Every method may raise OutboxUnavailable."""

    def __init__(self, outbox: Outbox, key: VeilKey) -> None:
        self._outbox = outbox
        self._key = key

    def forget(
        self,
        external_id: str,
        event_ids: Sequence[str],
        *,
        waiting: Sequence[str] = (),
        planhat_id: str = "",
        document: bool = False,
    ) -> Forgotten:
        """Takes these raw events of a conversation away ("": of none), and those `waiting` with what of them waits; with
        `document` what was delivered of it."""
        events = patches = 0
        flying = False
        rest = [event_id for event_id in event_ids if event_id not in set(waiting)]
        parts = [(list(waiting[at : at + _PART]), list[str]()) for at in range(0, len(waiting), _PART)]
        parts += [([], rest[at : at + _PART]) for at in range(0, len(rest), _PART)]
        for going, raw in parts or [([], [])]:
            args = [0, _KEPT_MS, external_id, planhat_id, int(document), len(going), *going, *raw]
            gone = run_script(self._outbox.redis, "forget", self._outbox.prefix, args)
            events, patches, flying = events + int(gone[0]), patches + int(gone[1]), flying or bool(gone[2])
        return Forgotten(events, patches, flying)

    def digest(self, kind: ErasedKind, value: str) -> str:
        """Return what a name is remembered by."""
        return self._key.digest(kind, value)

    # -- tombstones ------------------------------------------------------------------------------------------

    def remember(self, kind: ErasedKind, value: str) -> None:
        with reaching_redis():
            digest, now_ms = self._key.digest(kind, value), self._outbox.now_ms()
            self._outbox.redis.hset(self._outbox.prefix + keys.ERASED_NAMES, digest, now_ms)

    def tombstones(self) -> Tombstones:
        """Give the tombstones as they stand now."""
        with reaching_redis():
            stored: Any = self._outbox.redis.hgetall(self._outbox.prefix + keys.ERASED_NAMES)
        names = {name.decode(): int(at_ms) for name, at_ms in stored.items()}
        oldest = self._outbox.now_ms() - _KEPT_MS if names else 0
        return Tombstones(self._key, {name: at_ms for name, at_ms in names.items() if at_ms > oldest})

    def ids(self, event_ids: Sequence[str]) -> frozenset[str]:
        """Return those of `event_ids` that were erased."""
        if not event_ids:
            return frozenset()
        with reaching_redis():
            pipe = self._outbox.redis.pipeline(transaction=False)
            for event_id in event_ids:
                pipe.zscore(self._outbox.prefix + keys.ERASED, event_id)
            scores = pipe.execute()
        return frozenset(
            event_id for event_id, score in zip(event_ids, scores, strict=True) if score is not None
        )

    # -- what still stands in Planhat ------------------------------------------------------------------------

    def standing(self, kind: ErasedKind, value: str) -> list[Standing]:
        """Return what an erasure of `value` left in Planhat."""
        return self._opened(self._stored_standing(kind, value))

    def change_standing(
        self, kind: ErasedKind, value: str, change: Callable[[list[Standing]], Iterable[Standing]]
    ) -> None:
        """Replaces what is left by what `change` makes of it; asked again where somebody else was quicker."""
        while True:
            stored = self._stored_standing(kind, value)
            rows = sorted({(one.external_id, one.planhat_id) for one in change(self._opened(stored))})
            after = self._fernet().encrypt(orjson.dumps(rows)) if rows else b""
            args = [keys.ERASED_STANDING, self._key.digest(kind, value), stored, after]
            if run_script(self._outbox.redis, "swap_field", self._outbox.prefix, args):
                return

    def _stored_standing(self, kind: ErasedKind, value: str) -> bytes:
        key, digest = self._outbox.prefix + keys.ERASED_STANDING, self._key.digest(kind, value)
        with reaching_redis():
            stored: Any = self._outbox.redis.hget(key, digest)
        return stored or b""

    def _opened(self, stored: bytes) -> list[Standing]:
        if not stored:
            return []
        try:
            rows = orjson.loads(self._fernet().decrypt(stored))
        except (InvalidToken, ValueError):
            return []
        return [Standing(*row) for row in rows]

    def _fernet(self) -> Fernet:
        return Fernet(urlsafe_b64encode(blake2b(self._key(), digest_size=32, person=b"relay-stand").digest()))


@dataclass(frozen=True, slots=True)
class Tombstones:
    """Who and what was erased, at one moment: hash -> when."""

    key: VeilKey
    names: Mapping[str, int]

    def cover(self, *, emails: Iterable[str], external_id: str, received_ms: int) -> bool:
        """Tell whether something that came in at `received_ms` must not come back. What came in after the erasure is new."""
        if not self.names:
            return False
        digests = [self.key.digest("email", email.strip().lower()) for email in emails if email]
        if external_id:
            digests.append(self.key.digest("conversation", external_id))
        return any(received_ms <= self.names.get(digest, -1) for digest in digests)
