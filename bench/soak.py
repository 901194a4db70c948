"""(d) A soak: the relay under an even load for as long as is wanted, the memory of each process once a minute, and how long events waited.

No baseline beside it: the first five minutes are what the rest is compared with. Redis holds more with each event, as it should; what is told
of it is bytes an event."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import redis

from bench.figures import Cell, main
from bench.load import measure
from bench.servers import Sink, Workers, redis_server, web_server
from bench.traffic import slack_requests, write_config
from bench.usage import Watch, memory_mb

PART = "soak"
#: So many minutes are for warming up: caches fill, batches find their size.
WARM_MINUTES = 5


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--rate", type=int, default=500, help="requests a second")
    parser.add_argument("--latency", type=float, default=20, help="of the sink, ms a call")


def run(chosen: argparse.Namespace) -> list[Cell]:
    """One cell, one run: `..._mb` as it was after the warm minutes, `..._grew_mb` until the end (medians of five minutes each)."""
    cell = Cell(f"{chosen.rate} a second for {chosen.minutes} minutes")
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        config = write_config(folder)
        with (
            redis_server(folder) as store,
            web_server(config, store.url) as web,
            Sink(folder, chosen.latency, keys=True) as sink,
            Workers(config, store.url, sink) as workers,
        ):
            client = redis.Redis.from_url(store.url)
            pids = {"web": web.pid, **workers.pids}
            minutes: list[dict[str, float]] = []
            with Watch(pids) as watch:
                for minute in range(chosen.minutes):
                    requests = slack_requests(chosen.rate * 60, start=minute * chosen.rate * 60)
                    sent = measure(web.port, requests, 16, rate=chosen.rate)
                    sent.all_were(202)
                    minutes.append(
                        {
                            **{f"{who}_mb": memory_mb(pid) for who, pid in pids.items()},
                            "redis_mb": int(client.info("memory")["used_memory"]) / 1e6,
                            "answer_p99_ms": sent.percentile_ms(0.99),
                            "delivered": float(sink.stats()["items"]),
                        }
                    )
                    print(
                        "  " + "  ".join(f"{key} {value:,.1f}" for key, value in minutes[-1].items()),
                        flush=True,
                    )
    warm = minutes[min(WARM_MINUTES, len(minutes) - 1) :]
    figures: dict[str, float] = {}
    for who in pids:
        first, last = _median(warm[:5], f"{who}_mb"), _median(warm[-5:], f"{who}_mb")
        figures |= {f"{who}_mb": first, f"{who}_grew_mb": last - first}
    events = chosen.rate * 60 * (len(minutes) - 1)
    figures["redis_bytes_an_event"] = (
        (minutes[-1]["redis_mb"] - minutes[0]["redis_mb"]) * 1e6 / events if events else 0.0
    )
    figures["answer_p99_ms"] = _median(warm, "answer_p99_ms")
    figures["delivered"] = minutes[-1]["delivered"]
    figures |= {f"{who}_cpu_percent": 100 * used / watch.took_s for who, used in watch.cpu_s.items()}
    cell.add(figures)
    return [cell]


def _median(minutes: list[dict[str, float]], name: str) -> float:
    return statistics.median(minute[name] for minute in minutes)


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
