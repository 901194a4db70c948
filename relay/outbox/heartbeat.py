"""The workers' signs of life: one small zset, `heartbeats` (who -> when, epoch ms of Redis's clock), so that looking for them
costs the same whatever else Redis holds."""

from __future__ import annotations

from typing import Any

from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis

#: A worker that was silent for so long is forgotten.
_FORGET_MS = 3_600_000


def beat(outbox: Outbox, who: str) -> None:
    """`who` is host:pid."""
    now_ms = outbox.now_ms()
    key = outbox.prefix + "heartbeats"
    with reaching_redis(), outbox.redis.pipeline(transaction=True) as pipe:
        pipe.zadd(key, {who: now_ms})
        pipe.zremrangebyscore(key, "-inf", now_ms - _FORGET_MS)
        pipe.execute()


def end_beat(outbox: Outbox, who: str) -> None:
    with reaching_redis():
        outbox.redis.zrem(outbox.prefix + "heartbeats", who)


def last_beat_ms(outbox: Outbox) -> int | None:
    """When any worker was last seen alive, None where none is known."""
    with reaching_redis():
        newest: Any = outbox.redis.zrevrange(outbox.prefix + "heartbeats", 0, 0, withscores=True)
    return int(newest[0][1]) if newest else None
