"""How many calls a minute Planhat lets us make, learned from its 429s. Policy only: pure, the time is passed in.

A 429 tells: the calls that the minute before it held were as many as go. One less (or 2%) is allowed from then on. Every
ten minutes in which that was the bottleneck it may be a little more, up to what failed; beyond that after an hour at
the earliest, then after two, four, up to eight, each step twice the one before, as long as no 429 comes. So a
standing threshold costs about one 429 an hour, and one that another client of the token caused is left behind.
"""

from __future__ import annotations

from typing import Any, Final

#: What is lost for sure with one 429 is not risked for less than this part more.
_STEP: Final = 0.02
_RAISE_MS: Final = 10 * 60_000
_BEYOND_MS: Final = 60 * 60_000
_MOST_DOUBLINGS: Final = 3
#: A 429 after hardly any calls is another client's doing, or Planhat's trouble: no lower than this part of the budget, however
#: often. Who believed two of them was left with five calls a minute where thousands went, and found out in days.
_FLOOR: Final = 0.1
#: Never fewer: a minute without a call would teach nothing.
FEWEST_CALLS: Final = 2
#: The budget counts as the bottleneck from this part of it on.
_BINDING: Final = 0.9


class CallBudget:
    """`allowed` calls a minute; `most` is the configured bound, and what holds until a 429 comes."""

    def __init__(self, most: int) -> None:
        self.most = max(1, most)
        self._allowed = float(self.most)
        self._ceiling = float(self.most)
        self._step = _STEP
        self._moved_ms = 0
        self._doublings = 0

    @property
    def allowed(self) -> int:
        return max(1, min(self.most, int(self._allowed)))

    @property
    def learned(self) -> bool:
        """A 429 has taught something."""
        return self.allowed < self.most

    def refused(self, used: int, now_ms: int) -> None:
        """Note that a 429 came; `used` calls were made in the minute before it, itself not counted."""
        floor = max(FEWEST_CALLS, int(self.most * _FLOOR))
        if self.learned and used >= self._ceiling:
            # What had failed before was tried again, and failed again.
            self._doublings = min(_MOST_DOUBLINGS, self._doublings + 1)
        tried = min(used, self.most)
        self._ceiling = float(max(floor, tried))
        self._allowed = min(self._allowed, max(floor, tried - max(1, round(tried * _STEP))), self.most)
        self._step = _STEP
        self._moved_ms = now_ms

    def answered(self, used: int, now_ms: int) -> None:
        """Note that a call went through; `used`, itself counted, in the last minute."""
        if not self.learned or used < self._allowed * _BINDING - 1:
            return
        more = min(float(self.most), max(self._allowed + 1, self._allowed * (1 + self._step)))
        if self._allowed < self._ceiling < more:
            more = self._ceiling
        beyond = more > self._ceiling
        wait_ms = _BEYOND_MS * 2**self._doublings if beyond and self._step == _STEP else _RAISE_MS
        if now_ms - self._moved_ms < wait_ms:
            return
        self._allowed, self._moved_ms = more, now_ms
        if beyond:
            self._step = min(1.0, self._step * 2)

    # -- as it is stored -------------------------------------------------------------------------------------

    def stored(self) -> list[Any]:
        """Give it for JSON."""
        return [self._allowed, self._ceiling, self._step, self._moved_ms, self._doublings]

    def restore(self, learned: list[Any]) -> None:
        """Take up what was stored. Raises ValueError or TypeError for what `stored` has not written."""
        allowed, ceiling, step, moved_ms, doublings = learned
        self._allowed, self._ceiling, self._step = float(allowed), float(ceiling), float(step)
        self._moved_ms, self._doublings = int(moved_ms), int(doublings)
