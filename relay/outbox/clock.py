"""Redis's clock without asking Redis: reckoned from when it last told the time.

Whoever waits for Redis to say what time it is waits for everything that it has been sent before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

#: A time heard longer ago is asked for anew: clocks drift, and Redis's may be set.
TRUSTED_S: Final = 1.0


class Clock:
    """`ask()` is Redis's time now, in epoch ms. Never ahead of Redis by more than a second's drift; behind by as long as
    an answer took. Not for promises to others ("not before ..."): those are made by Redis's own."""

    def __init__(self, ask: Callable[[], int], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._ahead_ms = 0.0
        self._heard_at: float | None = None

    def heard(self, now_ms: int) -> None:
        """Note that Redis said, in an answer just read, that it was `now_ms`."""
        at = self._monotonic()
        ahead_ms = now_ms - at * 1000
        # Of several, the answer that took the least time is nearest to the truth.
        if self._heard_at is None or at - self._heard_at > TRUSTED_S / 2 or ahead_ms > self._ahead_ms:
            self._ahead_ms, self._heard_at = ahead_ms, at

    def now_ms(self) -> int:
        at = self._monotonic()
        if self._heard_at is None or at - self._heard_at > TRUSTED_S:
            self.heard(self._ask())
            at = self._monotonic()
        return int(self._ahead_ms + at * 1000)
