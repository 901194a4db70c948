"""What an operator is told of how Planhat keeps what is sent: by rule and field, no values. Shown in the stats, the console and
the metrics; what is well again is no longer told.

Key `warnings` (hash): "by|rule|field" -> JSON {"at_ms", "rule", "type", "field", "what", "do"}. `by` is who found it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Final

import orjson
import redis

from relay.outbox import keys
from relay.outbox.scripts import reaching_redis, unless_full
from relay.outbox.shared_metrics import SharedMetrics
from relay.telemetry import log

#: The same is told anew after so long at the earliest.
_AGAIN_MS: Final = 3600_000


class Notices:
    """Keeps and takes back what one process has to tell. `by`: who finds things out; it takes back what it has told alone."""

    def __init__(
        self, client: redis.Redis, prefix: str, by: str, *, metrics: SharedMetrics, now_ms: Callable[[], int]
    ) -> None:
        self._redis = client
        self._key = prefix + keys.WARNINGS
        self._by = by
        self._metrics = metrics
        self._now_ms = now_ms
        self._told: dict[tuple[str, str], int] = {}

    def tell(self, rule: str, kind: str, field: str, what: str, do: str = "") -> None:
        """Say that a field of a rule's conversations (of type `kind`) is not kept or not shown, at most once an hour."""
        now_ms = self._now_ms()
        if now_ms - self._told.get((rule, field), -_AGAIN_MS) < _AGAIN_MS:
            return
        self._told[rule, field] = now_ms
        log("planhat.differs", level=logging.WARNING, rule=rule, type=kind, field=field, what=what)
        self._metrics.add("relay_silent_damage_total", {"rule": rule, "field": field})
        row = {"at_ms": now_ms, "rule": rule, "type": kind, "field": field, "what": what, "do": do}
        with unless_full():
            self._redis.hset(self._key, f"{self._by}|{rule}|{field}", orjson.dumps(row))

    def take_back(self, rule: str, well: Collection[str]) -> None:
        """Take back what was told of these fields of a rule's conversations: they are well. Raises OutboxUnavailable."""
        if not well:
            return
        with reaching_redis():
            self._redis.hdel(self._key, *(f"{self._by}|{rule}|{field}" for field in well))
        for field in well:
            self._told.pop((rule, field), None)
