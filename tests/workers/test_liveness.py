"""Alive is who asks for work. A worker that dies as it begins, or hangs, is seen by everybody who looks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from relay.outbox.embedded import EmbeddedServer, find_server
from relay.outbox.outbox import Outbox
from relay.outbox.processes import delivering, give_sign, leave, read_processes
from relay.planhat.sandbox import NO_QUOTAS, create_sandbox
from relay.planhat.sandbox.server import running as sandbox_running
from tests.flushing import patch
from tests.limited import LIMITED
from tests.outbox.servers import as_user, running
from tests.places import ROOT
from tests.workers.test_workers import Fleet, wait_until


def told(outbox: Outbox) -> tuple[bool, str]:
    now_ms = outbox.now_ms()
    found = delivering(outbox, read_processes(outbox), now_ms=now_ms)
    return found.alive, found.sentence(now_ms)


def test_who_is_overdue_is_not_alive(outbox: Outbox) -> None:
    assert told(outbox) == (False, "no flush worker has asked for work yet")
    give_sign(outbox, "h:1:supervisor", "supervisor", due_s=20, started_ms=0)
    assert not told(outbox)[0], "a supervisor delivers nothing"
    give_sign(outbox, "h:2:flush", "flush", due_s=20, started_ms=0)
    assert told(outbox) == (True, "")
    give_sign(outbox, "h:2:flush", "flush", due_s=-1, started_ms=0)
    assert told(outbox)[1].startswith("no flush worker asks for work (the last did ")
    leave(outbox, "h:2:flush")
    assert told(outbox) == (False, "no flush worker has asked for work yet")


def test_a_sign_from_before_the_clock_went_back_is_none(outbox: Outbox) -> None:
    give_sign(outbox, "h:2:flush", "flush", due_s=20, started_ms=0)
    [process] = read_processes(outbox)
    assert process.alive(process.seen_ms) and not process.alive(process.seen_ms - 3_600_000)


def test_an_older_release_s_workers_count_by_their_supervisor(outbox: Outbox) -> None:
    outbox.redis.zadd(outbox.prefix + "heartbeats", {"host:1": outbox.now_ms()})
    assert told(outbox) == (True, "")


@pytest.fixture
def fleet(short_tmp: Path, tmp_path: Path) -> Iterator[Fleet]:
    server = EmbeddedServer(short_tmp / "r").start()
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with sandbox_running(sandbox) as url:
        made = Fleet(server, sandbox, url, tmp_path)
        yield made
        made.stop()
    server.stop()


def relay(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "relay.cli", *arguments],
        env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def checks(environ: dict[str, str]) -> dict[str, Any]:
    return {
        check["check"]: check for check in json.loads(relay(environ, "doctor", "--json").stdout)["checks"]
    }


@pytest.mark.process
def test_a_worker_that_dies_again_and_again_is_seen(tmp_path: Path) -> None:
    """Its user may not touch RQ's keys, as RQ does when it begins; the supervisor lives and gives its signs all the while."""
    with running() as server, sandbox_running(create_sandbox(types=["Slack thread"])) as url:
        admin = redis.Redis(unix_socket_path=str(server.socket))
        admin.execute_command("ACL", "SETUSER", "plain", "resetkeys", "~relay:*")  # type: ignore[no-untyped-call]
        (tmp_path / "relay.yaml").write_text(
            "planhat: {types: [Slack thread]}\nsources: {slack: {adapter: slack, secrets: [shh], type: Slack thread}}\n"
            "companies: [{default: extid-acme}]\n"
        )
        environ = {
            **os.environ,
            "RELAY_REDIS_URL": as_user(server, "plain"),
            "RELAY_PLANHAT_URL": url,
            "RELAY_PLANHAT_TOKEN": "token",
            "RELAY_CONFIG": str(tmp_path / "relay.yaml"),
            "RELAY_HEARTBEAT_FILE": str(tmp_path / "alive"),
            "RELAY_LOG_LEVEL": "error",
            "RELAY_ALLOW_WEAK_SECRETS": "true",
        }
        outbox = Outbox(admin)
        worker = subprocess.Popen(
            [sys.executable, "-m", "workers"], env=environ, cwd=ROOT, stderr=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: "die again and again" in told(outbox)[1], 40)
            check = checks(environ)["worker"]
            assert not check["ok"] and "exit code 1" in check["found"] and "flush" in check["found"]
            stats = json.loads(relay(environ, "stats", "--json").stdout)
            assert any("No worker serves the queue flush" in warning for warning in stats["warnings"])
            os.utime(tmp_path / "alive", (time.time() - 60, time.time() - 60))
            time.sleep(1.2)
            probe = relay(environ, "work", "--alive")
            assert probe.returncode == 1 and "dies again and again" in probe.stderr
        finally:
            worker.terminate()
            worker.wait(15)
            admin.close()


@pytest.mark.process
def test_a_worker_that_hangs_is_not_alive_though_its_supervisor_is(fleet: Fleet) -> None:
    worker = fleet.start()
    wait_until(lambda: told(fleet.outbox)[0], 20)
    alive = fleet.folder / "alive"
    wait_until(lambda: Path(f"{alive}.flush").exists(), 5)
    assert relay(fleet.environ(), "work", "--alive").returncode == 0
    os.kill(fleet.flusher(worker), signal.SIGSTOP)
    try:
        # As if the time of its sign were over.
        os.utime(f"{alive}.flush", (time.time() - 1, time.time() - 1))
        probe = relay(fleet.environ(), "work", "--alive")
        assert probe.returncode == 1 and "should have asked for work" in probe.stderr
        assert wait_until(lambda: not told(fleet.outbox)[0], 30) < 25
        assert not checks(fleet.environ())["worker"]["ok"]
    finally:
        os.kill(fleet.flusher(worker), signal.SIGCONT)
    wait_until(lambda: told(fleet.outbox)[0], 15)


@pytest.mark.process
def test_workers_register_again_after_redis_was_flushed(fleet: Fleet) -> None:
    worker = fleet.start()
    fleet.ready(worker)
    fleet.redis.flushall()
    wait_until(lambda: fleet.redis.scard("rq:workers") == 2, 20)
    # With it, and not when the next sign would have been due.
    wait_until(lambda: told(fleet.outbox)[0], 2)
    fleet.record(patch(1))
    wait_until(lambda: fleet.books().get("delivered") == 1, 10)


@pytest.mark.skipif(LIMITED, reason="that user cannot make a cluster")
@pytest.mark.process
def test_a_cluster_s_node_is_refused_by_both_sides(short_tmp: Path, tmp_path: Path) -> None:
    server = EmbeddedServer(
        short_tmp / "r", binary=find_server(), extra=("cluster-enabled yes", f"port {_port()}")
    ).start()
    try:
        client = redis.Redis.from_url(server.url)
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)  # type: ignore[no-untyped-call]
        wait_until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), 10)  # type: ignore[no-untyped-call]
        with sandbox_running(create_sandbox(types=["Slack thread"])) as url:
            (tmp_path / "relay.yaml").write_text("planhat: {types: [Slack thread]}\nsources: {}\n")
            environ = {
                **os.environ,
                "RELAY_REDIS_URL": server.url,
                "RELAY_PLANHAT_URL": url,
                "RELAY_PLANHAT_TOKEN": "token",
                "RELAY_CONFIG": str(tmp_path / "relay.yaml"),
            }
            done = relay(environ, "work")
            assert done.returncode == 2 and "cluster node" in done.stderr, done
            assert "Traceback" not in done.stderr
            assert not checks(environ)["redis"]["ok"]
    finally:
        server.stop()


def _port() -> int:
    import socket

    # A cluster's bus listens 10,000 above.
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < 55_000:
            return port
