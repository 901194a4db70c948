"""(d) Bytes: of Redis for each pending and each delivered event, and of its append-only file from the door to the settlement.

Bytes do not depend on how busy the machine is: one run of some thousand events says it to the percent. What is measured comes
after a warm-up. `--texts prose` takes its texts from
the manual that Python brings along, whose words repeat as people's do; the other benches' texts are of twenty words. A file of another
checkout can be run with it: `PYTHONPATH=OTHER python -P bench/bytes.py`.
"""

from __future__ import annotations

import argparse
import json
import pydoc_data.topics
import random
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import redis

from bench import traffic
from bench.drain import let_drain
from bench.load import measure
from bench.servers import Sink, Workers, redis_server, web_server
from relay.outbox.delivery import Delivery

_FAMILY = re.compile(rb"relay:\{[^}]*\}:([a-z_]+)")
#: Apart from any other number that the texts are made of.
_WARM_UP = 40_000_000


def prose(number: int) -> str:
    """700-1,200 characters of prose, each message its own piece."""
    start = random.Random(number).randrange(len(_PROSE) - 1_300)
    return _PROSE[start : start + 700 + number % 500]


_PROSE = re.sub(r"\s+", " ", " ".join(pydoc_data.topics.topics.values()))


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=4_000)
    parser.add_argument("--warm-up", type=int, default=1_500)
    parser.add_argument("--texts", choices=("words", "prose"), default="words")
    parser.add_argument("--keys", action="store_true", help="the sink names each `_id`, as Planhat does")
    parser.add_argument("--json", type=Path)


def run(chosen: argparse.Namespace) -> dict[str, Any]:
    """Bytes an event, by figure; `pending: <kind>` and `delivered: <kind>` by kind of key."""
    if chosen.texts == "prose":
        traffic.text_of = prose
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        config = traffic.write_config(folder)
        with (
            redis_server(folder) as store,
            web_server(config, store.url) as web,
            Sink(folder, keys=chosen.keys) as sink,
            Workers(config, store.url, sink),
        ):
            client = redis.Redis.from_url(store.url)
            client.config_set("auto-aof-rewrite-percentage", 0)
            _send(web.port, chosen.warm_up, _WARM_UP)
            let_drain(client, until=0)
            Delivery(client).pause()
            time.sleep(1.0)
            return _measured(client, web.port, chosen.events)


def _measured(client: redis.Redis, port: int, events: int) -> dict[str, Any]:
    before, kinds_before, file_before = _used(client), _by_family(client), _file(client)
    _send(port, events, 0)
    time.sleep(0.5)
    pending, kinds_pending, file_pending = _used(client), _by_family(client), _file(client)
    let_drain(client, until=0)
    time.sleep(1.0)
    after, kinds_after, file_after = _used(client), _by_family(client), _file(client)
    return {
        "pending": (pending - before) / events,
        "delivered": (after - before) / events,
        "aof": (file_after - file_before) / events,
        "aof, door": (file_pending - file_before) / events,
        **{f"pending: {k}": v / events for k, v in _gained(kinds_before, kinds_pending).items()},
        **{f"delivered: {k}": v / events for k, v in _gained(kinds_before, kinds_after).items()},
    }


def _send(port: int, events: int, start: int) -> None:
    measure(port, traffic.slack_requests(events, start=start), 64).all_were(202)


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])


def _file(client: redis.Redis) -> int:
    return int(client.info("persistence")["aof_current_size"])


def _by_family(client: redis.Redis) -> Counter[str]:
    sizes: Counter[str] = Counter()
    names = list(client.scan_iter(count=2_000))
    for start in range(0, len(names), 2_000):
        part = names[start : start + 2_000]
        with client.pipeline(transaction=False) as pipe:
            for name in part:
                pipe.memory_usage(name, samples=0)
            for name, size in zip(part, pipe.execute(), strict=True):
                family = _FAMILY.match(name)
                sizes[family[1].decode() if family else "other"] += size or 0
    return sizes


def _gained(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    gained = Counter(after)
    gained.subtract(before)
    return {kind: size for kind, size in gained.most_common(10) if size > 0}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    options(parser)
    chosen = parser.parse_args()
    figures = run(chosen)
    for name, value in figures.items():
        print(f"{name:32} {value:10.1f}")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures))
