"""The sweep of one lane: rings for what is due and nobody works on (retries, leases that ran out, bells lost with a dead process),
puts up a failed RQ job for each dead letter, has parked letters looked at, mails moved to their conversation and events taken
into the index, and sees whether Redis was set back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from relay.outbox import keys
from relay.outbox.bell import Bell
from relay.outbox.epoch import Epoch, read_life, tell
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis
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
_WATCH_EVERY_S: Final = 1.0
_RECOGNISE_EVERY_S: Final = 10.0


class LaneSweep:
    """`config_stamp()` changes with the config file: letters that wait for a company are then looked at again."""

    def __init__(self, outbox: Outbox, config_stamp: Callable[[], object]) -> None:
        self.outbox, self._redis = outbox, outbox.redis
        self._bell = Bell(self._redis, lane=outbox.lane_name, unheard=outbox.lane.release)
        self.metrics = SharedMetrics(self._redis, lane=outbox.lane_name, base=outbox.base)
        self._epoch = Epoch(outbox)
        self._posters = Posters(self._redis, outbox)
        self._config_stamp = config_stamp
        self._stamp = config_stamp()
        self._watched_at = float("-inf")
        self._parked_at = self._indexed_at = 0.0
        self._indexed = -1

    def sweep(self, now: float) -> None:
        """Sweep once. `now`: seconds of the monotonic clock. Raises OutboxUnavailable."""
        outbox, lane = self.outbox, self.outbox.lane_name
        self.ring(outbox.lane.ring())
        post_dead_letters(self._redis, outbox)
        self._posters.tend()
        self._watch(now)
        if outbox.threads.moved(1):
            ask_to_rethread(self._redis, lane, _stamp_of(_RETHREAD_EVERY_S))
        if now - self._parked_at >= _PARKED_EVERY_S:
            self._parked_at = now
            if self._parked_is_due():
                ask_to_unpark(self._redis, lane, _stamp_of(_PARKED_EVERY_S))
        self._ask_to_index(now)

    def ring(self, generation: int) -> None:
        """Rings for a generation; 0: there is nothing to do."""
        if generation:
            self._bell.ring_flush(generation)

    def _ask_to_index(self, now: float) -> None:
        """Where something came in since the last time."""
        if now - self._indexed_at < _INDEX_EVERY_S:
            return
        self._indexed_at = now
        came = sum(row["accepted"] for row in self.outbox.ledger().values())
        if came != self._indexed:
            self._indexed = came
            ask_to_index(self._redis, self.outbox.lane_name, _stamp_of(_INDEX_EVERY_S))

    def _watch(self, now: float) -> None:
        """Whether Redis was set back: said and counted also while nothing is delivered."""
        if now - self._watched_at < _WATCH_EVERY_S:
            return
        self._watched_at = now
        tell(self._epoch.look(), self.metrics)
        if read_life(self.outbox).unsure:
            ask_to_recognise(self._redis, self.outbox.lane_name, _stamp_of(_RECOGNISE_EVERY_S))

    def _parked_is_due(self) -> bool:
        """Some letter that waits for a company is to be looked at again, or the config has changed."""
        stamp = self._config_stamp()
        changed, self._stamp = stamp != self._stamp, stamp
        with reaching_redis():
            now_ms = self.outbox.now_ms()
            due = self._redis.zcount(self.outbox.prefix + keys.PARKED, "-inf", now_ms)
        return changed or bool(due)


def _stamp_of(every_s: float) -> int:
    """The same within so many seconds: a job that is asked for twice is one."""
    return int(time.time() // every_s)
