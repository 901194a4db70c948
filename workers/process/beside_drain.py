"""What is done for a lane beside the drain: letters that wait for a company, mails whose conversation was found, the index of
events, what stands in Planhat after Redis was set back."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

from relay.errors import MappingFailed, NewerRecord
from relay.operations.search.build import Indexer
from relay.operations.search.list_events import terms_of
from relay.outbox.items import DeadLetter
from relay.patch import Patch
from workers.companies.lookup_cache import NOT_FOUND_S
from workers.companies.verdicts import Ask, Found, Unsure
from workers.dead_jobs import ask_to_index
from workers.flush.fold import stored_asks
from workers.flush.recognise import recognise_delivered
from workers.process.low_priority import run_at_low_priority
from workers.process.stopping import STOPPING

if TYPE_CHECKING:
    from workers.process.lane import LaneContext

_PARKED_PER_JOB: Final = 100
#: A job reads in Planhat's list for so long at most, and only while this much of the minute's calls is left.
_RECOGNISE_S: Final = 60.0
_SPARE: Final = 0.5
#: A job of the index lasts so long: dead letters that go again wait in the same queue.
_INDEX_S: Final = 3.0
#: A letter whose company could not be asked for is looked at again after this.
_UNSURE_S: Final = 60.0


class BesideDrain:
    """Does one lane's work beside the drain; each method is one job."""

    def __init__(self, lane: LaneContext) -> None:
        self._lane = lane
        self._indexer: Indexer | None = None

    def recognise(self) -> int:
        """Reads on in Planhat's list, with what the minute's budget has to spare; how many conversations were found."""
        lane = self._lane
        pace, until = lane.flush.tools.pace, time.monotonic() + _RECOGNISE_S

        def may_call() -> bool:
            if STOPPING() or time.monotonic() > until or pace.used(lane.outbox.about_ms()) > _SPARE:
                return False
            return pace.take_call(stop=STOPPING, patience_s=2.0)

        found = recognise_delivered(lane.outbox, lane.planhat, may_call=may_call, metrics=lane.metrics)
        lane.metrics.flush()
        return found

    def rethread(self) -> int:
        """Moves mails to the conversations that they turned out to belong to; how many were looked at."""
        from relay.operations.rethread import rethread_events

        looked_at = 0
        while not STOPPING() and (part := rethread_events(self._lane)):
            looked_at += part
        return looked_at

    def index(self) -> int:
        """Takes what came in into the index of `relay events`, for a few seconds; how many events. Where the cores are all at work,
        the door and the drain go first: an index that is behind costs nobody an event."""
        lane = self._lane
        if self._indexer is None:
            self._indexer = Indexer(lane, terms_of(lane), pause=STOPPING.wait)
        before = self._indexer.events
        if not run_at_low_priority(partial(self._indexer.run, _INDEX_S)):
            # The rest is a job of its own: what waits in the queue meanwhile goes first.
            ask_to_index(lane.redis, lane.name, time.time_ns() // 1_000_000)
        return self._indexer.events - before

    def unpark(self) -> int:
        """Put dead letters that waited for a company back to work where it is known by now; how many."""
        from relay.operations.dead.replay import redrive_one
        from relay.operations.rq_jobs import forget_failed_jobs

        lane, moved = self._lane, 0
        parked = lane.directory.parked
        due = parked.due(_PARKED_PER_JOB)
        letters = {letter.dead_id: letter for letter in lane.outbox.dead.get_many(due)}
        parked.forget(set(due) - set(letters))
        asks = [self._asks(letter) for letter in letters.values()]
        for dead_id, verdict in zip(letters, lane.directory.resolve(asks), strict=True):
            if STOPPING():
                break
            if not isinstance(verdict, Found):
                parked.park([dead_id], wait_s=_UNSURE_S if isinstance(verdict, Unsure) else NOT_FOUND_S + 5)
                continue
            try:
                # With today's rules and with what a person edited meanwhile, as any other replay.
                moved += redrive_one(lane, dead_id, by="directory")
            except MappingFailed:
                parked.park([dead_id], wait_s=NOT_FOUND_S + 5)
                continue
            parked.forget([dead_id])
            forget_failed_jobs(lane.redis, lane.name, [dead_id])
        lane.metrics.flush()
        return moved

    def _asks(self, letter: DeadLetter) -> list[Ask]:
        """What is known of the letter's company."""
        try:
            patches = [Patch.decode(pending.patch) for pending in letter.patches]
            known = stored_asks(self._lane.outbox.document(letter.external_id))
        except NewerRecord:
            # A newer release's workers look after it.
            return []
        in_order = sorted(patches, key=lambda p: (p.version, p.event_id))
        return [*known, *(Ask.of(p.company_id, p.company) for p in in_order)]
