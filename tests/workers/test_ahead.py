"""What is done beside a call, and between an answer and the next call: nothing waits for the call after the next."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest
import redis

from relay.planhat.report import Answer, Report
from tests.flushing import Kit, patch
from workers.flush.ahead import Looking
from workers.flush.call import Meanwhile
from workers.flush.prepare import PART


class Calls:
    """Planhat, where `during(number, meanwhile)` happens while call `number` is under way."""

    def __init__(self, client: redis.Redis, during: Callable[[int, Meanwhile], None]) -> None:
        self.made: list[list[str]] = []
        self._during = during
        self.kit = Kit(client, "http://127.0.0.1:9", upsert=self._upsert)
        self.kit.flush.tools.beside = self._beside

    def _upsert(self, body: bytes, timeout_s: float) -> Answer:
        self.made.append([row["externalId"] for row in orjson.loads(body)])
        return Report(len(self.made[-1]), 0, 0, (), (), (), (), (), 200)

    def _beside(self, call: Callable[[], Answer], meanwhile: Meanwhile) -> Answer:
        answer = call()
        self._during(len(self.made), meanwhile)
        return answer

    def leased(self) -> int:
        return int(self.kit.outbox.redis.hlen(self.kit.outbox.prefix + "held"))

    def run(self) -> None:
        self.kit.run()
        used = self.kit.delivery.calls_used(now_ms=self.kit.outbox.now_ms())
        assert used == len(self.made), "each call is counted once"


def test_news_of_what_is_under_way_go_with_the_next_call(redis_client: redis.Redis) -> None:
    """It is settled before what is due is claimed, both in one step."""

    def during(number: int, meanwhile: Meanwhile) -> None:
        if number < 4:
            calls.kit.record(patch(number + 1, thread="t"), patch(100 + number))

    calls = Calls(redis_client, during)
    calls.kit.record(patch(1, thread="t"))
    calls.run()

    assert [set(names) for names in calls.made] == [
        {"slack-C1-t"},
        *({"slack-C1-t", f"slack-C1-{100 + n}"} for n in (1, 2, 3)),
    ]
    assert calls.kit.books() == {"accepted": 7, "delivered": 7}


@pytest.mark.parametrize("from_items", [1, 99])
def test_what_comes_during_a_call_is_claimed_during_it_where_calls_are_large(
    redis_client: redis.Redis, from_items: int
) -> None:
    claimed: list[int] = []

    def during(number: int, meanwhile: Meanwhile) -> None:
        if number == 1:
            meanwhile()
            calls.kit.record(*(patch(100 + n) for n in range(5)))
            for _ in range(6):
                meanwhile()
            claimed.append(calls.leased())
            # After the last look: claimed once the call is answered.
            calls.kit.record(patch(200), patch(3, thread="t"))

    calls = Calls(redis_client, during)
    calls.kit.flush.tools.looking = Looking(from_items, 0.0)
    calls.kit.record(patch(1, thread="t"), patch(2, thread="t"), patch(9))
    calls.run()

    assert claimed == [7 if from_items == 1 else 2]
    assert [len(names) for names in calls.made] == [2, 7]
    assert "slack-C1-200" in calls.made[1]
    assert calls.kit.books() == {"accepted": 10, "delivered": 10}


def test_what_was_claimed_during_the_last_call_of_a_held_lane_goes_back(redis_client: redis.Redis) -> None:
    """A person pauses while a call is under way: nothing more goes, and nobody waits for a lease."""

    def during(number: int, meanwhile: Meanwhile) -> None:
        calls.kit.record(*(patch(100 + n) for n in range(5)))
        for _ in range(6):
            meanwhile()
        calls.kit.delivery.pause()

    calls = Calls(redis_client, during)
    calls.kit.flush.tools.looking = Looking(1, 0.0)
    calls.kit.record(patch(1))
    calls.run()

    assert [len(names) for names in calls.made] == [1]
    assert calls.kit.books() == {"accepted": 6, "delivered": 1, "pending": 5}
    calls.kit.delivery.resume()
    items = calls.kit.outbox.lane.claim(calls.kit.generation()).items
    assert [(item.crashes, item.refusals) for item in items] == [(0, 0)] * 5


def test_a_call_waits_for_nothing_that_is_due_where_more_is_due_than_it_can_carry(
    redis_client: redis.Redis,
) -> None:
    """A whole call long each claim has left something due: what is ready goes once that call is answered."""
    ready: list[int] = []

    def during(number: int, meanwhile: Meanwhile) -> None:
        # Its body is shared, then a part is claimed and folded in three steps.
        for _ in range(5 if number == 1 else 50):
            meanwhile()
        ready.append(calls.leased())

    calls = Calls(redis_client, during)
    calls.kit.flush.tools.gather_s = 0.0
    calls.kit.record(*(patch(n) for n in range(8 * PART)))
    calls.run()

    assert [len(names) for names in calls.made[:2]] == [PART, PART]
    assert ready[0] > 2 * PART, "more was claimed than was ready"
    assert calls.kit.books() == {"accepted": 8 * PART, "delivered": 8 * PART}


def test_looks_lie_a_fifth_of_a_call_apart() -> None:
    apart = [round(Looking().apart_s(call_s), 3) for call_s in (0.01, 0.2, 1.0, 30.0)]
    assert apart == [0.02, 0.04, 0.2, 0.25]
