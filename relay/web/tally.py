"""What the web side counts: its own requests in the process, what every process must agree on in Redis.

Counting never fails a request: what Redis does not take now is kept and written with the next second's flush.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import orjson
import redis.asyncio
from prometheus_client import CollectorRegistry, Counter, Histogram
from redis.exceptions import RedisError
from starlette.types import Scope

from relay.errors import NotAuthentic
from relay.telemetry import BUCKETS

#: How many refused requests are kept to look at (never a body): time, source, reason, size, address prefix.
REJECTED_KEPT = 500


class Tally:
    def __init__(self, *, lane: str = "main") -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "relay_http_requests", "Requests to /hooks", ["source", "status"], registry=self.registry
        )
        self._ingest = Histogram(
            "relay_ingest_seconds",
            "Request in to answer out",
            ["source"],
            buckets=BUCKETS["relay_ingest_seconds"],
            registry=self.registry,
        )
        self._prefix = f"relay:{{{lane}}}:"
        self._counts: dict[tuple[str, str], int] = {}
        self._refused: deque[bytes] = deque(maxlen=REJECTED_KEPT)
        self._children: dict[tuple[str, int], tuple[Any, Any]] = {}

    def request(self, source: str, status: int, took_s: float) -> None:
        children = self._children.get((source, status))
        if children is None:
            # labels() looks up under a lock each time; the pairs are few.
            children = (self._requests.labels(source, str(status)), self._ingest.labels(source))
            self._children[(source, status)] = children
        children[0].inc()
        children[1].observe(took_s)

    def ignored(self, source: str) -> None:
        self._add(source, "ignored")

    def skipped(self, source: str, reasons: Sequence[str]) -> None:
        for reason in reasons:
            if reason != "filtered":
                self._add(source, "ignored")

    def rejected(self, source: str, error: Exception, *, reason: str, scope: Scope, kind: str) -> None:
        if source:
            self._add(source, "rejected")
            if isinstance(error, NotAuthentic):
                self._add(source, "signature_failures")
        size = next((v for k, v in scope["headers"] if k == b"content-length"), b"")
        client = scope.get("client") or ("", 0)
        self._refused.append(
            orjson.dumps(
                {
                    "source": source,
                    "reason": reason[:120],
                    "kind": kind,
                    "bytes": int(size) if size.isdigit() and len(size) < 12 else None,
                    "from": address_prefix(client[0]),
                }
            )
        )

    def _add(self, source: str, word: str) -> None:
        key = (source, word)
        self._counts[key] = self._counts.get(key, 0) + 1

    async def flush(self, client: redis.asyncio.Redis, now_ms: int) -> None:
        """Writes what was counted since the last time."""
        if not self._counts and not self._refused:
            return
        counts, self._counts = self._counts, {}
        refused = [self._refused.popleft() for _ in range(len(self._refused))]
        try:
            async with client.pipeline(transaction=True) as pipe:
                for (source, word), number in counts.items():
                    pipe.sadd(self._prefix + "sources", source)
                    pipe.hincrby(self._prefix + "ledger:" + source, word, number)
                if refused:
                    stamped = [orjson.dumps({"at_ms": now_ms, **orjson.loads(line)}) for line in refused]
                    pipe.lpush(self._prefix + "rejected", *stamped)
                    pipe.ltrim(self._prefix + "rejected", 0, REJECTED_KEPT - 1)
                await pipe.execute()
        except (RedisError, OSError):
            for key, number in counts.items():
                self._counts[key] = self._counts.get(key, 0) + number


def address_prefix(address: str) -> str:
    """ "203.0.113.7" as "203.0.113.0/24", an IPv6 address as its /48: enough to see who it is not, too little to be
    personal."""
    if address.count(".") == 3:
        return address.rpartition(".")[0] + ".0/24"
    if ":" in address:
        return ":".join(address.split(":")[:3]) + "::/48"
    return ""
