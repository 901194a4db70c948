"""Reads what Planhat has of conversations that this Redis has forgotten, or remembers older than they were delivered: before
anything of them is sent. One call each, within the fleet's budget; what there is no call for waits its turn.

When that is so: the document has expired and its mark stands, or Redis was flushed, set back to an older state or failed
over behind its replica's back, or the lane was adopted by another Planhat (see `relay.outbox.epoch`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from relay.errors import PlanhatError, PlanhatNotFound
from relay.outbox.items import Item, Settlement
from relay.outbox.shared_metrics import SharedMetrics
from relay.planhat.outcomes import Hold
from workers.companies.verdicts import unsure_of
from workers.flush.fold import FoldedItem, FoldedRead
from workers.flush.settle import hand_back

#: Read for one part at most: Planhat's answer to a batch waits for the worker meanwhile.
READS_PER_PART: Final = 10
_OPERATION: Final = "GET conversation"
_TIMEOUT_S: Final = 10.0
#: What waits for its turn comes back within this, in case that it need not be read any more.
_LOOK_AGAIN_MS: Final = 5_000


class _Getter(Protocol):
    def get(self, key: str, *, timeout_s: float | None = None) -> Mapping[str, Any]: ...


class Recall:
    """Reads them within the budget of calls. `call()` takes a place in the minute; `gap_ms()` is how far apart such calls may be."""

    def __init__(
        self,
        planhat: _Getter,
        *,
        call: Callable[[], bool],
        gap_ms: Callable[[], float],
        metrics: SharedMetrics,
    ) -> None:
        self._planhat = planhat
        self._call = call
        self._gap_ms = gap_ms
        self._metrics = metrics
        #: How many may be read at once, and since when that is so.
        self._left, self._left_ms = float(READS_PER_PART), 0
        #: The turn of the last one that was sent back.
        self._slot_ms = 0.0

    def read(
        self, items: Sequence[FoldedItem], now_ms: int
    ) -> tuple[list[tuple[Item, FoldedRead]], list[Settlement], Hold | None]:
        """Return (those that are read, with what stands there, what becomes of the rest, why delivery must wait)."""
        read: list[tuple[Item, FoldedRead]] = []
        settlements: list[Settlement] = []
        hold: Hold | None = None
        for number, folded in enumerate(items):
            if hold or number >= READS_PER_PART or not self._may_read(now_ms) or not self._call():
                settlements.append(hand_back(folded.item, 0 if hold else self._turn_ms(now_ms)))
                continue
            try:
                record = self._get(folded)
            except PlanhatError as error:
                unsure = unsure_of(error, _OPERATION)
                hold = unsure.hold
                wait_ms = 0 if hold else now_ms + int(unsure.wait_s * 1000)
                settlements.append(hand_back(folded.item, wait_ms))
                continue
            read.append((folded.item, FoldedRead(record)))
        self._metrics.add("relay_recalled_conversations_total", {}, len(read))
        return read, settlements, hold

    def _get(self, folded: FoldedItem) -> Mapping[str, Any] | None:
        """By `_id` where it is known, by externalId where that is gone. None: Planhat has none."""
        document = folded.document
        for key in (document.planhat_id, f"extid-{document.external_id}"):
            if not key:
                continue
            try:
                record = self._planhat.get(key, timeout_s=_TIMEOUT_S)
            except PlanhatNotFound:
                self._count("404")
                continue
            except PlanhatError as error:
                self._count(type(error).__name__)
                raise
            self._count("200")
            return record
        return None

    def _may_read(self, now_ms: int) -> bool:
        """Take one of the readings that there is time for: half the budget's worth, as many at once as a part has."""
        # A clock that went back gives nothing.
        earned = max(0, now_ms - self._left_ms) / self._gap_ms()
        self._left, self._left_ms = min(READS_PER_PART, self._left + earned), now_ms
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _turn_ms(self, now_ms: int) -> int:
        """Spread evenly: turns that ran on ahead would end with all of them at the same moment."""
        self._slot_ms = max(self._slot_ms, now_ms) + self._gap_ms()
        if self._slot_ms > now_ms + _LOOK_AGAIN_MS:
            self._slot_ms = now_ms + self._gap_ms()
        return int(min(self._slot_ms, now_ms + _LOOK_AGAIN_MS))

    def _count(self, status: str) -> None:
        self._metrics.add("relay_planhat_requests_total", {"operation": _OPERATION, "status": status})
