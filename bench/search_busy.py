"""Searching while the door is at its limit: what it costs the senders, and how long whoever searches waits.

One web process takes as many Slack messages as it can; in every second turn somebody asks `GET /api/v1/events` all the while, by
words and senders, a pause of `--pause` between an answer and the next question. No worker runs unless `--worker`: then the index
does not get on, and each question has to look through what came.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import httpx
import redis

from bench.figures import Cell, main, spin_ms
from bench.load import measure
from bench.load_result import Result, percentile
from bench.search import CONFIG, fill_searched, question_words
from bench.servers import Process, Server, free_port, redis_server
from bench.traffic import slack_requests

PART = "search_busy"
_TOKEN = "bench-operator-" + "0123456789abcdef" * 2
_TURNS = 10


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=100_000, help="that are stored before")
    parser.add_argument("--requests", type=int, default=4_000, help="of a turn")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two questions")
    parser.add_argument("--worker", action="store_true", help="`relay work` runs, and keeps the index")


def run(chosen: argparse.Namespace) -> list[Cell]:
    cell = Cell("a saturated door while somebody searches, beside nobody")
    for _ in range(chosen.runs):
        with tempfile.TemporaryDirectory(prefix="rb-") as name, ExitStack() as stack:
            cell.add({**_one_run(Path(name), chosen, stack), "spin_ms": spin_ms()})
    return [cell]


@dataclass
class Searcher:
    """Asks until it is stopped."""

    url: str
    words: list[str]
    pause_s: float
    took_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    cut: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Searcher:
        self._stop.clear()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {_TOKEN}"}, timeout=30) as client:
            while not self._stop.is_set():
                asked = {"text": self.words[len(self.took_s) % len(self.words)], "since": "24h"}
                began = time.perf_counter()
                answer = client.get(f"{self.url}/api/v1/events?{urlencode(asked)}")
                self.took_s.append(time.perf_counter() - began)
                self.statuses[answer.status_code] += 1
                self.cut += answer.status_code == 200 and answer.json()["searched_to"] is not None
                self._stop.wait(self.pause_s)


def _one_run(folder: Path, chosen: argparse.Namespace, stack: ExitStack) -> dict[str, float]:
    config = folder / "relay.yaml"
    config.write_text(CONFIG)
    store = stack.enter_context(redis_server(folder))
    client = redis.Redis.from_url(store.url)
    fill_searched(folder, client, chosen.events)
    own = {
        # Calls go nowhere: what comes in waits.
        "RELAY_PLANHAT_URL": "http://127.0.0.1:9",
        "RELAY_CONFIG": str(config),
        "RELAY_REDIS_URL": store.url,
        "RELAY_ALLOW_WEAK_SECRETS": "true",
        "RELAY_OPERATOR_TOKEN": _TOKEN,
        "RELAY_PLANHAT_TOKEN": "bench",
    }
    port = free_port()
    command = [sys.executable, "-m", "relay.cli"]
    door = Server(
        [*command, "serve"], port, folder / "web.log", {**own, "RELAY_PORT": str(port)}, ready="/readyz"
    )
    stack.enter_context(door)
    if chosen.worker:
        stack.callback(Process([*command, "work"], folder / "work.log", own).stop)
    searcher = Searcher(f"http://127.0.0.1:{port}", question_words(chosen.events), chosen.pause)
    measure(port, slack_requests(1_000, start=50_000_000), chosen.connections)
    alone, beside = [], []
    for turn in range(_TURNS * 2):
        requests = slack_requests(chosen.requests, start=60_000_000 + turn * chosen.requests)
        if turn % 2:
            with searcher:
                beside.append(_all_taken(measure(port, requests, chosen.connections)))
        else:
            alone.append(_all_taken(measure(port, requests, chosen.connections)))
    searcher.took_s.sort()
    return {
        "per_s_alone": statistics.median(one.per_s for one in alone),
        "per_s": statistics.median(one.per_s for one in beside),
        "ratio": statistics.median(b.per_s / a.per_s for a, b in zip(alone, beside, strict=True)),
        "p99_ms_alone": statistics.median(one.percentile_ms(0.99) for one in alone),
        "p99_ms": statistics.median(one.percentile_ms(0.99) for one in beside),
        "slowest_ms_alone": max(one.percentile_ms(1) for one in alone),
        "slowest_ms": max(one.percentile_ms(1) for one in beside),
        "searches": len(searcher.took_s),
        "search_p50_ms": percentile(searcher.took_s, 0.5) * 1000,
        "search_p95_ms": percentile(searcher.took_s, 0.95) * 1000,
        "search_slowest_ms": percentile(searcher.took_s, 1) * 1000,
        "searches_not_200": sum(n for status, n in searcher.statuses.items() if status != 200),
        "searches_cut": searcher.cut,
    }


def _all_taken(result: Result) -> Result:
    result.all_were(202)
    return result


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
