"""What a process's flush jobs work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from relay.config import Config
from relay.outbox.outbox import Outbox
from relay.outbox.shared_metrics import SharedMetrics
from relay.planhat.report import Answer
from workers.flush.address import Addressing
from workers.flush.ahead import Looking
from workers.flush.call import MakesCall
from workers.flush.prepare import Enriches, Recalls
from workers.flush.settle import Settlements
from workers.flush.verdicts import ReadsBack
from workers.pace.pace import Pace


class Bells(Protocol):
    def ring_flush(self, generation: int) -> bool: ...


@dataclass(slots=True)
class Tools:
    """What a process's flush jobs work with, one after the other. None of it is changed by a job but what pace and
    metrics learn. `upsert(body, timeout_s)` makes the call; `stopping()` is True once the process is to end, `overdue()`
    once it should have ended."""

    config: Config
    outbox: Outbox
    pace: Pace
    settling: Settlements
    addressing: Addressing
    upsert: Callable[[bytes, float], Answer]
    bell: Bells
    metrics: SharedMetrics
    reader: ReadsBack | None
    enricher: Enriches | None
    recall: Recalls | None
    beside: MakesCall
    stopping: Callable[[], bool]
    overdue: Callable[[], bool]
    slice_s: float
    gather_s: float
    looking: Looking
    clock: Callable[[], float]
