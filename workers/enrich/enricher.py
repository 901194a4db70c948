"""Enriches what a claim took, before it is folded: the raw event again, the look-up, today's rules, a new patch in
the old one's place.

The wait for a provider is short and bounded: after `PATIENCE_S` an event goes out with what it has. What cannot be
mapped again (its raw request has expired, a rule fails on it) keeps the patch that the door made.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from relay.config import Config
from relay.errors import MappingFailed, TryLater
from relay.event import Attachment, Event, Recipient
from relay.operations.context import OperatorContext
from relay.operations.remap import Remapper, Stored, read_stored
from relay.outbox.items import Item, Pending
from relay.patch import Patch
from relay.rules.rule import Mapped
from relay.telemetry import log
from workers.enrich.lookups import EnrichOptions, Lookups, enrich, read_enrich

#: How long an event may wait for a provider that does not answer.
PATIENCE_S: Final = 600.0
#: Looking up never starves delivery: what is left after so long waits for the next claim.
BUDGET_S: Final = 5.0
_NEXT_CLAIM_S: Final = 1.0

_Tools = Mapping[str, tuple[EnrichOptions, Lookups]]


def tools_of(config: Config) -> _Tools:
    """Return a look-up for each source with `enrich:`. One that does not hold is logged and left out: its events are
    relayed with what they have."""
    found: dict[str, tuple[EnrichOptions, Lookups]] = {}
    for name, source in config.sources.items():
        try:
            options = read_enrich(source.adapter, source.enrich)
        except ValueError as error:
            log("enrich.invalid", level=logging.ERROR, source=name, error=str(error))
            continue
        if options is not None:
            found[name] = (options, Lookups(options))
    return found


class Enricher:
    def __init__(
        self, context: OperatorContext, tools: _Tools, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._context = context
        self._tools = tools
        self._clock = clock

    def improve(self, items: Sequence[Item], now_ms: int) -> tuple[list[Item], list[tuple[Item, float]]]:
        """Return the items to go on with, enriched where they could be; and those to look at again, each with the seconds
        to wait. `now_ms` is Redis's clock."""
        if not self._tools:
            return list(items), []
        wanted = [
            pending.event_id for item in items for pending in item.pending if pending.source in self._tools
        ]
        if not wanted:
            return list(items), []
        stored = {one.event_id: one for one in read_stored(self._context, wanted) if one is not None}
        remapper = Remapper(self._context, 0)
        ready: list[Item] = []
        later: list[tuple[Item, float]] = []
        began = self._clock()
        for item in items:
            patient = now_ms - item.first_pending_ms < PATIENCE_S * 1000
            if not any(pending.source in self._tools for pending in item.pending):
                ready.append(item)
            elif patient and self._clock() - began > BUDGET_S:
                later.append((item, _NEXT_CLAIM_S))
            else:
                try:
                    ready.append(self._item(item, stored, remapper, patient=patient))
                except TryLater as error:
                    later.append((item, error.retry_after_s))
        return ready, later

    def _item(self, item: Item, stored: Mapping[str, Stored], remapper: Remapper, *, patient: bool) -> Item:
        made = []
        for pending in item.pending:
            tool, found = self._tools.get(pending.source), stored.get(pending.event_id)
            if tool is None or found is None:
                made.append(pending)
                continue
            try:
                made.append(self._pending(pending, found, tool, remapper))
            except TryLater:
                if patient:
                    raise
                made.append(pending)
        return replace(item, pending=tuple(made))

    def _pending(
        self, pending: Pending, stored: Stored, tool: tuple[EnrichOptions, Lookups], remapper: Remapper
    ) -> Pending:
        options, lookups = tool
        try:
            event = remapper.event(stored)
            before = event.view()
            after = enrich(before, options, lookups.fetch, payload=event.payload)
            if after == before:
                return pending
            was = Patch.decode(pending.patch)
            verdict = self._context.rulebook.map(_with(event, after), revision=was.revision)
            if isinstance(verdict, Mapped):
                remapper.require_own(verdict, pending.source)
        except (MappingFailed, ValueError, KeyError, TypeError) as error:
            log("enrich.kept", level=logging.WARNING, event=pending.event_id, error=type(error).__name__)
            return pending
        # The item is this conversation's: a richer event must not move to another one.
        if not isinstance(verdict, Mapped) or verdict.patch.external_id != was.external_id:
            return pending
        return replace(pending, patch=verdict.patch.encode())


def _with(event: Event, view: Mapping[str, Any]) -> Event:
    """The event with what `enrich` may have added."""
    sender = view["sender"]
    return replace(
        event,
        subject=view["subject"],
        text=view["text"],
        html=view["html"],
        quoted=view.get("quoted", event.quoted),
        sender=replace(event.sender, id=sender["id"], name=sender["name"], email=sender["email"]),
        recipients=tuple(Recipient(one["name"], one["email"], one["role"]) for one in view["recipients"]),
        attachments=tuple(
            Attachment(one["name"], one["type"], one["size"], one["url"]) for one in view["attachments"]
        ),
    )
