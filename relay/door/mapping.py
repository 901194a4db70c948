"""What becomes of one request, with nothing of when and where: proven, cleaned, parsed and mapped, out of the values it is
given. The event loop does it for small bodies, a process beside it for large ones (`beside.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias

from relay.door.house import House, Source
from relay.door.redaction import Redactor
from relay.errors import MappingFailed, PayloadInvalid
from relay.event import Event, event_id
from relay.outbox.archive import kept_headers, pack
from relay.outbox.dead_record import encode_record
from relay.outbox.items import DROPPED_BY, Entry
from relay.rules.rule import Filtered
from relay.sources.base import Adapter, Inbound, Parked, Parsed, Reply, Skipped, content_key
from relay.sources.read.unknown import holds_words
from relay.value import value_class

#: What a request holds, redacted, and whether the request itself was already without what is to be redacted.
Read: TypeAlias = tuple[Sequence[Parsed], bool]

_NONE: Mapping[str, str] = {}


@value_class(frozen=True, slots=True)
class MappedRequest:
    """The entries of a request, and why what it skipped was skipped. `keeps`: whether the body may be kept; where it is not packed
    with the first entry, it is to be sealed behind it."""

    entries: list[Entry]
    skipped: tuple[str, ...]
    keeps: bool = True


class KeptBody:
    """A request's body: kept with the first of its events in each lane, to which the others there refer."""

    __slots__ = ("_body", "_with")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._with: dict[str, str] = {}

    def pack(self, facts: dict[str, Any], lane: str) -> bytes:
        """Return the record of an event in `lane`."""
        first = self._with.setdefault(lane, facts["id"])
        if first == facts["id"]:
            return pack(facts, self._body)
        facts["raw_of"] = first
        return pack(facts, b"")


def prove(source: Source, inbound: Inbound, *, now_s: float) -> Inbound | Reply:
    """Return the request with what it was proven by, or the answer to its handshake. Raises NotAuthentic,
    VerificationUnavailable."""
    adapter = source.adapter
    adapter.verify(inbound, now_s=now_s)
    reply = adapter.handshake(inbound, now_s=now_s)
    if reply is not None:
        return reply
    once = adapter.nonces(inbound)
    return inbound.proven_by(once) if once else inbound


def clean(source: Source, inbound: Inbound, redact: Redactor | None) -> Inbound:
    """Return a proven request without its credentials and what is to be redacted: all that is kept, and all that is parsed. Raises
    PayloadInvalid, OutboxUnavailable."""
    inbound = source.clean(inbound)
    return inbound if redact is None else redact.request(inbound)


@value_class(frozen=True, slots=True)
class Mapper:
    """Today's rules. `redact` looks at the events once more; `filters` names the drop (the kill switch) that an event
    falls under."""

    house: House
    redact: Redactor | None = None
    filters: Callable[[Event], str | None] | None = None

    def read(self, source: Source, inbound: Inbound, *, now_s: float) -> Read:
        """Return what the clean request holds. Raises PayloadInvalid."""
        found = parse_or_park(source.adapter, inbound, now_s)
        return (found, True) if self.redact is None else _redacted(self.redact, found)

    def map(
        self,
        source: Source,
        inbound: Inbound,
        read: Read | None = None,
        *,
        now_s: float,
        verify_us: int = 0,
        pack_body: bool = True,
        threads: Mapping[str, str] = _NONE,
    ) -> MappedRequest:
        """Return the clean request as entries for the outbox; `threads` are those of its mails that others say better than they do
        themselves, by event id. Raises PayloadInvalid."""
        name, lane = source.config.name, source.config.lane
        found, reached = read or self.read(source, inbound, now_s=now_s)
        base = self._base(source, inbound, now_s=now_s, verify_us=verify_us)
        kept = inbound.body
        if not reached:
            kept, base["withheld"] = b"", "redaction"
        body = KeptBody(kept if pack_body else b"")
        entries: list[Entry] = []
        skipped: list[str] = []
        for index, parsed in enumerate(found):
            if isinstance(parsed, Skipped):
                skipped.append(parsed.reason)
                continue
            if isinstance(parsed, Parked):
                entry = parked_entry(base, name, parsed, index, body, lane)
            else:
                event = parsed
                if threads and event.id in threads:
                    event = replace(event, thread=threads[event.id])
                entry = self._entry(base, event, index, body, lane)
                if parsed.delivery_id and event_id(name, parsed.delivery_id) != parsed.id:
                    entry = replace(entry, known_as=parsed.delivery_id)
                if event.threading is not None:
                    entry = replace(entry, thread=event.thread, threading=event.threading)
            if inbound.once:
                entry = self._remembering(entry, parsed, source, inbound, index, now_s)
            entries.append(entry)
        if inbound.once and not entries:
            # Nothing is relayed, but what proved this is used up.
            entries.append(Entry(inbound.once[0], name, "noted", _numbered(inbound.once, 0), b"", lane=lane))
        return MappedRequest(entries, tuple(skipped), reached)

    def _base(self, source: Source, inbound: Inbound, *, now_s: float, verify_us: int) -> dict[str, Any]:
        base = {
            "source": source.config.name,
            "received_ms": int(now_s * 1000),
            "verify_us": verify_us,
            "method": inbound.method,
            "target": inbound.path_query,
            "headers": kept_headers(inbound.headers),
            "config": self.house.config.version,
        }
        traceparent = inbound.headers.get("traceparent")
        if traceparent:
            base["traceparent"] = traceparent[:64]
        return base

    def _remembering(
        self, entry: Entry, parsed: Event | Parked, source: Source, inbound: Inbound, index: int, now_s: float
    ) -> Entry:
        """The entry with the keys of what proved it. Where neither the proof nor the event says when it was made, they are kept
        as long as the conversation itself: a repetition would count as new, and newer than what stands there."""
        keys = _numbered(inbound.once, index)
        undated = not isinstance(parsed, Event) or parsed.version >= int(now_s * 1_000_000)
        if undated and source.adapter.timeless(inbound):
            return replace(entry, kept_keys=keys)
        return replace(entry, seen_keys=(*entry.seen_keys, *keys))

    def _entry(self, base: dict[str, Any], event: Event, index: int, body: KeptBody, lane: str) -> Entry:
        """`lane`: the source's; a rule may name another."""
        facts = {
            **base,
            "id": event.id,
            "index": index,
            "kind": event.kind,
            "time": event.time,
            "delivery_id": event.delivery_id,
            "thread": event.thread,
            "message_id": event.message_id,
            "from": event.who,
            "subject": event.about,
        }
        remarks = event.remarks
        if empty := event.empty:
            facts["empty"] = empty
            remarks = (*remarks, f"empty:{empty}")
        seen = (event.id, *event.also_seen)
        dropped = self.filters(event) if self.filters is not None else None
        if dropped is not None:
            facts |= {"verdict": "filtered", "reason": f"drop {dropped}"}
            counted = (f"{DROPPED_BY}{dropped}",)
            record = body.pack(facts, lane)
            return Entry(event.id, event.source, "filtered", seen, record, remarks=counted, lane=lane)
        try:
            verdict = self.house.book.map(event)
        except MappingFailed as error:
            facts |= {"verdict": "dead", "reason": error.cause, "rule": error.rule}
            dead = encode_record(
                stage="map",
                cause=error.cause,
                source=event.source,
                external_id=error.external_id,
                rule=error.rule,
                field=error.field,
                line=error.line,
            )
            lane = self.house.book.lane_of(error.rule, event.source) or lane
            record = body.pack(facts, lane)
            return Entry(event.id, event.source, "dead", seen, record, dead=dead, remarks=remarks, lane=lane)
        lane = verdict.lane or lane
        if isinstance(verdict, Filtered):
            facts |= {"verdict": "filtered", "reason": verdict.reason, "rule": verdict.rule or ""}
            return Entry(event.id, event.source, "filtered", seen, body.pack(facts, lane), lane=lane)
        patch = verdict.patch
        facts |= {"verdict": "pending", "rule": verdict.rule, "external_id": patch.external_id}
        return Entry(
            event.id,
            event.source,
            "pending",
            seen,
            body.pack(facts, lane),
            external_id=patch.external_id,
            patch=patch.encode(),
            remarks=remarks,
            lane=lane,
        )


def parse_or_park(adapter: Adapter, inbound: Inbound, now_s: float) -> Sequence[Parsed]:
    """Return what the adapter finds. A payload of a shape that it does not know is kept for a person to mend where it holds words:
    most senders repeat what was answered with a 4xx for ever, or never again. Raises PayloadInvalid for any other."""
    try:
        return adapter.parse(inbound, now_s=now_s)
    except PayloadInvalid as error:
        if not _holds_words(adapter, inbound):
            raise
        return [Parked(f"not what {adapter.options.adapter} sends: {error}", content_key(inbound.body))]


def _holds_words(adapter: Adapter, inbound: Inbound) -> bool:
    with suppress(PayloadInvalid):
        inbound = adapter.opened(inbound)
    return holds_words(inbound)


def _numbered(once: Sequence[str], index: int) -> tuple[str, ...]:
    """The keys of one of the request's events."""
    return tuple(f"{key}#{index}" for key in once)


def _redacted(redact: Redactor, found: Sequence[Parsed]) -> tuple[list[Parsed], bool]:
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


def parked_entry(
    base: dict[str, Any], source: str, parked: Parked, index: int, body: KeptBody, lane: str
) -> Entry:
    """Return a dead letter of what the adapter could not read."""
    identity = event_id(source, parked.delivery_key)
    facts = {**base, "id": identity, "index": index, "verdict": "dead", "reason": parked.cause, "kind": ""}
    dead = encode_record(stage="map", cause=parked.cause, source=source)
    return Entry(identity, source, "dead", (identity,), body.pack(facts, lane), dead=dead, lane=lane)
