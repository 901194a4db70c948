"""The outbox: the wall between "we said 202" and "Planhat has it". Bytes, ids, versions and times; nothing of Slack or Planhat.

Every change is one Lua script: all of it happens or none, whoever else is at work. Times are epoch milliseconds of
Redis's own clock, taken inside the scripts; `now_ms` other than 0 replaces it, so that a test can hold the clock. Its keys:
`keys.py`. Its parts: the lane (`lane.py`), the archived events, dead letters, and what is to be looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import redis

from relay.outbox import keys
from relay.outbox.books import (
    NEWER_SHOWN_MS,
    Books,
    reading_books,
    reading_newer,
    reading_oldest,
    reading_pending,
)
from relay.outbox.dead import DeadLetters
from relay.outbox.doubts import OutboxDoubts
from relay.outbox.event_ids import pack_id
from relay.outbox.events import EventArchive
from relay.outbox.items import Entry, Pending, Recorded
from relay.outbox.keys import BASE, LANE
from relay.outbox.lane import WAKE_MS, OutboxLane
from relay.outbox.reading import read_alone
from relay.outbox.scripts import reaching_redis, run_commands
from relay.outbox.store import LETTER_OF, Retention, Store, continues, script_parts
from relay.outbox.threads import Threads, thread_args
from relay.outbox.vault import Vault


class Outbox(Store):
    """Holds everything of one lane in Redis. `piped`: see `OutboxLane`."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        lane: str = LANE,
        base: str = BASE,
        vault: Vault | None = None,
        retention: Retention | None = None,
        piped: bool = False,
        home: Store | None = None,
    ) -> None:
        super().__init__(client, lane=lane, base=base, vault=vault, retention=retention, home=home)
        self.lane = OutboxLane(self, piped=piped)
        self.events = EventArchive(self)
        self.dead = DeadLetters(self)
        self.doubts = OutboxDoubts(self)
        self.threads = Threads(client, self.prefix)

    # -- the door --------------------------------------------------------------------------------------------

    def record_args(self, entries: Sequence[tuple[Entry, float]], *, now_ms: int = 0) -> list[Any]:
        """Return the arguments of one `record` script for (entry, rate_per_s) pairs; the recorder sends them."""
        seal, seal_pair = self.vault.seal, self.vault.seal_pair
        # The archived event says that it came, for as long as it is kept.
        event_outlives = self.retention.events_s >= self.retention.dedupe_s
        args: list[Any] = [
            *(now_ms, self.retention.events_s, self.retention.dedupe_s, self.retention.dead_s),
            *(WAKE_MS, len(entries), self.retention.documents_s),
        ]
        for entry, rate in entries:
            sealed = entry.sealed
            record, patch = entry.record, entry.patch
            if not sealed:
                record, patch = seal_pair(record, patch) if patch else (seal(record), b"")
            seen = entry.seen_keys
            if event_outlives and seen and seen[0] == entry.event_id:
                seen = seen[1:]
            args += (
                entry.event_id,
                entry.source,
                LETTER_OF[entry.verdict] if entry.threading is None else LETTER_OF[entry.verdict] + "t",
                entry.external_id,
                patch,
                record,
                entry.dead if sealed or not entry.dead else seal(entry.dead),
                rate,
                entry.known_as,
                len(seen),
                len(entry.kept_keys),
                pack_id(entry.event_id) if entry.external_id else b"",
                *seen,
                *entry.kept_keys,
            )
            if entry.threading is not None:
                args += thread_args(entry.thread, entry.threading)
        return args

    def record(self, entries: Sequence[Entry], *, now_ms: int = 0) -> tuple[int, list[Recorded]]:
        """Return (generation to ring for or 0, what became of each). The web side goes through `Recorder`, which commits
        all waiting requests at once; this is the same script for everybody else."""
        answer = self.run("record", self.record_args([(e, 0) for e in entries], now_ms=now_ms))
        return int(answer[0]), [
            Recorded.of(entry.event_id, verdict) for entry, verdict in zip(entries, answer[4:], strict=True)
        ]

    def replay(self, again: Sequence[tuple[str, str, str, bytes]], *, now_ms: int = 0) -> int:
        """Have settled events wait again, each as (event_id, source, externalId, patch); how many did."""
        moved = 0
        for part in script_parts(again):
            args: list[Any] = [now_ms, len(part)]
            for event_id, source, external_id, patch in part:
                args += (event_id, source, external_id, self.vault.seal(patch))
            moved += int(self.run("replay", args))
        return moved

    # -- what stands there -----------------------------------------------------------------------------------

    def ledger(self) -> dict[str, dict[str, int]]:
        """Give source -> accepted, duplicate and every state, all present."""
        return self._books().ledger()

    def remarks(self, *, since_ms: int = 0) -> dict[str, dict[str, int]]:
        """Give source -> what was counted beside the books, by word: `skipped:private` (what its adapter skipped, by reason),
        `empty:no_text` (events without words), `privacy_unsaid`. With `since_ms` only words that were counted again since:
        what was mended before is not told for ever."""
        return self._books().remarks(since_ms)

    def _books(self) -> Books:
        return read_alone(self.redis, reading_books(self, self.sources()))

    def count(self, source: str, word: str, number: int = 1) -> None:
        """Counts outside of the books: `ignored`, `rejected`."""
        run_commands(
            self.redis,
            self.prefix,
            ("SADD", keys.SOURCES, source),
            ("HINCRBY", keys.ledger(source), word, number),
        )

    def pending_items(self) -> int:
        """Return conversations that wait, held and throttled ones included."""
        return sum(read_alone(self.redis, reading_pending(self, self.sources())).values())

    def pending_of(self, source: str) -> int:
        """Return conversations of one source that wait."""
        with reaching_redis():
            number: Any = self.redis.zcard(self.prefix + keys.due(source))
        return int(number)

    def oldest_pending_ms(self, *, now_ms: int = 0) -> int | None:
        """Return when the oldest event that still waits came in, held and throttled ones included. None: nothing waits."""
        now_ms = now_ms or self.now_ms()
        return read_alone(self.redis, reading_oldest(self, self.sources(), now_ms))

    def note_newer(self, external_ids: Sequence[str], *, now_ms: int = 0) -> None:
        """Note that these wait for a newer release's workers; said again each time that they are handed back."""
        now_ms = now_ms or self.about_ms()
        scores = [word for name in external_ids for word in (now_ms, name)]
        run_commands(
            self.redis,
            self.prefix,
            ("ZADD", keys.NEWER, *scores),
            ("ZREMRANGEBYSCORE", keys.NEWER, "-inf", now_ms - NEWER_SHOWN_MS),
        )

    def newer_count(self, *, now_ms: int = 0) -> int:
        """Return conversations that wait because only a newer release reads what it wrote of them: found so lately, and still there."""
        now_ms = now_ms or self.now_ms()
        return read_alone(self.redis, reading_newer(self, now_ms))

    def document(self, external_id: str) -> bytes | None:
        with reaching_redis():
            stored: Any = self.redis.get(self.prefix + keys.document(external_id))
        return (self.opened(stored) or None) if stored else None

    def documents(self, external_ids: Sequence[str]) -> list[bytes | None]:
        """Read many as `document` does one, in the order asked for."""
        if not external_ids:
            return []
        with reaching_redis():
            stored: Any = self.redis.mget([self.prefix + keys.document(name) for name in external_ids])
        return [(self.opened(value) or None) if value else None for value in stored]

    def waiting_patches(self, external_id: str) -> list[Pending]:
        """Return what waits, oldest first; a patch whose key is gone is b""."""
        with reaching_redis():
            entries: Any = self.redis.lrange(self.prefix + keys.patches(external_id), 0, -1)
            pipe = self.redis.pipeline(transaction=False)
            for entry in filter(continues, entries):
                pipe.get(self.prefix + keys.event(entry.partition(b"\x1f")[0].decode()))
            stored = [value or b"" for value in pipe.execute()]
        return list(self.all_pending(entries, stored, lenient=True))

    def due_ms(self, external_id: str) -> int | None:
        with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            for name in self.sources():
                pipe.zscore(self.prefix + keys.due(name), external_id)
            scores = [score for score in pipe.execute() if score is not None]
        return int(min(scores)) if scores else None

    def external_id_of(self, planhat_id: str) -> str | None:
        with reaching_redis():
            found: Any = self.redis.get(self.prefix + keys.planhat_id(planhat_id))
        return found.decode() if found else None

    # -- the kill switch and what was refused ------------------------------------------------------------------

    def drops(self) -> list[dict[str, Any]]:
        """Return what is being dropped now: id, source ("" for all), where ("" for all), until_ms."""
        with reaching_redis():
            stored: dict[bytes, bytes] = self.home.redis.hgetall(self.home.prefix + keys.DROPS)  # type: ignore[assignment]
        rows: list[dict[str, Any]] = [orjson.loads(value) for value in stored.values()]
        now_ms = self.now_ms() if rows else 0
        return sorted((row for row in rows if row["until_ms"] > now_ms), key=lambda row: str(row["id"]))

    def add_drop(self, row: dict[str, Any]) -> None:
        with reaching_redis():
            self.home.redis.hset(self.home.prefix + keys.DROPS, row["id"], orjson.dumps(row))

    def dropped(self, drop_ids: Sequence[str]) -> list[dict[str, int]]:
        """Return what each of these has dropped: source -> events."""
        if not drop_ids:
            return []
        with reaching_redis():
            pipe = self.home.redis.pipeline(transaction=False)
            for drop_id in drop_ids:
                pipe.hgetall(self.home.prefix + keys.dropped(drop_id))
            rows: list[dict[bytes, bytes]] = pipe.execute()
        return [{source.decode(): int(count) for source, count in sorted(row.items())} for row in rows]

    def end_drop(self, drop_id: str) -> bool:
        with reaching_redis():
            return bool(self.home.redis.hdel(self.home.prefix + keys.DROPS, drop_id))

    def rejected(self, limit: int) -> list[dict[str, Any]]:
        """Return the last refused requests, newest first: at_ms, source, reason, kind, bytes, from (a network prefix)."""
        with reaching_redis():
            rows: Any = self.home.redis.lrange(self.home.prefix + keys.REJECTED, 0, limit - 1)
        return [orjson.loads(row) for row in rows]
