"""Traces of what was settled: an event's `traceparent` is read and its spans are made by a thread of its own, beside the drain."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from queue import Empty, Full, Queue
from typing import Final

from relay.errors import NewerRecord, OutboxUnavailable
from relay.outbox.archive import unpack
from relay.outbox.items import Pending
from relay.outbox.outbox import Outbox
from relay.planhat.outcomes import Delivered, Outcome, Refused, Unchanged
from relay.telemetry import log
from relay.tracing import SettledEvent, Tracing

#: Settled events that wait to be traced; more are left out.
_MOST: Final = 20_000
_AT_ONCE: Final = 200
_LOOK_EVERY_S: Final = 0.5
_SAMPLED: Final = 1


class Traces:
    """`outbox` has a connection of its own."""

    def __init__(self, tracing: Tracing, outbox: Outbox) -> None:
        self._tracing = tracing
        self._outbox = outbox
        self._waiting: Queue[SettledEvent] = Queue(_MOST)
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def settled(
        self, pending: Sequence[Pending], outcome: Outcome, batch: str, status: int | None, took_ms: int, now_ms: int
    ) -> None:  # fmt: skip
        """Notes what became of these events; never waits."""
        word = _word(outcome)
        for one in pending:
            try:
                self._waiting.put_nowait(
                    SettledEvent(one.event_id, one.source, "", one.accepted_ms, now_ms - took_ms, now_ms, word, batch, status)
                )  # fmt: skip
            except Full:
                return

    def drain(self) -> None:
        """Traces what waits now. Raises OutboxUnavailable."""
        while part := self._next():
            rows = self._outbox.events.get_many([event.event_id for event in part])
            for event, row in zip(part, rows, strict=True):
                parent = _traceparent(row[2]) if row else ""
                if parent:
                    self._tracing.settled(replace(event, traceparent=parent))

    def _next(self) -> list[SettledEvent]:
        part: list[SettledEvent] = []
        while len(part) < _AT_ONCE:
            try:
                part.append(self._waiting.get_nowait())
            except Empty:
                break
        return part

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(_LOOK_EVERY_S):
            try:
                self.drain()
            except OutboxUnavailable:
                continue
            except Exception:
                # A trace is worth no thread that has ended unseen.
                log("traces.failed", level=logging.ERROR)


def _traceparent(record: bytes) -> str:
    """The stored one where its trace is sampled, "" otherwise."""
    try:
        found = str(unpack(record).facts.get("traceparent") or "")
        return found if int(found.rpartition("-")[2] or "0", 16) & _SAMPLED else ""
    except (ValueError, NewerRecord):
        return ""


def _word(outcome: Outcome) -> str:
    match outcome:
        case Delivered():
            return "delivered"
        case Unchanged():
            return "unchanged"
        case Refused():
            return "refused"
    return "postponed"
