"""One request through the house: verify, parse, map, record. No HTTP in it: the web side turns its results and errors
into each sender's codes.

Everything here is decided by one immutable `House` (config, rules, adapters), swapped whole when the file changes, so
that a request is never half old and half new.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, Protocol

from relay.door.beside import MappedBeside
from relay.door.house import House, Source
from relay.door.large import LargeBody
from relay.door.mapping import Mapper, clean, prove
from relay.door.placing import (
    FindThreads,
    MapAgain,
    answers,
    asking,
    asking_again,
    moved,
    record_placed,
)
from relay.door.redaction import Redactor
from relay.errors import OutboxUnavailable, UnknownSource, WrongMethod
from relay.event import Event
from relay.outbox.items import Entry, Recorded
from relay.sources.base import Inbound, Reply
from relay.value import value_class


class SpoolsRequests(Protocol):
    """Where requests wait while the outbox is away: the spool."""

    async def spool_request(self, source: str, inbound: Inbound, received_s: float) -> None: ...


class ReadsLarge(Protocol):
    async def read(
        self, source: str, head: Inbound, body: LargeBody, *, now_s: float, lane: str, most_bytes: int
    ) -> MappedBeside | Reply: ...

    async def read_again(
        self,
        source: str,
        proven: Inbound,
        body: LargeBody,
        *,
        now_s: float,
        most_bytes: int,
        threads: Mapping[str, str],
    ) -> Sequence[Entry]: ...


class RecordsEvents(Protocol):
    async def record(self, entries: Sequence[tuple[Entry, float]]) -> list[Recorded]: ...


@value_class(frozen=True, slots=True)
class Accepted:
    """`status` is the word of the answer; `event_ids` are those of its events, in the request's order. `remarks` are
    what an operator should know of the new ones among them."""

    status: Literal["accepted", "duplicate", "ignored"]
    event_ids: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class Intake:
    """`redact` changes a verified request before anything of it is parsed or stored, and its events; `filters` names why an event is to be
    dropped (the kill switch); `spool` keeps requests while the outbox is away; `beside` reads what would hold the event loop for too
    long; `find_threads` asks which conversations mails belong to. None: none."""

    house: House
    records: RecordsEvents
    clock: Callable[[], float] = time.time
    redact: Redactor | None = None
    filters: Callable[[Event], str | None] | None = None
    spool: SpoolsRequests | None = None
    beside: ReadsLarge | None = None
    find_threads: FindThreads | None = None
    #: Threads for proofs that may ask the network: nobody else waits for one of them.
    fetching: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "proof"))

    def source(self, name: str) -> Source:
        source = self.house.sources.get(name)
        if source is None:
            raise UnknownSource("no such source")
        return source

    def look_at_head(self, source: Source, head: Inbound) -> None:
        """Raise NotAuthentic where the head alone proves the request false."""
        if head.method == "POST":
            source.adapter.verify_head(head, now_s=self.clock())

    async def receive(self, source: Source, inbound: Inbound) -> Accepted | Reply:
        """Take a request in. Raises SourceError, TryLater. When it returns `Accepted`, every event of the request is durable."""
        now_s = self.clock()
        adapter = source.adapter
        began = time.perf_counter()
        reply = self._before_verify(source, inbound, now_s)
        if reply is not None:
            return reply
        proven: Inbound | Reply
        if adapter.proof_may_fetch:
            loop = asyncio.get_running_loop()
            proven = await loop.run_in_executor(self.fetching, partial(prove, source, inbound, now_s=now_s))
        else:
            proven = prove(source, inbound, now_s=now_s)
        if isinstance(proven, Reply):
            return proven
        verify_us = int((time.perf_counter() - began) * 1e6)
        inbound = clean(source, proven, self.redact)
        mapper = Mapper(self.house, self.redact, self.filters)
        read = mapper.read(source, inbound, now_s=now_s)
        asked = asking(read[0])
        if asked is None:
            mapped = mapper.map(source, inbound, read, now_s=now_s, verify_us=verify_us)
            return await self._record(source, mapped.entries, mapped.skipped, lambda: inbound, now_s)
        place = partial(mapper.map, source, inbound, read, now_s=now_s, verify_us=verify_us)

        async def again(threads: Mapping[str, str]) -> Sequence[Entry]:
            return place(threads=threads).entries

        mapped = place(threads=await answers(asked, self.find_threads, source.config.lane))
        return await self._record(source, mapped.entries, mapped.skipped, lambda: inbound, now_s, again)

    async def receive_large(self, source: Source, head: Inbound, body: LargeBody) -> Accepted | Reply:
        """Do as `receive` does for a body that is read beside the event loop."""
        now_s = self.clock()
        if self.beside is None:
            return await self.receive(source, head.with_body(body.read()))
        reply = self._before_verify(source, head, now_s)
        if reply is not None:
            return reply
        name, lane, read_again = source.config.name, source.config.lane, self.beside.read_again
        most = source.max_body_bytes
        outcome = await self.beside.read(name, head, body, now_s=now_s, lane=lane, most_bytes=most)
        if isinstance(outcome, Reply):
            return outcome
        proven, entries = outcome.inbound, outcome.entries

        async def again(threads: Mapping[str, str]) -> Sequence[Entry]:
            return await read_again(name, proven, body, now_s=now_s, most_bytes=most, threads=threads)

        threads = moved(entries, await answers(asking_again(entries), self.find_threads, source.config.lane))
        if threads:
            entries = list(await again(threads))
        return await self._record(
            source, entries, outcome.skipped, lambda: proven.with_body(body.read()), now_s, again
        )

    def _before_verify(self, source: Source, head: Inbound, now_s: float) -> Reply | None:
        """The answer to a handshake that nobody signs. Raises WrongMethod."""
        adapter = source.adapter
        if not adapter.handshake_before_verify and head.method == "POST":
            return None
        reply = adapter.handshake(head, now_s=now_s)
        if reply is None and head.method != "POST":
            raise WrongMethod("POST only")
        return reply

    async def _record(
        self,
        source: Source,
        entries: Sequence[Entry],
        skipped: tuple[str, ...],
        inbound: Callable[[], Inbound],
        now_s: float,
        again: MapAgain | None = None,
    ) -> Accepted:
        if not entries:
            return Accepted("ignored", skipped=skipped)
        noted = entries[0].verdict == "noted"
        try:
            if again is None:
                recorded = await self.records.record([(entry, source.rate_per_s) for entry in entries])
            else:
                entries, recorded = await record_placed(
                    self.records.record, entries, source.rate_per_s, again
                )
        except OutboxUnavailable:
            if self.spool is None:
                raise
            await self.spool.spool_request(source.config.name, inbound(), now_s)
            ids = tuple(entry.event_id for entry in entries)
            return Accepted("ignored" if noted else "accepted", () if noted else ids, skipped)
        if noted:
            return Accepted("ignored", skipped=skipped)
        accepted = _summarise(entries, recorded, skipped)
        if any(entry.remarks for entry in entries):
            new = (entry for entry, one in zip(entries, recorded, strict=True) if not one.duplicate_of)
            accepted = replace(accepted, remarks=tuple(word for entry in new for word in entry.remarks))
        return accepted

    async def map_placed(self, source: Source, inbound: Inbound, *, now_s: float) -> list[Entry]:
        """Map as `map` does, with the threads that are known."""
        mapper = Mapper(self.house, self.redact, self.filters)
        read = mapper.read(source, inbound, now_s=now_s)
        threads = await answers(asking(read[0]) or {}, self.find_threads, source.config.lane)
        return mapper.map(source, inbound, read, now_s=now_s, threads=threads).entries

    def map(
        self,
        source: Source,
        inbound: Inbound,
        *,
        now_s: float,
        verify_us: int = 0,
        threads: Mapping[str, str] | None = None,
    ) -> tuple[list[Entry], tuple[str, ...]]:
        """Return the clean request as entries for the outbox, and why what it skipped was skipped."""
        mapper = Mapper(self.house, self.redact, self.filters)
        mapped = mapper.map(source, inbound, now_s=now_s, verify_us=verify_us, threads=threads or {})
        return mapped.entries, mapped.skipped


def _summarise(entries: Sequence[Entry], recorded: Sequence[Recorded], skipped: tuple[str, ...]) -> Accepted:
    if len(recorded) == 1 and entries[0].verdict != "filtered":
        # Nearly every request is one event.
        one = recorded[0]
        if one.duplicate_of:
            return Accepted("duplicate", (one.duplicate_of,), skipped)
        return Accepted("accepted", (one.event_id,), skipped)
    ids = tuple(r.duplicate_of or r.event_id for r in recorded)
    if any(not r.duplicate_of and e.verdict != "filtered" for e, r in zip(entries, recorded, strict=True)):
        return Accepted("accepted", ids, skipped)
    if any(r.duplicate_of for r in recorded):
        return Accepted("duplicate", ids, skipped)
    return Accepted("ignored", (), (*skipped, *("filtered",) * len(entries)))
