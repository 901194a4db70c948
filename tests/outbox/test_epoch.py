"""A Redis that was flushed or set back is noticed once, and the relay goes on."""

from __future__ import annotations

import redis

from relay.outbox.epoch import Epoch
from relay.outbox.outbox import Outbox


def test_a_flushed_redis_is_noticed_once(outbox: Outbox, redis_client: redis.Redis) -> None:
    epoch = Epoch(outbox)
    assert [epoch.look(), epoch.look()] == ["", ""]
    redis_client.flushall()
    assert [epoch.look(), epoch.look()] == ["flushed or replaced", ""]


def test_an_older_state_is_noticed_once(outbox: Outbox, redis_client: redis.Redis) -> None:
    redis_client.set(outbox.prefix + "generation", 7)
    epoch, other = Epoch(outbox), Epoch(outbox)
    assert [epoch.look(), other.look()] == ["", ""]
    redis_client.set(outbox.prefix + "generation", 5)
    assert [epoch.look(), epoch.look(), other.look()] == [
        "restored to an older state",
        "",
        "restored to an older state",
    ]


def test_another_process_shares_the_epoch(outbox: Outbox) -> None:
    assert [Epoch(outbox).look(), Epoch(outbox).look()] == ["", ""]
