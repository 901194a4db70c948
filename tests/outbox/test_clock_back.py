"""Redis's clock goes back: what was due is due, what waits waits as long as it had to, and nothing stalls for the difference."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from relay.outbox import keys
from relay.outbox.delivery import Delivery
from relay.outbox.epoch import read_life
from relay.outbox.items import Later
from relay.outbox.outbox import Outbox
from tests.outbox.test_outbox import entry

NOON = 1_800_000_000_000
HOUR = 3_600_000


def scores(outbox: Outbox, key: str) -> dict[str, int]:
    rows: Any = outbox.redis.zrange(outbox.prefix + key, 0, -1, withscores=True)
    return {name.decode(): int(score) for name, score in rows}


def free(outbox: Outbox) -> None:
    outbox.redis.delete(outbox.prefix + "wake")


@pytest.mark.parametrize("gap", [5_000, HOUR, 30 * 24 * HOUR])
def test_what_was_due_is_due_and_what_waits_waits_as_long(outbox: Outbox, gap: int) -> None:
    outbox.record([entry(number, external_id=f"x{number}") for number in range(4)], now_ms=NOON)
    outbox.lane.ring(now_ms=NOON, clock=True)
    free(outbox)
    generation = outbox.lane.ring(now_ms=NOON, clock=True)
    first, *_ = outbox.lane.claim(generation, 1, now_ms=NOON).items
    outbox.lane.settle([Later(first, NOON + 300_000)], now_ms=NOON)
    free(outbox)
    now = NOON - gap
    assert outbox.lane.ring(now_ms=now, clock=True) > 0
    held = scores(outbox, "due:slack")
    waits = held.pop(first.external_id)
    assert waits == NOON + 300_000 - gap
    assert set(held.values()) == {now}
    life = read_life(outbox)
    assert (life.clock_back, life.clock_back_ms) == (1, gap)
    # Once: the clock that it is by now is the clock.
    free(outbox)
    outbox.lane.ring(now_ms=now + 10_000, clock=True)
    assert read_life(outbox).clock_back == 1 and scores(outbox, "due:slack")[first.external_id] == waits


def test_a_hold_and_the_minute_s_calls_end_when_they_would_have(
    outbox: Outbox, redis_client: redis.Redis
) -> None:
    delivery = Delivery(redis_client)
    outbox.record([entry(1)], now_ms=NOON)
    outbox.lane.ring(now_ms=NOON, clock=True)
    for number in range(10):
        assert delivery.take_call(10, now_ms=NOON - number) == 0
    delivery.back_off(NOON + 60_000, "503")
    now = NOON - HOUR
    outbox.lane.ring(now_ms=now, clock=True)
    free(outbox)
    assert outbox.lane.ring(now_ms=now, clock=True) == 0
    assert delivery.read().until_ms == now + 60_000
    assert delivery.take_call(10, now_ms=now) > 0
    assert delivery.take_call(10, now_ms=now + 61_000) == 0


@pytest.mark.parametrize("held", [False, True])
def test_an_idle_worker_is_woken(outbox: Outbox, redis_client: redis.Redis, held: bool) -> None:
    """It waits for a bell with a time-out that the server's clock ends: an hour later than it was meant to. Until it asks for
    work again, its last sign of life is one from the future."""
    if held:
        Delivery(redis_client).pause(by="ann")
    outbox.lane.ring(now_ms=NOON, clock=True)
    assert outbox.lane.ring(now_ms=NOON + 6_000, clock=True) == 0
    assert outbox.lane.ring(now_ms=NOON - HOUR, clock=True) > 0
    free(outbox)
    assert outbox.lane.ring(now_ms=NOON - HOUR, clock=True) == 0, "once"


def test_delivery_that_was_just_reopened_is_at_full_speed_a_minute_later(
    outbox: Outbox, redis_client: redis.Redis
) -> None:
    """Right after an outage it is slow on purpose; by the old clock that would be so for another hour."""
    delivery = Delivery(redis_client)
    outbox.record([entry(1)], now_ms=NOON)
    outbox.lane.ring(now_ms=NOON, clock=True)
    delivery.back_off(NOON - 1, "503")
    delivery.reopen(NOON - 10_000)
    outbox.lane.ring(now_ms=NOON - HOUR, clock=True)
    assert delivery.read().reopened_ms == NOON - HOUR - 10_000


def test_a_letter_that_waits_for_its_company_is_looked_at_when_it_would_have_been(outbox: Outbox) -> None:
    outbox.record([entry(1)], now_ms=NOON)
    outbox.lane.ring(now_ms=NOON, clock=True)
    outbox.redis.zadd(outbox.prefix + keys.PARKED, {"due": NOON - 1, "later": NOON + 60_000})
    outbox.lane.ring(now_ms=NOON - HOUR, clock=True)
    assert scores(outbox, keys.PARKED) == {"due": NOON - HOUR, "later": NOON - HOUR + 60_000}


def test_how_long_something_has_waited_is_as_true_as_before(outbox: Outbox) -> None:
    outbox.record([entry(n, external_id=f"x{n}") for n in range(3)], now_ms=NOON - 600_000)
    outbox.lane.ring(now_ms=NOON, clock=True)
    free(outbox)
    generation = outbox.lane.ring(now_ms=NOON, clock=True)
    claimed = outbox.lane.claim(generation, now_ms=NOON).items
    outbox.lane.settle([Later(item, NOON + 300_000) for item in claimed], now_ms=NOON)
    now = NOON - HOUR
    assert outbox.oldest_pending_ms(now_ms=NOON) == NOON - 600_000
    free(outbox)
    outbox.lane.ring(now_ms=now, clock=True)
    assert outbox.oldest_pending_ms(now_ms=now) == now - 600_000


@pytest.mark.parametrize("gap", [40_000, HOUR])
def test_a_lane_that_a_dead_worker_rang_for_is_free_again(
    outbox: Outbox, redis_client: redis.Redis, gap: int
) -> None:
    """Its expiry was set by the old clock."""
    outbox.record([entry(1)], now_ms=NOON)
    outbox.lane.ring(now_ms=NOON, clock=True)
    redis_client.set(outbox.prefix + "wake", 99, px=gap)
    outbox.lane.ring(now_ms=NOON - gap, clock=True)
    left: Any = redis_client.pttl(outbox.prefix + "wake")
    assert 0 < left <= 5_000


def test_many_are_brought_back_in_slices(outbox: Outbox) -> None:
    for start in range(0, 5_000, 500):
        outbox.record([entry(n, external_id=f"x{n}") for n in range(start, start + 500)], now_ms=NOON)
    outbox.lane.ring(now_ms=NOON, clock=True)
    now = NOON - HOUR
    for _ in range(4):
        outbox.lane.ring(now_ms=now, clock=True)
    assert set(scores(outbox, "due:slack").values()) == {now}
    assert read_life(outbox).clock_back == 1


def test_a_clock_that_goes_on_changes_nothing(outbox: Outbox) -> None:
    outbox.record([entry(1)], now_ms=NOON)
    for step in range(0, 60_000, 500):
        outbox.lane.ring(now_ms=NOON + step, clock=True)
    assert scores(outbox, "due:slack") == {entry(1).external_id: NOON}
    assert read_life(outbox).clock_back == 0
