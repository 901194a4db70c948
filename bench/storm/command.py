"""The command line of `python -m bench.storm`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import redis

import bench.storm
from bench.redis_cluster import ClusterServers
from bench.storm.lanes import run_lanes
from bench.storm.storm import run_seed
from bench.storm.tally import Tally
from relay.lane_name import MAIN
from relay.outbox.cluster_nodes import lane_client
from relay.outbox.connection import connect
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
    parser.add_argument(
        "--cluster", action="store_true", help="the lanes over the slots of a cluster of three masters"
    )
    chosen = parser.parse_args(arguments)
    chosen.lanes = chosen.lanes or chosen.cluster
    began = time.monotonic()
    tally, failed = Tally(), []
    with tempfile.TemporaryDirectory(prefix="storm-") as folder, ExitStack() as stack:
        client_of = _clients(Path(folder), stack, clustered=chosen.cluster)
        for seed in range(chosen.first, chosen.first + chosen.seeds):
            try:
                if chosen.lanes:
                    run_lanes(seed, client_of, tally)
                else:
                    run_seed(seed, client_of(MAIN), tally)
            except AssertionError as error:
                failed.append(seed)
                print(f"seed {seed}: {str(error)[:500]}", file=sys.stderr)
    print(
        f"{tally.seeds} {'lanes' if chosen.lanes else 'seeds'}, {tally.events} events, {tally.calls} calls, {tally.crashes} crashes, {tally.hangs} jobs cut off by "
        f"a Redis that hung, {tally.full} times full, {tally.set_back} times set back ({tally.forgotten} events forgotten, each "
        f"told), {tally.clock_back} clocks gone back, {tally.late} calls that landed late, {tally.outages} outages, "
        f"{tally.takeovers} take-overs, {tally.together} lanes that died with another, {tally.held} held, {tally.refusals} answers with refusals, {tally.dead} dead letters replayed; "
        f"{tally.statements} statements held against the truth; failed seeds: {failed or 'none'}; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if failed else 0


def _clients(folder: Path, stack: ExitStack, *, clustered: bool) -> Callable[[str], redis.Redis]:
    """Starts the servers; lane -> its client."""
    if clustered:
        cluster = stack.enter_context(ClusterServers(folder, replicas=0, fsync="no"))
        home = connect(cluster.url)
        return lambda lane: lane_client(home, lane)
    server = EmbeddedServer(folder, appendfsync="no").start()
    stack.callback(server.stop)
    client = redis.Redis.from_url(server.url)
    return lambda lane: client
