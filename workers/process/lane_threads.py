"""A thread a lane while it has work, so that one whose Planhat is slow, throttled or away holds no other. Where there is one lane,
RQ's own thread does its work and nothing of this is used."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from relay.errors import OutboxUnavailable
from relay.telemetry import log
from workers.process.stopping import STOPPING

#: So many lanes are worked on at once in a process: each may hold two batches of some megabytes.
LANES_AT_ONCE: Final = 16


class LaneThreads:
    """Begins and ends the threads of one flush process."""

    def __init__(self, stopping: Callable[[], bool], *, most: int = LANES_AT_ONCE) -> None:
        self._stopping = stopping
        self._most = most
        self._changed = threading.Condition()
        #: lane -> what is to be done in it after what it is at. A lane that is here has a thread.
        self._next: dict[str, dict[str, Callable[[], object]]] = {}

    def do(self, lane: str, what: str, work: Callable[[], object]) -> None:
        """Has `work` done in the lane's thread, after what it is at; in the place of the same `what` that waits there. What it raises is
        logged."""
        with self._changed:
            waiting = self._next.get(lane)
            if waiting is not None:
                waiting[what] = work
                return
            self._next[lane] = {what: work}
        threading.Thread(target=self._work, args=(lane,), name=f"lane {lane}", daemon=True).start()

    def wait_for_a_place(self, seconds: float) -> bool:
        """Tell whether another lane may begin, waiting for so long at most."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._next) < self._most, seconds)

    def join(self, seconds: float) -> bool:
        """Tell whether all have ended, waiting for so long at most."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._next, seconds)

    def _work(self, lane: str) -> None:
        while True:
            with self._changed:
                waiting = self._next[lane]
                if not waiting or self._stopping():
                    del self._next[lane]
                    self._changed.notify_all()
                    return
                what = next(iter(waiting))
                work = waiting.pop(what)
            try:
                work()
            except OutboxUnavailable as error:
                # As a failed job: what is due is rung for again.
                log("lane.stopped", level=logging.WARNING, lane=lane, what=what, reason=str(error))
            except Exception:
                logging.getLogger("relay").exception("lane.failed", extra={"lane": lane, "what": what})


#: One for the process.
THREADS: Final = LaneThreads(STOPPING)
