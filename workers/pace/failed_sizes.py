"""Sizes that failed, in items or in bytes: not to be run into again soon. Policy only: pure, the time is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

DAY_MS: Final = 86_400_000
FEWEST_BYTES: Final = 1_000
#: What was too large is tried again after so long, then after twice as long, up to a day; a tenth beyond what failed.
_CREEP_MS: Final = 15 * 60_000
_CREEP: Final = 1.1
#: A byte limit is searched for until it is known this well.
_BYTES_KNOWN: Final = 1.04


@dataclass(slots=True)
class FailedSize:
    """A size that failed: not to be reached before `until_ms`. `hits`: how often it was met; 0: none stands.
    `half_took_s`: what half of it was expected to take then."""

    at: float = 0.0
    until_ms: int = 0
    hits: int = 0
    half_took_s: float = 0.0

    def stands(self, now_ms: int) -> bool:
        return self.hits > 0 and now_ms < self.until_ms


class ByteCeiling:
    """How many bytes a request may have: `most`, until a 413 tells otherwise. What failed is not sent again for a
    quarter of an hour, then for half an hour, doubling up to a day."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.passed = 0.0
        self.failed_size = FailedSize()

    def limit(self, now_ms: int) -> int:
        if not self.failed_size.hits:
            return self.most
        low = min(self.passed or self.failed_size.at / 2, self.failed_size.at / 1.001)
        if not self.failed_size.stands(now_ms):
            found = self.failed_size.at * _CREEP
        elif self.failed_size.at / low > _BYTES_KNOWN:
            # Nearer to what passed: a refusal costs more than a step too short.
            found = low ** (2 / 3) * self.failed_size.at ** (1 / 3)
        else:
            found = low
        return max(FEWEST_BYTES, min(self.most, int(found)))

    def answered(self, size: int) -> None:
        self.passed = max(self.passed, float(size))
        if self.failed_size.hits and size >= self.failed_size.at:
            self.failed_size = FailedSize()

    def refused(self, size: int, now_ms: int) -> None:
        again = self.failed_size.hits and not self.failed_size.stands(now_ms)
        hits = self.failed_size.hits + 1 if again else max(1, self.failed_size.hits)
        at = min(float(size), self.failed_size.at) if self.failed_size.hits else float(size)
        self.failed_size = FailedSize(at, now_ms + min(DAY_MS, _CREEP_MS * 2 ** (hits - 1)), hits)
        if self.passed >= at:
            self.passed = at / 2

    def stored(self) -> list[Any]:
        """Give it for JSON."""
        return [self.passed, self.failed_size.at, self.failed_size.until_ms, self.failed_size.hits]

    def restore(self, learned: list[Any]) -> None:
        """Take up what was stored. Raises ValueError or TypeError for what `stored` has not written."""
        passed, at, until_ms, hits = learned
        self.passed, self.failed_size = float(passed), FailedSize(float(at), int(until_ms), int(hits))
