"""(c) Idle: what web, workers and Redis use while nothing comes, CPU of each process; beside them a bare uvicorn, idle too."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench.figures import Cell, main
from bench.servers import Sink, Workers, bare_server, redis_server, web_server
from bench.traffic import write_config
from bench.usage import Watch, memory_mb

PART = "idle"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=20)


def run(chosen: argparse.Namespace) -> list[Cell]:
    cell = Cell(f"nothing to do for {chosen.seconds:g} s")
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        config = write_config(folder, calls_per_minute=150)
        with (
            redis_server(folder) as store,
            web_server(config, store.url) as web,
            Sink(folder) as sink,
            Workers(config, store.url, sink) as workers,
            bare_server(folder) as bare,
        ):
            pids = {"web": web.pid, **workers.pids, "redis": store.pid, "bare": bare.pid}
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
                        "others_cores": watch.others,
                    }
                )
    return [cell]


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
