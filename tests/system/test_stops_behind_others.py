"""A process that is told to stop ends within its bound where a Sentinel or a node of a cluster hangs: it takes connections, and says
nothing. What was accepted is delivered afterwards."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from bench.redis_cluster import ClusterServers
from relay.outbox.connection import connect
from relay.outbox.outbox import Outbox
from relay.planhat.sandbox import NO_QUOTAS, Fault, create_sandbox
from relay.planhat.sandbox.server import running as sandbox_running
from tests.outbox.test_sentinel import Cluster
from tests.workers.test_stops import ENDS_S, ROLES, SIGNS, begin_a_call, house, roles
from tests.workers.test_workers import wait_until

pytestmark = pytest.mark.process


def _stop_while_it_hangs(
    folder: Path, redis_url: str, hang: Callable[[], None], wake: Callable[[], None]
) -> None:
    """Stops every role amid a call to Planhat, with `hang()` before, and delivers it after `wake()`."""
    slow = Fault.read({"operation": "upsert", "latency_ms": 9_000, "times": 1})
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS, faults=[slow])
    with sandbox_running(sandbox) as url, house(folder, redis_url, url) as made:
        outbox = Outbox(connect(redis_url))
        wait_until(lambda: roles(outbox) == SIGNS, 40)
        begin_a_call(outbox)
        wait_until(lambda: slow.met, 10)
        hang()
        ended = made.stop(twice=False)
        assert {role: code for role, (code, _) in ended.items()} == dict.fromkeys(ROLES, 0)
        assert {role: s for role, (_, s) in ended.items() if s > ENDS_S} == {}
        assert "worker.killed" not in made.said("supervisor")
        assert not any("Traceback" in made.said(role) for role in ROLES)
        wake()
        made.start("next", ROLES["supervisor"])
        wait_until(lambda: not outbox.ledger()["slack"]["pending"], 40)
        assert len(sandbox.store) == 1 and outbox.dead.count() == 0


@pytest.mark.parametrize("tag", ["main", "rq"])
def test_every_role_ends_where_a_node_of_the_cluster_hangs(tag: str, short_tmp: Path) -> None:
    with ClusterServers(short_tmp / "c", replicas=0, node_timeout_ms=15_000) as cluster:
        node = cluster.master_of(tag)
        _stop_while_it_hangs(short_tmp, cluster.url, lambda: cluster.hang(node), lambda: cluster.wake(node))


@pytest.mark.parametrize("hung", [("sentinel",), ("primary",), ("sentinel", "primary")])
def test_every_role_ends_where_a_sentinel_or_its_primary_hangs(
    hung: tuple[str, ...], short_tmp: Path
) -> None:
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if not binary:
        pytest.skip("no redis-server on the PATH for a sentinel")
    servers = Cluster(short_tmp, binary)
    try:
        # Nobody takes its place: it hangs, and goes on.
        with redis.Redis(port=servers.sentinel_port) as sentinel:
            sentinel.sentinel_set("relay", "down-after-milliseconds", 600_000)

        def tell(number: signal.Signals) -> None:
            for name in hung:
                os.kill(servers.processes[name].pid, number)

        url = f"redis+sentinel://127.0.0.1:{servers.sentinel_port}/relay/0"
        _stop_while_it_hangs(short_tmp, url, lambda: tell(signal.SIGSTOP), lambda: tell(signal.SIGCONT))
    finally:
        for process in servers.processes.values():
            process.send_signal(signal.SIGCONT)
        servers.stop()
