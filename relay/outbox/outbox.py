"""The outbox: the wall between "we said 202" and "Planhat has it". Bytes, ids, versions and times; nothing of Slack or Planhat.

Every change is one Lua script: all of it happens or none, whoever else is at work. Times are epoch milliseconds of
Redis's own clock, taken inside the scripts; `now_ms` other than 0 replaces it, so that a test can hold the clock. Its keys: `keys.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil
from secrets import token_hex
from sys import intern
from typing import Any, Literal, TypeVar

import orjson
import redis

from relay.errors import OutboxUnavailable
from relay.outbox import keys
from relay.outbox.clock import Clock
from relay.outbox.items import (
    LAST,
    STATES,
    Bury,
    Claim,
    DeadLetter,
    Done,
    Entry,
    Item,
    Later,
    Pending,
    Recorded,
    Settled,
    Settlement,
    State,
    is_remark,
)
from relay.outbox.keys import BASE, LANE, lane_prefix
from relay.outbox.pipe import Pipe
from relay.outbox.scripts import reaching_redis, run, run_many
from relay.outbox.vault import Vault

#: How long a rung bell may stay unheard before the sweep rings again; a working flush job renews it every second.
WAKE_MS = 5_000
#: Patches of one conversation taken in one claim; a busy thread takes several.
PATCHES_PER_CLAIM = 1_000
#: A claim or settlement of more blocks Redis for too long (5,000: 25 ms).
ITEMS_PER_SCRIPT = 1_000
#: What one claim hands out at most, in stored bytes: patches and documents lie in the worker's memory meanwhile.
BYTES_PER_CLAIM = 4_000_000

#: A mark stands for a conversation whose document may be forgotten: ten characters in a set for each year (365 days).
MARK_YEAR_S = 365 * 86400
MARKS_S = 2.0 * MARK_YEAR_S
#: What a claim gives instead of a document that is forgotten.
FORGOTTEN = b"?"

_T = TypeVar("_T")
_SEP = b"\x1f"
_LETTERS: dict[str, State] = {
    "p": "pending",
    "d": "delivered",
    "u": "unchanged",
    "s": "superseded",
    "f": "filtered",
    "x": "dead",
    "z": "discarded",
}
_VERDICTS = {"pending": "p", "filtered": "f", "dead": "x", "noted": "n"}


class Outbox:
    """`events_s`, `documents_s`, `dedupe_s`, `dead_s`: the config's `keep`, in seconds. `piped`: what `begin_` starts does
    not wait for Redis (see `pipe.py`); one thread may use those then."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        events_s: float = 72 * 3600,
        documents_s: float = 90 * 86400,
        dedupe_s: float = 72 * 3600,
        dead_s: float = 90 * 86400,
        lane: str = LANE,
        base: str = BASE,
        vault: Vault | None = None,
        piped: bool = False,
    ) -> None:
        self.redis = client
        self.lane = lane
        self.base = base
        self.prefix = lane_prefix(lane, base)
        self.vault = vault or Vault()
        self.pipe = Pipe(client, self.prefix) if piped else None
        self._clock = Clock(self.now_ms)
        #: The number of the last claim that this process was given, and whether a later one had a smaller number: then
        #: Redis was set back in between.
        self._last_claim = 0
        self.set_back = False
        self.keep(events_s=events_s, documents_s=documents_s, dedupe_s=dedupe_s, dead_s=dead_s)

    def keep(
        self,
        *,
        events_s: float,
        documents_s: float,
        dedupe_s: float,
        dead_s: float,
        delivered_s: float = MARKS_S,
    ) -> None:
        """How long things are kept from now on."""
        self.mark_years = ceil(delivered_s / MARK_YEAR_S)
        self.events_s = max(1, int(events_s))
        self.documents_s = max(1, int(documents_s))
        self.dedupe_s = max(1, int(dedupe_s))
        self.dead_s = max(1, int(dead_s))

    # -- the door --------------------------------------------------------------------------------------------

    def record_args(self, entries: Sequence[tuple[Entry, float]], *, now_ms: int = 0) -> list[Any]:
        """The arguments of one `record` script for (entry, rate_per_s) pairs; the recorder sends them."""
        seal = self.vault.seal
        args: list[Any] = [
            *(now_ms, self.events_s, self.dedupe_s, self.dead_s),
            *(WAKE_MS, len(entries), self.documents_s),
        ]
        for entry, rate in entries:
            sealed = entry.sealed
            args += (
                entry.event_id,
                entry.source,
                _VERDICTS[entry.verdict],
                entry.external_id,
                entry.patch if sealed or not entry.patch else seal(entry.patch),
                entry.record if sealed else seal(entry.record),
                entry.dead if sealed or not entry.dead else seal(entry.dead),
                rate,
                entry.known_as,
                len(entry.seen_keys),
                len(entry.kept_keys),
                *entry.seen_keys,
                *entry.kept_keys,
            )
        return args

    def record(self, entries: Sequence[Entry], *, now_ms: int = 0) -> tuple[int, list[Recorded]]:
        """(generation to ring for or 0, what became of each). The web side goes through `Recorder`, which commits
        all waiting requests at once; this is the same script for everybody else."""
        answer = run(
            self.redis, "record", self.prefix, self.record_args([(e, 0) for e in entries], now_ms=now_ms)
        )
        return int(answer[0]), [
            Recorded(entry.event_id, verdict.decode())
            for entry, verdict in zip(entries, answer[4:], strict=True)
        ]

    # -- the lane --------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        with reaching_redis():
            seconds, micros = self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def about_ms(self) -> int:
        """`now_ms`, some milliseconds behind at most, and nearly always without asking."""
        return self._clock.now_ms()

    def ring(self, *, now_ms: int = 0, clock: bool = False) -> int:
        """A new generation where something is due and nobody works on it, else 0. `clock`: `now_ms` is what the server's own
        clock says."""
        return int(run(self.redis, "ring", self.prefix, [now_ms, WAKE_MS, "clock" if clock else ""]))

    def own(self, generation: int, ttl_ms: int = 3_000) -> bool:
        return bool(run(self.redis, "own", self.prefix, [generation, ttl_ms, "own"]))

    def release(self, generation: int) -> None:
        run(self.redis, "own", self.prefix, [generation, 0, "release"])

    def hand_over(self, generation: int) -> int:
        """The successor's generation, to be rung for; 0 where the lane was no longer ours."""
        return int(run(self.redis, "own", self.prefix, [generation, WAKE_MS, "hand_over"]))

    def claim(
        self,
        generation: int,
        limit: int = ITEMS_PER_SCRIPT,
        *,
        lease_ms: int = 20_000,
        now_ms: int = 0,
        wake_ms: int = 3_000,
        max_bytes: int = BYTES_PER_CLAIM,
        keep: bool = False,
    ) -> Claim:
        """Up to `limit` due items (at most 1,000, and at most `max_bytes` of stored documents and patches, but always
        one), hidden from every other claim until the lease runs out. `keep`: the lane stays ours though nothing is due."""
        args = (generation, limit, lease_ms, now_ms, wake_ms, max_bytes, keep)
        return self._claimed(run(self.redis, "claim", self.prefix, self._claim_args(*args)))

    def begin_claim(
        self, generation: int, limit: int, *, lease_ms: int, wake_ms: int, max_bytes: int, keep: bool
    ) -> Callable[[], Claim]:
        """`claim`, without waiting; what it gives back waits. Raises OutboxUnavailable there."""
        args = self._claim_args(generation, limit, lease_ms, 0, wake_ms, max_bytes, keep)
        answer = self._send("claim", args)
        return lambda: self._claimed(answer())

    def read_available(self) -> None:
        """To be called now and then between a `begin_` and the asking for what became of it; see `Pipe.sip`."""
        if self.pipe is not None:
            self.pipe.read_available()

    def push(self) -> None:
        """What `begin_settle` has kept goes now."""
        if self.pipe is not None:
            self.pipe.push()

    def _send(self, name: str, args: Sequence[Any], *, keep: bool = False) -> Callable[[], Any]:
        if self.pipe is not None:
            return self.pipe.send(name, args, keep=keep).answer
        answer = run(self.redis, name, self.prefix, args)
        return lambda: answer

    def forget_claims(self) -> None:
        """That Redis was set back is noted: its claims may count from anywhere."""
        self._last_claim, self.set_back = 0, False

    def _claimed(self, answer: list[Any]) -> Claim:
        unseal = self.vault.open
        token = answer[2].decode()
        items = []
        life, since_ms = int(answer[4]), int(answer[5])
        if token:
            self.set_back = self.set_back or int(token) <= self._last_claim
            self._last_claim = int(token)
        at, end = 6, len(answer)
        while at < end:
            external_id, source, crashes, refusals, first_ms, document, count = answer[at : at + 7]
            at += 7
            unreadable = ""
            try:
                fold = unseal(document) if document and document != FORGOTTEN else None
                patches = tuple([self._pending(entry) for entry in answer[at : at + count]])
            except ValueError as error:
                # The others of this claim must not suffer for it.
                fold, unreadable = None, str(error)
                patches = tuple([self._pending(entry, lenient=True) for entry in answer[at : at + count]])
            at += count
            items.append(
                Item(
                    external_id=external_id.decode(),
                    lane_source=intern(source.decode()),
                    token=token,
                    crashes=crashes,
                    refusals=refusals,
                    first_pending_ms=first_ms,
                    document=fold,
                    pending=patches,
                    unreadable=unreadable,
                    forgotten=document == FORGOTTEN,
                    life=life,
                    since_ms=since_ms,
                )
            )
        self._clock.heard(int(answer[1]))
        return Claim(owned=bool(answer[0]), items=tuple(items), now_ms=int(answer[1]), more=bool(answer[3]))

    def renew(self, items: Iterable[Item], *, lease_ms: int = 20_000, now_ms: int = 0) -> frozenset[str]:
        """The externalIds whose lease was lost."""
        lost: set[str] = set()
        for part in _parts(list(items)):
            args: list[Any] = [now_ms, lease_ms]
            for item in part:
                args += (item.lane_source, item.external_id, item.token)
            lost.update(name.decode() for name in run(self.redis, "renew", self.prefix, args))
        return frozenset(lost)

    def settle(self, settlements: Sequence[Settlement], *, now_ms: int = 0) -> Settled:
        """Each settlement takes effect once, if its lease is still held; saying it twice is saying it once."""
        lost: set[str] = set()
        for part in _parts(settlements):
            lost.update(
                name.decode()
                for name in run(self.redis, "settle", self.prefix, self._settle_args(part, now_ms))
            )
        return Settled(lost=frozenset(lost))

    def begin_settle(self, settlements: Sequence[Settlement]) -> Callable[[], Settled]:
        """`settle` of at most 1,000, without waiting; what it gives back waits. Raises OutboxUnavailable there. It may be
        kept until something else is sent, somebody waits, or `push`."""
        answer = self._send("settle", self._settle_args(settlements, 0), keep=True)
        return lambda: Settled(lost=frozenset(name.decode() for name in answer()))

    def _settle_args(self, settlements: Sequence[Settlement], now_ms: int) -> list[Any]:
        seal = self.vault.seal
        args: list[Any] = [now_ms, self.documents_s, self.dead_s, len(settlements), self.mark_years]
        for what in settlements:
            item = what.item
            head = (item.lane_source, item.external_id, item.token)
            document = seal(what.document) if what.document else b""
            if isinstance(what, Done):
                if what.mark or what.look_ms:
                    flags = f"{'m' if what.mark else ''}{what.look_ms or ''}"
                    args += (
                        "D",
                        *head,
                        len(item.pending),
                        document,
                        what.planhat_id,
                        flags,
                        len(what.events),
                    )
                else:
                    args += ("d", *head, len(item.pending), document, what.planhat_id, len(what.events))
                if len(item.pending) == 1 == len(what.events):
                    args += (what.events[0][0], item.pending[0].source, what.events[0][1])
                    continue
                sources = {p.event_id: p.source for p in item.pending}
                for event_id, state in what.events:
                    args += (event_id, sources[event_id], state)
            elif isinstance(what, Later):
                args += ("l", *head, what.due_ms, int(what.refused), document)
            else:
                args += ("x", *head, len(item.pending), what.dead_id, seal(what.record), document)
        return args

    # -- what stands there -----------------------------------------------------------------------------------

    def sources(self) -> list[str]:
        with reaching_redis():
            names: set[bytes] = self.redis.smembers(self.prefix + keys.SOURCES)  # type: ignore[assignment]
        return sorted(name.decode() for name in names)

    def ledger(self) -> dict[str, dict[str, int]]:
        """source -> accepted, duplicate and every state, all present."""
        names = self.sources()
        with reaching_redis():
            pipe = self.redis.pipeline(transaction=True)
            for name in names:
                pipe.hgetall(self.prefix + keys.ledger(name))
            rows = pipe.execute()
        return {
            name: {
                word: int(row.get(word.encode(), b"0"))
                for word in ("accepted", "duplicate", *STATES, "ignored", "rejected")
            }
            for name, row in zip(names, rows, strict=True)
        }

    def remarks(self, *, since_ms: int = 0) -> dict[str, dict[str, int]]:
        """source -> what was counted beside the books, by word: `skipped:private` (what its adapter skipped, by reason),
        `empty:no_text` (events without words), `privacy_unsaid`. With `since_ms` only words that were counted again since:
        what was mended before is not told for ever."""
        names = self.sources()
        with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            for name in names:
                pipe.hgetall(self.prefix + keys.ledger(name))
            rows = pipe.execute()
        found: dict[str, dict[str, int]] = {}
        for name, row in zip(names, rows, strict=True):
            texts = {key.decode(): int(value) for key, value in sorted(row.items())}
            found[name] = {
                word: number
                for word, number in texts.items()
                if is_remark(word) and texts.get(LAST + word, since_ms) >= since_ms
            }
        return found

    def count(self, source: str, word: str, number: int = 1) -> None:
        """Counts outside of the books: `ignored`, `rejected`."""
        with reaching_redis():
            self.redis.sadd(self.prefix + keys.SOURCES, source)
            self.redis.hincrby(self.prefix + keys.ledger(source), word, number)

    def pending_items(self) -> int:
        """Conversations that wait, held and throttled ones included."""
        with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            for name in self.sources():
                pipe.zcard(self.prefix + keys.due(name))
            return sum(pipe.execute())

    def oldest_pending_ms(self, *, now_ms: int = 0) -> int | None:
        """When the oldest event that still waits came in, held and throttled ones included. None: nothing waits."""
        now_ms = now_ms or self.now_ms()
        with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            pipe.zrange(self.prefix + keys.WAITING, 0, 0, withscores=True)
            for name in self.sources():
                pipe.zrange(self.prefix + keys.due(name), 0, 0, withscores=True)
            waiting, *heads = pipe.execute()
        times = [score for _, score in waiting]
        times += [score for head in heads for _, score in head if score <= now_ms]
        return int(min(times)) if times else None

    def doubts_due(self, *, limit: int, now_ms: int = 0) -> tuple[list[str], int]:
        """(the externalIds that are to be looked at again, the earliest first and at most `limit`; how many there are)."""
        now_ms = now_ms or self.now_ms()
        with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            pipe.zrangebyscore(self.prefix + keys.DOUBT, "-inf", now_ms, start=0, num=limit)
            pipe.zcount(self.prefix + keys.DOUBT, "-inf", now_ms)
            names, number = pipe.execute()
        return [name.decode() for name in names], int(number)

    def settle_doubt(
        self,
        external_id: str,
        mode: Literal["done", "again", "later"],
        *,
        nudge: Pending | None = None,
        due_ms: int = 0,
        now_ms: int = 0,
    ) -> int:
        """What a look at a delivered conversation has shown; `again`: it waits once more with `nudge`, 0 where it waits
        anyway; `later`: it is looked at again at `due_ms`."""
        entry, source = b"", ""
        if nudge is not None:
            head = f"{nudge.event_id}\x1f{nudge.source}\x1f{nudge.accepted_ms}\x1f0\x1f".encode()
            entry, source = head + self.vault.seal(nudge.patch), nudge.source
        return int(run(self.redis, "doubt", self.prefix, [now_ms, mode, external_id, source, entry, due_ms]))

    def event(self, event_id: str) -> tuple[State, int, bytes] | None:
        """(state, when it took that state in ms, the archived record: b"" where its key is gone), or None where it is not
        kept (any more)."""
        with reaching_redis():
            stored: Any = self.redis.get(self.prefix + keys.event(event_id))
        return self._unpack_event(stored)

    def events(self, event_ids: Sequence[str]) -> list[tuple[State, int, bytes] | None]:
        if not event_ids:
            return []
        with reaching_redis():
            stored: Any = self.redis.mget([self.prefix + keys.event(event_id) for event_id in event_ids])
        return [self._unpack_event(value) for value in stored]

    def _unpack_event(self, stored: bytes | None) -> tuple[State, int, bytes] | None:
        if not stored:
            return None
        return _LETTERS[chr(stored[0])], int(stored[1:14]), self._opened(stored[14:])

    def event_ids(self, *, since_ms: int, until_ms: int, source: str = "") -> Iterator[str]:
        """The ids of events that came in from `since_ms` to `until_ms`, by minute, oldest first."""
        names = [source] if source else self.sources()
        for minute in range(since_ms // 60_000, until_ms // 60_000 + 1):
            with reaching_redis():
                pipe = self.redis.pipeline(transaction=False)
                for name in names:
                    pipe.lrange(self.prefix + keys.log_of(name, minute), 0, -1)
                rows = pipe.execute()
            for row in rows:
                for name in row:
                    yield name.decode()

    def document(self, external_id: str) -> bytes | None:
        with reaching_redis():
            stored: Any = self.redis.get(self.prefix + keys.document(external_id))
        return (self._opened(stored) or None) if stored else None

    def waiting_patches(self, external_id: str) -> list[Pending]:
        """What waits, oldest first; a patch whose key is gone is b""."""
        with reaching_redis():
            stored: Any = self.redis.lrange(self.prefix + keys.patches(external_id), 0, -1)
        return [self._pending(entry, lenient=True) for entry in stored]

    def due_ms(self, external_id: str) -> int | None:
        with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            for name in self.sources():
                pipe.zscore(self.prefix + keys.due(name), external_id)
            scores = [score for score in pipe.execute() if score is not None]
        return int(min(scores)) if scores else None

    def find_event(self, delivery_event_ids: Iterable[tuple[str, str]]) -> str | None:
        """The event id that the dedupe memory holds for the first known of (source, key)."""
        with reaching_redis():
            for source, key in delivery_event_ids:
                found: Any = self.redis.get(self.prefix + keys.seen(source, key))
                if found:
                    return str(found.decode())
        return None

    def external_id_of(self, planhat_id: str) -> str | None:
        with reaching_redis():
            found: Any = self.redis.get(self.prefix + keys.planhat_id(planhat_id))
        return found.decode() if found else None

    # -- the kill switch and what was refused ------------------------------------------------------------------

    def drops(self) -> list[dict[str, Any]]:
        """What is being dropped now: id, source ("" for all), where ("" for all), until_ms."""
        with reaching_redis():
            held: dict[bytes, bytes] = self.redis.hgetall(self.prefix + keys.DROPS)  # type: ignore[assignment]
        rows: list[dict[str, Any]] = [orjson.loads(value) for value in held.values()]
        now_ms = self.now_ms() if rows else 0
        return sorted((row for row in rows if row["until_ms"] > now_ms), key=lambda row: str(row["id"]))

    def add_drop(self, row: dict[str, Any]) -> None:
        with reaching_redis():
            self.redis.hset(self.prefix + keys.DROPS, row["id"], orjson.dumps(row))

    def end_drop(self, drop_id: str) -> bool:
        with reaching_redis():
            return bool(self.redis.hdel(self.prefix + keys.DROPS, drop_id))

    def rejected(self, limit: int) -> list[dict[str, Any]]:
        """The last refused requests, newest first: at_ms, source, reason, kind, bytes, from (a network prefix)."""
        with reaching_redis():
            rows: Any = self.redis.lrange(self.prefix + keys.REJECTED, 0, limit - 1)
        return [orjson.loads(row) for row in rows]

    # -- dead letters ----------------------------------------------------------------------------------------

    def dead_ids(self, *, offset: int = 0, limit: int = 100) -> list[str]:
        """Newest first."""
        with reaching_redis():
            names: Any = self.redis.zrevrange(self.prefix + keys.DEAD, offset, offset + limit - 1)
        return [name.decode() for name in names]

    def dead_count(self) -> int:
        with reaching_redis():
            return int(self.redis.zcard(self.prefix + keys.DEAD))

    def dead_of(self, external_id: str) -> list[str]:
        with reaching_redis():
            names: Any = self.redis.smembers(self.prefix + keys.dead_of(external_id))
        return sorted(name.decode() for name in names)

    def dead_letters(self, dead_ids: Sequence[str]) -> list[DeadLetter]:
        """The letters that still exist, in the order asked for."""
        with reaching_redis():
            pipe = self.redis.pipeline(transaction=False)
            for dead_id in dead_ids:
                pipe.hgetall(self.prefix + keys.dead_letter(dead_id))
                pipe.lrange(self.prefix + keys.dead_patches(dead_id), 0, -1)
            rows = pipe.execute()
        letters = []
        for n, dead_id in enumerate(dead_ids):
            held, patches = rows[2 * n], rows[2 * n + 1]
            if held:
                letters.append(
                    DeadLetter(
                        dead_id=dead_id,
                        source=held[b"source"].decode(),
                        external_id=held[b"external"].decode(),
                        at_ms=int(held[b"at"]),
                        record=self._opened(held[b"record"]),
                        patches=tuple(self._pending(entry, lenient=True) for entry in patches),
                        events=tuple(name for name in held[b"events"].decode().split(",") if name),
                    )
                )
        return letters

    def dead_letter(self, dead_id: str) -> DeadLetter | None:
        found = self.dead_letters([dead_id])
        return found[0] if found else None

    def amend_dead(self, dead_id: str, record: bytes) -> None:
        """Replaces a letter's record (an edit, a further failed try)."""
        run(self.redis, "amend_dead", self.prefix, [dead_id, self.vault.seal(record)])

    def redrive(
        self,
        dead_id: str,
        again: Sequence[tuple[str, str, str, str, bytes]] = (),
        *,
        now_ms: int = 0,
    ) -> int:
        """Events put back to work, -1 where the letter is gone already. `again`: (event_id, source, "pending" or
        "filtered", externalId, patch) from today's rules; what is not named goes back with its stored patch."""
        return self.redrive_many([(dead_id, again)], now_ms=now_ms)[0]

    def redrive_many(
        self,
        letters: Sequence[tuple[str, Sequence[tuple[str, str, str, str, bytes]]]],
        *,
        now_ms: int = 0,
    ) -> list[int]:
        """`redrive` of each, sent together. One that was cut off is said again, and answered as the first time."""
        rows = []
        for dead_id, again in letters:
            args: list[Any] = [len(again)]
            for event_id, source, verdict, external_id, patch in again:
                sealed = self.vault.seal(patch) if patch else b""
                args += (event_id, source, _VERDICTS[verdict], external_id, sealed)
            rows.append((dead_id, "again", args))
        return self._redrive(rows, now_ms)

    def discard(self, dead_id: str, *, now_ms: int = 0) -> int:
        return self.discard_many([dead_id], now_ms=now_ms)[0]

    def discard_many(self, dead_ids: Sequence[str], *, now_ms: int = 0) -> list[int]:
        """Events of each letter that are given up, -1 where it is gone already."""
        return self._redrive([(dead_id, "discard", [0]) for dead_id in dead_ids], now_ms)

    def _redrive(self, rows: Sequence[tuple[str, str, list[Any]]], now_ms: int) -> list[int]:
        order = token_hex(8)
        calls = [[now_ms, dead_id, mode, order, *args] for dead_id, mode, args in rows]
        return [int(moved) for moved in run_many(self.redis, "redrive", self.prefix, calls)]

    def unposted_dead(self, limit: int = 100) -> list[str]:
        """Dead letters that have no failed RQ job yet."""
        with reaching_redis():
            names: Any = self.redis.srandmember(self.prefix + keys.UNPOSTED, limit)
        return [name.decode() for name in names]

    def mark_posted(self, dead_ids: Sequence[str]) -> None:
        if dead_ids:
            with reaching_redis():
                self.redis.srem(self.prefix + keys.UNPOSTED, *dead_ids)

    def replay(self, again: Sequence[tuple[str, str, str, bytes]], *, now_ms: int = 0) -> int:
        """(event_id, source, externalId, patch): settled events wait again; how many did."""
        moved = 0
        for part in _parts(again):
            args: list[Any] = [now_ms, len(part)]
            for event_id, source, external_id, patch in part:
                args += (event_id, source, external_id, self.vault.seal(patch))
            moved += int(run(self.redis, "replay", self.prefix, args))
        return moved

    def _opened(self, stored: bytes) -> bytes:
        """For whoever shows things: b"" where the value is damaged or its key is gone."""
        try:
            return self.vault.open(stored)
        except ValueError:
            return b""

    def _claim_args(
        self,
        generation: int,
        limit: int,
        lease_ms: int,
        now_ms: int,
        wake_ms: int,
        max_bytes: int,
        keep: bool,
    ) -> list[Any]:
        most = min(limit, ITEMS_PER_SCRIPT)
        limits = (generation, now_ms, lease_ms, most, PATCHES_PER_CLAIM, wake_ms, max_bytes)
        return [*limits, int(keep), self.mark_years]

    def _pending(self, entry: bytes, *, lenient: bool = False) -> Pending:
        event_id, source, accepted_ms, counted, patch = entry.split(_SEP, 4)
        return Pending(
            event_id=event_id.decode(),
            source=intern(source.decode()),
            accepted_ms=int(accepted_ms),
            counted=counted == b"1",
            patch=self._opened(patch) if lenient else self.vault.open(patch),
        )


def _parts(things: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(things), ITEMS_PER_SCRIPT):
        yield things[start : start + ITEMS_PER_SCRIPT]


__all__ = ["Bury", "Done", "Later", "Outbox", "OutboxUnavailable"]
