"""How many items the next call should carry: the size with the best goodput.

Goodput of size n is n / max(latency(n), 60 s / calls a minute). Slow start doubles from FIRST_ITEMS, never far beyond
what has been answered lately, so that a quiet time leads back to it. Of sizes that are nearly as good the smallest is
taken: less waits behind it, less is lost with it. Now and then an excursion, up or down, looks whether Planhat has
changed; together they may cost about 2% of the time, so a dear lesson is not soon repeated.

A time-out builds a wall at its size: at most half of it, then up again in small steps, and through the wall no sooner
than its cost allows. Policy only: pure, the time is passed in.
"""

from __future__ import annotations

from typing import Any, Final

from workers.pace.failed_sizes import DAY_MS, FailedSize
from workers.pace.latency import FEWEST_ITEMS, RATIO, LatencyCurve

FIRST_ITEMS: Final = 250
#: Slow start, while answers hardly take longer for it, and after a time-out.
_GROWTH: Final = 2.0
_QUICK_GROWTH: Final = 4.0
_CAREFUL_GROWTH: Final = RATIO
#: Sizes with this part of the best goodput are as good.
_AS_GOOD: Final = 0.98
#: A call that takes no more than this part of the time-out runs no risk of it.
_SAFE: Final = 0.33
_EXCURSIONS_UP: Final = (1.5, 1.25, 1.12)
_EXCURSION_DOWN: Final = 1 / 1.5
#: What part of the time excursions in one direction may cost, and how many calls lie between two at least.
_EXCURSION_PART: Final = 0.01
_EXCURSION_CALLS: Final = 15
#: After the first time-out at a size its wall stands so long; after the second for 50 times what it cost, doubling.
_SUSPECT_MS: Final = 120_000
#: A call so small that gets no answer says nothing of sizes.
_NO_MATTER_OF_SIZE: Final = 50
#: What a time-out costs beside itself: the hold and the ramp after it.
_OUTAGE_MS: Final = 40_000
#: What part of the time trying a size again that timed out may cost.
_TIMEOUT_PART: Final = 0.02


class SizeTuner:
    """`size(...)` is the next call's; `answered` and `cut_off` teach. `timeout_s`: one call's; sizes that need more
    than a third of it are worth the less."""

    def __init__(self, most: int, *, timeout_s: float = 60.0) -> None:
        self.most = most
        self.timeout_s = timeout_s
        self.curve = LatencyCurve()
        self.failed_size = FailedSize()
        self.first = float(FIRST_ITEMS)
        self._up_ms = self._down_ms = 0
        self._asked: tuple[int, float, float] | None = None
        self._best = 0

    # -- what to do ------------------------------------------------------------------------------------------

    def size(self, now_ms: int, *, room: int, gap_s: float) -> int:
        """Choose how many items the next call has. `room`: no more than so many, for whatever else limits them; `gap_s`: between two
        calls lie so many seconds at least, by the call budget."""
        self.curve.keep_fresh(now_ms)
        top, furthest = self._top(now_ms, room), self._furthest(now_ms, room)
        best = self.best(top, gap_s)
        if not self.curve.sizes() or (best >= top * 0.97 and top < furthest * 0.97):
            # Still on the way up.
            return best
        up = self._up(best, min(furthest, self._careful()), gap_s)
        if up > best and now_ms >= self._up_ms:
            return up
        if now_ms >= self._down_ms and best * _EXCURSION_DOWN >= FEWEST_ITEMS:
            return int(best * _EXCURSION_DOWN)
        return best

    def best(self, top: float, gap_s: float) -> int:
        """Return the smallest size up to `top` that is as good as any."""
        asked = (self.curve.version, top, gap_s)
        if asked == self._asked:
            return self._best
        candidates = [top]
        while candidates[-1] / RATIO >= min(FEWEST_ITEMS, top):
            candidates.append(candidates[-1] / RATIO)
        goodput = [self._goodput(items, gap_s) for items in candidates]
        enough = max(goodput) * _AS_GOOD
        good_ones = [n for n, good in zip(candidates, goodput, strict=True) if good >= enough]
        self._asked, self._best = asked, max(1, int(min(good_ones)))
        return self._best

    def _goodput(self, items: float, gap_s: float) -> float:
        took_s = self.curve.took_s(items)
        # Near the time-out one slow answer more costs everything.
        risk = min(1.0, max(0.05, (1.0 - took_s / self.timeout_s) / (1.0 - _SAFE)))
        return items / max(took_s, gap_s, 0.001) * risk

    def _furthest(self, now_ms: int, room: int) -> float:
        """What the bounds and the walls allow."""
        furthest = float(max(1, min(self.most, room)))
        if self.failed_size.stands(now_ms):
            furthest = min(furthest, max(1.0, self.failed_size.at / 1.03))
        return furthest

    def _top(self, now_ms: int, room: int) -> float:
        """The largest size that may be tried next, from what has been answered lately."""
        sizes = self.curve.sizes()
        reach = self.first
        if sizes:
            growth = _GROWTH
            if len(sizes) > 1 and self.curve.took_s(sizes[-1]) < 1.5 * self.curve.took_s(sizes[-1] / 2):
                growth = _QUICK_GROWTH
            reach = max(reach, min(sizes[-1] * growth, self._careful()))
        return min(reach, self._furthest(now_ms, room))

    def _careful(self) -> float:
        """After a time-out: up to half of what timed out as ever, from there in small steps."""
        if not self.failed_size.hits:
            return float(self.most)
        sizes = self.curve.sizes()
        return max(self.failed_size.at / 2, sizes[-1] * _CAREFUL_GROWTH if sizes else 0.0)

    def _up(self, best: int, furthest: float, gap_s: float) -> int:
        """Where an excursion up would go: as far as it is not expected to cost half a call."""
        if best >= furthest * 0.97 or not self.curve.sizes():
            return best
        good = self._goodput(best, gap_s)
        for factor in _EXCURSIONS_UP:
            there = min(best * factor, furthest)
            loss_s = max(self.curve.took_s(there), gap_s) - there / good
            if loss_s < 0.5 * max(self.curve.took_s(best), gap_s) or factor == _EXCURSIONS_UP[-1]:
                return int(there)
        return best

    # -- what calls teach ------------------------------------------------------------------------------------

    def answered(self, items: int, took_s: float, now_ms: int, *, room: int, gap_s: float) -> None:
        """Note that a call of `items` was answered after `took_s`."""
        before = self.best(self._top(now_ms, room), gap_s)
        good = self._goodput(before, gap_s)
        overthrown = self.curve.observe(items, took_s, now_ms, gap_s=gap_s)
        if self.failed_size.hits and items >= self.failed_size.at:
            self.failed_size, self.first = FailedSize(), float(FIRST_ITEMS)
        elif (
            items > self.failed_size.at / 2
            and self.curve.took_s(self.failed_size.at / 2) < self.failed_size.half_took_s / 2
        ):
            # Planhat has become twice as quick: another world, in which the wall may not stand.
            self.failed_size.until_ms = min(self.failed_size.until_ms, now_ms)
        call_s = max(took_s, gap_s)
        if overthrown:
            # How dear an excursion is was reckoned with what is no longer believed.
            soon_ms = now_ms + int(1000 * _EXCURSION_CALLS * call_s)
            self._up_ms, self._down_ms = min(self._up_ms, soon_ms), min(self._down_ms, soon_ms)
        wait_ms = 1000 * max(_EXCURSION_CALLS * call_s, (call_s - items / good) / _EXCURSION_PART)
        if items > before * 1.08:
            self._up_ms = now_ms + int(wait_ms)
        elif before * 0.75 > items > before * 0.5:
            self._down_ms = now_ms + int(wait_ms)

    def cut_off(self, items: int, took_s: float, now_ms: int, *, probing: bool) -> None:
        """Note that a call got no whole answer: its size may be why. `probing`: it was the small call that ends an outage; where
        even that is not answered, it was no matter of size."""
        if probing or items <= _NO_MATTER_OF_SIZE:
            if self.failed_size.hits == 1:
                self.failed_size, self.first = FailedSize(), float(FIRST_ITEMS)
            return
        hits = self.failed_size.hits + 1
        at = min(float(items), self.failed_size.at) if self.failed_size.hits else float(items)
        cost_ms = took_s * 1000 + _OUTAGE_MS
        wait_ms = _SUSPECT_MS if hits == 1 else min(DAY_MS, cost_ms / _TIMEOUT_PART * 2 ** (hits - 2))
        self.failed_size = FailedSize(at, now_ms + int(wait_ms), hits, self.curve.took_s(at / 2))
        self.first = min(self.first, items / 2)
        self.curve.forget_above(items / 2, now_ms)

    # -- as it is stored -------------------------------------------------------------------------------------

    def stored(self) -> dict[str, Any]:
        """Give it for JSON."""
        return {
            "calls": self.curve.rows(),
            "gap_s": self.curve.gap_s,
            "wall": [
                self.failed_size.at,
                self.failed_size.until_ms,
                self.failed_size.hits,
                self.failed_size.half_took_s,
            ],
            "first": self.first,
            "excursions": [self._up_ms, self._down_ms],
        }

    def restore(self, learned: dict[str, Any], now_ms: int) -> None:
        """Take up what was stored. Raises KeyError, ValueError or TypeError for what `stored` has not written."""
        # Releases before 2026-11-28 did not write it.
        curve = LatencyCurve.of(learned["calls"], now_ms, gap_s=float(learned.get("gap_s", 0.0)))
        at, until_ms, hits, half_took_s = learned["wall"]
        up_ms, down_ms = learned["excursions"]
        first = float(learned["first"])
        self.failed_size = FailedSize(float(at), int(until_ms), int(hits), float(half_took_s))
        self.curve, self.first = curve, first
        self._up_ms, self._down_ms = int(up_ms), int(down_ms)
        self._asked = None
