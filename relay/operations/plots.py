"""What the console's plots show of a lane: samples that are taken now and then, and what came in, minute by minute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from relay.outbox import keys
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis, unless_full
from relay.outbox.store import Store

#: One sample of the plots at most so often, and how many are kept (an hour).
SAMPLE_EVERY_S = 10
SAMPLES_KEPT = 360
_SAMPLE = (0, SAMPLE_EVERY_S, SAMPLES_KEPT)


def take_sample(outbox: Outbox) -> None:
    """Keeps what the plots need of this moment, at most once in ten seconds, whoever asks. Raises OutboxUnavailable."""
    with unless_full():
        outbox.run("sample", _SAMPLE)


def take_samples(servers: LaneServers, stores: Sequence[Store]) -> None:
    """Take each lane's sample, from a ticker, also while nobody looks; of one that does not answer none."""
    servers.ask("sample", stores, lambda place: _SAMPLE)


def read_samples(outbox: Outbox, *, since_ms: int = 0) -> list[dict[str, Any]]:
    with reaching_redis():
        stored: Any = outbox.redis.lrange(outbox.prefix + keys.SAMPLES, 0, -1)
    return [sample for sample in map(orjson.loads, stored) if sample["at_ms"] >= since_ms]


def accepted_per_minute(outbox: Outbox, *, now_ms: int, minutes: int = 60) -> dict[str, list[int]]:
    """Give source -> events that came in, minute by minute, the running one last. Exact: read from the minutes' own lists."""
    names = outbox.sources()
    last = now_ms // 60_000
    with reaching_redis():
        pipe = outbox.redis.pipeline(transaction=False)
        for name in names:
            for minute in range(last - minutes + 1, last + 1):
                pipe.llen(outbox.prefix + keys.log_of(name, minute))
        counts = pipe.execute()
    return {name: counts[n * minutes : (n + 1) * minutes] for n, name in enumerate(names)}
