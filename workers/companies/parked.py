"""Dead letters that wait for a company: looked at again from time to time, and whenever the config has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import redis

from relay.outbox import keys
from relay.outbox.scripts import reaching_redis, run_commands, run_script
from workers.companies.lookup_cache import NOT_FOUND_S


class ParkedLetters:
    """`prefix` as of every key of the lane. All may raise OutboxUnavailable."""

    def __init__(self, client: redis.Redis, prefix: str, now_ms: Callable[[], int]) -> None:
        self._redis = client
        self._prefix = prefix
        self._now_ms = now_ms

    def park(self, dead_ids: Iterable[str], *, wait_s: float = NOT_FOUND_S) -> None:
        """Keep them to be looked at again in `wait_s`."""
        at_ms = self._now_ms() + int(wait_s * 1000)
        rows = [word for dead_id in dead_ids for word in (at_ms, dead_id)]
        if rows:
            run_commands(self._redis, self._prefix, ("ZADD", keys.PARKED, *rows))

    def forget(self, dead_ids: Iterable[str]) -> None:
        """Forget these: they wait no longer."""
        names = list(dead_ids)
        if names:
            with reaching_redis():
                self._redis.zrem(self._prefix + keys.PARKED, *names)

    def due(self, limit: int = 100) -> list[str]:
        """Return those to look at again now, the longest due first."""
        with reaching_redis():
            names: Any = self._redis.zrangebyscore(
                self._prefix + keys.PARKED, "-inf", self._now_ms(), start=0, num=limit
            )
        return [name.decode() for name in names]

    def config_changed(self, version: str) -> bool:
        """Says whether `version` is news and letters wait; all of them are due now then."""
        return bool(run_script(self._redis, "parked_due", self._prefix, [self._now_ms(), version]))
