"""How many dead letters there are, by cause and source: read again only where some came or went, and seldom where they are many."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final

from relay.operations.dead.causes import LOOKED_AT_MOST
from relay.operations.selection import cause_group
from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.reading import Reading, read_alone

#: So much of the time goes into reading, at most: after a look of a second the next one is 20 s later.
_SHARE: Final = 0.05
_QUICK_S: Final = 0.25


class DeadCounts:
    """Counts the dead letters of one lane. Of more than `most` letters the newest are looked at."""

    def __init__(
        self, outbox: Outbox, *, most: int = LOOKED_AT_MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._outbox = outbox
        self._most = most
        self._clock = clock
        self._lock = Lock()
        self._mark: Any = None
        self._next = float("-inf")
        self._found: Mapping[tuple[str, str], int] = {}

    def look(self) -> Mapping[tuple[str, str], int]:
        """Return (cause without what differs from letter to letter, source) -> how many. Raises OutboxUnavailable."""
        return read_alone(self._outbox.redis, self.reading())[0]

    def reading(self) -> Reading[tuple[Mapping[tuple[str, str], int], int]]:
        """(as `look`, how many letters there are in all); the letters themselves are read here and now, where that is to be done."""
        dead = self._outbox.prefix + keys.DEAD
        began = self._clock()

        def queue(pipe: Any) -> None:
            pipe.zcard(dead)
            pipe.zrange(dead, -1, -1, withscores=True)
            pipe.zrange(dead, 0, 0, withscores=True)

        mark = yield queue
        with self._lock:
            if began >= self._next and mark != self._mark:
                self._read(mark, began)
            return self._found, int(mark[0])

    def _read(self, mark: Any, began: float) -> None:
        found: Counter[tuple[str, str]] = Counter()
        if mark[0]:
            for seen, head in enumerate(self._outbox.dead.scan(), 1):
                found[cause_group(head.facts), head.source] += 1
                if seen >= self._most:
                    break
        self._mark, self._found = mark, found
        took_s = self._clock() - began
        self._next = began + took_s / _SHARE if took_s > _QUICK_S else float("-inf")
