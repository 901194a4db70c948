"""The archive of raw events, by id, by minute, by conversation, by what the provider calls them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from relay.outbox import keys
from relay.outbox.event_ids import ID_BYTES, unpack_ids
from relay.outbox.items import State
from relay.outbox.scripts import reaching_redis, run_commands
from relay.outbox.store import STATE_BYTES, STATE_OF, Store

#: Events remembered of one conversation.
EVENTS_KEPT = 1_000
DAY_MINUTES: Final = 1_440
#: Of a stored event, what is read to learn its facts: nearly always enough; and what is tried then.
_HEAD_BYTES: Final = 4_096
_LONG_HEAD_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class EventHead:
    """A stored event without its body. `facts` as in `archive.py`; empty where they cannot be read."""

    event_id: str
    state: State
    settled_ms: int
    facts: Mapping[str, Any]


class EventArchive:
    """Reads the raw events of one lane, and what became of them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, event_id: str) -> tuple[State, int, bytes] | None:
        """Return (state, when it took that state in ms, the archived record: b"" where its key is gone), or None where it is not
        kept (any more)."""
        with reaching_redis():
            stored: Any = self._store.redis.get(self._store.prefix + keys.event(event_id))
        return self._unpack_event(stored)

    def get_many(self, event_ids: Sequence[str]) -> list[tuple[State, int, bytes] | None]:
        """Read many as `get` does one, in the order asked for."""
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
        return STATE_OF[chr(stored[0])], int(stored[1:STATE_BYTES]), self._store.opened(stored[STATE_BYTES:])

    def heads(self, event_ids: Sequence[str]) -> list[EventHead | None]:
        """Return the facts of events, in the order asked for; None where one is not kept (any more). However large the bodies are, they
        stay where they are."""
        found: dict[str, EventHead | None] = {}
        left = list(dict.fromkeys(event_ids))
        for size in (_HEAD_BYTES, _LONG_HEAD_BYTES):
            if not left:
                break
            with reaching_redis():
                pipe = self._store.redis.pipeline(transaction=False)
                for event_id in left:
                    pipe.getrange(self._store.prefix + keys.event(event_id), 0, size - 1)
                values = pipe.execute()
            more = []
            for event_id, value in zip(left, values, strict=True):
                facts = self._facts(value, whole=len(value) < size) if value else None
                found[event_id] = self._head(event_id, value, facts or {}) if value else None
                if value and facts is None:
                    more.append(event_id)
            left = more
        return [found[event_id] for event_id in event_ids]

    def _head(self, event_id: str, value: bytes, facts: Mapping[str, Any]) -> EventHead:
        return EventHead(event_id, STATE_OF[chr(value[0])], int(value[1:STATE_BYTES]), facts)

    def _facts(self, value: bytes, *, whole: bool) -> Mapping[str, Any] | None:
        """None: more of the value is needed."""
        try:
            line = self._store.vault.open_line(value[STATE_BYTES:], whole=whole)
            facts = None if line is None else orjson.loads(line)
        except ValueError:
            # Its key is gone, or it is damaged: that it is there is still to be seen.
            return {}
        return facts if facts is None or isinstance(facts, dict) else {}

    def minutes(
        self, *, since_ms: int, until_ms: int, source: str = "", oldest_first: bool = False
    ) -> Iterator[tuple[int, list[str]]]:
        """Return (minute, the sources that something came in from), newest first."""
        names = [source] if source else self._store.sources()
        first, last = since_ms // 60_000, until_ms // 60_000
        days = range(first // DAY_MINUTES, last // DAY_MINUTES + 1)
        for day in days if oldest_first else reversed(days):
            with reaching_redis():
                pipe = self._store.redis.pipeline(transaction=False)
                for name in names:
                    pipe.get(self._store.prefix + keys.minutes_of(name, day))
                stored = pipe.execute()
            of: dict[int, list[str]] = {}
            for name, value in zip(names, stored, strict=True):
                for minute in _set_minutes(value or b""):
                    of.setdefault(day * DAY_MINUTES + minute, []).append(name)
            for minute in sorted(of, reverse=not oldest_first):
                if first <= minute <= last:
                    yield minute, of[minute]

    def note_minutes(self, of: Iterable[tuple[str, int]]) -> None:
        """Notes that something came in from (source, minute): where an older release has written, which does not."""
        kept_s = self._store.retention.events_s + 86_400
        commands: list[tuple[Any, ...]] = []
        for name, minute in of:
            key = keys.minutes_of(name, minute // DAY_MINUTES)
            commands += (("SETBIT", key, minute % DAY_MINUTES, 1), ("EXPIRE", key, kept_s))
        for start in range(0, len(commands), 500):
            run_commands(self._store.redis, self._store.prefix, *commands[start : start + 500])

    def lengths(self, of: Sequence[tuple[str, int]]) -> list[int]:
        """Return how many events came in from each (source, minute)."""
        with reaching_redis():
            pipe = self._store.redis.pipeline(transaction=False)
            for name, minute in of:
                pipe.llen(self._store.prefix + keys.log_of(name, minute))
            return [int(length) for length in pipe.execute()]

    def sizes(self, event_ids: Sequence[str]) -> list[int]:
        """Return how many bytes each takes as it is stored; 0 where it is not kept (any more)."""
        with reaching_redis():
            pipe = self._store.redis.pipeline(transaction=False)
            for event_id in event_ids:
                pipe.strlen(self._store.prefix + keys.event(event_id))
            return [int(size) for size in pipe.execute()]

    def listed(self, of: Sequence[tuple[str, int, int, int]]) -> list[list[str]]:
        """Return the ids at (source, minute, first position, last position) of the lists, each oldest first."""
        with reaching_redis():
            pipe = self._store.redis.pipeline(transaction=False)
            for name, minute, first, last in of:
                pipe.lrange(self._store.prefix + keys.log_of(name, minute), first, last)
            return [[name.decode() for name in row] for row in pipe.execute()]

    def positions(self, of: Sequence[tuple[str, str, int]]) -> list[int | None]:
        """Return where (event id, source, minute) stands in the list, None where it does not."""
        with reaching_redis():
            pipe = self._store.redis.pipeline(transaction=False)
            for event_id, name, minute in of:
                pipe.lpos(self._store.prefix + keys.log_of(name, minute), event_id)
            return list(pipe.execute())

    def at(self, places: Sequence[tuple[str, int, int]]) -> list[str]:
        """Return the ids at (source, minute, position); "" where the list has expired. Neighbours are read together."""
        spans: list[tuple[str, int, int, int]] = []
        for source, minute, position in places:
            if spans and spans[-1][:2] == (source, minute) and position == spans[-1][2] - 1:
                spans[-1] = (source, minute, position, spans[-1][3])
            else:
                spans.append((source, minute, position, position))
        found: list[str] = []
        for (_, _, first, last), row in zip(spans, self.listed(spans), strict=True):
            found += [""] * (last - first + 1 - len(row))
            found += reversed(row)
        return found

    def in_state(self, source: str, minute: int, first: int, last: int, states: Iterable[str]) -> list[int]:
        """Return the positions from `first` to `last` at which events are in one of `states` now."""
        letters = "".join(letter for letter, state in STATE_OF.items() if state in states)
        found: list[int] = []
        for start in range(first, last + 1, 1_000):
            args = [keys.log_of(source, minute), start, min(last, start + 999), letters]
            found += self._store.run("places_in_state", args)
        return found

    def ids(self, *, since_ms: int, until_ms: int, source: str = "") -> Iterator[str]:
        """Return the ids of events that came in from `since_ms` to `until_ms`, by minute, oldest first."""
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
        """Return the event id that the dedupe memory holds for the first known of (source, key)."""
        asked = list(delivery_event_ids)
        with reaching_redis():
            pipe = self._store.redis.pipeline(transaction=False)
            for source, key in asked:
                pipe.get(self._store.prefix + keys.seen(source, key))
                pipe.exists(self._store.prefix + keys.event(key))
            answers = pipe.execute()
        for (_, key), held, there in zip(asked, answers[::2], answers[1::2], strict=True):
            if held or there:
                return str(held.decode()) if held else key
        return None

    def known_as(self, delivery_id: str, sources: Sequence[str]) -> str | None:
        """Return the event that a provider's delivery id stands for, where the event's own id is not made of it."""
        if not sources:
            return None
        names = [self._store.prefix + keys.known(source, delivery_id) for source in sources]
        with reaching_redis():
            found: Any = self._store.redis.mget(names)
        return next((value.decode() for value in found if value), None)

    def of(self, external_id: str, limit: int = 100) -> list[str]:
        """Return the ids of a conversation's last events, oldest first."""
        prefix = self._store.prefix
        with reaching_redis():
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.lrange(prefix + keys.events_of(external_id), -EVENTS_KEPT, -1)
            pipe.getrange(prefix + keys.ids_of(external_id), -EVENTS_KEPT * ID_BYTES, -1)
            listed, packed = pipe.execute()
        found = dict.fromkeys([*(name.decode() for name in listed), *unpack_ids(packed)])
        return list(found)[-min(limit, EVENTS_KEPT) :]


def _set_minutes(bits: bytes) -> Iterator[int]:
    """The numbers of the bits that are set, as SETBIT counts them: the first is the highest of the first byte."""
    value, last = int.from_bytes(bits, "big"), len(bits) * 8 - 1
    while value:
        lowest = value & -value
        yield last - lowest.bit_length() + 1
        value ^= lowest
