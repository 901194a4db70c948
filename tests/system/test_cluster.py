"""The whole relay on a real cluster of three masters and three replicas: what is acknowledged is delivered, whatever happens to the
lane's node. The long table of kills and moves: `python -m bench.cluster`."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.cluster_load import Load, Outcome, Relay
from bench.fleet import roll_under_load
from bench.redis_cluster import ClusterServers, slot_of, until
from bench.servers import ROOT, environ
from relay.outbox.durability import CLUSTER
from tests.laned import laned, wait_until

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServers]:
    with ClusterServers(tmp_path_factory.mktemp("cluster"), node_timeout_ms=1_000) as made:
        yield made


@pytest.fixture(scope="module")
def relay(cluster: ClusterServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    # Without replicas that confirm, a master may take with it what it acknowledged a moment before.
    with Relay(tmp_path_factory.mktemp("relay"), cluster.url, config="redis: {replicas: 1}\n") as made:
        yield made


def settled(relay: Relay, load: Load) -> Outcome:
    """What became of the events once nothing waits: nothing lost, stale or double."""
    load.stop()
    relay.await_settled()
    until(lambda: relay.readyz()[0] == 200, 20)
    found = load.outcome()
    assert (found.lost, found.stale, found.double, found.balanced) == (0, 0, 0, True), found
    return found


def doctor(relay: Relay, url: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "relay.cli", "doctor", "--json"],
        env=environ(**{**relay.environ, "RELAY_REDIS_URL": url}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return {check["check"]: check for check in json.loads(done.stdout)["checks"]}


def test_it_delivers_and_doctor_names_the_nodes(cluster: ClusterServers, relay: Relay) -> None:
    load = Load(relay, senders=1).start()
    load.run_for(0.2)
    assert settled(relay, load).refused == 0
    master, rq = cluster.master_of("main"), cluster.master_of("rq")
    assert master is not rq
    found = doctor(relay, cluster.url)
    assert found["redis"]["ok"] and f"127.0.0.1:{master.port} of a cluster" in found["redis"]["found"]
    assert f"127.0.0.1:{rq.port}" in found["redis for RQ"]["found"] and found["worker"]["ok"]
    [replica] = cluster.replicas_of(master)
    assert found[f"redis replica 127.0.0.1:{replica.port}"]["ok"]
    # It would refuse everything after a failover.
    assert not found["redis replicas"]["ok"] and "2 replicas" in found["redis replicas"]["do"]
    plain = doctor(relay, f"redis://127.0.0.1:{master.port}")["redis"]
    assert not plain["ok"] and plain["found"] == CLUSTER.partition("; ")[0]


def test_a_master_that_is_killed_takes_nothing_with_it(cluster: ClusterServers, relay: Relay) -> None:
    load = Load(relay, senders=2).start()
    load.run_for(1)
    master = cluster.master_of("main")
    cluster.kill(master)
    cluster.await_other("main", master)
    # Its only replica is the master now: nobody is left to confirm.
    until(lambda: "and 0 follow the master" in str(relay.readyz()), 10)
    assert relay.readyz()[0] == 503
    cluster.revive(master)
    load.run_for(0.5)
    found = settled(relay, load)
    assert found.refused and found.away_s < 15, found


def test_a_slot_that_moves_and_a_failover_lose_nothing(cluster: ClusterServers, relay: Relay) -> None:
    load = Load(relay, senders=2).start()
    load.run_for(1)
    cluster.await_replicas("main")
    cluster.fail_over("main")
    load.run_for(0.5)
    cluster.move_slot("main", cluster.other_master("main", "rq"))
    load.run_for(0.5)
    # RQ's node: a bell, nothing that was acknowledged lies there.
    cluster.kill(rq := cluster.master_of("rq"))
    cluster.await_other("rq", rq)
    load.run_for(0.5)
    cluster.revive(rq)
    settled(relay, load)


def test_a_master_that_hangs_costs_the_door_two_seconds(cluster: ClusterServers, relay: Relay) -> None:
    load = Load(relay, senders=2).start()
    load.run_for(0.5)
    cluster.await_replicas("main")
    cluster.hang(master := cluster.master_of("main"))
    try:
        cluster.await_other("main", master)
    finally:
        cluster.wake(master)
    load.run_for(0.5)
    found = settled(relay, load)
    assert found.slowest_s < 3.0, found


def test_lanes_lie_on_nodes_of_their_own(cluster: ClusterServers, short_tmp: Path) -> None:
    """Several tenants over the cluster: each one's events are written to its lane's master, and reach its own Planhat."""
    names = ("emea", "us", "apac")
    assert len({slot_of(name) for name in names}) == 3
    with laned(short_tmp, *names, redis_url=cluster.url) as relay:
        relay.begin()
        for number in range(5):
            for name in names:
                assert relay.send(f"hook-{name}", number).status_code == 202
        wait_until(lambda: all(relay.books(name).get("delivered") == 5 for name in names), 30)
        stats = relay.api("stats")
        assert stats["balanced"] and {row["delivery"]["state"] for row in stats["lanes"].values()} == {"open"}
        for name in names:
            assert len(relay.sandboxes[name].store.list_page({"limit": "100"})) == 5
            assert not relay.outbox("main").ledger().get(f"hook-{name}"), "nothing of it lies elsewhere"


def test_three_pods_of_each_kind_are_rolled_while_things_break(tmp_path: Path) -> None:
    """Each replaced in turn, some killed; workers die, Planhat fails, the lane and RQ fail over. More rounds: `python -m bench.fleet`."""
    tags = itertools.cycle(("main", "", "rq", ""))

    # Of its own: the other one's keys belong to the other tests' Planhat.
    with ClusterServers(tmp_path / "redis", node_timeout_ms=1_000) as cluster:

        def shake() -> None:
            if tag := next(tags):
                cluster.await_replicas(tag)
                cluster.fail_over(tag)

        found = roll_under_load(tmp_path, cluster.url, shake, config="redis: {replicas: 1}\n")
    assert (found.lost, found.stale, found.double, found.balanced) == (0, 0, 0, True), found
    assert found.acknowledged > 100
