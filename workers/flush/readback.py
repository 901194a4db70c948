"""Silent damage is caught: after the first delivery of each type, and a sample later, one conversation is read back and
compared with what was sent. Planhat turns a type it does not know into `note` without a word, and may drop a field.

Keys, under `relay:{lane}:`: `readback` (hash: type -> when it was last read back, ms), `warnings` (hash: "rule|what" ->
JSON {"at_ms", "rule", "type", "field", "what"}; no content of any conversation).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import orjson
import redis
from redis.exceptions import RedisError

from relay.errors import OutboxUnavailable, PlanhatError
from relay.outbox import keys
from relay.outbox.keys import BASE, LANE, lane_prefix
from relay.outbox.shared_metrics import SharedMetrics
from relay.planhat.fields import DEFAULT_TYPE
from relay.telemetry import log
from workers.flush.fold import OutgoingItem
from workers.pace.pace import Pace

AGAIN_MS: Final = 3600_000
#: A sample is read only while the minute's budget is this free.
_ROOMY: Final = 0.5
#: What Planhat may rightly write in another way: compared for being there, not for being equal.
_LOOSE: Final = frozenset(
    {"description", "snippet", "date", "outDate", "users", "endusers", "companyId", "activityTags"}
)


class _Getter(Protocol):
    def get(self, key: str, *, timeout_s: float | None = None) -> Mapping[str, Any]: ...


class Readback:
    """`consider` is told of each delivery and decides whether to look; it never raises. `stands` is told the `_id` of each
    conversation that was seen in Planhat."""

    def __init__(
        self,
        client: redis.Redis,
        planhat: _Getter,
        pace: Pace,
        *,
        metrics: SharedMetrics,
        now_ms: Callable[[], int],
        stands: Callable[[str], None] = lambda planhat_id: None,
        lane: str = LANE,
        base: str = BASE,
    ) -> None:
        self._redis = client
        self._planhat = planhat
        self._pace = pace
        self._metrics = metrics
        self._now_ms = now_ms
        self._stands = stands
        self._prefix = lane_prefix(lane, base)
        self._next: dict[str, int] = {}
        self._waiting: dict[str, tuple[OutgoingItem, str]] = {}

    def consider(self, outgoing: OutgoingItem, planhat_id: str) -> None:
        self._waiting.setdefault(outgoing.type, (outgoing, planhat_id))

    def look(self) -> None:
        """Between two batches: reads back at most one conversation."""
        waiting, self._waiting = self._waiting, {}
        now_ms = self._now_ms() if waiting else 0
        for kind, (outgoing, planhat_id) in waiting.items():
            if self._next.get(kind, 0) > now_ms:
                continue
            try:
                if self._look_at(kind, outgoing, planhat_id, now_ms):
                    return
            except (RedisError, OSError, OutboxUnavailable):
                return

    def _look_at(self, kind: str, outgoing: OutgoingItem, planhat_id: str, now_ms: int) -> bool:
        held: Any = self._redis.hget(self._prefix + keys.READBACK, kind)
        last_ms = int(held or 0)
        if last_ms and now_ms - last_ms < AGAIN_MS:
            self._next[kind] = last_ms + AGAIN_MS
            return False
        if self._pace.used(now_ms) > _ROOMY or not self._pace.take_call(patience_s=0.0):
            return False
        self._redis.hset(self._prefix + keys.READBACK, kind, now_ms)
        self._next[kind] = now_ms + AGAIN_MS
        key = planhat_id or f"extid-{outgoing.item.external_id}"
        try:
            record = self._planhat.get(key, timeout_s=10.0)
        except PlanhatError as error:
            self._count(type(error).__name__)
            return True
        self._count("200")
        if record.get("_id"):
            self._stands(str(record["_id"]))
        document = outgoing.whole()
        found = differences(document.render(), record)
        for field, what in found:
            self._warn(document.rule, kind, field, what, now_ms)
        self._forget(document.rule, {field for field, _ in found})
        return True

    def _count(self, status: str) -> None:
        self._metrics.add("relay_planhat_requests_total", {"operation": "GET conversation", "status": status})

    def _warn(self, rule: str, kind: str, field: str, what: str, now_ms: int) -> None:
        log("readback.differs", level=logging.WARNING, rule=rule, type=kind, field=field, what=what)
        self._metrics.add("relay_silent_damage_total", {"rule": rule, "field": field})
        row = {"at_ms": now_ms, "rule": rule, "type": kind, "field": field, "what": what}
        self._redis.hset(self._prefix + keys.WARNINGS, f"{rule}|{field}", orjson.dumps(row))

    def _forget(self, rule: str, fields: set[str]) -> None:
        """What is well again is no longer warned of."""
        key = self._prefix + keys.WARNINGS
        held: Any = self._redis.hkeys(key)
        mended = [name for name in held if name.decode().rpartition("|")[0] == rule]
        mended = [name for name in mended if name.decode().rpartition("|")[2] not in fields]
        if mended:
            self._redis.hdel(key, *mended)


def differences(sent: Mapping[str, Any], stands: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(field, what happened to it) for what was sent and does not stand there. No values: they are personal."""
    found: list[tuple[str, str]] = []
    for field, value in sent.items():
        there = stands.get(field)
        if field == "custom" and isinstance(value, Mapping):
            custom = there if isinstance(there, Mapping) else {}
            found += [(f"custom.{name}", "dropped") for name in value if name not in custom]
        elif field == "type" and there is not None and there != value:
            what = (
                f"became {DEFAULT_TYPE}: does the type exist in Planhat?"
                if there == DEFAULT_TYPE
                else "changed"
            )
            found.append((field, what))
        elif there is None or (there in ("", []) and value not in ("", [])):
            found.append((field, "dropped"))
        elif field not in _LOOSE and there != value:
            found.append((field, "changed"))
    return found
