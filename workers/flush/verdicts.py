"""Verdicts on their way to Redis: settled a part at a time, in between other work, and heard of later."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

from relay.outbox.items import Settled, Settlement
from relay.outbox.outbox import Outbox
from relay.planhat.outcomes import Delivered, Outcome
from relay.telemetry import log
from workers.flush.fold import OutgoingItem
from workers.flush.lane import Lane
from workers.flush.prepare import parts
from workers.flush.settle import CallFacts, Settlements

#: So many parts may be on their way to Redis unanswered.
_UNANSWERED: Final = 4
_DONE: Final = object()

_T = TypeVar("_T")


class ReadsBack(Protocol):
    """Reads back what was delivered (see `readback.py`)."""

    def consider(self, outgoing: OutgoingItem, planhat_id: str) -> None: ...

    def look(self) -> None: ...


class Verdicts:
    """Settles the verdicts of one job's calls. `len()` is how many calls' verdicts are not settled yet."""

    def __init__(self, lane: Lane, outbox: Outbox, settling: Settlements, reader: ReadsBack | None) -> None:
        self._lane = lane
        self._outbox = outbox
        self._settling = settling
        self._reader = reader
        #: What is left to do for the calls before: a part of their verdicts a step.
        self._left: deque[Iterator[None]] = deque()
        self._unanswered: deque[Callable[[], Settled]] = deque()

    def __len__(self) -> int:
        return len(self._left)

    def add(self, known: deque[tuple[OutgoingItem, Outcome]], facts: CallFacts, now_ms: int) -> None:
        """Takes what a call has decided; it is settled by `step` and `finish`. `known` is emptied."""
        self._left.append(self._settle_known(known, facts, now_ms))

    def step(self) -> None:
        """Settles one part, if any is left."""
        while self._left and next(self._left[0], _DONE) is _DONE:
            self._left.popleft()

    def begin_finish(self) -> None:
        """Settles all, and does not wait for what Redis says."""
        while self._left:
            self.step()

    def finish(self) -> None:
        """Settles all, and waits until Redis has said so. Raises OutboxUnavailable."""
        self.begin_finish()
        while self._unanswered:
            self._hear()

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Tells Redis; that it heard is looked at later."""
        for part in parts(settlements, lambda what: len(what.document or b"")):
            self._lane.settled([what.item.external_id for what in part])
            self._unanswered.append(self._outbox.lane.begin_settle(part))
            if len(self._unanswered) > _UNANSWERED:
                self._hear()

    def _settle_known(
        self, known: deque[tuple[OutgoingItem, Outcome]], facts: CallFacts, now_ms: int
    ) -> Iterator[None]:
        """A part a step. Planhat waits for its next call meanwhile, so that little is done beforehand."""
        for part in parts(_taken_from(known), lambda one: len(one[0].fold)):
            settlements = []
            self._outbox.lane.read_available()
            for outgoing, outcome in part:
                settlements.append(self._settling.settlement(outgoing, outcome, facts, now_ms))
                if self._reader and isinstance(outcome, Delivered):
                    self._reader.consider(outgoing, outcome.planhat_id or outgoing.row.planhat_id)
            self._settling.count_waits()
            self.settle(settlements)
            yield

    def _hear(self) -> None:
        lost = self._unanswered.popleft()().lost
        if lost:
            log("lease.lost", level=logging.WARNING, items=len(lost))


def _taken_from(things: deque[_T]) -> Iterator[_T]:
    """Each leaves as it is given: what is settled lies in memory no longer."""
    while things:
        yield things.popleft()
