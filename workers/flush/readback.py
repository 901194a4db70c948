"""Silent damage is caught: after the first delivery of each type, and a sample later, one conversation is read back and
compared with what was sent. Planhat turns a type it does not know into `note` without a word, and may drop a field.

Of a description that Planhat has mangled both texts are kept for the console, sealed and for a week; nothing else of any
conversation is, and none of it is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import orjson
import redis
from redis.exceptions import RedisError

from relay.errors import OutboxUnavailable, PlanhatError
from relay.outbox import keys
from relay.outbox.keys import BASE, LANE, lane_prefix
from relay.outbox.shared_metrics import SharedMetrics
from workers.flush.comparison import compared_fields, differences
from workers.flush.fold import OutgoingItem
from workers.flush.notices import Notices
from workers.pace.pace import Pace

AGAIN_MS: Final = 3600_000
#: A sample is read only while the minute's budget is this free.
_ROOMY: Final = 0.5
#: How much of two texts is kept for the console, and for how long.
_TEXT_CHARS: Final = 20_000
_TEXTS_S: Final = 7 * 86400


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
        seal: Callable[[bytes], bytes] = lambda plain: b"j" + plain,
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
        self._seal = seal
        self._notices = Notices(client, self._prefix, "readback", metrics=metrics, now_ms=now_ms)
        self._next: dict[str, int] = {}
        self._waiting: dict[str, tuple[OutgoingItem, str]] = {}

    def consider(self, outgoing: OutgoingItem, planhat_id: str) -> None:
        self._waiting.setdefault(outgoing.type, (outgoing, planhat_id))

    def look(self) -> None:
        """Read back at most one conversation, between two batches."""
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
        stored: Any = self._redis.hget(self._prefix + keys.READBACK, kind)
        last_ms = int(stored or 0)
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
        sent, rule = document.render(), document.rule
        users, endusers, tags = outgoing.counts
        found = differences(sent, record, {"users": users, "endusers": endusers, "activityTags": tags})
        for field, what in found:
            self._notices.tell(rule, kind, field, what)
            if field == "description":
                self._keep_texts(outgoing, rule, str(sent[field]), str(record.get(field) or ""))
        self._notices.take_back(rule, compared_fields(sent) - {field for field, _ in found})
        return True

    def _count(self, status: str) -> None:
        self._metrics.add("relay_planhat_requests_total", {"operation": "GET conversation", "status": status})

    def _keep_texts(self, outgoing: OutgoingItem, rule: str, sent: str, stands: str) -> None:
        row = {
            "at_ms": self._now_ms(),
            "externalId": outgoing.item.external_id,
            "sent": sent[:_TEXT_CHARS],
            "stands": stands[:_TEXT_CHARS],
        }
        key = self._prefix + keys.READBACK_TEXTS
        self._redis.hset(key, rule, self._seal(orjson.dumps(row)))
        self._redis.expire(key, _TEXTS_S)
