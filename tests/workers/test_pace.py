"""How fast, and when not at all. The clock and chance are passed in."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from random import Random

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from relay.config import Batch, PlanhatConfig, Retry
from relay.outbox.delivery import Delivery
from relay.planhat.outcomes import Hold
from tests.simulated import NOON, MemoryDelivery
from workers.pace.backoff import Backoff
from workers.pace.pace import PROBE_ITEMS, Pace


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


def linger_s(here: Pace, now_ms: int) -> float:
    permit = here.permit(now_ms)
    assert not permit.spent
    return here.linger_s(permit, now_ms)


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

    def calls_used(self, *, now_ms: int) -> int:
        return 1

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
        gaps.append(linger_s(here, clock.now_ms))

    assert sizes == sorted(sizes)
    assert sizes[0] <= 50
    assert sizes[3] == sizes[4] == 250
    assert gaps == sorted(gaps, reverse=True)
    assert 1.5 < gaps[0] <= 2
    assert gaps[-1] == 0


def test_what_was_learned_is_the_fleets_and_outlives_the_process(
    redis_client: redis.Redis, clock: Clock
) -> None:
    here, delivery = pace(redis_client, clock), Delivery(redis_client)
    state = here.state()
    for _ in range(6):
        items = here.limits(state, clock.now_ms).items
        here.went_through(state, items=items, took_s=1.0, size=items * 100)
        clock.now_ms += 1_000
    here.too_large(300_000)
    for _ in range(60):
        delivery.take_call(150, now_ms=clock.now_ms)
        clock.now_ms += 500
    here.hold(Hold("rate_limited", "429", 1.0))
    other = pace(redis_client, clock)

    assert 1_500 < other.limits(state, clock.now_ms).items == here.limits(state, clock.now_ms).items < 3_000
    assert other.limits(state, clock.now_ms).bytes == here.limits(state, clock.now_ms).bytes < 300_000
    assert other.used(clock.now_ms) == 60 / 58
    assert other.permit(clock.now_ms).spent, "58 calls a minute are allowed now, and 60 were made"
    assert {name: delivery.tune()[name] for name in ("items", "calls")} == {
        "items": str(other.limits(state, clock.now_ms).items),
        "calls": "58",
    }


def test_a_worker_that_was_idle_learns_what_another_one_found(
    redis_client: redis.Redis, clock: Clock
) -> None:
    here, other = pace(redis_client, clock), pace(redis_client, clock)
    other.too_large(300_000)
    before = here.limits(here.state(), clock.now_ms).bytes
    clock.now_ms += 11_000

    assert before == 4_000_000
    assert here.limits(here.state(), clock.now_ms).bytes < 300_000


def test_what_a_long_call_taught_is_not_forgotten_for_what_was_known_before(
    redis_client: redis.Redis, clock: Clock
) -> None:
    here = pace(redis_client, clock)
    clock.now_ms += 30_000
    here.went_through(here.state(), items=250, took_s=30.0, size=25_000)
    learned = here.sizes.stored()
    here.limits(here.state(), clock.now_ms)

    assert learned["calls"]
    assert here.sizes.stored() == learned
    assert pace(redis_client, clock).sizes.stored()["calls"] == learned["calls"], "and the fleet knows it"


@pytest.mark.parametrize("learned", ["", "no json", "[]", "{}", '{"sizes":{"calls":[["x"]]}}', "null"])
def test_what_cannot_be_read_is_learned_anew(redis_client: redis.Redis, clock: Clock, learned: str) -> None:
    Delivery(redis_client).set_tune({"items": "4000", "bytes": "77", "learned": learned})
    here = pace(redis_client, clock)

    assert here.limits(here.state(), NOON).items == 250
    assert here.limits(here.state(), NOON).bytes == 4_000_000


def test_after_a_429_size_and_rate_need_no_ramp(redis_client: redis.Redis, clock: Clock) -> None:
    here = pace(redis_client, clock)
    here.hold(Hold("rate_limited", "429", 5.0))
    clock.now_ms += 5_000
    assert here.limits(here.state(), clock.now_ms).items == PROBE_ITEMS
    here.went_through(here.state(), items=PROBE_ITEMS, took_s=0.1)

    assert here.limits(here.state(), clock.now_ms).items == 250
    assert linger_s(here, clock.now_ms) == 0


def test_a_refused_probe_says_nothing_of_the_calls_that_go(redis_client: redis.Redis, clock: Clock) -> None:
    here, delivery = pace(redis_client, clock), Delivery(redis_client)
    for _ in range(40):
        delivery.take_call(150, now_ms=clock.now_ms)
    here.hold(Hold("rate_limited", "429", 61.0))
    assert delivery.tune()["calls"] == "38"
    clock.now_ms += 61_000
    delivery.take_call(150, now_ms=clock.now_ms)
    here.hold(Hold("rate_limited", "429", 61.0))

    assert delivery.tune()["calls"] == "38"


def test_there_is_no_lingering_while_the_minute_has_room(redis_client: redis.Redis, clock: Clock) -> None:
    here, delivery = pace(redis_client, clock, calls_per_minute=40), Delivery(redis_client)
    lingers = []
    for _ in range(40):
        lingers.append(linger_s(here, NOON))
        delivery.take_call(40, now_ms=NOON)

    assert lingers[:4] == [0.0] * 4
    assert lingers[4:] == [0.5] * 36
    assert here.permit(NOON).spent
    assert linger_s(here, NOON + 60_001) == 0


def test_what_is_left_of_the_minute_is_spread_over_it(redis_client: redis.Redis) -> None:
    delivery = Delivery(redis_client)
    taken = [at for at in range(NOON, NOON + 240_000, 50) if delivery.take_call(60, 30, now_ms=at) == 0]
    gaps = [later - earlier for earlier, later in itertools.pairwise(taken)]

    assert taken[7] - taken[0] < 500, "a quarter of the first half as they come"
    assert 9_000 < taken[29] - taken[7] < 12_500, "the others at twice the even pace"
    assert max(gaps) < 2_500, "and no silence after it"
    assert 230 <= len(taken) <= 240
    last_minute = [at for at in taken if at > NOON + 180_000]
    assert max(b - a for a, b in itertools.pairwise(last_minute)) <= 2_000


@pytest.mark.parametrize(
    ("apart_ms", "seconds", "median_ms", "most_ms"),
    [(20, 90, 220, 700), (2, 90, 220, 700), (200, 20, 0, 700)],
)
def test_how_long_an_event_waits_for_one_of_150_calls_a_minute(
    apart_ms: int, seconds: int, median_ms: int, most_ms: int
) -> None:
    """Even calls would lie 400 ms apart. A burst that is short is not to wait for them."""
    delivery, waiting, waited = MemoryDelivery(lambda: NOON), list[int](), list[int]()
    for at_ms in range(NOON, NOON + seconds * 1000, 2):
        if (at_ms - NOON) % apart_ms == 0:
            waiting.append(at_ms)
        if waiting and delivery.take_call(150, 60, now_ms=at_ms) == 0:
            waited += [at_ms - event_ms for event_ms in waiting]
            waiting.clear()
    waited.sort()

    assert waited[len(waited) // 2] <= median_ms
    assert waited[-1] <= most_ms


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 4_000), st.sampled_from(["take", "look", "seize", "hold", "reopen"])),
        max_size=60,
    ),
    limit=st.integers(1, 30),
)
def test_the_simulated_budget_keeps_the_law_of_the_script(
    redis_server_url: str, steps: list[tuple[int, str]], limit: int
) -> None:
    with redis.Redis.from_url(redis_server_url) as client:
        client.flushall()
        real, simulated, now_ms = Delivery(client), MemoryDelivery(lambda: 0), NOON
        for after_ms, what in steps:
            now_ms += after_ms
            asked, seize = (limit, (limit + 1) // 2), what == "seize"
            for one in (real, simulated):
                if what == "hold":
                    one.back_off(now_ms + 1_000, "Planhat answered 503")
                elif what == "reopen":
                    one.reopen(now_ms)
            if what == "take":
                assert real.take_call(*asked, now_ms=now_ms) == simulated.take_call(*asked, now_ms=now_ms)
            else:
                here = real.permit(*asked, seize=seize, now_ms=now_ms)
                assert here == simulated.permit(*asked, seize=seize, now_ms=now_ms)
                assert here.state == real.read()
            assert real.calls_used(now_ms=now_ms) == simulated.calls_used(now_ms=now_ms)


def test_a_place_is_seized_only_where_delivery_is_open_and_calls_are_plentiful(
    redis_client: redis.Redis, clock: Clock
) -> None:
    here, delivery = pace(redis_client, clock, calls_per_minute=40), Delivery(redis_client)
    seized = [here.permit(clock.now_ms, seize=True).taken for _ in range(6)]

    assert seized == [True] * 4 + [False] * 2, "a tenth as they come; the others are spread"
    assert delivery.calls_used(now_ms=clock.now_ms) == 4
    clock.now_ms += 60_000 * 47 // 4_000 + 1
    assert [here.permit(clock.now_ms, seize=True).taken for _ in range(2)] == [True, False]
    clock.now_ms += 61_000
    stops: tuple[Callable[[], object], ...] = (
        delivery.pause,
        lambda: delivery.block(NOON * 2, "401"),
        lambda: delivery.back_off(1, "503"),
    )
    for stop in stops:
        delivery.resume()
        stop()
        permit = here.permit(clock.now_ms, seize=True)
        assert not permit.taken
        assert permit.state.state != "open"
    assert delivery.calls_used(now_ms=clock.now_ms) == 0


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
