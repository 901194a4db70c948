"""How fast the fleet calls Planhat, and when not at all. Policy only: the state is in Redis (`relay.outbox.delivery`).

State of delivery: *open*; *backing off* after 429 (Retry-After to the millisecond, never shortened; without one at least
`retry.rate_limited`) and after 5xx and time-outs (exponential, full jitter, up to `retry.cap`); *blocked* after 401
and a total 403 (a probe every `retry.probe`); *paused* by a person. Once the time has come, delivery is half open: one
small probe for the whole fleet, since one flush job owns the lane. When the probe goes through, size and rate ramp
up over a minute; after a 429 they do not, because it has told how many calls go.

Size of a batch: what brings the best goodput (`tuner.py`), within the bytes that Planhat takes. Calls a minute: what
429s have taught (`budget.py`), at most `calls_per_minute`. What is learned is the fleet's and outlives a restart.
Batching is natural: while a call is under way the next batch gathers. Only as the minute's budget runs low are calls
spread over it, and a flush lingers for more, up to `batch.linger`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import Final

import orjson

from relay.config import PlanhatConfig
from relay.outbox.delivery import NO_CALLS_WANTED, BeginsScript, CallPermit, Delivery, DeliveryState
from relay.planhat.outcomes import Hold
from workers.pace.backoff import Backoff
from workers.pace.batch_size import SizeTuner
from workers.pace.call_budget import CallBudget
from workers.pace.failed_sizes import ByteCeiling

PROBE_ITEMS: Final = 25
RAMP_MS: Final = 60_000
#: Between two calls right after an outage; it shrinks to nothing over RAMP_MS.
RAMP_GAP_S: Final = 2.0
#: Below this part of the minute's budget calls are plentiful: a quarter of them go as they come, the others are spread a little
#: (`take_call.lua`). With half of it, the other half was so thin that at 50 events a second and 150 calls a minute some waited for
#: more than a second.
_ROOMY: Final = 0.4
_LOOK_AGAIN_S: Final = 0.2
#: Of what is stored. Another release's is not read: it is learned anew in a minute.
_SCHEMA: Final = 2
#: Who has learned nothing for so long asks Redis what the fleet has.
_STALE_MS: Final = 10_000
#: Batches smaller than this say little of how large items are.
_TELLING_ITEMS: Final = 5
#: The mean size of an item is that of about so many.
_REMEMBERED_ITEMS: Final = 1_000
#: How much of the byte limit is planned for: items differ, and a claim that overshoots costs a second, small call.
_BYTES_PLANNED: Final = 0.98


@dataclass(frozen=True, slots=True)
class Limits:
    """How large the next batch may be."""

    items: int
    bytes: int


class Pace:
    """`now_ms()` is Redis's time; `about_ms()` nearly so, without asking it. `wait(seconds)` sleeps, but returns True at
    once when the process is to stop. `asked` is told that work is asked for."""

    def __init__(
        self,
        delivery: Delivery,
        config: PlanhatConfig,
        *,
        now_ms: Callable[[], int],
        about_ms: Callable[[], int] | None = None,
        wait: Callable[[float], bool] | None = None,
        chance: Random | None = None,
        asked: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = config
        self._asked = asked
        self._delivery = delivery
        self._now_ms = now_ms
        self._about_ms = about_ms or now_ms
        self._wait = wait or threading.Event().wait
        self._chance = chance or Random()  # noqa: S311 - jitter, no secret
        self.sizes = SizeTuner(config.batch.max_items, timeout_s=config.timeout_s)
        self.bytes = ByteCeiling(config.batch.max_bytes)
        self.budget = CallBudget(config.calls_per_minute)
        self._item_bytes = 0.0
        self._held_by = ""
        self._synced_ms = 0
        self._unsaved = False
        self.load()

    # -- may we, and how much --------------------------------------------------------------------------------

    def state(self) -> DeliveryState:
        return self._delivery.read()

    def held(self, state: DeliveryState, now_ms: int) -> bool:
        return state.state == "paused" or (state.state != "open" and state.until_ms > now_ms)

    def limits(self, state: DeliveryState, now_ms: int) -> Limits:
        # Either way: the clock may have gone back.
        if abs(now_ms - self._synced_ms) > _STALE_MS:
            self.save()
            self.load()
        items, size = (
            self.sizes.size(now_ms, room=self._room(now_ms), gap_s=self._gap_s()),
            self.bytes.limit(now_ms),
        )
        if state.state != "open":
            return Limits(min(PROBE_ITEMS, items), size)
        part = self._ramp(state, now_ms)
        return Limits(min(items, max(PROBE_ITEMS, int(items * part))), size)

    def _room(self, now_ms: int) -> int:
        """How many items of the usual size go into one call."""
        most = self.config.batch.max_items
        if self._item_bytes <= 0:
            return most
        return max(1, min(most, int(self.bytes.limit(now_ms) * _BYTES_PLANNED / self._item_bytes)))

    def _gap_s(self) -> float:
        """Between two calls, where the budget is used evenly."""
        return 60.0 / self.budget.allowed

    def _ramp(self, state: DeliveryState, now_ms: int) -> float:
        """What part of full speed is allowed so soon after an outage, from 1/20 to 1."""
        if not state.reopened_ms:
            return 1.0
        return min(1.0, max(0.05, (now_ms - state.reopened_ms) / RAMP_MS))

    def used(self, now_ms: int) -> float:
        """Return what part of the minute's budget is spent."""
        return self._delivery.calls_used(now_ms=now_ms) / self.budget.allowed

    def permit(self, now_ms: int = 0, *, seize: bool = False) -> CallPermit:
        """Return `seize`: a call would follow at once, so that its place is taken in the same step, where delivery is open and calls
        are plentiful; not for who may have to linger after an outage. `now_ms` 0: Redis's own."""
        self._asked()
        return self._delivery.permit(self.budget.allowed, self._roomy(), seize=seize, now_ms=now_ms)

    def begin_permit(self, begin: BeginsScript, *, seize: bool = False) -> Callable[[], CallPermit]:
        """Ask for a `permit` without waiting; what it gives back waits. `begin` begins a script of the lane."""
        self._asked()
        return self._delivery.begin_permit(begin, self.budget.allowed, self._roomy(), seize=seize)

    def begin_call(self, begin: BeginsScript) -> Callable[[], object]:
        """Count a call that is made at once, without waiting for Redis; for who knows that calls are plentiful."""
        self._asked()
        return self._delivery.begin_call(begin, self.budget.allowed, self._roomy())

    def linger_s(self, permit: CallPermit, now_ms: int = 0) -> float:
        """Return how long to gather before the call: nothing while the budget has room, and no outage has just ended."""
        linger_s = min(self.config.batch.linger_s, permit.wait_ms / 1000)
        if permit.state.reopened_ms:
            ramp_s = RAMP_GAP_S * (1.0 - self._ramp(permit.state, now_ms or self._about_ms()))
            linger_s = max(linger_s, ramp_s)
        return linger_s

    def _roomy(self) -> int:
        """So many calls of a minute are made nearly as they come; the others are spread."""
        return ceil(self.budget.allowed * _ROOMY)

    def take_call(self, *, stop: Callable[[], bool] = lambda: False, patience_s: float = 120.0) -> bool:
        """Waits for a place in the fleet's minute. False where we were told to stop, a person paused delivery, or
        `patience_s` went by."""
        waited = 0.0
        while True:
            self._asked()
            wait_ms = self._delivery.take_call(self.budget.allowed, self._roomy())
            if wait_ms == NO_CALLS_WANTED:
                return False
            if wait_ms == 0:
                return True
            nap_s = min(wait_ms / 1000, _LOOK_AGAIN_S)
            if waited >= patience_s or stop() or self._wait(nap_s):
                return False
            waited += nap_s

    def pause_s(self, seconds: float) -> bool:
        """Pause for so long; True where the process is to stop."""
        return self._wait(seconds) if seconds > 0 else False

    # -- what calls teach ------------------------------------------------------------------------------------

    def hold(self, hold: Hold) -> int:
        """Stop delivery for everybody; gives until when (epoch ms)."""
        retry = self.config.retry
        now_ms = self._now_ms()
        state = self.state()
        failures = state.failures + 1
        if hold.kind == "rate_limited" and state.state == "open":
            # That the probe is refused as well says that it came too early, not how many calls go.
            self.budget.refused(max(0, self._delivery.calls_used(now_ms=now_ms) - 1), now_ms)
        self._held_by = hold.kind
        self._save()
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
        return until_ms

    def went_through(
        self, state: DeliveryState, *, items: int, took_s: float, size: int = 0, taken: bool = True
    ) -> None:
        """Note that a call of `items` in `size` bytes was answered. Ends an outage. `taken`: the items were looked at, so that
        the time says something of their number; a refusal of the whole call says nothing."""
        now_ms = self._about_ms()
        if state.state in ("backing_off", "blocked"):
            # 0: no ramp. A 429 was about the number of calls, which is known now.
            self._delivery.reopen(0 if self._held_by == "rate_limited" else now_ms)
        if not taken:
            return
        if size and items >= _TELLING_ITEMS:
            part = items / (items + _REMEMBERED_ITEMS) if self._item_bytes else 1.0
            self._item_bytes += (size / items - self._item_bytes) * part
        self.bytes.answered(size)
        self.sizes.answered(items, took_s, now_ms, room=self._room(now_ms), gap_s=self._gap_s())
        if self.budget.learned:
            self.budget.answered(self._delivery.calls_used(now_ms=now_ms), now_ms)
        # Beside the next call (`save`): between two calls every wait for Redis counts.
        self._unsaved = True

    def too_large(self, sent_bytes: int) -> None:
        """Note a 413: what was sent is too much."""
        self.bytes.refused(sent_bytes, self._about_ms())
        self._save()

    def cut_off(self, state: DeliveryState, *, items: int, took_s: float) -> None:
        """Note that a call of `items` got no whole answer, from Planhat or from a gateway before it. `state`: when it began."""
        self.sizes.cut_off(items, took_s, self._about_ms(), probing=state.state != "open")
        self._save()

    # -- what the fleet knows --------------------------------------------------------------------------------

    def load(self) -> None:
        """Load what the fleet has learned. What cannot be read is learned anew."""
        now_ms = self._synced_ms = self._about_ms()
        stored = self._delivery.tune()
        try:
            learned = orjson.loads(stored["learned"])
            if learned["version"] != _SCHEMA:
                return
            self.sizes.restore(learned["sizes"], now_ms)
            self.bytes.restore(learned["bytes"])
            self.budget.restore(learned["budget"])
            self._item_bytes, self._held_by = float(learned["item_bytes"]), str(learned["held_by"])
        except (KeyError, ValueError, TypeError, OverflowError):
            return

    def save(self) -> None:
        """Tell the fleet what the last call taught, if it does not know yet."""
        if self._unsaved:
            self._save()

    def _save(self) -> None:
        """`items`, `bytes` and `calls` are for people, `learned` (JSON) is what `load` reads."""
        self._unsaved = False
        now_ms = self._synced_ms = self._about_ms()
        room = self._room(now_ms)
        learned = {
            "version": _SCHEMA,
            "sizes": self.sizes.stored(),
            "bytes": self.bytes.stored(),
            "budget": self.budget.stored(),
            "item_bytes": round(self._item_bytes, 1),
            "held_by": self._held_by,
        }
        self._delivery.set_tune(
            {
                "items": str(self.sizes.size(now_ms, room=room, gap_s=self._gap_s())),
                "bytes": str(self.bytes.limit(now_ms)),
                "calls": str(self.budget.allowed),
                "learned": orjson.dumps(learned).decode(),
            }
        )
