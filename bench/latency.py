"""(c) End to end: from the moment a request should go out to its arrival at a bare sink, web and worker real, with the budget
of a real tenant (150 calls a minute), or with more.

The sink's own latency comes after the arrival; what it costs is the wait of whatever comes while a call is under way.
Beside it, in the same run: the same requests at the same rate to a bare Starlette 202, answered.
"""

from __future__ import annotations

import argparse
import itertools
import re
import tempfile
import time
from bisect import bisect
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from bench.figures import Cell, main, spin_ms
from bench.load import measure
from bench.load_result import percentile
from bench.picture import Point, draw
from bench.servers import Sink, Workers, bare_server, redis_server, web_server
from bench.traffic import slack_requests, write_config
from bench.usage import Watch

PART = "latency"
#: What is still under way when the last request is out gets so long to arrive.
_PATIENCE_S = 20
#: Where the picture looks at how many have arrived.
_GRID_MS = (5, 10, 20, 40, 70, 110, 160, 220, 300, 420)
_STARTS = itertools.count()
# Without threads each conversation's externalId holds its message's ts.
_SECONDS = re.compile(r"\d{10}\.\d{6}")
_TS = re.compile(rb'"ts":"([^"]+)"')


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rates", type=float, nargs="+", default=[5, 50, 500])
    parser.add_argument("--latency", type=float, nargs="+", default=[0, 200], help="of the sink, ms a call")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--calls-per-minute", type=int, default=150)
    parser.add_argument("--long-rate", type=float, default=50)
    parser.add_argument(
        "--long-seconds",
        type=float,
        default=90,
        help="of one more cell, so long that the minute's calls run low; 0: without it",
    )
    parser.add_argument(
        "--picture", type=Path, help="draw how the waits are spread, of the cells whose calls take time"
    )


def run(chosen: argparse.Namespace) -> list[Cell]:
    cells = []
    spread: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        for rate in chosen.rates:
            for latency_ms in chosen.latency:
                cell = Cell(f"{rate:g} a second, {latency_ms:g} ms a call")
                cells.append(cell)
                for _ in range(chosen.runs):
                    one, waited_s = one_run(folder, rate, chosen.seconds, latency_ms, chosen.calls_per_minute)
                    cell.add(one)
                    if latency_ms:
                        spread.setdefault(f"{rate:g} a second", []).extend(waited_s)
        if chosen.long_seconds:
            cell = Cell(f"{chosen.long_rate:g} a second for {chosen.long_seconds:g} s, 0 ms a call")
            cells.append(cell)
            for _ in range(chosen.runs):
                one, _ = one_run(folder, chosen.long_rate, chosen.long_seconds, 0, chosen.calls_per_minute)
                cell.add(one)
    if chosen.picture and spread:
        _draw(chosen.picture, spread, max(chosen.latency))
    return cells


def one_run(
    folder: Path, rate: float, seconds: float, latency_ms: float, calls_per_minute: int
) -> tuple[dict[str, float], list[float]]:
    """What was measured, and the seconds that each event waited, the shortest first."""
    config = write_config(folder, calls_per_minute=calls_per_minute)
    with (
        redis_server(folder) as store,
        web_server(config, store.url) as web,
        Sink(folder, latency_ms) as sink,
        Workers(config, store.url, sink) as workers,
    ):
        requests = slack_requests(max(20, int(rate * seconds)), start=next(_STARTS) * 100_000)
        pids = {"web": web.pid, **workers.pids, "redis": store.pid, "sink": sink.pid}
        with Watch(pids) as watch:
            sent = measure(web.port, requests, 16, rate=rate)
        sent.all_were(202)
        first = _arrivals(sink, len(requests))
        waited_s = sorted(
            first[ts] / 1e9 - sent.began_s - number / rate
            for number, request in enumerate(requests)
            if (ts := _TS.search(request)[1].decode()) in first  # type: ignore[index]
        )
        if len(waited_s) < len(requests):
            raise RuntimeError(f"{len(waited_s)} of {len(requests)} arrived within {_PATIENCE_S} s")
        calls = sink.stats()["calls"]
        arrived_ms = sorted({at_ns / 1e6 for at_ns in first.values()})
        apart_ms = sorted(after - before for before, after in pairwise(arrived_ms))
    with bare_server(folder) as bare:
        answered = measure(bare.port, requests[: max(20, int(rate * min(5, seconds)))], 16, rate=rate)
    figures = {
        "p50_ms": percentile(waited_s, 0.5) * 1000,
        "p99_ms": percentile(waited_s, 0.99) * 1000,
        "p999_ms": percentile(waited_s, 0.999) * 1000,
        "answer_p50_ms": sent.percentile_ms(0.5),
        "answer_p99_ms": sent.percentile_ms(0.99),
        "bare_p50_ms": answered.percentile_ms(0.5),
        "bare_p99_ms": answered.percentile_ms(0.99),
        "events": len(requests),
        "between_calls_ms": max(0.0, percentile(apart_ms, 0.5) - latency_ms),
        "events_a_call": len(requests) / max(1, calls),
        **{f"{who}_cpu_percent": 100 * used / watch.took_s for who, used in watch.cpu_s.items()},
        "others_cores": watch.others,
        "spin_ms": spin_ms(),
    }
    return figures, waited_s


def _draw(path: Path, spread: Mapping[str, list[float]], latency_ms: float) -> None:
    lines: dict[str, list[Point]] = {}
    for name, waited_s in spread.items():
        ordered = sorted(waited_s)
        shares = [100 * bisect(ordered, ms / 1000) / len(ordered) for ms in _GRID_MS]
        lines[name] = [(ms, share, share, share) for ms, share in zip(_GRID_MS, shares, strict=True)]
    title = f"How long events wait until they are at Planhat, {latency_ms:g} ms a call"
    draw(path, title, "milliseconds at most", "% of the events", lines)


def _arrivals(sink: Sink, wanted: int) -> dict[str, int]:
    """Message's ts -> when it first was at the sink, ns on the monotonic clock."""
    ends = time.monotonic() + _PATIENCE_S
    while True:
        first: dict[str, int] = {}
        for name, at_ns in sink.arrivals():
            ts = _SECONDS.search(name)
            if ts:
                first.setdefault(ts[0], at_ns)
        if len(first) >= wanted or time.monotonic() > ends:
            return first
        time.sleep(0.2)


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
