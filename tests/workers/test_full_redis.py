"""Redis at its memory limit: what waits is delivered all the same, and nothing needs more memory for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError, OutOfMemoryError

from relay.outbox.cluster_nodes import rq_client
from relay.outbox.embedded import EmbeddedServer
from relay.planhat.sandbox import NO_QUOTAS, Fault, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import patch
from tests.places import ROOT
from tests.workers.test_workers import Fleet, wait_until
from workers.process.without_rq import goes_on_without_rq

pytestmark = pytest.mark.process


@pytest.fixture
def fleet(short_tmp: Path, tmp_path: Path) -> Iterator[Fleet]:
    server = EmbeddedServer(short_tmp / "r", appendfsync="no").start()
    sandbox: Sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        made = Fleet(server, sandbox, url, tmp_path)
        yield made
        made.stop()
    server.stop()


def fill(fleet: Fleet, events: int) -> int:
    """So many events wait, and Redis is full to the last byte; its limit."""
    for start in range(0, events, 500):
        fleet.record(*(patch(number) for number in range(start, min(start + 500, events))))
    fleet.redis.delete("rq:queue:flush")
    used = int(fleet.redis.info("memory")["used_memory"])
    fleet.redis.config_set("maxmemory", str(used))
    return used


def relay(fleet: Fleet, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "relay.cli", *arguments],
        env=fleet.environ(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def births(fleet: Fleet) -> dict[bytes, Any]:
    """When each of RQ's workers registered."""
    names: Any = fleet.redis.smembers("rq:workers")
    return {name: fleet.redis.hget(name.decode(), "birth") for name in names}


def limit(fleet: Fleet) -> int:
    return int(str(fleet.redis.config_get("maxmemory")["maxmemory"]))


def test_seven_thousand_that_wait_at_the_limit_are_all_delivered(fleet: Fleet) -> None:
    full_at = fill(fleet, 7_000)
    fleet.start()
    wait_until(lambda: "pending" not in fleet.books(), 60)
    assert fleet.books() == {"accepted": 7_000, "delivered": 7_000}
    assert limit(fleet) == full_at
    assert len(fleet.sandbox.store) == 7_000


def test_an_outage_of_planhat_at_the_limit_ends_by_itself(fleet: Fleet) -> None:
    """A hold must be written too: a standstill that only more memory ends would be for ever."""
    full_at = fill(fleet, 300)
    fleet.sandbox.faults.all.append(Fault.read({"operation": "upsert", "status": 503, "times": 3}))
    fleet.start()
    wait_until(lambda: "pending" not in fleet.books(), 60)
    assert (fleet.books(), limit(fleet)) == ({"accepted": 300, "delivered": 300}, full_at)


def test_people_can_work_at_the_limit(fleet: Fleet) -> None:
    fill(fleet, 50)
    assert relay(fleet, "pause").returncode == 0
    stats = json.loads(relay(fleet, "stats", "--json").stdout)
    assert stats["delivery"]["state"] == "paused" and stats["balanced"] is True
    assert any("nearly full" in warning for warning in stats["warnings"])
    assert relay(fleet, "pause", "--source", "slack").returncode == 0
    assert relay(fleet, "resume", "--source", "slack").returncode == 0
    assert relay(fleet, "resume").returncode == 0
    burst = relay(fleet, "work", "--burst")
    assert burst.returncode == 0, burst.stderr
    assert fleet.books() == {"accepted": 50, "delivered": 50}


def test_rq_is_used_again_once_there_is_memory(fleet: Fleet) -> None:
    fill(fleet, 100)
    worker = fleet.start()
    wait_until(lambda: "pending" not in fleet.books(), 60)
    assert not fleet.redis.scard("rq:workers")
    fleet.redis.config_set("maxmemory", "0")
    wait_until(lambda: fleet.redis.scard("rq:workers") == 2, 60)
    fleet.record(patch(5_000))
    wait_until(lambda: "pending" not in fleet.books(), 60)
    assert worker.poll() is None


@pytest.mark.parametrize(
    ("error", "full", "goes_on"),
    [
        (OutOfMemoryError("OOM command not allowed"), True, True),
        # Memory came back between what RQ met and the look: ending would start a process anew for nothing.
        (OutOfMemoryError("OOM command not allowed"), False, True),
        (ConnectionError("gone"), True, True),
        (ConnectionError("gone"), False, False),
        (None, True, True),
        (None, False, False),
    ],
)
def test_a_process_outlives_rq_that_gave_up_for_memory(
    fleet: Fleet, error: Exception | None, full: bool, goes_on: bool
) -> None:
    fleet.redis.config_set("maxmemory", "1" if full else "0")
    assert goes_on_without_rq(error, rq_client(fleet.redis), fleet.outbox) is goes_on


def test_a_worker_that_was_at_work_goes_on_while_memory_is_full_and_afterwards(fleet: Fleet) -> None:
    """RQ gives up on a full Redis, and knows the worker from before when there is memory again: no process ends for either."""
    log = fleet.folder / "log"
    with log.open("wb") as file:
        worker = subprocess.Popen(
            [sys.executable, "-m", "workers"],
            env={**fleet.environ(), "RELAY_LOG_LEVEL": "warning"},
            cwd=ROOT,
            stderr=file,
        )
    fleet.workers.append(worker)
    wait_until(lambda: fleet.redis.scard("rq:workers") == 2, 60)
    children, born = fleet.children(worker), births(fleet)
    fill(fleet, 100)
    # Also once all of it is delivered, which makes room.
    fleet.redis.config_set("maxmemory", "1")
    wait_until(lambda: "pending" not in fleet.books(), 60)
    wait_until(lambda: log.read_text().count("rq.gave_up") == 2, 90)
    fleet.redis.config_set("maxmemory", "0")
    wait_until(lambda: all(births(fleet).get(name, at) != at for name, at in born.items()), 60)
    fleet.record(patch(5_000))
    wait_until(lambda: "pending" not in fleet.books(), 60)
    assert fleet.children(worker) == children


def test_a_hold_of_a_document_s_company_and_a_dead_letter_are_written_at_the_limit(fleet: Fleet) -> None:
    fleet.sandbox.faults.all.append(Fault.read({"operation": "upsert", "refuse": "C1-[0-4]$"}))
    fill(fleet, 40)
    fleet.start()
    wait_until(lambda: fleet.books().get("pending") is None, 40)
    assert fleet.books() == {"accepted": 40, "delivered": 35, "dead": 5}
    assert os.path.exists(f"/proc/{fleet.workers[0].pid}")
