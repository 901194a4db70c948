"""(b) Drain: pending events through a real worker process to a bare sink.

Beside it, in the same run and to the same sink: a plain loop that PUTs ready-made batches, as many items and bytes a batch as
the relay sent on average (at 200 ms a call the ratio is therefore the share of what the call's latency allows), and plain
pipelined SETs of as many bytes as an event has in Redis.

Redis has rewritten its file when the drain begins. What it costs where it does that meanwhile has a cell of its own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import httpx
import redis

from bench import redis_rate
from bench.figures import Cell, main, spin_ms
from bench.servers import Sink, Workers, let_rest, redis_server
from bench.traffic import entries, fill, stored_bytes, write_config
from bench.usage import UNKNOWN, Watch, memory_mb, redis_cpu_s
from relay.outbox.bell import Bell
from relay.outbox.delivery import Delivery
from relay.outbox.items import Entry
from relay.outbox.outbox import Outbox

PART = "drain"
#: The largest batch that Planhat takes, and so the most that its latency allows.
LARGEST = 5_000
_PLAIN_CALLS = 20
_TIMEOUT_S = 180


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--conversations", type=int, nargs="+", default=[50_000, 5_000])
    parser.add_argument("--latency", type=float, nargs="+", default=[0, 200], help="of the sink, ms a call")
    parser.add_argument("--keys", action="store_true", help="the sink names each `_id`, as Planhat does")


def run(chosen: argparse.Namespace) -> list[Cell]:
    cells = []
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        config = write_config(folder)
        for conversations in chosen.conversations:
            waiting = entries(config, chosen.events, conversations=conversations)
            size = stored_bytes(waiting) // len(waiting)
            circumstances = [(latency_ms, False) for latency_ms in chosen.latency]
            if conversations == max(chosen.conversations):
                circumstances.append((min(chosen.latency), True))
            for latency_ms, rewriting in circumstances:
                cell = Cell(
                    f"{chosen.events:,} events of {min(conversations, chosen.events):,} conversations, {latency_ms:g} ms a call"
                    + (", Redis rewriting its file" if rewriting else "")
                )
                cells.append(cell)
                for _ in range(chosen.runs):
                    figures = one_run(
                        folder, config, waiting, latency_ms, keys=chosen.keys, rewriting=rewriting
                    )
                    sets = redis_rate.measure(folder, size)
                    figures |= {
                        "redis_set_per_s": sets["per_s"],
                        "redis_ratio": figures["events_per_s"] / sets["per_s"],
                        "spin_ms": spin_ms(),
                    }
                    cell.add(figures)
    return cells


def one_run(
    folder: Path, config: Path, waiting: list[Entry], latency_ms: float, *, keys: bool, rewriting: bool
) -> dict[str, float]:
    with redis_server(folder) as store, Sink(folder, latency_ms, keys=keys) as sink:
        client = redis.Redis.from_url(store.url)
        outbox, delivery = Outbox(client), Delivery(client)
        with Workers(config, store.url, sink) as workers:
            delivery.pause()
            fill(outbox, waiting, 500)
            let_rest(client)
            if rewriting:
                client.bgrewriteaof()
            used = redis_cpu_s(client)
            with Watch({**workers.pids, "redis": store.pid, "sink": sink.pid}) as watch:
                took_s = let_drain(client, until=0)
            used = redis_cpu_s(client) - used
            stats = sink.stats()
            figures = {
                "supervisor_rss_mb": memory_mb(workers.pid),
                "dead_letter_rss_mb": memory_mb(workers.dead),
                "worker_peak_mb": memory_mb(workers.flush, "VmHWM"),
            }
        events, items, calls = len(waiting), stats["items"], max(1, stats["calls"])
        batch = max(1, round(items / calls))
        size = max(60, round(stats["bytes"] / max(1, items)))
        plain = plain_loop(sink, batch, size, min(calls, _PLAIN_CALLS))
        largest = plain_loop(sink, LARGEST, size, 3) if latency_ms else UNKNOWN
        return {
            "items_per_s": items / took_s,
            "events_per_s": events / took_s,
            "plain_loop_per_s": plain,
            "ratio": items / took_s / plain,
            "ratio_of_largest_batches": items / took_s / largest,
            "calls": stats["calls"],
            "items_a_call": batch,
            "most_items_a_call": stats["largest"],
            "bytes_an_item": size,
            "worker_cpu_us_an_item": watch.cpu_s["worker"] / items * 1e6,
            "redis_cpu_us_an_item": used / items * 1e6,
            "worker_cpu_us_an_event": watch.cpu_s["worker"] / events * 1e6,
            "redis_cpu_us_an_event": used / events * 1e6,
            "sink_cpu_us_an_item": watch.cpu_s["sink"] / items * 1e6,
            **figures,
            "others_cores": watch.others,
        }


def let_drain(client: redis.Redis, *, until: int) -> float:
    """Opens delivery and waits until at most `until` events are pending; seconds."""
    outbox, delivery = Outbox(client), Delivery(client)
    delivery.resume()
    began = time.perf_counter()
    Bell(client).ring_flush(outbox.lane.ring())
    while pending(outbox) > until:
        if time.perf_counter() - began > _TIMEOUT_S:
            raise RuntimeError(f"not drained after {_TIMEOUT_S} s")
        time.sleep(0.02)
    return time.perf_counter() - began


def pending(outbox: Outbox) -> int:
    """Events that wait."""
    return sum(counts["pending"] for counts in outbox.ledger().values())


def plain_loop(sink: Sink, items: int, size: int, calls: int) -> float:
    """Items a second of a loop that PUTs one ready-made batch of `items` of `size` bytes, `calls` times."""
    one = json.dumps({"externalId": "plain", "description": "a" * max(0, size - 45)}).replace(": ", ":")
    body = ("[" + ",".join([one] * items) + "]").encode()
    with httpx.Client(timeout=30, trust_env=False) as client:
        url = f"http://127.0.0.1:{sink.port}/conversations"
        client.get(f"http://127.0.0.1:{sink.port}/stats")
        began = time.perf_counter()
        for _ in range(calls):
            client.put(url, content=body).raise_for_status()
        return calls * items / (time.perf_counter() - began)


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
