"""(c) End to end: from the moment a request should go out to its arrival at a bare sink (0 ms a call), web and worker real.

python -m bench.latency [--runs 3] [--rates 5 50 500] [--seconds 20] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from bench.door import CONFIG, measure, relay_server, slack_requests
from bench.drain import flusher, start_sink, start_worker
from relay.embedded import EmbeddedServer

BUDGETED = CONFIG.replace("types: [Slack thread]", "types: [Slack thread], calls_per_minute: 150")
_SECONDS = re.compile(r"\d{10}\.\d{6}")
_TS = re.compile(rb'"ts": "([^"]+)"')


def one_run(folder: Path, rate: float, seconds: float) -> dict[str, float]:
    server = EmbeddedServer(folder / f"redis-{time.monotonic_ns()}", appendfsync="always").start()
    web = relay_server(folder, server.url)
    (folder / "relay.yaml").write_text(BUDGETED)
    sink = start_sink(0)
    worker = start_worker(folder / "relay.yaml", server.url, sink)
    try:
        flusher(worker.pid)
        time.sleep(2)
        requests = slack_requests(int(rate * seconds), start=time.monotonic_ns() % 1_000_000)
        sent = measure(web.port, requests, 16, rate=rate)
        time.sleep(3)
        arrivals = json.loads(httpx.get(f"http://127.0.0.1:{sink.port}/stats").text)["arrivals"]
        first: dict[str, int] = {}
        for name, at_ns in arrivals:
            # Without threads each conversation's externalId holds its message's ts.
            ts = _SECONDS.search(name)
            if ts:
                first.setdefault(ts[0], at_ns)
        asked = {
            match[1].decode(): number
            for number, request in enumerate(requests)
            if (match := _TS.search(request))
        }
        waited_ms = sorted(
            (first[ts] / 1e9 - sent.began_s - number / rate) * 1000
            for ts, number in asked.items()
            if ts in first
        )
        at = lambda share: waited_ms[min(len(waited_ms) - 1, int(share * len(waited_ms)))]  # noqa: E731
        return {
            "rate": rate,
            "sent": len(requests),
            "arrived": len(waited_ms),
            "p50_ms": at(0.5),
            "p99_ms": at(0.99),
        }
    finally:
        worker.terminate()
        worker.wait(20)
        web.stop()
        sink.stop()
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[5, 50, 500])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--json", dest="json_file")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        for rate in options.rates:
            cell = [one_run(Path(name), rate, options.seconds) for _ in range(options.runs)]
            rows += cell
            for figure in ("p50_ms", "p99_ms"):
                values = [row[figure] for row in cell]
                print(
                    f"| {rate:g}/s | {figure} | {statistics.median(values):.0f} | {min(values):.0f}-{max(values):.0f} |",
                    flush=True,
                )
            print(
                f"arrived {sum(r['arrived'] for r in cell):.0f} of {sum(r['sent'] for r in cell):.0f}",
                flush=True,
            )
    if options.json_file:
        Path(options.json_file).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
