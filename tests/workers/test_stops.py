"""Told to stop, a process ends within seconds, whether Redis answers, hangs, is gone or never was there: nothing that it still had to
say there is waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from relay.outbox.embedded import EmbeddedServer
from relay.outbox.outbox import Outbox
from relay.outbox.processes import read_processes
from relay.planhat.sandbox import NO_QUOTAS, create_sandbox
from relay.planhat.sandbox.faults import Fault
from relay.planhat.sandbox.server import running as sandbox_running
from tests.flushing import patch
from tests.places import ROOT
from tests.workers.test_workers import Fleet, wait_until

#: The worker's five seconds, what looking for Redis takes, and a look of the supervisor's.
MOST_S: Final = 10.0
COMMANDS: Final = {
    "flush": ("workers", "--queue", "flush"),
    "dead-letter": ("workers", "--queue", "dead-letter"),
    "supervisor": ("workers",),
    "web": ("relay.cli", "serve", "--port", "0"),
}
FAULTS: Final = {"gone": signal.SIGKILL, "hangs": signal.SIGSTOP}


@pytest.fixture
def fleet(short_tmp: Path, tmp_path: Path) -> Iterator[Fleet]:
    server = EmbeddedServer(short_tmp / "r").start()
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with sandbox_running(sandbox) as url:
        made = Fleet(server, sandbox, url, tmp_path)
        yield made
        for process in made.workers:
            process.kill()
            process.wait()
    server.stop()


def begin(fleet: Fleet, *words: str, **environ: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-m", *words], env=fleet.environ() | environ, cwd=ROOT)
    fleet.workers.append(process)
    return process


def begin_all(fleet: Fleet, **environ: str) -> list[subprocess.Popen[bytes]]:
    return [begin(fleet, *words, **environ) for words in COMMANDS.values()]


def listens(process: subprocess.Popen[bytes]) -> bool:
    return any("socket:" in os.readlink(entry) for entry in Path(f"/proc/{process.pid}/fd").iterdir())


def roles(outbox: Outbox) -> set[str]:
    return {process.role for process in read_processes(outbox)}


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """Tells them to stop; their exit codes. Raises TimeoutExpired for one that does not end in time."""
    deadline = time.monotonic() + MOST_S
    for process in processes:
        process.terminate()
    return [process.wait(max(0.1, deadline - time.monotonic())) for process in processes]


@pytest.mark.process
@pytest.mark.parametrize("fault", FAULTS)
def test_all_end_while_redis_is_away(fleet: Fleet, fault: str) -> None:
    begun = begin_all(fleet)
    wait_until(lambda: roles(fleet.outbox) == set(COMMANDS), 30)
    os.kill(fleet.server.pid, FAULTS[fault])
    try:
        assert stop(begun) == [0] * len(begun)
    finally:
        os.kill(fleet.server.pid, signal.SIGCONT)


@pytest.mark.process
def test_all_end_that_never_found_redis(fleet: Fleet) -> None:
    begun = begin_all(fleet, RELAY_REDIS_URL="redis://127.0.0.1:1/0")
    alive = fleet.folder / "alive"
    # The files of their signs, which need no Redis; the web side listens before it has found it.
    wait_until(lambda: all(Path(f"{alive}{of}").exists() for of in ("", ".flush", ".dead-letter")), 20)
    wait_until(lambda: listens(begun[-1]), 20)
    assert stop(begun) == [0] * len(begun)


@pytest.mark.process
@pytest.mark.parametrize("words", [COMMANDS["flush"], ("workers", "--burst")], ids=["flush", "burst"])
def test_one_in_the_middle_of_a_call_ends_while_redis_hangs(fleet: Fleet, words: tuple[str, ...]) -> None:
    """The call's answer cannot be kept then; what it was about is delivered by whoever comes next."""
    slow = Fault.read({"operation": "upsert", "latency_ms": 2000, "times": 1})
    fleet.sandbox.faults.all.append(slow)
    fleet.record(patch(1))
    process = begin(fleet, *words)
    wait_until(lambda: slow.met, 20)
    os.kill(fleet.server.pid, signal.SIGSTOP)
    try:
        # A burst says so by its code that something due was not delivered.
        assert stop([process]) == [1 if "--burst" in words else 0]
    finally:
        os.kill(fleet.server.pid, signal.SIGCONT)
    next_one = begin(fleet, "workers")
    wait_until(lambda: "pending" not in fleet.books(), 30)
    assert stop([next_one]) == [0]
    assert sum(fleet.books().get(word, 0) for word in ("delivered", "unchanged")) == 1
    assert len(fleet.sandbox.store) == 1


@pytest.mark.process
def test_all_sign_off_while_redis_is_well(fleet: Fleet) -> None:
    begun = begin_all(fleet)
    wait_until(lambda: roles(fleet.outbox) == set(COMMANDS), 30)
    assert stop(begun) == [0] * len(begun)
    assert not roles(fleet.outbox)
