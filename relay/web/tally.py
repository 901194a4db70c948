"""What the web side counts: its own requests in the process, what every process must agree on in Redis.

Counting never fails a request: what Redis does not take now is kept and written with the next second's flush.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import orjson
import redis.asyncio
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from starlette.types import Scope

from relay.errors import NotAuthentic
from relay.outbox import keys
from relay.outbox.items import DROPPED_BY, LAST, is_remark
from relay.outbox.keys import BASE, LANE, lane_prefix
from relay.outbox.shared_metrics import BUCKETS

#: How many refused requests are kept to look at (never a body): time, source, reason, size, address prefix.
REJECTED_KEPT = 500


_BOUNDS = BUCKETS["relay_ingest_seconds"]


class _Requests(Collector):
    """Requests to /hooks by source and status, and how long they took. Plain numbers, read when somebody asks: a tenth
    of what the library's own metrics cost a request."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, int], int] = {}
        #: By source: how many fell into each bucket (the last: beyond all), and the sum of seconds.
        self._took: dict[str, tuple[list[int], list[float]]] = {}

    def add(self, source: str, status: int, took_s: float) -> None:
        key = (source, status)
        self._answers[key] = self._answers.get(key, 0) + 1
        took = self._took.get(source)
        if took is None:
            took = self._took[source] = ([0] * (len(_BOUNDS) + 1), [0.0])
        took[0][bisect_left(_BOUNDS, took_s)] += 1
        took[1][0] += took_s

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "relay_http_requests", "Requests to /hooks", labels=["source", "status"]
        )
        for (source, status), number in tuple(self._answers.items()):
            requests.add_metric([source, str(status)], number)
        yield requests
        ingest = HistogramMetricFamily("relay_ingest_seconds", "Request in to answer out", labels=["source"])
        names = [*(str(float(bound)) for bound in _BOUNDS), "+Inf"]
        for source, (counts, total) in tuple(self._took.items()):
            ingest.add_metric([source], list(zip(names, accumulate(counts), strict=True)), total[0])
        yield ingest


class Tally:
    """`lane_of(source)`: the lane in whose books a source is counted; one that nobody knows in `main`'s."""

    def __init__(self, *, lane_of: Callable[[str], str] = lambda source: LANE, base: str = BASE) -> None:
        self.registry = CollectorRegistry()
        requests = _Requests()
        self.registry.register(requests)
        self.request = requests.add
        self._base, self._lane_of = base, lane_of
        self._counts: dict[tuple[str, str], int] = {}
        self._refused: deque[bytes] = deque(maxlen=REJECTED_KEPT)
        self._writing: asyncio.Task[None] | None = None

    def ignored(self, source: str) -> None:
        self._add(source, "ignored")

    def skipped(self, source: str, reasons: Sequence[str], *, ignored: bool = True) -> None:
        """Counts what an adapter skipped, each by its reason, too. `ignored`: nothing else was in the request."""
        for reason in reasons:
            if reason != "filtered":
                self._add(source, f"skipped:{reason}")
                if ignored:
                    self._add(source, "ignored")

    def remarked(self, source: str, words: Sequence[str]) -> None:
        """Counts what an operator should know of events that came in."""
        for word in words:
            self._add(source, word)

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

    @property
    def unwritten(self) -> bool:
        """Whether something counted is not in Redis yet."""
        return bool(self._counts or self._refused or self._under_way())

    def _under_way(self) -> asyncio.Task[None] | None:
        return self._writing if self._writing is not None and not self._writing.done() else None

    async def flush(self, client_of: Callable[[str], redis.asyncio.Redis], now_ms: int) -> None:
        """Writes what was counted since the last time, after a write that is under way. `client_of(lane)`: for its keys. A write that has
        begun is ended where the caller is cancelled: cut off, nobody knew whether Redis has counted it."""
        if writing := self._under_way():
            await asyncio.shield(writing)
        if self._counts or self._refused:
            self._writing = asyncio.create_task(self._write(client_of, now_ms))
            await asyncio.shield(self._writing)

    async def _write(self, client_of: Callable[[str], redis.asyncio.Redis], now_ms: int) -> None:
        counts, self._counts = self._counts, {}
        refused = [self._refused.popleft() for _ in range(len(self._refused))]
        apart: dict[str, dict[tuple[str, str], int]] = {LANE: {}} if refused else {}
        for (source, word), number in counts.items():
            # What a drop drops is counted with it, and drops are of no lane.
            lane = LANE if word.startswith(DROPPED_BY) else self._lane_of(source)
            apart.setdefault(lane, {})[source, word] = number
        for lane, own in apart.items():
            prefix = lane_prefix(lane, self._base)
            try:
                async with client_of(lane).pipeline(transaction=True) as pipe:
                    _count(pipe, prefix, own, now_ms)
                    if refused and lane == LANE:
                        stamped = [orjson.dumps({"at_ms": now_ms, **orjson.loads(line)}) for line in refused]
                        pipe.lpush(prefix + keys.REJECTED, *stamped)
                        pipe.ltrim(prefix + keys.REJECTED, 0, REJECTED_KEPT - 1)
                    await pipe.execute()
            except (RedisError, OSError):
                for key, number in own.items():
                    self._counts[key] = self._counts.get(key, 0) + number


def _count(pipe: Any, prefix: str, counts: Mapping[tuple[str, str], int], now_ms: int) -> None:
    """Adds (source, word) -> number to the books below `prefix`."""
    for (source, word), number in counts.items():
        if word.startswith(DROPPED_BY):
            name = prefix + keys.dropped(word.removeprefix(DROPPED_BY))
            pipe.hincrby(name, source, number)
            pipe.expire(name, keys.DROPPED_KEPT_S)
            continue
        pipe.sadd(prefix + keys.SOURCES, source)
        pipe.hincrby(prefix + keys.ledger(source), word, number)
        if is_remark(word):
            pipe.hset(prefix + keys.ledger(source), LAST + word, now_ms)


def address_prefix(address: str) -> str:
    """Give "203.0.113.7" as "203.0.113.0/24", an IPv6 address as its /48: enough to see who it is not, too little to be
    personal."""
    if address.count(".") == 3:
        return address.rpartition(".")[0] + ".0/24"
    if ":" in address:
        return ":".join(address.split(":")[:3]) + "::/48"
    return ""
