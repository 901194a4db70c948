"""Metrics that more than one process moves: in Redis, so that every web process tells the same truth."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import redis
from redis.exceptions import RedisError

from relay.outbox.keys import BASE, LANE, METRICS, lane_prefix
from relay.outbox.reading import Reading, read_alone

#: Upper bounds of histogram buckets, seconds or items.
BUCKETS: dict[str, tuple[float, ...]] = {
    "relay_ingest_seconds": (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    "relay_planhat_request_seconds": (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    "relay_batch_items": (1, 5, 10, 50, 100, 500, 1000, 2500, 5000),
    "relay_end_to_end_seconds": (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600),
}


class SharedMetrics:
    """Counters and histograms in Redis, for what more than one process moves. Buffered; `flush` writes them.

    One hash: field `name|label=value,...` (counters) and `name|labels|bound` (histograms, with
    `sum` and `count` beside the bounds).
    """

    def __init__(
        self, client: redis.Redis, *, lane: str = LANE, base: str = BASE, flush_every_s: float = 1.0
    ) -> None:
        self._redis = client
        self._key = lane_prefix(lane, base) + METRICS
        self._moved: dict[str, float] = {}
        self._flush_every_s = flush_every_s
        self._flushed_at = 0.0

    def add(self, name: str, labels: Mapping[str, str], number: float = 1) -> None:
        field = f"{name}|{_labels(labels)}"
        self._moved[field] = self._moved.get(field, 0) + number

    def observe(self, name: str, labels: Mapping[str, str], value: float) -> None:
        self.observe_all(name, labels, (value,))

    def observe_all(self, name: str, labels: Mapping[str, str], values: Sequence[float]) -> None:
        moved, bounds = self._moved, BUCKETS[name]
        *buckets, total, number = _histogram(name, tuple(labels.items()))
        for place, count in Counter([bisect_left(bounds, value) for value in values]).items():
            if place < len(bounds):
                moved[buckets[place]] = moved.get(buckets[place], 0) + count
        moved[total] = moved.get(total, 0) + sum(values)
        moved[number] = moved.get(number, 0) + len(values)

    def flush(self, *, force: bool = True) -> None:
        """Write the metrics. Never raises: a metric is not worth a delivery. What could not be written is kept for the next time."""
        if not self._moved or (not force and time.monotonic() - self._flushed_at < self._flush_every_s):
            return
        moved, self._moved = self._moved, {}
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                for field, number in moved.items():
                    pipe.hincrbyfloat(self._key, field, number)
                pipe.execute()
        except (RedisError, OSError):
            for field, number in moved.items():
                self._moved[field] = self._moved.get(field, 0) + number
        self._flushed_at = time.monotonic()

    def read(self) -> dict[str, float]:
        """Return everything that was written. Raises OutboxUnavailable."""
        return read_alone(self._redis, self.reading())

    def reading(self) -> Reading[dict[str, float]]:
        """As `read`."""
        [stored] = yield lambda pipe: pipe.hgetall(self._key)
        return {field.decode(): float(value) for field, value in stored.items()}


@lru_cache(maxsize=1024)
def _histogram(name: str, labels: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """The fields of one histogram: its bounds, then its sum and its count."""
    text = _labels(dict(labels))
    return tuple(f"{name}|{text}|{part}" for part in (*BUCKETS[name], "sum", "count"))


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels))


def escape_label(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def exposition(stored: Mapping[str, float]) -> Iterable[str]:
    """Return what `SharedMetrics.read` gave, as Prometheus text lines."""
    counters: dict[str, list[tuple[str, float]]] = {}
    histograms: dict[str, dict[str, dict[str, float]]] = {}
    for field, value in sorted(stored.items()):
        name, labels, *bound = field.split("|")
        if bound:
            histograms.setdefault(name, {}).setdefault(labels, {})[bound[0]] = value
        else:
            counters.setdefault(name, []).append((labels, value))
    for name, rows in counters.items():
        yield f"# TYPE {name} counter"
        for labels, value in rows:
            yield f"{name}{_braces(labels)} {value:g}"
    for name, by_labels in histograms.items():
        yield f"# TYPE {name} histogram"
        for labels, parts in by_labels.items():
            seen = 0.0
            for limit in BUCKETS.get(name, ()):
                seen += parts.get(str(limit), 0)
                yield f"{name}_bucket{_braces(labels, f'le={limit}')} {seen:g}"
            yield f"{name}_bucket{_braces(labels, 'le=+Inf')} {parts.get('count', 0):g}"
            yield f"{name}_sum{_braces(labels)} {parts.get('sum', 0):.9g}"
            yield f"{name}_count{_braces(labels)} {parts.get('count', 0):g}"


def _braces(*labels: str) -> str:
    pairs = [pair.partition("=") for text in labels for pair in text.split(",") if pair]
    return "{" + ",".join(f'{key}="{escape_label(value)}"' for key, _, value in pairs) + "}" if pairs else ""
