"""The archive of raw events, by id, by minute, by conversation, by what the provider calls them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from relay.outbox import keys
from relay.outbox.items import State
from relay.outbox.scripts import reaching_redis
from relay.outbox.store import STATE_OF, Store

#: Events remembered of one conversation.
EVENTS_KEPT = 1_000


class EventArchive:
    """One store's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, event_id: str) -> tuple[State, int, bytes] | None:
        """(state, when it took that state in ms, the archived record: b"" where its key is gone), or None where it is not
        kept (any more)."""
        with reaching_redis():
            stored: Any = self._store.redis.get(self._store.prefix + keys.event(event_id))
        return self._unpack_event(stored)

    def get_many(self, event_ids: Sequence[str]) -> list[tuple[State, int, bytes] | None]:
        """As `get`, in the order asked for."""
        if not event_ids:
            return []
        with reaching_redis():
            stored: Any = self._store.redis.mget(
                [self._store.prefix + keys.event(event_id) for event_id in event_ids]
            )
        return [self._unpack_event(value) for value in stored]

    def _unpack_event(self, stored: bytes | None) -> tuple[State, int, bytes] | None:
        if not stored:
            return None
        return STATE_OF[chr(stored[0])], int(stored[1:14]), self._store.opened(stored[14:])

    def ids(self, *, since_ms: int, until_ms: int, source: str = "") -> Iterator[str]:
        """The ids of events that came in from `since_ms` to `until_ms`, by minute, oldest first."""
        names = [source] if source else self._store.sources()
        for minute in range(since_ms // 60_000, until_ms // 60_000 + 1):
            with reaching_redis():
                pipe = self._store.redis.pipeline(transaction=False)
                for name in names:
                    pipe.lrange(self._store.prefix + keys.log_of(name, minute), 0, -1)
                rows = pipe.execute()
            for row in rows:
                for name in row:
                    yield name.decode()

    def find(self, delivery_event_ids: Iterable[tuple[str, str]]) -> str | None:
        """The event id that the dedupe memory holds for the first known of (source, key)."""
        with reaching_redis():
            for source, key in delivery_event_ids:
                found: Any = self._store.redis.get(self._store.prefix + keys.seen(source, key))
                if found:
                    return str(found.decode())
        return None

    def known_as(self, delivery_id: str, sources: Sequence[str]) -> str | None:
        """The event that a provider's delivery id stands for, where the event's own id is not made of it."""
        if not sources:
            return None
        names = [self._store.prefix + keys.known(source, delivery_id) for source in sources]
        with reaching_redis():
            found: Any = self._store.redis.mget(names)
        return next((value.decode() for value in found if value), None)

    def of(self, external_id: str, limit: int = 100) -> list[str]:
        """The ids of a conversation's last events, oldest first."""
        with reaching_redis():
            found: Any = self._store.redis.lrange(
                self._store.prefix + keys.events_of(external_id), -EVENTS_KEPT, -1
            )
        return list(dict.fromkeys(name.decode() for name in found))[-limit:]
