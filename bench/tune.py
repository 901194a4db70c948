"""Self-tuning: the real worker against the real sandbox with limits it does not know, a backlog that never ends.

    python -m bench.tune [--seconds 180] [--worlds curve body throttle ...] [--json FILE]

Goodput is what the sandbox took, by its own log; a call counts with the part of it that lies in a window. The optimum
is computed from the limits alone: the best items / max(latency, 60 s / calls a minute) over all sizes; what the worker
and the sandbox themselves need for an item is not in it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import redis

from bench.servers import Server, Workers, free_port, redis_server
from bench.traffic import text_of, write_config
from relay.event import event_id, iso_time
from relay.outbox.bell import Bell
from relay.outbox.delivery import Delivery
from relay.outbox.items import Entry
from relay.outbox.outbox import Outbox
from relay.patch import Patch

WINDOW_S = 10
_BACKLOG = 12_000
_PART = 250


@dataclass(frozen=True)
class World:
    """The sandbox's hidden limits, as its faults name them, and what the worker's config says."""

    latency_ms: float
    latency_per_item_ms: float
    latency_per_item_squared_us: float = 0
    body_limit_bytes: int = 0
    throttle_over: int = 0
    retry_after: int = 0
    max_items: int = 5_000
    calls_per_minute: int = 150

    def fault(self) -> str:
        keys = {name: value for name, value in asdict(self).items() if value}
        del keys["max_items"], keys["calls_per_minute"]
        return ",".join(f"{name}={value}" for name, value in keys.items())

    def optimum(self, item_bytes: float, own_s: float = 0.0) -> tuple[float, int]:
        """(items a second, items a call). `own_s`: what the worker itself needs for an item, beside the call."""
        most = min(self.max_items, int(min(4_000_000, self.body_limit_bytes or 4_000_000) / item_bytes))
        gap_s = 60 / min(self.calls_per_minute, self.throttle_over or self.calls_per_minute)

        def latency_s(items: int) -> float:
            squared_ms = self.latency_per_item_squared_us * items**2 / 1000
            return (self.latency_ms + self.latency_per_item_ms * items + squared_ms) / 1000

        return max(
            (items / max(latency_s(items) + own_s * items, gap_s), items) for items in range(1, most + 1)
        )


WORLDS = {
    "curve": World(1_000, 1, 4),
    "linear": World(500, 2),
    "body": World(1_000, 1, body_limit_bytes=400_000),
    "throttle": World(100, 0.5, throttle_over=40, max_items=400),
    "throttle-named": World(100, 0.5, throttle_over=40, retry_after=10, max_items=400),
    "all": World(500, 0.5, 4, body_limit_bytes=500_000, throttle_over=50, retry_after=10),
}


class Feeder(threading.Thread):
    """Keeps at least `_BACKLOG` conversations waiting."""

    def __init__(self, outbox: Outbox, bell: Bell) -> None:
        super().__init__(daemon=True)
        self.outbox, self.bell = outbox, bell
        self.over = threading.Event()
        self._number = 0

    def run(self) -> None:
        while not self.over.wait(0.1):
            while not self.over.is_set() and self.outbox.pending_items() < _BACKLOG:
                generation, _ = self.outbox.record([self._entry() for _ in range(_PART)])
                if generation:
                    self.bell.ring_flush(generation)

    def _entry(self) -> Entry:
        self._number += 1
        number, made = self._number, event_id("slack", str(self._number))
        patch = Patch(
            external_id=f"slack-{number}",
            event_id=made,
            source="slack",
            version=number,
            time=iso_time(1_700_000_000 + number),
            fields={
                "type": ("replace", "Slack thread"),
                "subject": ("first", f"subject {number}"),
                "date": ("first", iso_time(1_700_000_000 + number)),
                "description": ("append", text_of(number % 1000)),
            },
            message_id=str(number),
            company_id="extid-acme",
            rule="slack-thread",
        )
        return Entry(made, "slack", "pending", (made,), b"{}", patch.external_id, patch.encode())


def items_between(calls: list[dict[str, Any]], from_s: float, until_s: float) -> float:
    total = 0.0
    for call in calls:
        if call["status"] == 200:
            long_s = max(0.001, call["ms"] / 1000)
            inside = min(call["at"] + long_s, until_s) - max(call["at"], from_s)
            total += call["items"] * max(0.0, inside) / long_s
    return total


def sandbox_of(world: World, port: int, log: Path) -> Server:
    """Start a sandbox with this world's limits."""
    command = [
        *(sys.executable, "-m", "relay.cli", "sandbox", "--port", str(port), "--no-quotas"),
        *("--type", "Slack thread", "--fault", f"operation=upsert,{world.fault()}"),
    ]
    return Server(command, port, log, ready="/_sandbox/stats")


def one_run(folder: Path, name: str, world: World, seconds: float) -> dict[str, Any]:
    config = write_config(folder, calls_per_minute=world.calls_per_minute)
    config.write_text(
        config.read_text().replace("planhat: {", f"planhat: {{batch: {{max_items: {world.max_items}}}, ")
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}/_sandbox/calls?operation=upsert"
    with (
        redis_server(folder, appendfsync="everysec") as store,
        sandbox_of(world, port, folder / "sandbox.log") as sandbox,
    ):
        client = redis.Redis.from_url(store.url)
        feeder = Feeder(Outbox(client), Bell(client))
        feeder.start()
        try:
            while feeder.outbox.pending_items() < _BACKLOG:
                time.sleep(0.2)
            with Workers(config, store.url, sandbox):
                calls: list[dict[str, Any]] = []
                while not calls:
                    time.sleep(0.2)
                    calls = httpx.get(url).json()
                began_s = calls[0]["at"]
                time.sleep(max(0.0, began_s + seconds - time.time()))
                calls = httpx.get(url, timeout=30).json()
                tuned = Delivery(client).tune()
        finally:
            feeder.over.set()
            feeder.join(10)
    calls = [call for call in calls if call["status"] is not None and call["at"] < began_s + seconds]
    good = [call for call in calls if call["status"] == 200]
    item_bytes = sum(call["bytes"] for call in good) / sum(call["items"] for call in good)
    best, size = world.optimum(item_bytes)
    # What the worker does between two calls, a second an item: the median, so that waits for the budget do not count.
    own_s = statistics.median(
        max(0.0, later["at"] - call["at"] - call["ms"] / 1000) / call["items"]
        for call, later in pairwise(calls)
        if call["status"] == later["status"] == 200
    )
    best_with_own, _ = world.optimum(item_bytes, own_s)
    held_s = [call["at"] - began_s for call in calls if call["status"] == 429]
    return {
        "world": name,
        "optimum_per_s": best,
        "optimum_items": size,
        "windows": [
            items_between(calls, began_s + start, began_s + start + WINDOW_S) / WINDOW_S
            for start in range(0, int(seconds), WINDOW_S)
        ],
        "ratio_after_60_s": items_between(calls, began_s + 60, began_s + seconds) / (seconds - 60) / best,
        "ratio_last_minute": items_between(calls, began_s + seconds - 60, began_s + seconds) / 60 / best,
        "own_ms_an_item": own_s * 1000,
        "ratio_with_own": items_between(calls, began_s + 60, began_s + seconds)
        / (seconds - 60)
        / best_with_own,
        "calls": len(calls),
        "throttled_at_s": held_s,
        "throttled_share": len(held_s) / len(calls),
        "too_large": sum(call["status"] == 413 for call in calls),
        "first_sizes": [(round(call["at"] - began_s, 1), call["items"], call["status"]) for call in calls][
            :12
        ],
        "sizes": [call["items"] for call in good][-8:],
        "answer_ms_last": [round(call["ms"]) for call in good][-3:],
        "tuned": {key: value for key, value in tuned.items() if key != "learned"},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--worlds", nargs="+", choices=sorted(WORLDS), default=sorted(WORLDS))
    parser.add_argument("--json", dest="json_file")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        for name in options.worlds:
            row = one_run(Path(folder), name, WORLDS[name], options.seconds)
            rows.append(row)
            shown = " ".join(f"{value:.0f}" for value in row["windows"])
            print(
                f"## {name}: {WORLDS[name].fault()}\n"
                f"optimum {row['optimum_per_s']:.0f} items/s at {row['optimum_items']} items; items/s per {WINDOW_S} s: {shown}\n"
                f"after 60 s {row['ratio_after_60_s']:.2f} of it, in the last minute {row['ratio_last_minute']:.2f}; beside the call the worker "
                f"needs {row['own_ms_an_item']:.2f} ms an item: of the optimum with that {row['ratio_with_own']:.2f}; "
                f"{row['calls']} calls, 429 at {[round(at) for at in row['throttled_at_s']]} s "
                f"({row['throttled_share']:.1%}), 413: {row['too_large']}; first calls (s, items, status) {row['first_sizes']}; sizes at the end {row['sizes']} "
                f"({row['answer_ms_last']} ms); tuned {row['tuned']}",
                flush=True,
            )
    if options.json_file:
        Path(options.json_file).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
