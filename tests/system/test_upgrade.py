"""A real upgrade over a schema that changed, and back, under load: the next release is a copy of this one that writes what this
one cannot read. Nothing dies, nothing is lost; what waits for the other release is counted and said."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.chaos.house import next_release
from relay.outbox.connection import connect
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.items import balanced
from relay.outbox.outbox import Outbox
from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from tests.places import ROOT
from tests.system.test_rolling import Rollout
from tests.web.test_hooks import message

pytestmark = pytest.mark.process

CONFIG = """
planhat: {types: [Slack thread], calls_per_minute: 600}
sources: {hook: {adapter: slack, secrets: [shh], type: Slack thread}}
companies: [{default: extid-acme}]
"""
THREADS = 40
#: What must be among them: each of these can wait for the other release.
_SEEN = {"PATCH_SCHEMA", "ARCHIVE_SCHEMA", "SPOOL_SCHEMA", "DEAD_SCHEMA", "INDEX_SCHEMA"}


class Upgrade(Rollout):
    """`to`: which release a process is started with."""

    to: Path = ROOT

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        return super().start(*arguments, **environ, PYTHONPATH=str(self.to))

    def roll_web(self, n: int, to: Path) -> None:
        self.to = to
        port = self.ports[n]
        self.ready.remove(port)
        time.sleep(0.2)
        self.webs[n].send_signal(signal.SIGTERM)
        assert self.webs[n].wait(15) == 0
        self.webs[n] = self.web(port)
        self.await_ready(port)
        self.ready.append(port)

    def roll_workers(self, n: int, to: Path) -> None:
        self.to = to
        self.fleets[n].send_signal(signal.SIGTERM)
        assert self.fleets[n].wait(15) == 0
        self.fleets[n] = self.start("workers")


def signed(body: bytes) -> dict[str, str]:
    at = str(int(time.time()))
    digest = hmac.new(b"shh", f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "x-slack-request-timestamp": at,
        "x-slack-signature": f"v0={digest}",
    }


class Load:
    """Senders that post until they are told to stop, each event until it is accepted."""

    def __init__(self, rollout: Upgrade) -> None:
        self.rollout, self.over = rollout, threading.Event()
        self.accepted: set[str] = set()
        self.refused: list[int] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(2)]
        for thread in self._threads:
            thread.start()

    def _send(self, sender: int) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            mine = sender * 100_000 + number
            body = message(mine, thread_ts=f"1700000000.{number % THREADS:06d}", text=f"word {mine}")
            ports = list(self.rollout.ready)
            try:
                answer = httpx.post(
                    f"http://127.0.0.1:{ports[number % len(ports)]}/hooks/hook",
                    content=body,
                    headers=signed(body),
                    timeout=15,
                    trust_env=False,
                )
            except httpx.HTTPError:
                number -= 1
                continue
            with self._lock:
                if answer.status_code == 202:
                    self.accepted.update(json.loads(answer.content)["event_ids"])
                else:
                    self.refused.append(answer.status_code)
            time.sleep(0.02)

    def stop(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(20)


def wait(what: str, holds: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.fixture
def sandbox() -> Iterator[tuple[Sandbox, str]]:
    made = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS, token="sandbox")
    with running(made) as url:
        yield made, url


def test_an_upgrade_and_a_rollback_over_another_schema_bury_nothing(
    short_tmp: Path, sandbox: tuple[Sandbox, str]
) -> None:
    (short_tmp / "relay.yaml").write_text(CONFIG)
    newer = short_tmp / "next"
    assert next_release(newer) == _SEEN
    server = EmbeddedServer(short_tmp / "r").start()
    outbox = Outbox(connect(server.url))
    rollout = Upgrade(short_tmp, server.url, sandbox[1])
    load = Load(rollout)

    def counts() -> dict[str, int]:
        held = outbox.ledger()["hook"]
        assert balanced(held), held
        assert held["dead"] == held["discarded"] == 0, held
        return held

    def stats() -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "relay.cli", "stats", "--json"],
            env={**rollout.environ, "PYTHONPATH": str(ROOT)},
            cwd=short_tmp, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    try:
        wait("events", lambda: len(load.accepted) > 40)
        # A new web beside old workers: what it writes waits, and that is said.
        rollout.roll_web(0, newer)
        wait("something to wait", lambda: outbox.newer_count() > 0)
        told = stats()
        assert told["newer_records"] > 0 and any("newer release" in line for line in told["warnings"])
        assert any("Several releases are running" in line for line in told["warnings"])
        assert sum(problem["kind"] == "releases" for problem in told["problems"]) == 2
        assert {process["release"] for process in told["processes"] if process["alive"]} > {"next"}
        # One new worker is enough: the old ones leave to it what they cannot read.
        rollout.roll_workers(0, newer)
        by_now = outbox.now_ms()
        wait("the new worker to take it", lambda: (outbox.oldest_pending_ms() or by_now + 1) > by_now)
        rollout.roll_web(1, newer)
        rollout.roll_workers(1, newer)
        wait("everything to be delivered", lambda: counts()["delivered"] + counts()["superseded"] > 100)
        # And back: the new release's documents stay, their events wait, others go on.
        for n in (0, 1):
            rollout.roll_web(n, ROOT)
            rollout.roll_workers(n, ROOT)
        wait("something to wait again", lambda: outbox.newer_count() > 0)
        before = counts()["pending"]
        assert before > 0
        # Forward again.
        for n in (0, 1):
            rollout.roll_workers(n, newer)
            rollout.roll_web(n, newer)
        load.stop()
        wait("everything to be delivered in the end", lambda: counts()["pending"] == 0)
        held = counts()
        assert held["accepted"] == len(load.accepted)
        assert held["accepted"] == held["delivered"] + held["superseded"] + held["unchanged"]
        assert outbox.newer_count() == 0, "nothing waits any more"
        assert not load.refused
        names = [f"extid-hook-C1-1700000000.{number:06d}" for number in range(THREADS)]
        records = [sandbox[0].store.get(name) for name in names]
        said = " ".join(str(record["description"]) for record in records if record)
        assert len(set(re.findall(r"word \d+", said))) == held["accepted"]
        assert len(sandbox[0].store) == THREADS
    finally:
        load.stop()
        rollout.stop()
        server.stop()
