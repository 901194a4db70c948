"""What is done to Redis as a whole: filled up, set back to an older state, its clock set back."""

from __future__ import annotations

from typing import Any

import redis

from relay.outbox import keys
from relay.outbox.outbox import Outbox

HOUR_MS = 3_600_000


class Snapshot:
    """All that a Redis holds of one lane, and for how long."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._pattern = f"{prefix}*"
        names: Any = client.keys(self._pattern)
        self._held = {name: (client.dump(name), client.pttl(name)) for name in names}

    def put_back(self, client: redis.Redis) -> None:
        names: Any = client.keys(self._pattern)
        if names:
            client.delete(*names)
        for name, (value, ttl_ms) in self._held.items():
            if value is not None:
                client.restore(name, max(0, int(ttl_ms)), value)


def fill_up(client: redis.Redis) -> None:
    """Not a byte is left."""
    client.config_set("maxmemory", int(client.info("memory")["used_memory"]))


def make_room(client: redis.Redis) -> None:
    client.config_set("maxmemory", 0)


def set_clock_back(outbox: Outbox, gap_ms: int = HOUR_MS) -> None:
    """The clock goes back by `gap_ms`: what was written so far was written by one that was so far ahead."""
    client, prefix = outbox.redis, outbox.prefix
    sources = [keys.due(source) for source in outbox.sources()]
    for key in (*sources, keys.DOUBT, keys.WAITING, keys.CALLS, keys.PARKED):
        rows: Any = client.zrange(prefix + key, 0, -1, withscores=True)
        if rows:
            client.zadd(prefix + key, {name: score + gap_ms for name, score in rows})
    for name in ("until_ms", "reopened_ms"):
        value: Any = client.hget(prefix + keys.DELIVERY, name)
        if value and int(value):
            client.hset(prefix + keys.DELIVERY, name, int(value) + gap_ms)
    left: Any = client.pttl(prefix + keys.WAKE)
    if left > 0:
        client.pexpire(prefix + keys.WAKE, left + gap_ms)
    client.set(prefix + keys.CLOCK, outbox.now_ms() + gap_ms)
