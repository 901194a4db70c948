"""The next batch, made ready while a call is under way: what was due already, and from time to time what has come since.

What comes after the last look is claimed when the call is answered, so that nothing waits for the call after the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from workers.flush.prepare import Preparation
from workers.flush.verdicts import Verdicts
from workers.pace.pace import Limits

#: Looks a call, and how far they lie apart at least.
_LOOKS: Final = 5
_LEAST_APART_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Looking:
    """When what comes during a call is claimed and folded during it: where calls carry `from_items` (fewer are folded in a
    millisecond or two afterwards), looks lie no further apart than `most_apart_s`."""

    from_items: int = 30
    most_apart_s: float = 0.25

    def apart_s(self, expected_s: float) -> float:
        """Return how far two looks lie apart in a call that takes `expected_s`."""
        return min(self.most_apart_s, max(_LEAST_APART_S, expected_s / _LOOKS))


class Ahead:
    """Beside one call. `look_apart_s`: what comes meanwhile is looked for so often; None: not at all."""

    def __init__(
        self,
        preparation: Preparation,
        verdicts: Verdicts,
        limits: Limits,
        *,
        look_apart_s: float | None,
        stopping: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._preparation = preparation
        self._verdicts = verdicts
        self._limits = limits
        self._apart_s = look_apart_s
        self._stopping = stopping
        self._clock = clock
        self._looks_at = clock() + (look_apart_s or 0.0)

    def step(self) -> float | None:
        """Make a part ready. Seconds until there may be more to do, 0: at once; None: there is nothing."""
        if self._stopping():
            return None
        preparation = self._preparation
        if len(self._verdicts) and preparation.between_parts:
            # In turns, a part each: what is folded is our time, what is settled is Redis's.
            self._verdicts.step()
        if preparation.step(self._limits):
            return 0.0
        if self._apart_s is None or not preparation.dry:
            return None
        now = self._clock()
        if now < self._looks_at:
            return self._looks_at - now
        self._looks_at = now + self._apart_s
        preparation.begin()
        preparation.step(self._limits)
        return 0.0
