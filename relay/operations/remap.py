"""An archived raw event through today's adapter and today's rules, as if it came in now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from relay.errors import MappingFailed, NewerRecord, SourceError
from relay.event import Event
from relay.operations.context import OperatorContext
from relay.outbox.archive import Archived, unpack, unpack_newer
from relay.outbox.items import State
from relay.patch import Patch
from relay.rules.rule import Filtered, Mapped
from relay.sources.base import Adapter, Inbound, Parked
from relay.sources.large_json import TooDense
from relay.sources.registry import build_adapter

#: Changes a raw body before it is parsed: a person's edit.
Mend = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as the outbox has it. `body` is the raw request's, wherever it is kept; None: expired."""

    event_id: str
    state: State
    settled_ms: int
    facts: Mapping[str, Any]
    body: bytes | None

    @property
    def source(self) -> str:
        return str(self.facts.get("source", ""))


@dataclass(frozen=True, slots=True)
class Remapped:
    """What today's rules make of it: a patch, or (patch None) why it is filtered."""

    event: Event
    rule: str
    patch: Patch | None
    reason: str = ""


def read_stored(
    context: OperatorContext, event_ids: Sequence[str], *, newer: bool = False
) -> list[Stored | None]:
    """Read them in the order asked for; None where an event is no longer kept, or cannot be read. `newer`: also what only a newer release
    reads, to be looked through."""
    outbox = context.outbox
    found: list[tuple[State, int, Archived] | None] = []
    for packed in outbox.events.get_many(event_ids):
        try:
            found.append((packed[0], packed[1], unpack(packed[2])) if packed else None)
        except NewerRecord:
            late = packed if newer else None
            found.append((late[0], late[1], unpack_newer(late[2])) if late else None)
        except ValueError:
            found.append(None)
    owners = sorted(
        {str(answer[2].facts["raw_of"]) for answer in found if answer and answer[2].facts.get("raw_of")}
    )
    bodies: dict[str, bytes] = {}
    for owner, held_owner in zip(owners, outbox.events.get_many(owners), strict=True):
        if held_owner:
            with suppress(ValueError):
                bodies[owner] = unpack(held_owner[2]).body
    stored: list[Stored | None] = []
    for event_id, answer in zip(event_ids, found, strict=True):
        if answer is None:
            stored.append(None)
            continue
        state, settled_ms, archived = answer
        owner = str(archived.facts.get("raw_of") or "")
        body = bodies.get(owner) if owner else archived.body
        if archived.facts.get("withheld"):
            body = None
        stored.append(Stored(event_id, state, settled_ms, archived.facts, body))
    return stored


def _inbound_of(stored: Stored, mend: Mend | None = None) -> Inbound:
    """The request as it came, credentials aside. Only for what has a body."""
    target = str(stored.facts.get("target", ""))
    headers = stored.facts.get("headers")
    body = stored.body or b""
    return Inbound(
        body=mend(body) if mend else body,
        headers=headers if isinstance(headers, dict) else {},
        method=str(stored.facts.get("method") or "POST"),
        path_query=target,
        query=dict(parse_qsl(target.partition("?")[2], keep_blank_values=True, max_num_fields=200)),
    )


class EventReader:
    """Reads stored events with today's adapters; holds those of one run. The config is asked for only when an event is read: where it
    does not hold, that raises ConfigInvalid."""

    def __init__(self, context: OperatorContext) -> None:
        self._context = context
        self._adapters: dict[str, Adapter] = {}

    def event(self, stored: Stored, mend: Mend | None = None) -> Event:
        """Return the event again. Raises MappingFailed where the raw request has expired, its source is gone from the config,
        or nothing in it is this event any more."""
        return self._placed(self.event_as_sent(stored, mend), stored)

    def event_as_sent(self, stored: Stored, mend: Mend | None = None) -> Event:
        """Give the event as `event` does, but for a mail's conversation: for who asks what is in it. Raises MappingFailed."""
        if stored.facts.get("withheld"):
            raise MappingFailed(
                "the raw request was not kept: redaction found something in its encoded parts"
            )
        if stored.body is None:
            raise MappingFailed("the raw event has expired")
        adapter = self._adapter(stored.source)
        received_s = float(stored.facts.get("received_ms") or 0) / 1000
        try:
            parsed = adapter.parse(_inbound_of(stored, mend), now_s=received_s)
        except (SourceError, TooDense) as error:
            raise MappingFailed(f"not what {stored.source} sends: {error}") from error
        for one in parsed:
            if isinstance(one, Event) and one.id == stored.event_id:
                return one
        # Its id may come from its content, which redaction or an edit changed: then its place in the request tells.
        index = stored.facts.get("index")
        if isinstance(index, int) and 0 <= index < len(parsed):
            found = parsed[index]
            if isinstance(found, Event):
                return replace(found, id=stored.event_id)
            if isinstance(found, Parked):
                raise MappingFailed(found.cause)
            raise MappingFailed(f"the adapter skips it now: {found.reason}")
        raise MappingFailed("the adapter finds no such event in the raw request any more")

    def _placed(self, event: Event, stored: Stored) -> Event:
        """A mail in the conversation to which it belongs by now, or to which it belonged when it came."""
        if event.threading is None:
            return event
        known = self._context.outbox.threads.where([event.threading])[0]
        thread = known or str(stored.facts.get("thread") or "")
        return replace(event, thread=thread) if thread else event

    def _adapter(self, source: str) -> Adapter:
        adapter = self._adapters.get(source)
        if adapter is None:
            configured = self._context.config.sources.get(source)
            if configured is None:
                raise MappingFailed(f"the source {source!r} is no longer in the config")
            try:
                adapter = build_adapter(configured.options)
            except ValueError as error:
                raise MappingFailed(f"the source {source!r}: {error}") from error
            self._adapters[source] = adapter
        return adapter


class Remapper(EventReader):
    """Reads and maps them. `revision` is the moment of the run in ms: of one event, its newest mapping wins. Raises ConfigInvalid."""

    def __init__(self, context: OperatorContext, revision: int) -> None:
        super().__init__(context)
        self._book = context.rulebook
        self._revision = revision

    def map(self, stored: Stored, mend: Mend | None = None) -> Remapped:
        """Map an event by today's rules. Raises MappingFailed."""
        event = self.event(stored, mend)
        verdict = self._book.map(event, revision=self._revision)
        if isinstance(verdict, Filtered):
            return Remapped(event, verdict.rule or "", None, verdict.reason)
        self.require_own(verdict, stored.source)
        return Remapped(event, verdict.rule, verdict.patch)

    def require_own(self, verdict: Mapped, source: str) -> None:
        """Raise MappingFailed where today's rules send it to another tenant: what was accepted for one is not sent to another."""
        config, here = self._context.config, self._context.outbox.lane_name
        held = config.sources.get(source)
        lane = verdict.lane or (held.lane if held else here)
        if config.lanes and lane != here:
            raise MappingFailed(
                f"rule {verdict.rule!r} sends it to lane {lane!r} now, and it was accepted for lane {here!r}"
            )
