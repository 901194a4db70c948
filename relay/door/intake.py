"""One request through the house: verify, parse, map, record. No HTTP in it: the web side turns its results and errors
into each sender's codes.

Everything here is decided by one immutable `House` (config, rules, adapters), swapped whole when the file changes, so
that a request is never half old and half new.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from relay.door.house import House, Source
from relay.door.redaction import Redactor
from relay.errors import MappingFailed, OutboxUnavailable, PayloadInvalid, UnknownSource, WrongMethod
from relay.event import Event, event_id
from relay.outbox.archive import pack
from relay.outbox.dead_record import encode_record
from relay.outbox.items import Entry, Recorded
from relay.rules.rule import Filtered
from relay.sources.base import Adapter, Inbound, Parked, Parsed, Reply, Skipped, content_key
from relay.sources.read.unknown import holds_words
from relay.value import value_class

#: A 24 MB mail takes most of a second to read: larger bodies are parsed beside the event loop.
LARGE_BODY_BYTES = 256 * 1024


class Keeps(Protocol):
    """Where requests wait while the outbox is away: the spool."""

    async def keep(self, source: str, inbound: Inbound, received_s: float) -> None: ...


class Records(Protocol):
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
    dropped (the kill switch); `spool` keeps requests while the outbox is away. None: none."""

    house: House
    records: Records
    clock: Callable[[], float] = time.time
    redact: Redactor | None = None
    filters: Callable[[Event], str | None] | None = None
    spool: Keeps | None = None

    def source(self, name: str) -> Source:
        source = self.house.sources.get(name)
        if source is None:
            raise UnknownSource("no such source")
        return source

    def look_at_head(self, source: Source, head: Inbound) -> None:
        """Raises NotAuthentic where the head alone proves the request false."""
        if head.method == "POST":
            source.adapter.verify_head(head, now_s=self.clock())

    async def receive(self, source: Source, inbound: Inbound) -> Accepted | Reply:
        """Raises SourceError, TryLater. When it returns `Accepted`, every event of the request is durable."""
        now_s = self.clock()
        adapter = source.adapter
        began = time.perf_counter()
        if adapter.handshake_before_verify or inbound.method != "POST":
            reply = adapter.handshake(inbound, now_s=now_s)
            if reply is not None:
                return reply
            if inbound.method != "POST":
                raise WrongMethod("POST only")
        if adapter.proof_may_fetch:
            await asyncio.to_thread(adapter.verify, inbound, now_s=now_s)
            reply = await asyncio.to_thread(adapter.handshake, inbound, now_s=now_s)
        else:
            adapter.verify(inbound, now_s=now_s)
            reply = adapter.handshake(inbound, now_s=now_s)
        verify_us = int((time.perf_counter() - began) * 1e6)
        if reply is not None:
            return reply
        inbound = source.clean(inbound)
        if self.redact is not None:
            inbound = self.redact.request(inbound)
        if len(inbound.body) > LARGE_BODY_BYTES:
            entries, skipped = await asyncio.to_thread(
                self.map, source, inbound, now_s=now_s, verify_us=verify_us
            )
        else:
            entries, skipped = self.map(source, inbound, now_s=now_s, verify_us=verify_us)
        if not entries:
            return Accepted("ignored", skipped=skipped)
        try:
            recorded = await self.records.record([(entry, source.rate_per_s) for entry in entries])
        except OutboxUnavailable:
            if self.spool is None:
                raise
            await self.spool.keep(source.config.name, inbound, now_s)
            return Accepted("accepted", tuple(entry.event_id for entry in entries), skipped)
        accepted = summarise(entries, recorded, skipped)
        if any(entry.remarks for entry in entries):
            new = (entry for entry, one in zip(entries, recorded, strict=True) if not one.duplicate_of)
            accepted = replace(accepted, remarks=tuple(word for entry in new for word in entry.remarks))
        return accepted

    def map(
        self, source: Source, inbound: Inbound, *, now_s: float, verify_us: int = 0
    ) -> tuple[list[Entry], tuple[str, ...]]:
        """The verified request as entries for the outbox, and why what it skipped was skipped."""
        name = source.config.name
        house = self.house
        entries: list[Entry] = []
        skipped: list[str] = []
        base = {
            "source": name,
            "received_ms": int(now_s * 1000),
            "verify_us": verify_us,
            "method": inbound.method,
            "target": inbound.path_query,
            "headers": dict(inbound.headers),
            "config": house.config.version,
        }
        traceparent = inbound.headers.get("traceparent")
        if traceparent:
            base["traceparent"] = traceparent[:64]
        found = _parsed(source.adapter, inbound, now_s)
        body = inbound.body
        if self.redact is not None:
            found, reached = self._redacted(self.redact, found)
            if not reached:
                body, base["withheld"] = b"", "redaction"
        raw_of = ""
        for index, parsed in enumerate(found):
            if isinstance(parsed, Skipped):
                skipped.append(parsed.reason)
                continue
            if isinstance(parsed, Parked):
                entry = _parked(base, name, parsed, body if not raw_of else b"", raw_of, index)
            else:
                entry = self._entry(base, parsed, body if not raw_of else b"", raw_of, index)
                if parsed.delivery_id and event_id(name, parsed.delivery_id) != parsed.id:
                    entry = replace(entry, known_as=parsed.delivery_id)
            entries.append(entry)
            raw_of = raw_of or entry.event_id
        return entries, tuple(skipped)

    def _redacted(self, redact: Redactor, found: Sequence[Parsed]) -> tuple[list[Parsed], bool]:
        """The events without what is to be redacted, and whether the request itself was already without it."""
        cleaned: list[Parsed] = []
        reached = True
        for parsed in found:
            if isinstance(parsed, Event):
                event, left = redact.event(parsed)
                reached = reached and not left
                cleaned.append(event)
            else:
                cleaned.append(parsed)
        return cleaned, reached

    def _entry(self, base: dict[str, Any], event: Event, body: bytes, raw_of: str, index: int) -> Entry:
        facts = {
            **base,
            "id": event.id,
            "index": index,
            "kind": event.kind,
            "time": event.time,
            "delivery_id": event.delivery_id,
            "thread": event.thread,
            "message_id": event.message_id,
        }
        if raw_of:
            facts["raw_of"] = raw_of
        remarks = event.remarks
        if empty := event.empty:
            facts["empty"] = empty
            remarks = (*remarks, f"empty:{empty}")
        seen = (event.id, *event.also_seen)
        dropped = self.filters(event) if self.filters is not None else None
        if dropped is not None:
            facts |= {"verdict": "filtered", "reason": dropped}
            return Entry(event.id, event.source, "filtered", seen, pack(facts, body))
        try:
            verdict = self.house.book.map(event)
        except MappingFailed as error:
            facts |= {"verdict": "dead", "reason": error.cause, "rule": error.rule}
            dead = encode_record(
                stage="map",
                cause=error.cause,
                source=event.source,
                rule=error.rule,
                field=error.field,
                line=error.line,
            )
            return Entry(event.id, event.source, "dead", seen, pack(facts, body), dead=dead, remarks=remarks)
        if isinstance(verdict, Filtered):
            facts |= {"verdict": "filtered", "reason": verdict.reason, "rule": verdict.rule or ""}
            return Entry(event.id, event.source, "filtered", seen, pack(facts, body))
        patch = verdict.patch
        facts |= {"verdict": "pending", "rule": verdict.rule, "external_id": patch.external_id}
        return Entry(
            event.id,
            event.source,
            "pending",
            seen,
            pack(facts, body),
            external_id=patch.external_id,
            patch=patch.encode(),
            remarks=remarks,
        )


def _parsed(adapter: Adapter, inbound: Inbound, now_s: float) -> Sequence[Parsed]:
    """What the adapter finds. A payload of a shape that it does not know is kept for a person to mend where it holds
    words: most senders repeat what was answered with a 4xx for ever, or never again. Raises PayloadInvalid for any other."""
    try:
        return adapter.parse(inbound, now_s=now_s)
    except PayloadInvalid as error:
        if not holds_words(inbound):
            raise
        return [Parked(f"not what {adapter.name} sends: {error}", content_key(inbound.body))]


def _parked(base: dict[str, Any], source: str, parked: Parked, body: bytes, raw_of: str, index: int) -> Entry:
    identity = event_id(source, parked.delivery_key)
    facts = {**base, "id": identity, "index": index, "verdict": "dead", "reason": parked.cause, "kind": ""}
    if raw_of:
        facts["raw_of"] = raw_of
    dead = encode_record(stage="map", cause=parked.cause, source=source)
    return Entry(identity, source, "dead", (identity,), pack(facts, body), dead=dead)


def summarise(entries: Sequence[Entry], recorded: Sequence[Recorded], skipped: tuple[str, ...]) -> Accepted:
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
