"""(d) Memory: Redis's bytes per pending event and per kept document, by kind of key, and the resident memory of each process.

Measured against the bytes that an event hands to Redis to keep (its archived request and its patch), and beside it plain keys
of as many bytes in the same server.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import redis

from bench.drain import let_drain
from bench.figures import Cell, main
from bench.load import measure
from bench.servers import Sink, Workers, redis_server, web_server
from bench.traffic import entries, fill, slack_requests, stored_bytes, write_config
from bench.usage import memory_mb
from relay.outbox.delivery import Delivery
from relay.outbox.outbox import Outbox

PART = "memory"
_FAMILY: re.Pattern[Any] = re.compile(rb"relay:\{[^}]*\}:([a-z_]+)")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=20_000)


def run(chosen: argparse.Namespace) -> list[Cell]:
    pending, kept, processes = Cell("pending"), Cell("delivered and kept"), Cell("processes")
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        config = write_config(folder)
        for turn in range(chosen.runs):
            # Each run other ids: the same ones would be the same bytes to the last.
            _one_run(folder, config, chosen.events, turn, pending, kept, processes)
    return [pending, kept, processes]


def _one_run(
    folder: Path, config: Path, events: int, turn: int, pending: Cell, kept: Cell, processes: Cell
) -> None:
    waiting = entries(config, events, start=turn * events)
    stored = stored_bytes(waiting) / events
    with (
        redis_server(folder) as store,
        web_server(config, store.url) as web,
        Sink(folder) as sink,
        Workers(config, store.url, sink) as workers,
    ):
        client = redis.Redis.from_url(store.url)
        at_rest = {"web_idle": memory_mb(web.pid), "flush_worker_idle": memory_mb(workers.flush)}
        plain = _plain_keys(client, int(stored))
        Delivery(client).pause()
        empty = _used(client)
        fill(Outbox(client), waiting)
        held = (_used(client) - empty) / events
        pending.add(
            {
                "redis_bytes_an_event": held,
                "stored_bytes_an_event": stored,
                "ratio": held / stored,
                "plain_key_bytes": plain,
                "ratio_to_plain_key": held / plain,
                **{f"in {family}": size / events for family, size in _by_family(client).items()},
            }
        )
        let_drain(client, until=0)
        after = _by_family(client)
        kept.add(
            {
                "redis_bytes_a_conversation": (_used(client) - empty) / events,
                "document_bytes": after.get("document", 0) / events,
                **{f"in {family}": size / events for family, size in after.items()},
            }
        )
        measure(web.port, slack_requests(10_000, start=50_000_000), 64).all_were(202)
        let_drain(client, until=0)
        processes.add(
            {
                "web_rss_mb": memory_mb(web.pid),
                "web_peak_mb": memory_mb(web.pid, "VmHWM"),
                "web_idle_rss_mb": at_rest["web_idle"],
                "supervisor_rss_mb": memory_mb(workers.pid),
                "flush_worker_rss_mb": memory_mb(workers.flush),
                "flush_worker_peak_mb": memory_mb(workers.flush, "VmHWM"),
                "flush_worker_idle_rss_mb": at_rest["flush_worker_idle"],
                "dead_letter_worker_rss_mb": memory_mb(workers.dead),
                "redis_rss_mb": memory_mb(store.pid),
            }
        )


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])


def _plain_keys(client: redis.Redis, size: int) -> float:
    """Bytes of a plain key whose value has `size` bytes; they are gone afterwards."""
    names = [f"bench:{number}" for number in range(2_000)]
    empty = _used(client)
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.set(name, os.urandom(size))
        pipe.execute()
    used = (_used(client) - empty) / len(names)
    client.delete(*names)
    return used


def _by_family(client: redis.Redis) -> dict[str, int]:
    """Bytes by kind of key (`event`, `patches`, ...), the largest first."""
    sizes: Counter[str] = Counter()
    at = -1
    while at:
        at, names = client.scan(max(0, at), count=2_000)
        with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.memory_usage(name, samples=0)
            for name, size in zip(names, pipe.execute(), strict=True):
                family = _FAMILY.match(name)
                sizes[family[1].decode() if family else "other"] += size or 0
    return dict(sizes.most_common(8))


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
