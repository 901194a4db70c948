"""Planhat's quotas: calls a minute, calls a second, calls at one time.

Source: docs.planhat.com (200 a minute soft, 150 a second, bursts of 50 in parallel); the documentation of 2017 says
that a call over the quota gets a 429 and that the quota is "reset every 60-120 seconds", hence fixed windows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from relay.planhat import limits


@dataclass(frozen=True, slots=True)
class Quotas:
    """0 switches one off."""

    per_minute: int = limits.CALLS_PER_MINUTE
    per_second: int = limits.CALLS_PER_SECOND
    parallel: int = limits.PARALLEL_CALLS


NO_QUOTAS = Quotas(0, 0, 0)


class Meter:
    """Counts calls against the quotas, by a monotonic clock in seconds."""

    def __init__(self, quotas: Quotas, clock: Callable[[], float] = time.monotonic) -> None:
        self.quotas = quotas
        self._clock = clock
        self.under_way = 0
        self.reset()

    def reset(self) -> None:
        """Start all windows anew; the calls under way stay counted, since they will leave."""
        self._minute_began_s = self._second_began_s = float("-inf")
        self._in_minute = self._in_second = 0
        self.most_under_way = self.under_way

    def enter(self) -> bool:
        """Count one call in; False when it is one too many. Every call that enters must leave."""
        now_s = self._clock()
        if now_s - self._minute_began_s >= 60:
            self._minute_began_s, self._in_minute = now_s, 0
        if now_s - self._second_began_s >= 1:
            self._second_began_s, self._in_second = now_s, 0
        self._in_minute += 1
        self._in_second += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        pairs = (
            (self._in_minute, self.quotas.per_minute),
            (self._in_second, self.quotas.per_second),
            (self.under_way, self.quotas.parallel),
        )
        return all(not quota or count <= quota for count, quota in pairs)

    def leave(self) -> None:
        self.under_way -= 1

    @property
    def in_this_minute(self) -> int:
        return self._in_minute

    def headers(self) -> dict[str, str]:
        quota = self.quotas.per_minute
        if not quota:
            return {}
        left = max(0, quota - self._in_minute)
        return {"X-Rate-Limit-Limit": str(quota), "X-Rate-Limit-Remaining": str(left)}
