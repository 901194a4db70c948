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
from bench.load import Result, measure
from bench.servers import Server, bare_server, redis_server, web_server
from bench.traffic import entries, slack_requests, stored_bytes, write_config
from bench.usage import Watch, memory_mb, redis_cpu_s

PART = "door"
WARM_UP = 1_000


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
            door, bare = {}, {}
            # Who goes first changes from run to run: a machine that grows slower favours nobody.
            for who in ("bare", "relay") if turn % 2 == 0 else ("relay", "bare"):
                if who == "bare":
                    bare = _bare(folder, chosen)
                else:
                    door = _relay(folder, config, chosen)
            sets = redis_rate.measure(folder, size)
            full.add(
                {
                    "accepted_per_s": door["per_s"],
                    "bare_per_s": bare["per_s"],
                    "ratio": door["per_s"] / bare["per_s"],
                    "p50_ms": door["p50_ms"],
                    "p99_ms": door["p99_ms"],
                    "web_cpu_us": door["web_cpu_us"],
                    "redis_cpu_us": door["redis_cpu_us"],
                    "bare_cpu_us": bare["cpu_us"],
                    "cpu_ratio": bare["cpu_us"] / door["web_cpu_us"],
                    "redis_set_per_s": sets["per_s"],
                    "redis_ratio": door["per_s"] / sets["per_s"],
                    "redis_set_cpu_us": sets["cpu_us"],
                    "web_rss_mb": door["rss_mb"],
                    "generator_cores": door["generator_cores"],
                    "bare_generator_cores": bare["generator_cores"],
                    "others_cores": door["others_cores"],
                    "bare_others_cores": bare["others_cores"],
                    "spin_ms": spin_ms(),
                }
            )
            steady.add(
                {key[3:]: door[key] for key in door if key.startswith("at_")}
                | {"bare_" + key[3:]: bare[key] for key in bare if key.startswith("at_")}
            )
    return [full, steady]


def _bare(folder: Path, chosen: argparse.Namespace) -> dict[str, float]:
    with bare_server(folder) as server:
        requests = slack_requests(min(chosen.requests, 10_000))
        measure(server.port, requests[:WARM_UP], chosen.connections)
        with Watch({"server": server.pid}) as watch:
            # More of them: at several times the rate, the same number would be over in an instant.
            result = measure(
                server.port,
                requests,
                chosen.connections,
                times=max(1, round(3 * chosen.requests / len(requests))),
            )
        return {
            **_common(result, watch),
            "cpu_us": watch.cpu_s["server"] / sum(result.statuses.values()) * 1e6,
            **_at_rate(server, chosen, requests),
        }


def _relay(folder: Path, config: Path, chosen: argparse.Namespace) -> dict[str, float]:
    with (
        redis_server(folder) as store,
        web_server(config, store.url, log_level=chosen.log_level) as server,
    ):
        client = redis.Redis.from_url(store.url)
        measure(server.port, slack_requests(WARM_UP, start=10_000_000), chosen.connections).all_were(202)
        requests = slack_requests(chosen.requests)
        used = redis_cpu_s(client)
        with Watch({"web": server.pid, "redis": store.pid}) as watch:
            result = measure(server.port, requests, chosen.connections)
        result.all_were(202)
        used = redis_cpu_s(client) - used
        rss_mb = memory_mb(server.pid)
        later = slack_requests(int(chosen.rate * chosen.seconds), start=20_000_000)
        return {
            **_common(result, watch),
            "web_cpu_us": watch.cpu_s["web"] / len(requests) * 1e6,
            "redis_cpu_us": used / len(requests) * 1e6,
            "rss_mb": rss_mb,
            **_at_rate(server, chosen, later),
        }


def _common(result: Result, watch: Watch) -> dict[str, float]:
    result.all_were(202)
    return {
        "per_s": result.per_s,
        "p50_ms": result.percentile_ms(0.5),
        "p99_ms": result.percentile_ms(0.99),
        "generator_cores": result.generator_cores,
        "others_cores": watch.others,
    }


def _at_rate(server: Server, chosen: argparse.Namespace, requests: list[bytes]) -> dict[str, float]:
    requests = requests[: int(chosen.rate * chosen.seconds)]
    with Watch({"server": server.pid}) as watch:
        result = measure(server.port, requests, chosen.connections, rate=chosen.rate)
    result.all_were(202)
    return {
        "at_p50_ms": result.percentile_ms(0.5),
        "at_p99_ms": result.percentile_ms(0.99),
        "at_p999_ms": result.percentile_ms(0.999),
        "at_cpu_us": watch.cpu_s["server"] / len(requests) * 1e6,
    }


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
