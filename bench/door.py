"""(a) The door: signed Slack bodies of 1-2 KB through the full path (verify, parse, match, render, record with dedupe and
ledger, appendfsync always), at saturation and at a fixed rate.

Beside it, in the same run: a bare Starlette 202 under the same uvicorn from the same generator, and plain pipelined SETs of
as many bytes as the relay stores for an event.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import redis

from bench import redis_rate
from bench.figures import Cell, main, spin_ms
from bench.load import measure
from bench.load_result import Result, percentile
from bench.servers import Server, bare_server, redis_server, web_server
from bench.traffic import entries, slack_requests, stored_bytes, write_config
from bench.usage import Watch, memory_mb, redis_cpu_s

PART = "door"
WARM_UP = 1_000
#: Bare and relay take turns within a run, so often: a machine that slows down for some seconds slows both.
TURNS = 4
#: The bare server is sent so many times the requests: at several times the rate they would be over in an instant.
_BARE_TIMES = 3


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=int, default=500, help="of the open loop, requests a second")
    parser.add_argument("--seconds", type=float, default=10, help="of the open loop")
    parser.add_argument("--log-level", default="warning", help="info: with a line a request, into a file")


def run(chosen: argparse.Namespace) -> list[Cell]:
    full = Cell(f"saturation, {chosen.connections} connections")
    steady = Cell(f"{chosen.rate} a second")
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        config = write_config(folder)
        sample = entries(config, 200)
        size = stored_bytes(sample) // len(sample)
        full.facts["stored_bytes_an_event"] = size
        for turn in range(chosen.runs):
            door, at_rate = _one_run(folder, config, chosen, turn)
            sets = redis_rate.measure(folder, size)
            door |= {
                "redis_set_per_s": sets["per_s"],
                "redis_ratio": door["accepted_per_s"] / sets["per_s"],
                "redis_set_cpu_us": sets["cpu_us"],
            }
            full.add({**door, "spin_ms": spin_ms()})
            steady.add(at_rate)
    return [full, steady]


class Side:
    """One of the two servers: what it answered and used, over all its turns."""

    def __init__(self, server: Server, times: int = 1) -> None:
        self.server = server
        self._times = times
        self._results: list[Result] = []
        self._cpu_s = 0.0

    def measure(self, requests: list[bytes], connections: int, rate: float = 0) -> Result:
        times = 1 if rate else self._times
        with Watch({"server": self.server.pid}) as watch:
            result = measure(self.server.port, requests, connections, rate, times)
        result.all_were(202)
        self._results.append(result)
        self._cpu_s += watch.cpu_s["server"]
        return result

    def forget(self) -> None:
        """What was measured so far was for warming up, or is told."""
        self._results, self._cpu_s = [], 0.0

    @property
    def per_s(self) -> float:
        return self._answers / sum(result.took_s for result in self._results)

    @property
    def cpu_us(self) -> float:
        return self._cpu_s / self._answers * 1e6

    @property
    def generator_cores(self) -> float:
        return sum(r.cpu_s for r in self._results) / sum(r.took_s for r in self._results)

    @property
    def _answers(self) -> int:
        return sum(sum(result.statuses.values()) for result in self._results)

    def percentile_ms(self, share: float) -> float:
        return percentile(sorted(s for result in self._results for s in result.latencies_s), share) * 1000


def _one_run(
    folder: Path, config: Path, chosen: argparse.Namespace, turn: int
) -> tuple[dict[str, float], dict[str, float]]:
    with (
        redis_server(folder) as store,
        web_server(config, store.url, log_level=chosen.log_level) as web,
        bare_server(folder) as server,
    ):
        client = redis.Redis.from_url(store.url)
        relay, bare = Side(web), Side(server, _BARE_TIMES)
        for side in (relay, bare):
            side.measure(slack_requests(WARM_UP, start=10_000_000), chosen.connections)
            side.forget()
        requests = slack_requests(chosen.requests)
        redis_s = 0.0
        with Watch({"web": web.pid, "redis": store.pid, "bare": server.pid}) as watch:
            for number in range(TURNS):
                part = requests[number::TURNS]
                # Who goes first changes as well.
                for side in (bare, relay) if (number + turn) % 2 == 0 else (relay, bare):
                    used = redis_cpu_s(client)
                    side.measure(part, chosen.connections)
                    if side is relay:
                        redis_s += redis_cpu_s(client) - used
        full = {
            "accepted_per_s": relay.per_s,
            "bare_per_s": bare.per_s,
            "ratio": relay.per_s / bare.per_s,
            "p50_ms": relay.percentile_ms(0.5),
            "p99_ms": relay.percentile_ms(0.99),
            "p999_ms": relay.percentile_ms(0.999),
            "web_cpu_us": relay.cpu_us,
            "redis_cpu_us": redis_s / len(requests) * 1e6,
            "bare_cpu_us": bare.cpu_us,
            "cpu_ratio": bare.cpu_us / relay.cpu_us,
            "web_rss_mb": memory_mb(web.pid),
            "generator_cores": relay.generator_cores,
            "bare_generator_cores": bare.generator_cores,
            "others_cores": watch.others,
        }
        steady: dict[str, float] = {}
        later = slack_requests(int(chosen.rate * chosen.seconds), start=20_000_000)
        for side, word in ((relay, ""), (bare, "bare_")):
            side.forget()
            result = side.measure(later, chosen.connections, chosen.rate)
            steady |= {
                f"{word}p50_ms": result.percentile_ms(0.5),
                f"{word}p99_ms": result.percentile_ms(0.99),
                f"{word}p999_ms": result.percentile_ms(0.999),
                f"{word}cpu_us": side.cpu_us,
            }
        return full, steady


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
