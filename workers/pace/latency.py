"""What answers have taught of how long a call takes, by its size. No clock and no Redis in here.

Two estimates together. A fitted curve a + b n + c n^2 (no coefficient negative, relative errors; recent calls, and
sizes near the best one, weigh more) says what to expect of sizes not tried, and evens out noise. What was measured near
a size corrects the curve there, so that a step, which no curve can follow, is believed where it was met; and no size is
expected to be quicker than a smaller one was.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp, log
from typing import Any, Final

#: No call is planned for fewer.
FEWEST_ITEMS: Final = 10
#: Sizes this close together share one estimate.
RATIO: Final = 1.1
HALF_LIFE_MS: Final = 5 * 60_000
#: A lesson is forgotten after so long, or, where it was dear, after so many times what it took: to learn it anew then
#: costs at most 1% of the time.
FORGET_MS: Final = 15 * 60_000
_FORGET_TIMES: Final = 100
#: What was looked at no longer ago is as good as looked at now.
_FRESH_MS: Final = 1_000
_MEMORY: Final = 8
#: One answer moves an estimate by at most this (in log seconds: a factor of 2); the second like it is believed.
_SURPRISE: Final = 0.7
#: How far, in log size, a measurement speaks for its neighbours.
_NEAR: Final = 0.12
_MOST_RUNGS: Final = 32
#: How far, in log size, from the best size a measurement has its say in the curve.
_LOCAL: Final = 0.8
#: What a measurement from farther off has to say, as a part of one at the best size.
_FAR: Final = 0.02
#: Where so many are near, they make a curve by themselves; it is taken where it leaves less unexplained.
_IS_NEAR: Final = 0.1
_ENOUGH_NEAR: Final = 3
_BETTER: Final = 0.95
#: What is off the curve by more than about this (in log seconds) hardly bends it.
_ROBUST: Final = 0.4
_ROUNDS: Final = 3
#: So many calls that were slow say that larger ones are at least about as slow.
_WITNESSES: Final = 2
_BELIEVED: Final = 0.75
#: Which terms of 1, n, n^2 a fit may use, the simplest first.
_TERMS: Final = ((0,), (0, 1), (0, 2), (0, 1, 2), (1,), (1, 2), (2,))


@dataclass(slots=True)
class _Rung:
    """Calls of about one size: `items` of the last one, the mean log seconds, how many calls that stands on (at most
    8), the last one's time; `odd`: +1 or -1 where the last one was surprisingly slow or quick. `doubts`: how many calls in a row
    say that it is slower (smaller ones that took longer), negative: quicker (larger ones that took less)."""

    items: int
    log_s: float
    calls: float
    at_ms: int
    odd: int = 0
    doubts: int = 0

    def weight(self, now_ms: int) -> float:
        age_ms = max(0, now_ms - self.at_ms)
        if age_ms > self.kept_ms:
            return 0.0
        return float(min(self.calls, _MEMORY) * 0.5 ** (age_ms * FORGET_MS / self.kept_ms / HALF_LIFE_MS))

    @property
    def kept_ms(self) -> float:
        return max(FORGET_MS, _FORGET_TIMES * 1000 * exp(self.log_s))


#: Calls of sizes that seem to take the same: the smallest size, how many calls, the mean log seconds.
_Block = tuple[int, float, float]


class LatencyCurve:
    """Seconds of a call by its number of items."""

    def __init__(self) -> None:
        self._rungs: dict[int, _Rung] = {}
        self._terms: tuple[float, float, float] = (1.0, 0.0, 0.0)
        self._known: list[tuple[float, float, float]] = []
        self._floors: list[tuple[int, float]] = []
        self._refreshed_ms = 0
        #: Between two calls lie so many seconds at least, as it was at the last one.
        self.gap_s = 0.0
        #: Another number means that something was learned or forgotten.
        self.version = 0

    def observe(self, items: int, took_s: float, now_ms: int, *, gap_s: float = 0.0) -> bool:
        """Take in one answered call. `gap_s`: the next one begins no sooner after this one did. Tells whether it overthrew what was
        believed: what was reckoned with that holds no more."""
        self.gap_s = gap_s
        overthrown = False
        measured, place = log(max(took_s, 0.001)), round(log(max(items, 1)) / log(RATIO))
        rung = self._rungs.get(place)
        if rung is None or rung.weight(now_ms) <= 0:
            self._rungs[place] = _Rung(items, measured, 1.0, now_ms)
        else:
            off = measured - rung.log_s
            odd = 0 if abs(off) < _SURPRISE else 1 if off > 0 else -1
            step = 1 / (min(rung.calls, _MEMORY) + 1)
            if odd and odd == rung.odd:
                # Twice in a row: no noise, Planhat has changed. What is known of other sizes is in doubt as well.
                step = 0.5
                for other in self._rungs.values():
                    other.calls = min(other.calls, 1.0)
                rung.calls, overthrown = 1.0, True
            elif odd and rung.calls >= 2:
                off = odd * _SURPRISE
            rung.log_s += step * off
            rung.items, rung.at_ms, rung.odd, rung.calls = items, now_ms, odd, min(rung.calls + 1, _MEMORY)
            rung.doubts = 0
        overthrown = self._doubt(place, measured) or overthrown
        self.refresh(now_ms)
        return overthrown

    def _doubt(self, place: int, measured: float) -> bool:
        """No call takes longer for having less to do. Where three in a row say so, of whatever sizes, what is older holds no more, and
        is forgotten: True."""
        before = len(self._rungs)
        for other, rung in list(self._rungs.items()):
            if other > place:
                slower = measured > rung.log_s + _SURPRISE
                rung.doubts = max(rung.doubts, 0) + 1 if slower else min(rung.doubts, 0)
            elif other < place:
                quicker = measured < rung.log_s - _SURPRISE
                rung.doubts = min(rung.doubts, 0) - 1 if quicker else max(rung.doubts, 0)
            if abs(rung.doubts) > _WITNESSES:
                del self._rungs[other]
        return len(self._rungs) < before

    def forget_above(self, items: float, now_ms: int) -> None:
        """Forget sizes beyond this: they are unknown again."""
        self._rungs = {place: rung for place, rung in self._rungs.items() if rung.items <= items}
        self.refresh(now_ms)

    def keep_fresh(self, now_ms: int) -> None:
        """Forget what has become too old since it was last looked at."""
        if abs(now_ms - self._refreshed_ms) > _FRESH_MS:
            self.refresh(now_ms)

    def refresh(self, now_ms: int) -> None:
        """Forgets what is too old and fits the curve to the rest."""
        self._refreshed_ms = now_ms
        weights = {place: rung.weight(now_ms) for place, rung in self._rungs.items()}
        kept = sorted(weights, key=lambda place: weights[place], reverse=True)[:_MOST_RUNGS]
        self._rungs = {place: self._rungs[place] for place in sorted(kept) if weights[place] > 0}
        points = [(rung.items, exp(rung.log_s), weights[place]) for place, rung in self._rungs.items()]
        blocks = self._isotonic()
        self._terms = _fit(points, _best_size(self.sizes(), blocks, self.gap_s))
        self._known = [
            (log(items), weight, log(took_s / self._curve(items))) for items, took_s, weight in points
        ]
        self._floors = _floors(blocks)
        self.version += 1

    def _isotonic(self) -> list[_Block]:
        """Isotonic regression, since a call is not quicker for having more to do."""
        blocks: list[_Block] = []
        for rung in self._rungs.values():
            items, calls, mean = rung.items, rung.calls, rung.log_s
            while blocks and blocks[-1][2] >= mean:
                first, before, slower = blocks.pop()
                items, mean = first, (slower * before + mean * calls) / (before + calls)
                calls += before
            blocks.append((items, calls, mean))
        return blocks

    def sizes(self) -> list[int]:
        """Return the sizes known at the last refresh, the smallest first."""
        return [rung.items for rung in self._rungs.values()]

    def took_s(self, items: float) -> float:
        """Return what a call of so many items is expected to take; 1 s where nothing is known."""
        floor = 0.0
        for known, seconds in self._floors:
            if known > items:
                break
            floor = seconds
        return max(floor, self._corrected(items))

    def _corrected(self, items: float) -> float:
        here = log(max(items, 1.0))
        pull, total = 0.0, 1.0
        for at, weight, off in self._known:
            if abs(here - at) < 3 * _NEAR:
                near = weight * exp(-(((here - at) / _NEAR) ** 2) / 2)
                pull += near * off
                total += near
        return self._curve(items) * exp(pull / total)

    def _curve(self, items: float) -> float:
        a, b, c = self._terms
        return max(1e-4, a + b * items + c * items * items)

    # -- as it is stored -------------------------------------------------------------------------------------

    def rows(self) -> list[list[Any]]:
        """Return [items, ms, calls, at_ms] of each size, for JSON."""
        return [[r.items, round(exp(r.log_s) * 1000, 6), r.calls, r.at_ms] for r in self._rungs.values()]

    @classmethod
    def of(cls, rows: Iterable[Sequence[Any]], now_ms: int, *, gap_s: float = 0.0) -> LatencyCurve:
        """Take up what was stored. Raises ValueError, TypeError or OverflowError for what `rows` has not written."""
        curve = cls()
        curve.gap_s = gap_s
        for items, ms, calls, at_ms in rows:
            place = round(log(max(int(items), 1)) / log(RATIO))
            curve._rungs[place] = _Rung(int(items), log(float(ms) / 1000), float(calls), int(at_ms))
        curve.refresh(now_ms)
        return curve


def _floors(blocks: Sequence[_Block]) -> list[tuple[int, float]]:
    """[size, least seconds from there on]. What one call alone says is not believed, what two say is: steps are steep, and noise is
    no step."""
    floors, seconded = [], 0.0
    for at, (items, calls, mean) in enumerate(blocks):
        known = mean if calls >= _WITNESSES else min(mean, blocks[at - 1][2]) if at else None
        if known is not None:
            seconded = max(seconded, exp(known) * _BELIEVED)
        floors.append((items, seconded))
    return floors


def _best_size(sizes: Iterable[int], blocks: Sequence[_Block], gap_s: float) -> float:
    """The size with the best goodput, where a call takes as long as its block says, and `gap_s` at least; 1 where none is known. Calls
    of one or two items, as a quiet night has them, say nothing of the sizes that are chosen among."""
    goodput: dict[int, float] = {}
    at = 0
    for items in sizes:
        while at + 1 < len(blocks) and blocks[at + 1][0] <= items:
            at += 1
        # Rounded: of equal ones the first counts, also where what was stored differs in its last digit.
        goodput[items] = round(log(items / max(exp(blocks[at][2]), gap_s)), 6)
    choosable = [items for items in goodput if items >= FEWEST_ITEMS] or goodput
    return max(choosable, key=goodput.__getitem__, default=1)


def _fit(points: Sequence[tuple[float, float, float]], best: float) -> tuple[float, float, float]:
    """a, b, c >= 0 of a + b n + c n^2, by least squares of relative errors over (n, seconds, weight), robustly, and around `best`."""
    if not points:
        return 1.0, 0.0, 0.0
    most = max(items for items, _, _ in points)
    rows = [tuple((items / most) ** power / took_s for power in range(3)) for items, took_s, _ in points]
    near = [exp(-((log(items / best) / _LOCAL) ** 2) / 2) for items, _, _ in points]
    local = [weight * (part + _FAR) for part, (_, _, weight) in zip(near, points, strict=True)]
    # A relative error has no bound where a call was quicker than expected: a few of another world bend the whole curve, and what
    # they bent it to looks right to them. So it is tried from other beginnings too, each of which must explain more.
    beginnings = [local]
    if sum(part > _IS_NEAR for part in near) >= _ENOUGH_NEAR:
        beginnings.append([w if part > _IS_NEAR else 0.0 for part, w in zip(near, local, strict=True)])
    beginnings.append(_off_weights((_median(points, local), 0.0, 0.0), rows, local))
    terms, least = (1.0, 0.0, 0.0), float("inf")
    for weights in beginnings:
        found = _through(rows, weights)
        left = _unexplained(found, rows, local)
        if left < _BETTER * least:
            terms, least = found, left
    return terms[0], terms[1] / most, terms[2] / most**2


def _through(rows: Sequence[Sequence[float]], local: Sequence[float]) -> tuple[float, float, float]:
    """Least squares, again and again: what is off hardly counts in the next round."""
    weights, terms = local, (1.0, 0.0, 0.0)
    for _ in range(_ROUNDS):
        terms = _least_squares(rows, weights)
        weights = _off_weights(terms, rows, local)
    return terms


def _off_weights(
    terms: Sequence[float], rows: Sequence[Sequence[float]], local: Sequence[float]
) -> list[float]:
    """The weights `local`, less for each row the farther it is off."""
    return [w / (1 + (_off(terms, row) / _ROBUST) ** 2) for w, row in zip(local, rows, strict=True)]


def _median(points: Sequence[tuple[float, float, float]], weights: Sequence[float]) -> float:
    """The seconds that half of the weight lies below."""
    by_time = sorted(zip((took_s for _, took_s, _ in points), weights, strict=True))
    below = list(accumulate(weight for _, weight in by_time))
    return by_time[bisect_left(below, below[-1] / 2)][0]


def _unexplained(terms: Sequence[float], rows: Sequence[Sequence[float]], local: Sequence[float]) -> float:
    """How much a curve leaves unexplained; what is quite off counts once, however far."""
    return sum(
        weight * min(1.0, (_off(terms, row) / _ROBUST) ** 2) for weight, row in zip(local, rows, strict=True)
    )


def _off(terms: Sequence[float], row: Sequence[float]) -> float:
    """How far, in log seconds, what is expected lies from what was measured."""
    (a, b, c), (one, n, square) = terms, row
    return log(max(a * one + b * n + c * square, 1e-6))


def _least_squares(rows: Sequence[Sequence[float]], weights: Sequence[float]) -> tuple[float, float, float]:
    """The non-negative factors of a row's three numbers that bring every row closest to 1."""
    aa = ab = ac = bb = bc = cc = ra = rb = rc = 0.0
    for w, (a, b, c) in zip(weights, rows, strict=True):
        wa, wb, wc = w * a, w * b, w * c
        ra, rb, rc = ra + wa, rb + wb, rc + wc
        aa, ab, ac = aa + wa * a, ab + wa * b, ac + wa * c
        bb, bc, cc = bb + wb * b, bc + wb * c, cc + wc * c
    gram = ((aa, ab, ac), (ab, bb, bc), (ac, bc, cc))
    right = (ra, rb, rc)
    total = sum(weights)
    least, found = float("inf"), (1.0, 0.0, 0.0)
    for terms in _TERMS:
        if len(terms) > len(rows):
            continue
        solved = _solve([[gram[i][j] for j in terms] for i in terms], [right[i] for i in terms])
        if solved is None or min(solved) < 0:
            continue
        left = total - sum(value * right[i] for value, i in zip(solved, terms, strict=True))
        # A further term must earn its place: noise always likes one more.
        if left < least * 0.98 - 1e-9 * total:
            least = left
            values = dict(zip(terms, solved, strict=True))
            found = (values.get(0, 0.0), values.get(1, 0.0), values.get(2, 0.0))
    return found


def _solve(matrix: list[list[float]], vector: list[float]) -> list[float] | None:
    """Gauss with pivoting; None where the equations do not tell."""
    size = len(vector)
    if size == 1:
        return [vector[0] / matrix[0][0]] if matrix[0][0] >= 1e-12 else None
    rows = [[*row, value] for row, value in zip(matrix, vector, strict=True)]
    for at in range(size):
        pivot = max(range(at, size), key=lambda row: abs(rows[row][at]))
        if abs(rows[pivot][at]) < 1e-12:
            return None
        rows[at], rows[pivot] = rows[pivot], rows[at]
        for below in range(at + 1, size):
            part = rows[below][at] / rows[at][at]
            rows[below] = [x - part * y for x, y in zip(rows[below], rows[at], strict=True)]
    solved = [0.0] * size
    for at in reversed(range(size)):
        known = sum(rows[at][other] * solved[other] for other in range(at + 1, size))
        solved[at] = (rows[at][size] - known) / rows[at][at]
    return solved
