"""The command line of `python -m bench.storm`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time

import redis

import bench.storm
from bench.storm.lanes import run_lanes
from bench.storm.storm import run_seed
from bench.storm.tally import Tally
from relay.outbox.embedded import EmbeddedServer


def main(arguments: list[str] | None = None) -> int:
    """0 where no seed failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.storm", description=(bench.storm.__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument(
        "--lanes", action="store_true", help="two to five lanes in each seed, inside of one another"
    )
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    tally, failed = Tally(), []
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        server = EmbeddedServer(folder, appendfsync="no").start()
        client = redis.Redis.from_url(server.url)
        for seed in range(chosen.first, chosen.first + chosen.seeds):
            try:
                if chosen.lanes:
                    run_lanes(seed, lambda lane: client, tally)
                else:
                    run_seed(seed, client, tally)
            except AssertionError as error:
                failed.append(seed)
                print(f"seed {seed}: {str(error)[:500]}", file=sys.stderr)
        server.stop()
    print(
        f"{tally.seeds} {'lanes' if chosen.lanes else 'seeds'}, {tally.events} events, {tally.calls} calls, {tally.crashes} crashes, {tally.hangs} jobs cut off by "
        f"a Redis that hung, {tally.full} times full, {tally.set_back} times set back ({tally.forgotten} events forgotten, each "
        f"told), {tally.clock_back} clocks gone back, {tally.late} calls that landed late, {tally.outages} outages, "
        f"{tally.takeovers} take-overs, {tally.together} lanes that died with another, {tally.held} held, {tally.refusals} answers with refusals, {tally.dead} dead letters replayed; "
        f"{tally.statements} statements held against the truth; failed seeds: {failed or 'none'}; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if failed else 0
