"""Holding on while a flush works: the lane every half second, the claimed items every third of their lease, by a thread.

A worker that dies stops renewing, and that is all it takes: the lane is free after 2 s, its items after the lease.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self

from relay.errors import OutboxUnavailable
from relay.outbox.items import Claim, Item, Later
from relay.outbox.lane import BYTES_PER_CLAIM
from relay.outbox.outbox import Outbox
from workers.flush.fold import perhaps_sent

LANE_TTL_MS: Final = 2_000
_EVERY_S: Final = 0.5
#: A call that was cut off may still take effect in Planhat: the next try keeps this distance.
HAND_BACK_MS: Final = 3_000


class Lane:
    """Use in a `with`. `lost` turns True where another flush job owns the lane. `overdue()`: the process was told to
    stop so long ago that the claims are handed back, even though a call is still under way."""

    def __init__(
        self,
        outbox: Outbox,
        generation: int,
        *,
        lease_s: float,
        overdue: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.generation = generation
        self.lost = False
        self._outbox = outbox
        self._lease_ms = int(lease_s * 1000)
        self._overdue = overdue
        self._clock = clock
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._owning = True
        self._claimed: dict[str, Item] = {}
        self._renewed_at = self._clock()
        #: (externalId, token) of leases that somebody else has by now.
        self._lost_items: set[tuple[str, str]] = set()
        self._thread = threading.Thread(target=self._renew_until_done, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        with self._lock:
            self._owning = False

    def claim(
        self, limit: int, *, max_bytes: int = BYTES_PER_CLAIM, stay: bool = False
    ) -> Callable[[], Claim]:
        """Claims without waiting for the answer; what it gives back waits. Without `stay` an empty claim lets the lane go."""
        begin = partial(
            self._outbox.lane.begin_claim, self.generation, limit,
            lease_ms=self._lease_ms, wake_ms=LANE_TTL_MS, max_bytes=max_bytes, stay=stay,
        )  # fmt: skip
        if not stay:
            # Under the lock: a claim that finds nothing lets the lane go, and the thread must not take it up again.
            with self._lock:
                claim = begin()()
                self._owning = claim.owned and bool(claim.items)
                self._note(claim)
            return lambda: claim
        answer = begin()

        def wait() -> Claim:
            claim = answer()
            with self._lock:
                self._note(claim)
            return claim

        return wait

    def note_newer(self, external_ids: Sequence[str]) -> None:
        """Note that these were handed back because only a newer release reads them."""
        self._outbox.note_newer(external_ids)

    def read_available(self) -> None:
        """Takes what has come of the claims on their way."""
        self._outbox.lane.read_available()

    def _note(self, claim: Claim) -> None:
        # A number that was given before: Redis is in an older state. Nothing is sent before that is noted.
        self.lost = self.lost or not claim.owned or self._outbox.lane.set_back
        if not self._claimed:
            self._renewed_at = self._clock()
        self._claimed.update({item.external_id: item for item in claim.items})

    @property
    def let_go_of(self) -> bool:
        """Whether nothing was due, so that the lane is nobody's now."""
        return not self._owning

    @property
    def has_claims(self) -> bool:
        """Whether anything claimed is unsettled."""
        return bool(self._claimed)

    def let_go(self) -> None:
        with self._lock:
            if self._owning:
                self._owning = False
                self._outbox.lane.release(self.generation)

    def hand_over(self) -> int:
        with self._lock:
            self._owning = False
            return self._outbox.lane.hand_over(self.generation)

    def settled(self, external_ids: Iterable[str]) -> None:
        with self._lock:
            for external_id in external_ids:
                self._claimed.pop(external_id, None)

    def slipped(self) -> bool:
        """Tell whether a lease was lost. A process that was stopped for a while (a paused machine) finds out here, before
        it sends what someone else may have sent by now."""
        if self._clock() - self._renewed_at > self._lease_ms / 2000:
            with self._lock:
                items = list(self._claimed.values())
            self._renew(items)
        if not self._lost_items:
            return False
        with self._lock:
            return any((item.external_id, item.token) in self._lost_items for item in self._claimed.values())

    def _renew(self, items: list[Item]) -> None:
        began = self._clock()
        lost = self._outbox.lane.renew(items, lease_ms=self._lease_ms)
        self._lost_items |= {(item.external_id, item.token) for item in items if item.external_id in lost}
        self._renewed_at = began

    def _renew_until_done(self) -> None:
        while not self._done.wait(_EVERY_S):
            try:
                with self._lock:
                    if self._done.is_set():
                        return
                    if self._owning and not self._outbox.lane.own(self.generation, LANE_TTL_MS):
                        self._owning, self.lost = False, True
                    items = list(self._claimed.values())
                if items and self._overdue():
                    due_ms = self._outbox.now_ms() + HAND_BACK_MS
                    self._outbox.lane.settle(
                        [Later(item, due_ms, document=perhaps_sent(item)) for item in items]
                    )
                    self._lost_items.update((item.external_id, item.token) for item in items)
                    self.let_go()
                    return
                if items and self._clock() - self._renewed_at >= self._lease_ms / 3000:
                    self._renew(items)
            except OutboxUnavailable:
                continue
