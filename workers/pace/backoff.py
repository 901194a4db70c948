"""A schedule of waits as a value: exponential, full jitter, capped. No clock in it; chance is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

#: Full jitter may draw next to nothing; below this a retry would come before the failure has been written down.
_SHORTEST_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Backoff:
    """`first_s` is the upper bound of the first wait, doubled with each further failure up to `cap_s`."""

    first_s: float
    cap_s: float

    def ceiling_s(self, failures: int) -> float:
        """Return the longest wait after `failures` failures in a row (1: the first)."""
        exponent = min(max(failures, 1) - 1, 60)
        return float(min(self.cap_s, self.first_s * 2.0**exponent))

    def wait_s(self, failures: int, chance: Random) -> float:
        """Choose evenly between nothing and the ceiling, so that many who failed together do not come back together."""
        ceiling = self.ceiling_s(failures)
        return max(min(_SHORTEST_S, ceiling), chance.uniform(0.0, ceiling))

    def wait_at_least_s(self, failures: int, chance: Random) -> float:
        """Choose between half of the ceiling and the ceiling: where the waits must be spaced, not only spread."""
        ceiling = self.ceiling_s(failures)
        return ceiling / 2 + chance.uniform(0.0, ceiling / 2)
