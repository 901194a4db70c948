"""What the sweep does for one lane: rings for what is due and nobody works on (retries, leases that ran out, bells lost with a dead
process), puts up a failed RQ job for each dead letter, has parked letters looked at, mails moved to their conversation and events
taken into the index, and tells where Redis was set back. What is to be done is seen for all lanes together (`lane_sweeps.py`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from relay.outbox.bell import Bell
from relay.outbox.epoch import Epoch
from relay.outbox.glance import Glance
from relay.outbox.outbox import Outbox
from relay.outbox.shared_metrics import SharedMetrics
from workers.dead_jobs import (
    Posters,
    ask_to_index,
    ask_to_recognise,
    ask_to_rethread,
    ask_to_unpark,
    post_dead_letters,
)

_PARKED_EVERY_S: Final = 5.0
_RETHREAD_EVERY_S: Final = 2.0
_INDEX_EVERY_S: Final = 5.0
_RECOGNISE_EVERY_S: Final = 10.0


class LaneSweep:
    """`config_stamp()` changes with the config file: letters that wait for a company are then looked at again."""

    def __init__(self, outbox: Outbox, config_stamp: Callable[[], object]) -> None:
        self.outbox, self._redis = outbox, outbox.redis
        self._bell = Bell(self._redis, lane=outbox.lane_name, unheard=outbox.lane.release)
        self.metrics = SharedMetrics(self._redis, lane=outbox.lane_name, base=outbox.base)
        self.epoch = Epoch(outbox)
        self._posters = Posters(self._redis, outbox)
        self._config_stamp = config_stamp
        self._stamp = config_stamp()
        self._parked_at = self._indexed_at = 0.0
        self._indexed = 0

    def ring(self, generation: int) -> None:
        """Rings for a generation; 0: there is nothing to do."""
        if generation:
            self._bell.ring_flush(generation)

    def tend(self, seen: Glance, now: float) -> None:
        """Has done what was seen to be due. `now`: seconds of the monotonic clock. Raises OutboxUnavailable."""
        lane = self.outbox.lane_name
        if seen.unposted:
            post_dead_letters(self._redis, self.outbox)
        if seen.dead:
            self._posters.tend()
        if seen.unsure:
            ask_to_recognise(self._redis, lane, _stamp_of(_RECOGNISE_EVERY_S))
        if seen.moved:
            ask_to_rethread(self._redis, lane, _stamp_of(_RETHREAD_EVERY_S))
        if now - self._parked_at >= _PARKED_EVERY_S:
            self._parked_at = now
            # A letter that waits is a dead letter.
            if (self._config_changed() and seen.dead) or seen.parked:
                ask_to_unpark(self._redis, lane, _stamp_of(_PARKED_EVERY_S))
        if now - self._indexed_at >= _INDEX_EVERY_S:
            self._indexed_at = now
            if seen.accepted != self._indexed:
                # Something came in since the last time.
                self._indexed = seen.accepted
                ask_to_index(self._redis, lane, _stamp_of(_INDEX_EVERY_S))

    def _config_changed(self) -> bool:
        stamp = self._config_stamp()
        changed, self._stamp = stamp != self._stamp, stamp
        return changed


def _stamp_of(every_s: float) -> int:
    """The same within so many seconds: a job that is asked for twice is one."""
    return int(time.time() // every_s)
