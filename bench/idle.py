"""(c) Idle: what web, workers and Redis use while nothing comes, CPU of each process; beside them a bare uvicorn, idle too.
`--lanes 200`: the same with so many tenants, each of which has had an event, and how much memory each took of the flush worker."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench.figures import Cell, main
from bench.load import measure
from bench.servers import Server, Sink, Workers, bare_server, redis_server, web_server
from bench.traffic import slack_requests, write_config
from bench.usage import Watch, memory_mb

PART = "idle"
_OPEN_S = 120


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--lanes", type=int, default=0, help="so many tenants; 0: one, without lanes")


def run(chosen: argparse.Namespace) -> list[Cell]:
    lanes = [f"lane{number}" for number in range(chosen.lanes)]
    of_lanes = f", {chosen.lanes} lanes" if lanes else ""
    cell = Cell(f"nothing to do for {chosen.seconds:g} s{of_lanes}")
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        with (
            redis_server(folder) as store,
            Sink(folder) as sink,
            web_server(config := _config(folder, lanes, sink), store.url) as web,
            Workers(config, store.url, sink) as workers,
            bare_server(folder) as bare,
        ):
            pids = {"web": web.pid, **workers.pids, "redis": store.pid, "bare": bare.pid}
            memory = _open_lanes(web, workers, sink, lanes) if lanes else {}
            time.sleep(2)
            for _ in range(chosen.runs):
                with Watch(pids) as watch:
                    time.sleep(chosen.seconds)
                shares = {who: 100 * used / watch.took_s for who, used in watch.cpu_s.items()}
                relay = sum(share for who, share in shares.items() if who not in ("redis", "bare"))
                cell.add(
                    {
                        "relay_cpu_percent": relay,
                        "relay_and_redis_cpu_percent": relay + shares["redis"],
                        **{f"{who}_cpu_percent": share for who, share in shares.items()},
                        **{f"{who}_rss_mb": memory_mb(pid) for who, pid in pids.items()},
                        **memory,
                        "scrape_s": _scrape_s(web),
                        "others_cores": watch.others,
                    }
                )
    return [cell]


def _config(folder: Path, lanes: list[str], sink: Sink) -> Path:
    return write_config(folder, calls_per_minute=150, lanes=lanes, lanes_url=f"http://127.0.0.1:{sink.port}")


def _open_lanes(web: Server, workers: Workers, sink: Sink, lanes: list[str]) -> dict[str, float]:
    """An event for each lane, delivered: what each took of the flush worker's memory, and how long all of it took."""
    before, items, began = memory_mb(workers.flush), sink.stats()["items"], time.monotonic()
    measure(web.port, slack_requests(len(lanes), sources=lanes), 8).all_were(202)
    while sink.stats()["items"] - items < len(lanes):
        if time.monotonic() - began > _OPEN_S:
            raise RuntimeError(f"{sink.stats()['items'] - items} of {len(lanes)} lanes have delivered")
        time.sleep(0.1)
    took_s = time.monotonic() - began
    # What comes after the first event: the index, samples, signs of life.
    time.sleep(10)
    return {
        "mb_a_lane": (memory_mb(workers.flush) - before) / len(lanes),
        "first_event_of_each_s": took_s,
    }


def _scrape_s(web: Server) -> float:
    """How long one look at /metrics takes."""
    began = time.monotonic()
    web.get("/metrics")
    return time.monotonic() - began


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
