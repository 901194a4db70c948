"""Growth by lanes: pending events of so many tenants through so many flush processes to a bare sink, items a second.

The sink answers after `--latency` ms, which is what one lane waits for and many wait for at once. CPU of each side says what was the
limit: the cores, or the calls.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import redis

from bench.figures import Cell, main
from bench.picture import draw
from bench.servers import Sink, Workers, let_rest, redis_server
from bench.traffic import entries, fill, write_config
from bench.usage import Watch, children, redis_cpu_s
from relay.outbox.bell import Bell
from relay.outbox.delivery import Delivery
from relay.outbox.lane import ring_lanes
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox

PART = "lanes"
_TIMEOUT_S = 240


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=32_000, help="in all, in equal parts")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--latency", type=float, default=200, help="of the sink, ms a call")
    parser.add_argument("--max-items", type=int, default=500, help="of one call")
    parser.add_argument("--picture", help="an SVG of it")


def run(chosen: argparse.Namespace) -> list[Cell]:
    cells: dict[tuple[int, int], Cell] = {}
    for _ in range(chosen.runs):
        for lanes in chosen.lanes:
            for processes in chosen.processes:
                cell = cells.setdefault(
                    (lanes, processes), Cell(f"{lanes} lanes, {processes} flush processes")
                )
                cell.add(_one_run(chosen, lanes, processes))
    if chosen.picture:
        lines = {
            f"{processes} processes": [
                (lanes, of["median"], of["min"], of["max"])
                for lanes in chosen.lanes
                for of in [cells[lanes, processes].spread()["items_per_s"]]
            ]
            for processes in chosen.processes
        }
        title = f"Delivered, {chosen.latency:g} ms a call of {chosen.max_items} at most"
        draw(Path(chosen.picture), title, "lanes", "items a second", lines)
    return list(cells.values())


def _one_run(chosen: argparse.Namespace, lanes: int, processes: int) -> dict[str, float]:
    names = [f"lane{number}" for number in range(lanes)]
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        with redis_server(folder) as store, Sink(folder, chosen.latency) as sink:
            url = f"http://127.0.0.1:{sink.port}"
            config = write_config(folder, lanes=names, lanes_url=url)
            text = config.read_text()
            config.write_text(
                text.replace("planhat: {", f"planhat: {{batch: {{max_items: {chosen.max_items}}}, ")
            )
            client = redis.Redis.from_url(store.url)
            outboxes = [Outbox(client, lane=lane) for lane in names]
            for lane, outbox in zip(names, outboxes, strict=True):
                Delivery(client, lane=lane).pause()
                fill(outbox, entries(config, chosen.events // lanes, source=lane), 500)
            with Workers(config, store.url, sink, flush_workers=processes) as workers:
                let_rest(client)
                pids = {str(pid): pid for pid, words in children(workers.pid).items() if "flush" in words}
                used, items = redis_cpu_s(client), sink.stats()["items"]
                with Watch({**pids, "sink": sink.pid}) as watch:
                    took_s = _drain(names, outboxes, client)
                done = sink.stats()["items"] - items
                redis_s = redis_cpu_s(client) - used
                flush_s = sum(spent for who, spent in watch.cpu_s.items() if who != "sink")
                return {
                    "items_per_s": done / took_s,
                    "took_s": took_s,
                    "flush_cores": flush_s / took_s,
                    "redis_cores": redis_s / took_s,
                    "flush_cpu_us_an_item": flush_s / done * 1e6,
                    "redis_cpu_us_an_item": redis_s / done * 1e6,
                    "others_cores": watch.others,
                }


def _drain(names: list[str], outboxes: list[Outbox], client: redis.Redis) -> float:
    """Opens all lanes and waits until nothing is pending; seconds. The workers' own sweep rings."""
    servers = LaneServers()
    began = time.perf_counter()
    for name in names:
        Delivery(client, lane=name).resume()
    for outbox, generation in zip(outboxes, ring_lanes(servers, outboxes), strict=True):
        assert isinstance(generation, int)
        Bell(client, lane=outbox.lane_name).ring_flush(generation)
    while any(outbox.pending_items() for outbox in outboxes):
        if time.perf_counter() - began > _TIMEOUT_S:
            raise RuntimeError(f"not drained after {_TIMEOUT_S} s")
        time.sleep(0.05)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
