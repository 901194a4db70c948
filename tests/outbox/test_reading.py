"""What is read of many lanes at once: as few round trips as of one, the same answers, and time that grows as the lanes do."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from relay.config import Config
from relay.errors import OutboxUnavailable
from relay.outbox.books import reading_books, reading_moment, reading_oldest, reading_pending
from relay.outbox.delivery import Delivery
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.outbox.reading import Reading, read_alone, together
from relay.web.gauges import AuditSaid
from relay.web.lane_metrics import LaneMetrics, rows_together
from tests.growth import assert_linear
from tests.outbox.test_outbox import entry


def counting(url: str) -> tuple[redis.Redis, list[int]]:
    """A client, and how often it has sent something."""
    sent = [0]
    pool = redis.ConnectionPool.from_url(url)

    def send_packed_command(self: Any, *args: Any, **options: Any) -> Any:
        sent[0] += 1
        return of_redis.send_packed_command(self, *args, **options)

    of_redis: Any = pool.connection_class
    pool.connection_class = type("Counting", (of_redis,), {"send_packed_command": send_packed_command})
    return redis.Redis.from_pool(pool), sent


def metrics_of(client: redis.Redis, lanes: int) -> list[LaneMetrics]:
    pipe = client.pipeline()
    for number in range(lanes):
        pipe.sadd(f"relay:{{lane{number}}}:sources", "feed", "other")
        pipe.hincrby(f"relay:{{lane{number}}}:ledger:feed", "accepted", number)
    pipe.execute()
    names = [f"lane{number}" for number in range(lanes)]
    return [LaneMetrics(Outbox(client, lane=name), Delivery(client, lane=name)) for name in names]


def test_many_lanes_take_the_round_trips_of_one(redis_client: redis.Redis, redis_url: str) -> None:
    client, sent = counting(redis_url)
    made, servers, audit = metrics_of(client, 100), LaneServers(), AuditSaid(Outbox(client))
    taken = []
    for lanes in (1, 1, 100):
        before = sent[0]
        rows = rows_together(servers, made[:lanes], Config(), audit, limit_s=10)
        taken.append(sent[0] - before)
    assert taken[1] == taken[2] <= 4, taken
    for number, own in enumerate(rows):
        assert isinstance(own, list)
        assert f'relay_events_total{{source="feed",state="accepted"}} {number}' in own


def test_what_is_read_together_is_what_is_read_alone(outbox: Outbox) -> None:
    outbox.record([entry(1), entry(2)])
    now_ms, names = read_alone(outbox.redis, reading_moment(outbox))

    def all_of_it() -> Reading[list[Any]]:
        return together(
            reading_books(outbox, names),
            reading_pending(outbox, names),
            reading_oldest(outbox, names, now_ms),
            together(),
            reading_moment(outbox),
        )

    [found] = LaneServers().read([outbox], lambda place: all_of_it())
    assert isinstance(found, list)
    books, pending, oldest, nothing, (later_ms, same) = found
    assert books.ledger() == outbox.ledger() and books.ledger()["slack"]["accepted"] == 2
    assert sum(pending.values()) == outbox.pending_items() == 2
    assert oldest == outbox.oldest_pending_ms(now_ms=now_ms) and oldest is not None
    assert (nothing, same) == ([], ["slack"]) and later_ms >= now_ms


def test_a_lane_that_cannot_be_read_says_so_and_holds_no_other(redis_client: redis.Redis) -> None:
    made = metrics_of(redis_client, 3)
    redis_client.set("relay:{lane1}:delivery", "no hash")
    rows = rows_together(LaneServers(), made, Config(), AuditSaid(Outbox(redis_client)), limit_s=10)
    assert [isinstance(own, OutboxUnavailable) for own in rows] == [False, True, False]
    with pytest.raises(OutboxUnavailable):
        Delivery(redis_client, lane="lane1").pauses()


def test_time_grows_as_the_lanes_do(redis_client: redis.Redis) -> None:
    made, servers, audit = metrics_of(redis_client, 600), LaneServers(), AuditSaid(Outbox(redis_client))
    assert_linear(
        lambda lanes: rows_together(servers, made[: len(lanes)], Config(), audit, limit_s=10), "-", size=300
    )
