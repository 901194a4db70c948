"""Dead letters: what was given up on, with its patches, to be replayed or discarded by a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

import orjson

from relay.outbox import keys
from relay.outbox.items import DeadLetter
from relay.outbox.reading import Reading, read_alone
from relay.outbox.scripts import reaching_redis
from relay.outbox.store import LETTER_OF, Store

#: In the place of a number of events: the letter was amended since it was read.
AMENDED: Final = -2
_HEADS_AT_ONCE: Final = 500

#: (event_id, source, "pending" or "filtered", externalId, patch): what today's rules make of an event.
Redriven = tuple[str, str, str, str, bytes]


@dataclass(frozen=True, slots=True)
class DeadHead:
    """A dead letter without its patches. `facts` is the record as JSON: `cause`, `reason`, `stage`, `rule`, ..."""

    dead_id: str
    source: str
    external_id: str
    at_ms: int
    events: tuple[str, ...]
    facts: dict[str, Any]


class DeadLetters:
    """Reads and changes the dead letters of one lane."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # -- looking ---------------------------------------------------------------------------------------------

    def ids(self, *, offset: int = 0, limit: int = 100) -> list[str]:
        """Return a page of the ids, newest first."""
        with reaching_redis():
            names: Any = self._store.redis.zrevrange(
                self._store.prefix + keys.DEAD, offset, offset + limit - 1
            )
        return [name.decode() for name in names]

    def count(self) -> int:
        """Return how many there are."""
        with reaching_redis():
            return int(self._store.redis.zcard(self._store.prefix + keys.DEAD))

    def of(self, external_id: str) -> list[str]:
        """Return the ids of one conversation's."""
        with reaching_redis():
            names: Any = self._store.redis.smembers(self._store.prefix + keys.dead_of(external_id))
        return sorted(name.decode() for name in names)

    def looked_at_again_ms(self, dead_id: str) -> int | None:
        """Return when one that waits for its company is looked at again; None for one that goes by nobody but a person."""
        with reaching_redis():
            score: Any = self._store.redis.zscore(self._store.prefix + keys.PARKED, dead_id)
        return int(score) if score is not None else None

    def get_many(self, dead_ids: Sequence[str]) -> list[DeadLetter]:
        """Return the letters that still exist, in the order asked for."""
        with reaching_redis():
            pipe = self._store.redis.pipeline(transaction=False)
            for dead_id in dead_ids:
                pipe.hgetall(self._store.prefix + keys.dead_letter(dead_id))
                pipe.lrange(self._store.prefix + keys.dead_patches(dead_id), 0, -1)
            rows = pipe.execute()
        letters = []
        for n, dead_id in enumerate(dead_ids):
            stored, patches = rows[2 * n], rows[2 * n + 1]
            if stored:
                letters.append(
                    DeadLetter(
                        dead_id=dead_id,
                        source=stored[b"source"].decode(),
                        external_id=stored[b"external"].decode(),
                        at_ms=int(stored[b"at"]),
                        record=self._store.opened(stored[b"record"]),
                        patches=tuple(self._store.pending(entry, lenient=True) for entry in patches),
                        events=tuple(name for name in stored[b"events"].decode().split(",") if name),
                        amended=int(stored.get(b"amended", 0)),
                    )
                )
        return letters

    def known(self, dead_ids: Sequence[str]) -> frozenset[str]:
        """Return those of these ids that are letters here. Raises OutboxUnavailable."""
        with reaching_redis():
            pipe = self._store.redis.pipeline(transaction=False)
            for dead_id in dead_ids:
                pipe.exists(self._store.prefix + keys.dead_letter(dead_id))
            rows = pipe.execute()
        return frozenset(dead_id for dead_id, there in zip(dead_ids, rows, strict=True) if there)

    def get(self, dead_id: str) -> DeadLetter | None:
        """Return one in full, None where it is gone."""
        found = self.get_many([dead_id])
        return found[0] if found else None

    def scan(self, *, since_ms: int = 0, until_ms: int = 0, after: str = "") -> Iterator[DeadHead]:
        """Return dead letters of a span of time (0: open), newest first. `after` is the last head of an earlier page, as
        `cursor_of` gave it; ValueError where it is no cursor. Letters that come or go meanwhile shift nothing."""
        top: float | str = until_ms or "+inf"
        skip_id = ""
        if after:
            stamp, _, skip_id = after.partition(".")
            if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 15 and skip_id):
                raise ValueError("not a cursor of this list")
            top = int(stamp) if not until_ms else min(int(stamp), until_ms)
        offset = 0
        while True:
            with reaching_redis():
                names: Any = self._store.redis.zrevrangebyscore(
                    self._store.prefix + keys.DEAD,
                    top,
                    since_ms or "-inf",
                    start=offset,
                    num=_HEADS_AT_ONCE,
                    withscores=True,
                )
            kept = [
                name.decode()
                for name, score in names
                if not (skip_id and int(score) == top and name.decode() >= skip_id)
            ]
            yield from read_alone(self._store.redis, self._reading_heads(kept))
            if len(names) < _HEADS_AT_ONCE:
                return
            offset += _HEADS_AT_ONCE

    def reading_newest(self, limit: int) -> Reading[list[DeadHead]]:
        """So many of the newest, as `scan` gives them."""
        [names] = yield lambda pipe: pipe.zrevrange(self._store.prefix + keys.DEAD, 0, limit - 1)
        return (yield from self._reading_heads([name.decode() for name in names]))

    def _reading_heads(self, dead_ids: Sequence[str]) -> Reading[list[DeadHead]]:
        """Those of them that are still there."""
        prefix = self._store.prefix
        rows = yield lambda pipe: [
            pipe.hmget(prefix + keys.dead_letter(dead_id), "source", "external", "at", "events", "record")
            for dead_id in dead_ids
        ]
        return [
            DeadHead(
                dead_id=dead_id,
                source=source.decode(),
                external_id=external.decode(),
                at_ms=int(at),
                events=tuple(word for word in events.decode().split(",") if word),
                facts=self._facts(record),
            )
            for dead_id, (source, external, at, events, record) in zip(dead_ids, rows, strict=True)
            if record is not None
        ]

    def _facts(self, record: bytes) -> dict[str, Any]:
        try:
            facts = orjson.loads(self._store.vault.open(record))
        except ValueError:
            facts = None
        # A letter that cannot be read must not hide the others.
        return (
            facts if isinstance(facts, dict) else {"cause": "the stored record cannot be read", "stage": ""}
        )

    # -- changing --------------------------------------------------------------------------------------------

    def amend(self, letter: DeadLetter, record: bytes) -> bool:
        """Replaces the letter's record (an edit, a further failed try). False where it was amended since it was read: look
        again. A letter that is gone stays so."""
        args = [letter.dead_id, self._store.vault.seal(record), letter.amended]
        return int(self._store.run("amend_dead", args)) >= 0

    def redrive(self, dead_id: str, again: Sequence[Redriven] = (), *, now_ms: int = 0) -> int:
        """Put a letter's events back to work; how many, -1 where the letter is gone already. `again`: from today's rules; what is not named
        goes back with its stored patch."""
        return self.redrive_many([(dead_id, None, again)], now_ms=now_ms)[0]

    def redrive_many(
        self, letters: Sequence[tuple[str, int | None, Sequence[Redriven]]], *, now_ms: int = 0
    ) -> list[int]:
        """Redrive each, all sent together: (id, its `amended` when it was read, what of it). One that was cut off is sent
        again, and answered as the first time. `AMENDED` where a letter is no longer as it was read; None: however it is."""
        rows = []
        for dead_id, amended, again in letters:
            args: list[Any] = ["" if amended is None else amended, len(again)]
            for event_id, source, verdict, external_id, patch in again:
                sealed = self._store.vault.seal(patch) if patch else b""
                args += (event_id, source, LETTER_OF[verdict], external_id, sealed)
            rows.append((dead_id, "again", args))
        return self._redrive(rows, now_ms)

    def discard(self, dead_id: str, *, now_ms: int = 0) -> int:
        """Give a letter's events up; how many, -1 where the letter is gone already."""
        return self.discard_many([dead_id], now_ms=now_ms)[0]

    def discard_many(self, dead_ids: Sequence[str], *, now_ms: int = 0) -> list[int]:
        """Give the events of several letters up; how many of each, -1 where it is gone already."""
        return self._redrive([(dead_id, "discard", ["", 0]) for dead_id in dead_ids], now_ms)

    def _redrive(self, rows: Sequence[tuple[str, str, list[Any]]], now_ms: int) -> list[int]:
        order = token_hex(8)
        calls = [[now_ms, dead_id, mode, order, *args] for dead_id, mode, args in rows]
        return [int(moved) for moved in self._store.run_many("redrive", calls)]

    def unposted(self, limit: int = 100) -> list[str]:
        """Return dead letters that have no failed RQ job yet."""
        with reaching_redis():
            names: Any = self._store.redis.srandmember(self._store.prefix + keys.UNPOSTED, limit)
        return [name.decode() for name in names]

    def mark_posted(self, dead_ids: Sequence[str]) -> None:
        """Note that these have their failed RQ job now."""
        if dead_ids:
            with reaching_redis():
                self._store.redis.srem(self._store.prefix + keys.UNPOSTED, *dead_ids)


def cursor_of(head: DeadHead) -> str:
    return f"{head.at_ms}.{head.dead_id}"
