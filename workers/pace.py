"""How fast the fleet calls Planhat, and when not at all. Policy only: the state is in Redis (`relay.outbox.delivery`).

State of delivery: *open*; *backing off* after 429 (Retry-After to the millisecond, never shortened; without one at least
`retry.rate_limited`) and after 5xx and time-outs (exponential, full jitter, up to `retry.cap`); *blocked* after 401
and a total 403 (a probe every `retry.probe`); *paused* by a person. Once the time has come, delivery is half open: one
small probe for the whole fleet, since one flush job owns the lane. When the probe goes through, size and rate ramp
up over a minute.

Size of a batch: additive increase, multiplicative decrease on slow answers, time-outs, 413 and 429.
Batching is natural: while a call is under way the next batch gathers. Only as the minute's budget runs low does a
flush linger for more, up to `batch.linger`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import Final

from relay.config import PlanhatConfig
from relay.outbox.delivery import Delivery, DeliveryState
from workers.backoff import Backoff
from workers.outcome import Hold

PROBE_ITEMS: Final = 25
RAMP_MS: Final = 60_000
#: Between two calls right after an outage; it shrinks to nothing over RAMP_MS.
RAMP_GAP_S: Final = 2.0
#: An answer faster than this may be asked for more; slower than SLOW_S for less.
QUICK_S: Final = 5.0
SLOW_S: Final = 15.0
FIRST_ITEMS: Final = 1_000
STEP_ITEMS: Final = 500
FEWEST_ITEMS: Final = 10
_FEWEST_BYTES: Final = 50_000
#: Below this part of the minute's budget a flush does not linger.
_ROOMY: Final = 0.5
_LOOK_AGAIN_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Limits:
    """How large the next batch may be."""

    items: int
    bytes: int


class Pace:
    """`wait(seconds)` sleeps, but returns True at once when the process is to stop."""

    def __init__(
        self,
        delivery: Delivery,
        config: PlanhatConfig,
        *,
        now_ms: Callable[[], int],
        wait: Callable[[float], bool] | None = None,
        chance: Random | None = None,
    ) -> None:
        self.config = config
        self._delivery = delivery
        self._now_ms = now_ms
        self._wait = wait or threading.Event().wait
        self._chance = chance or Random()  # noqa: S311 - jitter, no secret
        self._items = float(min(FIRST_ITEMS, config.batch.max_items))
        self._bytes = float(config.batch.max_bytes)
        self._tuned: dict[str, str] = {}
        self.load()

    # -- may we, and how much --------------------------------------------------------------------------------

    def state(self) -> DeliveryState:
        return self._delivery.read()

    def held(self, state: DeliveryState, now_ms: int) -> bool:
        return state.state == "paused" or (state.state != "open" and state.until_ms > now_ms)

    def limits(self, state: DeliveryState, now_ms: int) -> Limits:
        batch = self.config.batch
        items, size = min(int(self._items), batch.max_items), min(int(self._bytes), batch.max_bytes)
        if state.state != "open":
            return Limits(min(PROBE_ITEMS, items), size)
        part = self._ramp(state, now_ms)
        return Limits(min(items, max(PROBE_ITEMS, int(items * part))), size)

    def _ramp(self, state: DeliveryState, now_ms: int) -> float:
        """What part of full speed is allowed so soon after an outage, from 1/20 to 1."""
        if not state.reopened_ms:
            return 1.0
        return min(1.0, max(0.05, (now_ms - state.reopened_ms) / RAMP_MS))

    def exhausted(self, now_ms: int) -> bool:
        """No call may be made now."""
        return self.used(now_ms) >= 1.0

    def used(self, now_ms: int) -> float:
        """What part of the minute's budget is spent."""
        return self._delivery.calls_used(now_ms=now_ms) / max(1, self.config.calls_per_minute)

    def linger_s(self, state: DeliveryState, now_ms: int) -> float:
        """How long to gather before a call: nothing while the minute's budget has room, and no outage has just ended."""
        scarce = min(1.0, max(0.0, (self.used(now_ms) - _ROOMY) / (1 - _ROOMY)))
        return max(self.config.batch.linger_s * scarce, RAMP_GAP_S * (1.0 - self._ramp(state, now_ms)))

    def take_call(self, *, stop: Callable[[], bool] = lambda: False, patience_s: float = 120.0) -> bool:
        """Waits for a place in the fleet's minute. False where we were told to stop, a person paused delivery, or
        `patience_s` went by."""
        waited = 0.0
        while True:
            state = self.state()
            if state.state == "paused":
                return False
            wait_ms = self._delivery.take_call(max(1, self.config.calls_per_minute))
            if wait_ms <= 0:
                return True
            nap_s = min(wait_ms / 1000, _LOOK_AGAIN_S)
            if waited >= patience_s or stop() or self._wait(nap_s):
                return False
            waited += nap_s

    def pause_s(self, seconds: float) -> bool:
        """True where the process is to stop."""
        return self._wait(seconds) if seconds > 0 else False

    # -- what calls teach ------------------------------------------------------------------------------------

    def hold(self, hold: Hold) -> int:
        """Delivery stops for everybody; until when (epoch ms)."""
        retry = self.config.retry
        now_ms = self._now_ms()
        failures = self.state().failures + 1
        schedule = Backoff(retry.first_s, retry.cap_s)
        if hold.kind == "blocked":
            until_ms = now_ms + ceil(retry.probe_s * 1000)
            self._delivery.block(until_ms, hold.reason)
            return until_ms
        if hold.retry_after_s is not None:
            wait_s = hold.retry_after_s
        elif hold.kind == "rate_limited":
            wait_s = max(retry.rate_limited_s, schedule.wait_s(failures, self._chance))
        else:
            wait_s = schedule.wait_s(failures, self._chance)
        # Rounded up: a wait that Planhat named is never cut short, not even by a millisecond.
        until_ms = now_ms + ceil(wait_s * 1000)
        self._delivery.back_off(until_ms, hold.reason)
        if hold.kind == "rate_limited" or "no whole answer" in hold.reason:
            self._shrink(items=True, size=False)
        return until_ms

    def went_through(self, state: DeliveryState, *, items: int, took_s: float) -> None:
        """A call was answered. Ends an outage, and moves the size of batches."""
        if state.state in ("backing_off", "blocked"):
            self._delivery.reopen(self._now_ms())
        if took_s > SLOW_S and items > FEWEST_ITEMS:
            self._items = min(self._items, float(items))
            self._shrink(items=True, size=False)
        elif took_s < QUICK_S and items >= self._items * 0.9:
            self._items = min(float(self.config.batch.max_items), self._items + STEP_ITEMS)
            self._bytes = min(float(self.config.batch.max_bytes), self._bytes * 1.1)
            self._keep()

    def too_large(self, sent_bytes: int) -> None:
        """A 413: what was sent is too much."""
        self._bytes = min(self._bytes, float(sent_bytes))
        self._shrink(items=False, size=True)

    def _shrink(self, *, items: bool, size: bool) -> None:
        if items:
            self._items = max(float(FEWEST_ITEMS), self._items / 2)
        if size:
            self._bytes = max(float(_FEWEST_BYTES), self._bytes / 2)
        self._keep()

    def load(self) -> None:
        """What the fleet has learned of sizes."""
        self._tuned = self._delivery.tune()
        try:
            self._items = float(self._tuned.get("items", self._items))
            self._bytes = float(self._tuned.get("bytes", self._bytes))
        except ValueError:
            return

    def _keep(self) -> None:
        values = {"items": str(int(self._items)), "bytes": str(int(self._bytes))}
        if values != self._tuned:
            self._delivery.set_tune(values)
            self._tuned = values
