"""How fast, and when not at all. The clock and chance are passed in."""

from __future__ import annotations

from random import Random

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from relay.config import Batch, PlanhatConfig, Retry
from relay.outbox.delivery import Delivery
from workers.backoff import Backoff
from workers.outcome import Hold
from workers.pace import PROBE_ITEMS, Pace

NOON = 1_800_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOON

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pace(client: redis.Redis, clock: Clock, **config: object) -> Pace:
    return Pace(
        Delivery(client),
        PlanhatConfig(**config),  # type: ignore[arg-type]
        now_ms=clock,
        wait=lambda seconds: False,
        chance=Random(1),
    )


@given(
    first=st.floats(0.1, 100),
    cap=st.floats(0.1, 5000),
    failures=st.integers(0, 10_000),
    seed=st.integers(0, 99),
)
def test_a_backoff_never_exceeds_its_cap_nor_its_doubling(
    first: float, cap: float, failures: int, seed: int
) -> None:
    schedule = Backoff(first, cap)
    wait_s = schedule.wait_s(failures, Random(seed))

    assert 0 < wait_s <= min(cap, first * 2.0 ** min(max(failures, 1) - 1, 60)) + 1e-9
    assert (
        schedule.ceiling_s(failures) / 2
        <= schedule.wait_at_least_s(failures, Random(seed))
        <= schedule.ceiling_s(failures)
    )


def test_jitter_spreads_over_the_whole_interval() -> None:
    waits = [Backoff(8.0, 900.0).wait_s(1, Random(seed)) for seed in range(200)]

    assert min(waits) < 1
    assert max(waits) > 7


@given(retry_after_s=st.floats(0, 86_400, allow_nan=False))
def test_a_time_that_planhat_names_is_never_shortened(retry_after_s: float) -> None:
    delivery = _Memory()
    Pace(delivery, PlanhatConfig(), now_ms=lambda: NOON).hold(Hold("rate_limited", "429", retry_after_s))  # type: ignore[arg-type]

    assert retry_after_s * 1000 <= delivery.until_ms - NOON <= retry_after_s * 1000 + 1


class _Memory:
    until_ms = 0

    def read(self) -> object:
        from relay.outbox.delivery import DeliveryState

        return DeliveryState()

    def back_off(self, until_ms: int, reason: str) -> None:
        self.until_ms = until_ms

    def tune(self) -> dict[str, str]:
        return {}

    def set_tune(self, values: dict[str, str]) -> None:
        return


def test_a_429_without_a_time_waits_at_least_a_minute_however_often(
    redis_client: redis.Redis, clock: Clock
) -> None:
    here = pace(redis_client, clock)
    waits = [(here.hold(Hold("rate_limited", "429")) - NOON) / 1000 for _ in range(12)]

    assert min(waits) >= 60
    assert max(waits) <= 900
    assert waits[0] == 60


def test_the_state_outlives_the_process_and_reopens_by_a_probe(
    redis_client: redis.Redis, clock: Clock
) -> None:
    here = pace(redis_client, clock, batch=Batch(max_items=5000))
    until_ms = here.hold(Hold("unavailable", "Planhat answered 503"))
    other = pace(redis_client, clock)

    assert other.held(other.state(), clock.now_ms) or until_ms <= clock.now_ms
    clock.now_ms = until_ms
    state = other.state()
    assert not other.held(state, clock.now_ms)
    assert other.limits(state, clock.now_ms).items == PROBE_ITEMS
    other.went_through(state, items=PROBE_ITEMS, took_s=0.2)
    assert other.state().state == "open"
    assert other.state().failures == 0


def test_after_an_outage_size_and_rate_ramp_up_over_a_minute(redis_client: redis.Redis, clock: Clock) -> None:
    here = pace(redis_client, clock, calls_per_minute=150)
    here.hold(Hold("unavailable", "x"))
    clock.now_ms += 900_000
    here.went_through(here.state(), items=25, took_s=0.1)
    sizes, gaps = [], []
    for second in (0, 10, 30, 60, 120):
        clock.now_ms = NOON + 900_000 + second * 1000
        sizes.append(here.limits(here.state(), clock.now_ms).items)
        gaps.append(here.linger_s(here.state(), clock.now_ms))

    assert sizes == sorted(sizes)
    assert sizes[0] <= 50
    assert sizes[3] == sizes[4] == 1000
    assert gaps == sorted(gaps, reverse=True)
    assert 1.5 < gaps[0] <= 2
    assert gaps[-1] == 0


def test_batches_grow_while_answers_are_quick_and_shrink_when_they_are_not(
    redis_client: redis.Redis, clock: Clock
) -> None:
    here = pace(redis_client, clock)
    state = here.state()
    for _ in range(10):
        here.went_through(state, items=here.limits(state, NOON).items, took_s=1.0)
    assert here.limits(state, NOON).items == 5000

    here.went_through(state, items=5000, took_s=20.0)
    assert here.limits(state, NOON).items == 2500
    here.hold(Hold("rate_limited", "429", 1.0))
    assert pace(redis_client, clock).limits(state, NOON).items == 1250, "and the fleet knows"
    here.too_large(900_000)
    assert here.limits(state, NOON).bytes == 450_000


def test_a_half_empty_batch_is_no_reason_to_grow(redis_client: redis.Redis, clock: Clock) -> None:
    here = pace(redis_client, clock)
    here.went_through(here.state(), items=3, took_s=0.1)

    assert here.limits(here.state(), NOON).items == 1000


def test_there_is_no_lingering_while_the_minute_has_room(redis_client: redis.Redis, clock: Clock) -> None:
    here, delivery = pace(redis_client, clock, calls_per_minute=10), Delivery(redis_client)
    lingers = []
    for _ in range(10):
        lingers.append(here.linger_s(here.state(), NOON))
        assert not here.exhausted(NOON)
        delivery.take_call(10, now_ms=NOON)

    assert lingers[:6] == [0.0] * 6
    assert lingers[6:] == sorted(lingers[6:])
    assert 0 < lingers[-1] <= 0.5
    assert here.exhausted(NOON)
    assert not here.exhausted(NOON + 60_001)


def test_a_blocked_delivery_probes_every_so_often(redis_client: redis.Redis, clock: Clock) -> None:
    here = pace(redis_client, clock, retry=Retry(probe_s=30))

    assert here.hold(Hold("blocked", "401")) == NOON + 30_000
    assert here.state().state == "blocked"


def test_a_pause_by_a_person_outlasts_the_weather(redis_client: redis.Redis, clock: Clock) -> None:
    here, delivery = pace(redis_client, clock), Delivery(redis_client)
    delivery.pause()
    here.hold(Hold("unavailable", "503"))
    here.went_through(here.state(), items=1, took_s=0.1)

    assert here.state().state == "paused"
    assert not here.take_call(patience_s=0)


def test_many_workers_together_keep_to_the_minute(redis_client: redis.Redis, clock: Clock) -> None:
    delivery = Delivery(redis_client)
    granted = [
        at
        for at in range(NOON, NOON + 180_000, 250)
        for _ in range(3)
        if delivery.take_call(20, now_ms=at) == 0
    ]

    assert all(sum(1 for other in granted if at - 60_000 < other <= at) <= 20 for at in granted)
    assert len(granted) >= 60
