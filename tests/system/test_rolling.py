"""A rolling restart of everything under load: two web processes and two worker fleets, one after the other, as a rollout
does it. No sender hears anything but 202, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from relay.outbox.connection import connect
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.items import STATES
from relay.outbox.outbox import Outbox
from relay.planhat.sandbox import NO_QUOTAS, create_sandbox
from relay.planhat.sandbox.server import running
from tests.cli.test_up import free_port

pytestmark = pytest.mark.process

CONFIG = """
planhat: {types: [Help-desk ticket], calls_per_minute: 600}
sources:
  hook: {adapter: generic, bearer: [token], type: Help-desk ticket}
companies: [{default: extid-acme}]
"""


class Rollout:
    def __init__(self, folder: Path, redis_url: str, planhat_url: str) -> None:
        self.folder = folder
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("RELAY_")},
            "RELAY_CONFIG": str(folder / "relay.yaml"),
            "RELAY_REDIS_URL": redis_url,
            "RELAY_PLANHAT_URL": planhat_url,
            "RELAY_PLANHAT_TOKEN": "sandbox",
            "RELAY_ALLOW_WEAK_SECRETS": "true",
            "RELAY_LOG_LEVEL": "error",
        }
        self.ports = [free_port(), free_port()]
        #: What a Service would send to: taken out before its process is told to end, as Kubernetes does it.
        self.ready = list(self.ports)
        self.under_way: Counter[int] = Counter()
        self.lock = threading.Lock()
        self.webs = [self.web(port) for port in self.ports]
        self.fleets = [self.start("workers"), self.start("workers")]
        for port in self.ports:
            self.await_ready(port)

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**self.environ, **environ},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def web(self, port: int) -> subprocess.Popen[bytes]:
        return self.start("relay.cli", "serve", RELAY_PORT=str(port))

    def await_ready(self, port: int) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def choose(self, number: int) -> int:
        with self.lock:
            port = self.ready[number % len(self.ready)]
            self.under_way[port] += 1
            return port

    def done(self, port: int) -> None:
        with self.lock:
            self.under_way[port] -= 1

    def await_left(self, port: int) -> None:
        """Until whoever chose this one while it was still named has got through."""
        deadline = time.monotonic() + 30
        while True:
            with self.lock:
                if not self.under_way[port]:
                    return
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def roll(self) -> None:
        for n, port in enumerate(self.ports):
            self.ready.remove(port)
            self.await_left(port)
            self.webs[n].send_signal(signal.SIGTERM)
            assert self.webs[n].wait(15) == 0
            self.webs[n] = self.web(port)
            self.await_ready(port)
            self.ready.append(port)
        for n, fleet in enumerate(self.fleets):
            fleet.send_signal(signal.SIGTERM)
            assert fleet.wait(15) == 0
            self.fleets[n] = self.start("workers")

    def stop(self) -> None:
        for process in (*self.webs, *self.fleets):
            process.terminate()
        for process in (*self.webs, *self.fleets):
            process.wait(20)


def test_a_rollout_under_load_is_heard_by_no_sender(short_tmp: Path) -> None:
    (short_tmp / "relay.yaml").write_text(CONFIG)
    server = EmbeddedServer(short_tmp / "r").start()
    sandbox = create_sandbox(types=["Help-desk ticket"], quotas=NO_QUOTAS, token="sandbox")
    statuses: list[int] = []
    accepted: set[str] = set()
    over = threading.Event()
    lock = threading.Lock()

    def send(rollout: Rollout, sender: int) -> None:
        number = 0
        while not over.is_set():
            number += 1
            body = {"id": f"s{sender}-{number}", "thread": f"t{number % 50}", "text": "hello"}
            port = rollout.choose(number)
            # A connection each, as a proxy without keep-alive makes them.
            try:
                answer = httpx.post(
                    f"http://127.0.0.1:{port}/hooks/hook",
                    json=body,
                    headers={"authorization": "Bearer token"},
                    timeout=15,
                    trust_env=False,
                )
            finally:
                rollout.done(port)
            with lock:
                statuses.append(answer.status_code)
                accepted.update(json.loads(answer.content).get("event_ids", []))

    with running(sandbox) as planhat_url:
        rollout = Rollout(short_tmp, server.url, planhat_url)
        senders = [threading.Thread(target=send, args=(rollout, n)) for n in range(4)]
        try:
            for sender in senders:
                sender.start()
            rollout.roll()
            over.set()
            for sender in senders:
                sender.join(20)

            assert set(statuses) == {202} and len(statuses) > 100
            outbox = Outbox(connect(server.url))
            deadline = time.monotonic() + 40
            while (counts := outbox.ledger()["hook"])["pending"]:
                assert time.monotonic() < deadline, counts
                time.sleep(0.1)
            assert counts["accepted"] == len(accepted) == sum(counts[state] for state in STATES)
            assert counts["dead"] == counts["discarded"] == counts["filtered"] == 0
        finally:
            over.set()
            rollout.stop()
            server.stop()
