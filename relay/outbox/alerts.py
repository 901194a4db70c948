"""What is wrong now and who is still to be told: in Redis, so that of several processes one tells it.

Keys: `alerts` (hash: what stands by name, and `revision`), `alerts:unsent` (zset), `alerts:messages` (hash).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import orjson

from relay.outbox import keys
from relay.outbox.scripts import reaching_redis
from relay.outbox.store import Store

#: Whoever took a message has so long to send it; longer than any send may take.
LEASE_MS: Final = 60_000
_REVISION: Final = "revision"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong. `first_ms`: since when it is seen; `told_ms`: when it was told (0: not yet); `gone_ms`: since when
    it is not seen any more (0: it is)."""

    kind: str
    title: str
    text: str
    first_ms: int
    told_ms: int = 0
    gone_ms: int = 0


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """One message to one channel. `message_id` stays the same however often it is tried. `state`: `firing`, `resolved` or `test`."""

    message_id: str
    channel: str
    state: str
    kind: str
    title: str
    text: str
    at_ms: int
    tries: int = 0


class AlertBook:
    """Keeps what is wrong in one lane, and the messages that tell of it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self) -> tuple[int, dict[str, Trouble]]:
        """Return (the revision to write against, what stands by name). What cannot be read any more is seen anew."""
        with reaching_redis():
            stored: Any = self._store.redis.hgetall(self._store.prefix + keys.ALERTS)
        revision = int(stored.pop(_REVISION.encode(), 0))
        standing = {}
        for name, value in stored.items():
            try:
                standing[name.decode()] = Trouble(**orjson.loads(self._store.vault.open(value)))
            except (ValueError, TypeError):
                continue
        return revision, standing

    def write(
        self, revision: int, changes: Mapping[str, Trouble | None], messages: Sequence[AlertMessage]
    ) -> bool:
        """Changes what stands (None: it does not any more) and puts messages up, all or nothing. False where somebody else has
        changed something since `revision` was read: look again."""
        args: list[Any] = ["write", 0, revision, len(changes)]
        for name, standing in changes.items():
            args += (name, self._sealed(asdict(standing)) if standing is not None else "")
        for message in messages:
            args += (message.message_id, self._sealed(asdict(message)))
        return bool(self._store.run("alerts", args))

    def take(self, *, now_ms: int = 0) -> AlertMessage | None:
        """Return the next message that is due, for this process alone for a minute."""
        taken: Any = self._store.run("alerts", ["take", now_ms, LEASE_MS])
        if not taken:
            return None
        message = self._opened(taken[1])
        if message is None:
            # Its key is gone: nobody will ever read it.
            self._store.run("alerts", ["settle", 0, taken[0], 0, ""])
        return message

    def sent(self, message: AlertMessage) -> None:
        """Note that it is told, or given up."""
        self._store.run("alerts", ["settle", 0, message.message_id, 0, ""])

    def postpone(self, message: AlertMessage, due_ms: int) -> None:
        """Have it tried again at `due_ms`."""
        tried = self._sealed(asdict(replace(message, tries=message.tries + 1)))
        self._store.run("alerts", ["settle", 0, message.message_id, due_ms, tried])

    def behind(self, message: AlertMessage, *, now_ms: int = 0) -> bool:
        """Have it wait where an older one to its channel is unsent; whether it does. What is new has the older ones tried again at
        once, whatever their pause: none of one process's that is sending them. Raises OutboxUnavailable."""
        older = [
            one.message_id
            for one in self.waiting()
            if one.channel == message.channel and one.at_ms < message.at_ms
        ]
        if not older:
            return False
        # Counted as a try, so that it is new but once.
        waiting = self._sealed(asdict(replace(message, tries=max(1, message.tries))))
        hasten = 0 if message.tries else LEASE_MS
        self._store.run("alerts", ["wait", now_ms, message.message_id, waiting, hasten, *older])
        return True

    def waiting(self) -> list[AlertMessage]:
        """Return the messages that no channel has taken yet, those that are being sent among them; the oldest first. Raises
        OutboxUnavailable."""
        with reaching_redis():
            stored: Any = self._store.redis.hvals(self._store.prefix + keys.ALERTS_MESSAGES)
        return sorted(filter(None, map(self._opened, stored)), key=lambda one: (one.at_ms, one.message_id))

    def unsent(self) -> int:
        """Return how many messages nobody has taken yet, or that could not be sent so far."""
        with reaching_redis():
            return int(self._store.redis.zcard(self._store.prefix + keys.ALERTS_UNSENT))

    def _opened(self, stored: bytes) -> AlertMessage | None:
        try:
            return AlertMessage(**orjson.loads(self._store.vault.open(stored)))
        except (ValueError, TypeError):
            return None

    def _sealed(self, value: Mapping[str, Any]) -> bytes:
        return self._store.vault.seal(orjson.dumps(value))
