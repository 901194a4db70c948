"""(b) Drain: pending events through a real worker process against a bare sink, beside a plain loop that PUTs ready-made
batches of the same size to the same sink in the same run. (d) memory: Redis bytes per pending event, RSS of the worker.

    python -m bench.drain [--runs 3] [--events 50000] [--conversations 50000 5000] [--latency 0 200] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import redis

from bench.door import CONFIG, Server, free_port, slack_requests
from bench.stages import inbounds
from relay.embedded import EmbeddedServer
from relay.intake import Intake, furnish
from relay.outbox.bell import Bell
from relay.outbox.delivery import Delivery
from relay.outbox.items import Entry
from relay.outbox.outbox import Outbox
from relay.rules.load import load

UNHURRIED = CONFIG.replace("types: [Slack thread]", "types: [Slack thread], calls_per_minute: 10000")


def entries(config_file: Path, events: int, conversations: int, start: int = 0) -> list[Entry]:
    config, book = load(str(config_file), {})
    house = furnish(config, book)
    intake = Intake(house, records=None)  # type: ignore[arg-type]
    threads = 0 if conversations >= events else conversations
    things = inbounds(slack_requests(events, threads=threads, start=start))
    return [intake.map(house.sources["slack"], thing, now_s=time.time())[0][0] for thing in things]


def fill(outbox: Outbox, waiting: list[Entry]) -> None:
    for start in range(0, len(waiting), 500):
        outbox.record(waiting[start : start + 500])


def start_sink(latency_ms: float) -> Server:
    port = free_port()
    return Server([sys.executable, "-m", "bench.sink", str(port), str(latency_ms)], port)


def start_worker(config_file: Path, redis_url: str, sink: Server) -> subprocess.Popen[bytes]:
    environ = {
        **os.environ,
        "RELAY_CONFIG": str(config_file),
        "RELAY_REDIS_URL": redis_url,
        "RELAY_LOG_LEVEL": "warning",
        "RELAY_PLANHAT_URL": f"http://127.0.0.1:{sink.port}",
        "RELAY_PLANHAT_TOKEN": "bench",
    }
    with (config_file.parent / "worker.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "workers"], env=environ, stdout=log, stderr=log)


def flusher(supervisor: int) -> int:
    """The pid of the supervisor's flush worker."""
    for _ in range(100):
        for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
            if b"\0flush" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
        time.sleep(0.05)
    raise RuntimeError("no flush worker came up")


def used(pid: int) -> tuple[float, float]:
    """(CPU seconds, peak RSS in MB) of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    peak = next(s for s in Path(f"/proc/{pid}/status").read_text().splitlines() if s.startswith("VmHWM"))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(peak.split()[1]) / 1024


def plain_loop(sink: Server, items: int, size: int) -> float:
    """Items a second of a loop that PUTs ready-made batches of 1,000 items."""
    item = b'{"externalId":"x","description":"' + b"a" * max(0, size - 40) + b'"}'
    body = b"[" + b",".join([item] * 1_000) + b"]"
    with httpx.Client(timeout=30) as client:
        began = time.perf_counter()
        for _ in range(max(1, items // 1_000)):
            client.put(f"http://127.0.0.1:{sink.port}/conversations", content=body)
        return max(1, items // 1_000) * 1_000 / (time.perf_counter() - began)


def one_run(folder: Path, events: int, conversations: int, latency_ms: float) -> dict[str, Any]:
    config_file = folder / "relay.yaml"
    config_file.write_text(UNHURRIED)
    server = EmbeddedServer(folder / f"redis-{time.monotonic_ns()}", appendfsync="always").start()
    sink = start_sink(latency_ms)
    worker = start_worker(config_file, server.url, sink)
    try:
        client = redis.Redis.from_url(server.url)
        outbox, delivery = Outbox(client), Delivery(client)
        pid = flusher(worker.pid)
        time.sleep(1.5)
        delivery.pause()
        waiting = entries(config_file, events, conversations)
        empty = client.info("memory")["used_memory"]
        fill(outbox, waiting)
        stored = sum(len(entry.record) + len(entry.patch) for entry in waiting)
        held = client.info("memory")["used_memory"] - empty
        plain = plain_loop(sink, 10_000, 1_200)
        cpu_before, _ = used(pid)
        delivery.resume()
        began = time.perf_counter()
        Bell(client).ring_flush(outbox.ring())
        while int(client.hget(outbox.prefix + "ledger:slack", "pending") or 0) > 0:
            if time.perf_counter() - began > 120:
                raise RuntimeError("not drained after 120 s")
            time.sleep(0.02)
        took_s = time.perf_counter() - began
        cpu_after, peak_mb = used(pid)
        stats = json.loads(httpx.get(f"http://127.0.0.1:{sink.port}/stats").text)
        return {
            "events": events,
            "conversations": conversations,
            "latency_ms": latency_ms,
            "events_per_s": events / took_s,
            "plain_loop_per_s": plain,
            "ratio": events / took_s / plain,
            "calls": stats["calls"] - 10,
            "largest": stats["largest"],
            "worker_cpu_us_an_event": (cpu_after - cpu_before) / events * 1e6,
            "worker_peak_mb": peak_mb,
            "redis_bytes_an_event": held / events,
            "stored_bytes_an_event": stored / events,
            "memory_ratio": held / stored,
        }
    finally:
        worker.terminate()
        worker.wait(20)
        sink.stop()
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--conversations", type=int, nargs="+", default=[50_000, 5_000])
    parser.add_argument("--latency", type=float, nargs="+", default=[0, 200])
    parser.add_argument("--json", dest="json_file")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        for conversations in options.conversations:
            for latency_ms in options.latency:
                cell = []
                for _ in range(options.runs):
                    cell.append(
                        one_run(Path(name), options.events, min(conversations, options.events), latency_ms)
                    )
                    print(json.dumps({key: round(value, 3) for key, value in cell[-1].items()}), flush=True)
                rows += cell
                rates = [row["events_per_s"] for row in cell]
                print(
                    f"| {conversations} conversations, {latency_ms:g} ms | {statistics.median(rates):.0f} events/s "
                    f"({min(rates):.0f}-{max(rates):.0f}) |",
                    flush=True,
                )
    if options.json_file:
        Path(options.json_file).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
