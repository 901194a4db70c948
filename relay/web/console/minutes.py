"""What happened minute by minute, out of the samples that the web side takes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

MINUTE_MS: Final = 60_000
#: A running total that is older than this says nothing of the minute's end.
_STALE_MS: Final = 45_000

_Sample = Mapping[str, Any]


def begin_of(now_ms: int, minutes: int) -> int:
    """Return when the first of the last `minutes` began, the running one included."""
    return (now_ms // MINUTE_MS - minutes + 1) * MINUTE_MS


def counted_by_minute(
    samples: Sequence[_Sample], total: str, *, now_ms: int, minutes: int = 60
) -> list[float | None]:
    """Return how much the running total rose in each minute, the running one last: what was counted, nothing is scaled up. None where
    no sample tells."""
    times = [sample["at_ms"] for sample in samples]
    begin_ms = begin_of(now_ms, minutes)
    edges = [*(begin_ms + n * MINUTE_MS for n in range(minutes)), now_ms]
    totals: list[float | None] = []
    for edge in edges:
        place = bisect_right(times, edge) - 1
        fresh = place >= 0 and edge - times[place] <= _STALE_MS
        totals.append(samples[place][total] if fresh else None)
    return [
        None if before is None or after is None else max(0, after - before)
        for before, after in pairwise(totals)
    ]


def highest_by_minute(
    samples: Sequence[_Sample], name: str, *, now_ms: int, minutes: int = 60
) -> list[float | None]:
    """Return the highest value that was seen in each minute; None where nobody looked."""
    begin_ms = begin_of(now_ms, minutes)
    found: list[float | None] = [None] * minutes
    for sample in samples:
        n = (sample["at_ms"] - begin_ms) // MINUTE_MS
        if 0 <= n < minutes:
            found[n] = max(found[n] or 0, sample[name])
    return found
