"""(f) How the cost of an item grows with what waits, from 1,000 to 1,000,000 pending (`--sizes` for more): one script's record, claim and settle in
one process, and a real worker that drains a slice of the backlog. `bench/growth.svg` is the picture.

Beside it, in the same server: plain pipelined SETs, whose cost grows with the keys that Redis holds as well.
One backlog, topped up from size to size. It is filled with appendfsync everysec, in large groups, and measured with `always`.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import redis

from bench import redis_rate
from bench.drain import let_drain, pending
from bench.figures import Cell, main, spin_ms
from bench.picture import draw
from bench.servers import Sink, Workers, redis_server
from bench.stages import SETTLE, settlement
from bench.traffic import GROUP, fill, many_entries, write_config
from bench.usage import Watch, redis_cpu_s
from relay.outbox.delivery import Delivery
from relay.outbox.items import Entry, Item
from relay.outbox.outbox import Outbox
from workers.flush.fold import FoldedItem

PART = "growth"
CLAIM = 1_000
#: Redis memory and file that a pending event may need, generously.
_BYTES_AN_EVENT = 6_000
#: What a worker drains before anything counts, so that its batches have their size.
_WARM_UP = 15_000
_GENERATION = 10**9
#: About what an event stores; plain SETs of so many show what the size of Redis alone makes dearer.
_SET_BYTES = 3_600


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--slice", type=int, default=50_000, help="items that the worker drains at most")
    parser.add_argument("--picture", default="", help="where the picture goes; bench/growth.svg")


def run(chosen: argparse.Namespace) -> list[Cell]:
    cells = []
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        config = write_config(folder)
        with redis_server(folder, rewrite=False) as store, Sink(folder) as sink:
            backlog = Backlog(redis.Redis.from_url(store.url), many_entries(config))
            # The worker waits, paused, while the backlog is filled.
            with Workers(config, store.url, sink) as workers:
                backlog.fill_to(_WARM_UP)
                let_drain(backlog.client, until=0)
                backlog.delivery.pause()
                pids = {**workers.pids, "redis": store.pid, "sink": sink.pid}
                for size in sorted(chosen.sizes):
                    if size * _BYTES_AN_EVENT > _free_bytes(folder):
                        print(f"  {size:,}: left out, it needs {size * _BYTES_AN_EVENT / 1e9:.0f} GB free")
                        continue
                    cell = Cell(f"{size:,} pending", facts={"pending": size})
                    cells.append(cell)
                    for _ in range(chosen.runs):
                        backlog.fill_to(size)
                        scripts = backlog.scripts()
                        backlog.fill_to(size)
                        drained = _drain(backlog, pids, size, min(chosen.slice, size))
                        plain = redis_rate.sets(store, _SET_BYTES, 10_000)
                        cell.add(
                            {**drained, **scripts, "set_redis_cpu_us": plain["cpu_us"], "spin_ms": spin_ms()}
                        )
    if len(cells) > 1:
        _draw(cells, Path(chosen.picture or Path(__file__).with_name("growth.svg")))
    return cells


class Backlog:
    """What waits, each item of a conversation of its own."""

    def __init__(self, client: redis.Redis, source: Iterator[Entry]) -> None:
        self.client = client
        self.outbox = Outbox(client)
        self.delivery = Delivery(client)
        self._source = source

    def fill_to(self, size: int) -> None:
        self.delivery.pause()
        self.client.config_set("appendfsync", "everysec")
        while (missing := size - pending(self.outbox)) > 0:
            fill(self.outbox, list(islice(self._source, min(missing, 5_000))), 500)
        self.client.config_set("appendfsync", "always")
        # What is still being written to the disk would count against what comes next.
        time.sleep(0.5)

    def scripts(self) -> dict[str, float]:
        """Microseconds an item of record, claim and settle: the wait for the script, and Redis's CPU. Adds as many as it
        settles."""
        new = list(islice(self._source, CLAIM))
        figures = self._timed("record", len(new), lambda: fill(self.outbox, new, GROUP))
        generation = self._own()
        items: list[Item] = []
        figures |= self._timed("claim", CLAIM, lambda: items.extend(self._claim(generation)))
        done = [settlement(FoldedItem.of(item)) for item in items]
        parts = [done[at : at + SETTLE] for at in range(0, len(done), SETTLE)]
        figures |= self._timed("settle", len(done), lambda: [self.outbox.lane.settle(part) for part in parts])
        self.outbox.lane.release(generation)
        return figures

    def _own(self) -> int:
        """The lane, under a generation that no flush job has; delivery is paused, so none will take it."""
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            if self.outbox.lane.own(_GENERATION, 60_000):
                return _GENERATION
            time.sleep(0.05)
        raise RuntimeError("the lane does not become free")

    def _claim(self, generation: int) -> tuple[Item, ...]:
        claim = self.outbox.lane.claim(generation, CLAIM, lease_ms=600_000, wake_ms=60_000)
        if len(claim.items) != CLAIM:
            raise RuntimeError(f"{len(claim.items)} of {CLAIM} items were claimed")
        return claim.items

    def _timed(self, stage: str, items: int, work: object) -> dict[str, float]:
        assert callable(work)
        used, began = redis_cpu_s(self.client), time.perf_counter()
        work()
        took_s = time.perf_counter() - began
        used = redis_cpu_s(self.client) - used
        return {f"{stage}_us": took_s / items * 1e6, f"{stage}_redis_cpu_us": used / items * 1e6}


def _drain(backlog: Backlog, pids: dict[str, int], size: int, items: int) -> dict[str, float]:
    """CPU microseconds an item of worker and Redis while `items` of the backlog are delivered."""
    used = redis_cpu_s(backlog.client)
    with Watch(pids) as watch:
        took_s = let_drain(backlog.client, until=size - items)
        backlog.delivery.pause()
        # What was claimed by then is still settled; nothing is under way once the count stands.
        left = -1
        while left != (left := pending(backlog.outbox)):
            time.sleep(0.4)
    used = redis_cpu_s(backlog.client) - used
    done = size - left
    return {
        "items_per_s": items / took_s,
        "worker_cpu_us": watch.cpu_s["worker"] / done * 1e6,
        "redis_cpu_us": used / done * 1e6,
        "cpu_us": (watch.cpu_s["worker"] + used) / done * 1e6,
        "drained": done,
        "others_cores": watch.others,
    }


def _free_bytes(folder: Path) -> float:
    """Of memory or of the disk, whichever is less."""
    disk = shutil.disk_usage(folder).free
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return disk
    memory = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    return min(disk, memory)


def _draw(cells: list[Cell], path: Path) -> None:
    names = {
        "worker_cpu_us": "worker CPU, draining",
        "redis_cpu_us": "Redis CPU, draining",
        "record_redis_cpu_us": "Redis: record",
        "claim_redis_cpu_us": "Redis: claim",
        "settle_redis_cpu_us": "Redis: settle",
        "set_redis_cpu_us": "Redis: plain SET",
    }
    spreads = [(float(cell.facts["pending"]), cell.spread()) for cell in cells]
    lines = {
        words: [
            (size, of[name]["median"], of[name]["min"], of[name]["max"]) for size, of in spreads if name in of
        ]
        for name, words in names.items()
    }
    lines = {words: line for words, line in lines.items() if line}
    draw(path, "CPU an item, by what waits", "pending items", "microseconds an item", lines)


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
