"""The drain: claim what is due, fold, find the company, send, settle. One flush job owns the lane at a time.

    claim -> fold -> nothing new?  -> settle as unchanged
                  -> no company?   -> dead letter (stage resolve), or later where the look-up failed
                  -> batches by items and bytes -> one call at a time within the fleet's pace
                  -> one outcome per item -> settle

While a call is under way, the batch before it is settled and the one after it is made ready, where more than one call's
worth is due. Otherwise each call waits for nothing but the answer to the one before: what comes meanwhile is its batch.
While calls are plentiful what is ready goes, be it a full batch or not (`GATHER_S`).

Only a verdict on the item charges the item: a refusal is spaced and counted, the last one buries. Whatever befalls
the whole call changes the state of delivery and hands the items back as they were.

`step.py` decides, `job.py` carries out, `call.py` and `verdicts.py` are its two ends; docs/design/drain.md draws them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Final, Protocol

from relay.config import Config
from relay.outbox.outbox import Outbox
from relay.outbox.shared_metrics import SharedMetrics
from relay.planhat.report import Answer
from workers.companies.directory import CompanyDirectory
from workers.flush.address import Addressing
from workers.flush.ahead import Looking
from workers.flush.call import CallThread, MakesCall
from workers.flush.fitting import Fitting
from workers.flush.job import Job
from workers.flush.lane import Lane
from workers.flush.prepare import Enriches, Recalls
from workers.flush.settle import NotesSettled, Settlements
from workers.flush.tools import Bells, Tools
from workers.flush.verdicts import ReadsBack
from workers.pace.pace import Pace

#: A job drains for so long and then hands over to a successor, so that RQ sees jobs end.
SLICE_S: Final = 15.0
#: While calls are plentiful none waits for a full batch much longer than this after the one before: Planhat would have
#: nothing to do meanwhile. A call costs the worker 5 ms beside its items.
GATHER_S: Final = 0.15
LOOKING: Final = Looking()


class Looks(Protocol):
    """Looks again at what was delivered in doubt (see `doubt.py`)."""

    def look(self, *, idle: bool) -> int: ...


class Flush:
    """One process's flushing, job after job. Nothing of a job stays here. `watch` looks whether Redis was set back, before a
    job begins; it may raise OutboxUnavailable. `give_way` waits a little, so that a newer release's worker takes the next
    job: there was something for it."""

    def __init__(
        self,
        config: Config,
        outbox: Outbox,
        pace: Pace,
        directory: CompanyDirectory,
        upsert: Callable[[bytes, float], Answer],
        *,
        fitting: Fitting | None = None,
        bell: Bells,
        metrics: SharedMetrics,
        reader: ReadsBack | None = None,
        enricher: Enriches | None = None,
        recall: Recalls | None = None,
        beside: MakesCall | None = None,
        stopping: Callable[[], bool] = lambda: False,
        overdue: Callable[[], bool] = lambda: False,
        chance: Random | None = None,
        slice_s: float = SLICE_S,
        gather_s: float = GATHER_S,
        looking: Looking = LOOKING,
        clock: Callable[[], float] = time.monotonic,
        watch: Callable[[], object] = lambda: None,
        doubts: Looks | None = None,
        give_way: Callable[[], object] = lambda: None,
        traces: NotesSettled | None = None,
    ) -> None:
        self._give_way = give_way
        self._watch = watch
        self._doubts = doubts
        settling = Settlements(config, metrics, chance or Random(), traces)  # noqa: S311 - jitter, no secret
        self.tools = Tools(
            config=config,
            outbox=outbox,
            pace=pace,
            settling=settling,
            addressing=Addressing(config, outbox, directory, settling, metrics, fitting),
            upsert=upsert,
            bell=bell,
            metrics=metrics,
            reader=reader,
            enricher=enricher,
            recall=recall,
            beside=beside or CallThread(),
            stopping=stopping,
            overdue=overdue,
            slice_s=slice_s,
            gather_s=gather_s,
            looking=looking,
            clock=clock,
        )

    def run(self, generation: int) -> int:
        """Drains the lane for one slice; how many items were claimed. Raises OutboxUnavailable when Redis stays away."""
        tools = self.tools
        self._watch()
        if tools.outbox.lane.pipe:
            # A job that was cut off may have left answers there; its items are due again after their lease.
            tools.outbox.lane.pipe.reset()
        owned = tools.outbox.lane.take(generation)
        if not owned:
            return 0
        with Lane(
            tools.outbox,
            owned,
            lease_s=tools.config.planhat.lease_s,
            overdue=tools.overdue,
            clock=tools.clock,
        ) as lane:
            job = Job(tools, lane)
            job.run()
        if self._doubts and not tools.stopping() and not lane.lost:
            self._doubts.look(idle=not job.claimed)
        tools.metrics.flush()
        if job.met_newer:
            self._give_way()
        return job.claimed
