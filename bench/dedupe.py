"""(f) The door among many dedupe keys: Redis's CPU and the wait of `record`, an event, with as many keys of deliveries remembered.

Beside it, in the same server: plain pipelined SETs, whose cost grows with what Redis holds as well. The keys are made in Redis, with the names and
values of deliveries of the past three days."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import redis

from bench import redis_rate
from bench.figures import Cell, main, spin_ms
from bench.servers import redis_server
from bench.traffic import GROUP, fill, many_entries, write_config
from bench.usage import redis_cpu_s
from relay.outbox.delivery import Delivery
from relay.outbox.items import Entry
from relay.outbox.outbox import Outbox

PART = "dedupe"
_AT_ONCE = 20_000
_SET_BYTES = 1_000
#: `seen:<source>:<key>`: the second key of a delivery, as Slack's have one. ARGV: how many there are, how many to add.
_ADD = """
local id
for n = ARGV[1] + 1, ARGV[1] + ARGV[2] do
  id = 'evt_' .. string.sub(redis.sha1hex(n), 1, 24)
  redis.call('SET', KEYS[1] .. 'seen:slack:' .. id, id, 'EX', 259200)
end
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keys", type=int, nargs="+", default=[0, 1_000_000, 10_000_000])
    parser.add_argument("--events", type=int, default=20_000)


def run(chosen: argparse.Namespace) -> list[Cell]:
    cells = []
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        source = many_entries(write_config(folder))
        with redis_server(folder, rewrite=False) as store:
            client = redis.Redis.from_url(store.url, socket_timeout=60)
            outbox = Outbox(client)
            Delivery(client).pause()
            held = 0
            _record(client, outbox, source, 2_000)
            for keys in sorted(chosen.keys):
                before = int(client.info("memory")["used_memory"])
                added = keys - held
                held = _add(client, outbox, held, keys)
                after = int(client.info("memory")["used_memory"])
                cell = Cell(f"{keys:,} dedupe keys", facts={"keys": keys})
                cells.append(cell)
                for _ in range(chosen.runs):
                    figures = _record(client, outbox, source, chosen.events)
                    if added:
                        figures["bytes_a_key"] = (after - before) / added
                    sets = redis_rate.sets(store, _SET_BYTES, 10_000)
                    cell.add({**figures, "set_redis_cpu_us": sets["cpu_us"], "spin_ms": spin_ms()})
    return cells


def _add(client: redis.Redis, outbox: Outbox, held: int, wanted: int) -> int:
    client.config_set("appendfsync", "everysec")
    add = client.register_script(_ADD)
    for at in range(held, wanted, _AT_ONCE):
        add(keys=[outbox.prefix], args=[at, min(_AT_ONCE, wanted - at)])
    client.config_set("appendfsync", "always")
    time.sleep(1)
    return max(held, wanted)


def _record(client: redis.Redis, outbox: Outbox, source: Iterator[Entry], events: int) -> dict[str, float]:
    new = list(islice(source, events))
    used, began = redis_cpu_s(client), time.perf_counter()
    fill(outbox, new, GROUP)
    took_s = time.perf_counter() - began
    return {
        "record_us": took_s / events * 1e6,
        "record_redis_cpu_us": (redis_cpu_s(client) - used) / events * 1e6,
    }


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
