"""A simulated Planhat with hidden limits, a simulated fleet's Redis and a worker's loop over a real `Pace`, all in
simulated time: an hour takes a second or two. The loop does what `workers/flush/loop.py` does with its limits and answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random

from relay.config import Batch, PlanhatConfig
from relay.outbox.delivery import CallPermit, DeliveryState
from relay.planhat.outcomes import Hold
from workers.pace.pace import Pace

NOON = 1_800_000_000_000


@dataclass(frozen=True)
class World:
    """What Planhat does and does not tell. A call of n items takes a_s + b_s n + c_s n^2 seconds, times `step` beyond
    `step_at` items; beyond `cliff` it is never answered. `noise` is the sigma of a log-normal factor of mean 1;
    `outliers` the part of calls that take three times as long. `throttle`: calls in a minute (fixed windows, as the
    sandbox counts); `retry_after_s`: what a 429 names."""

    a_s: float = 0.2
    b_s: float = 0.001
    c_s: float = 0.0
    step_at: int = 1_000_000
    step: float = 1.0
    cliff: int = 1_000_000
    body_limit: int = 1_000_000_000
    throttle: int = 1_000_000
    retry_after_s: float | None = None
    noise: float = 0.0
    outliers: float = 0.0
    item_bytes: int = 1_000
    calls_per_minute: int = 150
    max_items: int = 5_000
    max_bytes: int = 4_000_000
    timeout_s: float = 60.0

    def latency_s(self, items: int) -> float:
        if items > self.cliff:
            return float("inf")
        return (self.a_s + self.b_s * items + self.c_s * items**2) * (
            self.step if items > self.step_at else 1.0
        )

    def optimum(self) -> tuple[float, int]:
        """(items a second, items a call) of the best constant size, by trying all."""
        calls = min(self.calls_per_minute, self.throttle)
        most = min(self.max_items, min(self.max_bytes, self.body_limit) // (self.item_bytes + 1))
        slower = 1 + 2 * self.outliers
        best = max(
            (items / max(self.latency_s(items) * slower, 60 / calls), items)
            for items in range(1, most + 1)
            if self.latency_s(items) < self.timeout_s
        )
        return best


class MemoryDelivery:
    """`Delivery` in memory; the law of `take_call.lua` once more (`tests/workers/test_pace.py` compares them)."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.state = DeliveryState()
        self.calls: deque[int] = deque()
        self.kept: dict[str, str] = {}

    def read(self) -> DeliveryState:
        return self.state

    def back_off(self, until_ms: int, reason: str) -> None:
        self.state = replace(
            self.state,
            state="backing_off",
            until_ms=until_ms,
            reason=reason,
            failures=self.state.failures + 1,
        )

    def block(self, until_ms: int, reason: str) -> None:
        self.state = replace(
            self.state, state="blocked", until_ms=until_ms, reason=reason, failures=self.state.failures + 1
        )

    def reopen(self, now_ms: int) -> None:
        self.state = DeliveryState(reopened_ms=now_ms)

    def take_call(self, per_minute: int, at_once: int | None = None, *, now_ms: int = 0) -> int:
        permit = self.permit(per_minute, at_once, now_ms=now_ms)
        if not permit.wait_ms:
            self.calls.append(now_ms or self._now_ms())
        return permit.wait_ms

    def permit(
        self, per_minute: int, at_once: int | None = None, *, seize: bool = False, now_ms: int = 0
    ) -> CallPermit:
        now_ms = now_ms or self._now_ms()
        wait_ms, used = self._look_for_call(per_minute, at_once, now_ms)
        plenty = used < min(per_minute, per_minute if at_once is None else at_once)
        taken = seize and plenty and not wait_ms and self.state.state == "open"
        if taken:
            self.calls.append(now_ms)
        return CallPermit(
            self.state,
            wait_ms,
            used,
            spent=used >= per_minute,
            scarce=used >= (per_minute if at_once is None else at_once),
            taken=taken,
        )

    def _look_for_call(self, per_minute: int, at_once: int | None, now_ms: int) -> tuple[int, int]:
        while self.calls and self.calls[0] <= now_ms - 60_000:
            self.calls.popleft()
        used = len(self.calls)
        if used >= per_minute:
            return max(1, self.calls[used - per_minute] + 60_001 - now_ms), used
        at_once = per_minute if at_once is None else at_once
        if used and at_once < per_minute and used * 4 >= at_once:
            gap = 60_000 / per_minute * 0.47
            if used >= at_once:
                even = 60_000 / per_minute * (0.6 if used < per_minute * 0.9 else 0.95)
                gap = max(even, (self.calls[0] + 60_000 - now_ms) / (per_minute - used) * 0.95)
            return max(0, -int(-(self.calls[-1] + gap - now_ms) // 1)), used
        return 0, used

    def calls_used(self, *, now_ms: int) -> int:
        return sum(1 for at in self.calls if at > now_ms - 60_000)

    def tune(self) -> dict[str, str]:
        return dict(self.kept)

    def set_tune(self, values: dict[str, str]) -> None:
        self.kept.update(values)


@dataclass
class Call:
    """`at_s` is when it began, seconds since the start; `waited_s` how long the oldest item in it had waited."""

    at_s: float
    items: int
    size: int
    took_s: float
    status: int | None
    waited_s: float = 0.0


@dataclass
class Fleet:
    """One worker on one world. `rate`: items a second that arrive; None: the backlog never ends."""

    world: World
    seed: int = 1
    rate: float | None = None
    calls: list[Call] = field(default_factory=list)
    delivered: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now_s = 0.0
        self._chance = Random(self.seed)
        self._window_s, self._in_window = float("-inf"), 0
        self._taken_s, self._owed = 0.0, 0.0
        self.delivery = MemoryDelivery(self.now_ms)
        self.pace = self.new_pace()

    def new_pace(self) -> Pace:
        world = self.world
        return Pace(
            self.delivery,  # type: ignore[arg-type]
            PlanhatConfig(
                calls_per_minute=world.calls_per_minute,
                timeout_s=world.timeout_s,
                batch=Batch(max_items=world.max_items, max_bytes=world.max_bytes),
            ),
            now_ms=self.now_ms,
            wait=self._wait,
            chance=Random(self.seed),
        )

    def now_ms(self) -> int:
        return NOON + int(self.now_s * 1000)

    def _wait(self, seconds: float) -> bool:
        self.now_s += seconds
        return False

    # -- the worker's loop -----------------------------------------------------------------------------------

    def run(self, until_s: float) -> Fleet:
        pace = self.pace
        while self.now_s < until_s:
            permit, now_ms = pace.permit(), self.now_ms()
            state = permit.state
            if pace.held(state, now_ms):
                self.now_s += max(0.001, (state.until_ms - now_ms) / 1000)
                continue
            if permit.spent:
                self.now_s += 0.1
                continue
            limits = pace.limits(state, now_ms)
            self.now_s += pace.linger_s(permit)
            items, oldest_s = self._claim(limits.items)
            if not items:
                self.now_s += 0.02
                continue
            fits = max(1, (limits.bytes - 2) // (self.world.item_bytes + 1))
            pieces = [fits] * (items // fits) + ([items % fits] if items % fits else [])
            while pieces and self._deliver(pieces[0], pace.state(), oldest_s):
                pieces.pop(0)
            self._owed += sum(pieces)
        return self

    def _claim(self, most: int) -> tuple[int, float]:
        if self.rate is None:
            return most, self.now_s
        self._owed += (self.now_s - self._taken_s) * self.rate
        self._taken_s = self.now_s
        items = min(most, int(self._owed))
        oldest_s = self.now_s - self._owed / self.rate
        self._owed -= items
        return items, oldest_s

    def _deliver(self, items: int, state: DeliveryState, oldest_s: float, failed: int = 1 << 60) -> bool:
        """One batch and, after a 413, its halves, as `Resolution` has it. False where delivery is held."""
        size = 1 + items * (self.world.item_bytes + 1)
        if size < failed or items == 1:
            self.pace.take_call()
            began_s = self.now_s
            status, took_s = self._planhat(items, size)
            self.now_s += took_s
            self.pace.save()
            self.calls.append(Call(began_s, items, size, took_s, status, began_s - oldest_s))
            if status == 429:
                self.pace.hold(Hold("rate_limited", "429", self.world.retry_after_s))
                return False
            if status is None:
                self.pace.cut_off(state, items=items, took_s=took_s)
                self.pace.hold(Hold("unavailable", "no whole answer"))
                return False
            if status == 413:
                self.pace.too_large(size)
                failed = min(failed, size)
            self.pace.went_through(state, items=items, took_s=took_s, size=size, taken=status == 200)
            if status == 200:
                self.delivered.append((self.now_s, items))
            if status == 200 or items == 1:
                return True
        left = (items + 1) // 2
        return self._deliver(left, self.pace.state(), oldest_s, failed) and self._deliver(
            items - left, self.pace.state(), oldest_s, failed
        )

    def _planhat(self, items: int, size: int) -> tuple[int | None, float]:
        world, chance = self.world, self._chance
        if self.now_s - self._window_s >= 60:
            self._window_s, self._in_window = self.now_s, 0
        self._in_window += 1
        if self._in_window > world.throttle:
            return 429, 0.01
        if size > world.body_limit:
            return 413, 0.02
        took_s = world.latency_s(items)
        if world.noise:
            took_s *= chance.lognormvariate(-(world.noise**2) / 2, world.noise)
        if chance.random() < world.outliers:
            took_s *= 3
        return (200, took_s) if took_s < world.timeout_s else (None, world.timeout_s)

    # -- what came of it -------------------------------------------------------------------------------------

    def goodput(self, from_s: float, until_s: float) -> float:
        """Items a second that were delivered; a call counts with the part of it that lies in between."""
        total, spans = (
            0.0,
            [(call.at_s, call.at_s + call.took_s, call.items) for call in self.calls if call.status == 200],
        )
        for began_s, ended_s, items in spans:
            inside = min(ended_s, until_s) - max(began_s, from_s)
            if inside > 0:
                total += items * inside / (ended_s - began_s)
        return total / (until_s - from_s)

    def ratio(self, from_s: float, until_s: float) -> float:
        return self.goodput(from_s, until_s) / self.world.optimum()[0]

    def share(self, status: int | None) -> float:
        return sum(1 for call in self.calls if call.status == status) / len(self.calls)

    def longest_silence_s(self, from_s: float) -> float:
        times = [call.at_s for call in self.calls if call.at_s >= from_s]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)
