"""Lanes whose Planhat is sick beside lanes whose is well: end to end of the well ones, beside a relay that gets their events alone.

Of eight lanes one's Planhat answers after 30 s, one's says 429 and one's 401 to whatever is asked. Both relays run at the same time, each with
its own Redis, and the five well lanes get as many events a second on either: what else the machine does befalls both.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import redis

from bench.figures import Cell, main, spin_ms
from bench.load import measure
from bench.load_result import percentile
from bench.servers import Server, Sink, Workers, redis_server, web_server
from bench.traffic import slack_requests, write_config
from bench.usage import Watch

PART = "isolation"
#: Lane -> what its Planhat answers, and after how many seconds.
SICK: Final = {"slow": (200, 30.0), "throttled": (429, 0.0), "refused": (401, 0.0)}
WELL: Final = tuple(f"well{number}" for number in range(5))
#: What is still under way when the last request is out gets so long to arrive.
_PATIENCE_S: Final = 20
_BEGINNING_S: Final = 5.0
_STARTS = itertools.count()
_SECONDS = re.compile(r"\d{10}\.\d{6}")
_TS = re.compile(rb'"ts":"([^"]+)"')


def options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(runs=3)
    parser.add_argument("--rate", type=float, default=10, help="events a second and lane")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--latency", type=float, default=20, help="of the well lanes' sink, ms a call")
    parser.add_argument("--flush-workers", type=int, default=1)


def run(chosen: argparse.Namespace) -> list[Cell]:
    alone, beside = Cell("five well lanes alone"), Cell("the same beside three sick ones")
    ratio = Cell("beside / alone")
    with tempfile.TemporaryDirectory(prefix="rb-") as name, ThreadPoolExecutor(2) as threads:
        for turn in range(chosen.runs):
            folder = Path(name, str(turn))
            sides = [(alone, WELL), (beside, (*WELL, *SICK))]
            with contextlib.ExitStack() as stack:
                made = [
                    (cell, stack.enter_context(side(folder / str(len(lanes)), chosen, lanes)))
                    # Who is started first changes.
                    for cell, lanes in (sides if turn % 2 == 0 else sides[::-1])
                ]
                for future, cell in [(threads.submit(one.measured, chosen), cell) for cell, one in made]:
                    cell.add(future.result())
            ratio.add({key: beside.runs[-1][key] / alone.runs[-1][key] for key in ("p50_ms", "p99_ms")})
    return [alone, beside, ratio]


@dataclass(frozen=True, slots=True)
class Side:
    """A relay of all eight lanes; `lanes` are those that events are sent to."""

    lanes: Sequence[str]
    client: redis.Redis
    web: Server
    sink: Sink
    pids: dict[str, int]

    def measured(self, chosen: argparse.Namespace) -> dict[str, float]:
        """Send events, and say what those of the well lanes waited for."""
        lanes, rate = self.lanes, chosen.rate * len(self.lanes)
        requests = slack_requests(
            int(rate * chosen.seconds), start=next(_STARTS) * 100_000, sources=list(lanes)
        )
        with Watch(self.pids) as watch:
            sent = measure(self.web.port, requests, 16, rate=rate)
        sent.all_were(202)
        # Requests take turns among the lanes, the well ones first.
        wanted = {
            _TS.search(request)[1].decode(): number / rate  # type: ignore[index]
            for number, request in enumerate(requests)
            if number % len(lanes) < len(WELL)
        }
        first = arrivals(self.sink, wanted)
        # The first of each lane finds nothing open yet.
        waited_s = sorted(
            first[ts] / 1e9 - sent.began_s - at_s for ts, at_s in wanted.items() if at_s >= _BEGINNING_S
        )
        flushes = [int(self.client.get(f"relay:{{{lane}}}:generation") or 0) for lane in SICK]
        return {
            "p50_ms": percentile(waited_s, 0.5) * 1000,
            "p99_ms": percentile(waited_s, 0.99) * 1000,
            "worst_ms": waited_s[-1] * 1000,
            "answer_p99_ms": sent.percentile_ms(0.99),
            "events": len(waited_s),
            "flushes_of_sick_lanes": sum(flushes),
            **{f"{who}_cpu_percent": 100 * used / watch.took_s for who, used in watch.cpu_s.items()},
            "others_cores": watch.others,
            "spin_ms": spin_ms(),
        }


@contextlib.contextmanager
def side(folder: Path, chosen: argparse.Namespace, lanes: Sequence[str]) -> Iterator[Side]:
    """Start a relay with a Redis and a sink of its own."""
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(redis_server(folder))
        sink = stack.enter_context(Sink(folder, chosen.latency))
        config = write_config(folder, lanes=[*WELL, *SICK], lanes_url=f"http://127.0.0.1:{sink.port}")
        text = config.read_text()
        for lane, how in SICK.items():
            url = stack.enter_context(sick(*how))
            text = re.sub(rf"(  {lane}: {{url: ')[^']*", rf"\g<1>{url}", text)
        config.write_text(text)
        web = stack.enter_context(web_server(config, store.url))
        workers = stack.enter_context(Workers(config, store.url, sink, flush_workers=chosen.flush_workers))
        pids = {"web": web.pid, **workers.pids, "redis": store.pid}
        yield Side(lanes, redis.Redis.from_url(store.url), web, sink, pids)


@contextlib.contextmanager
def sick(status: int, wait_s: float) -> Iterator[str]:
    """Serve a Planhat that answers everything alike; its address."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            over.wait(wait_s)
            body = b"[]"
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    for method in ("GET", "PUT", "POST", "DELETE"):
        setattr(Answers, f"do_{method}", Answers.handle_any)
    over = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def arrivals(sink: Sink, wanted: dict[str, float]) -> dict[str, int]:
    """Message's ts -> when it first was at the sink, ns on the monotonic clock. Raises RuntimeError where one does not come."""
    ends = time.monotonic() + _PATIENCE_S
    while True:
        first: dict[str, int] = {}
        for name, at_ns in sink.arrivals():
            if ts := _SECONDS.search(name):
                first.setdefault(ts[0], at_ns)
        missing = len(wanted.keys() - first.keys())
        if not missing:
            return first
        if time.monotonic() > ends:
            raise RuntimeError(f"{missing} of {len(wanted)} did not arrive within {_PATIENCE_S} s")
        time.sleep(0.2)


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
