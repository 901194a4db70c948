"""A relay with several Planhat tenants, as real processes: one Redis, a sandbox a lane, `relay serve` and `relay work`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from relay.outbox.cluster_nodes import lane_client
from relay.outbox.connection import connect
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.items import STATES
from relay.outbox.outbox import Outbox
from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from tests.cli.test_up import free_port

TYPE = "Help-desk ticket"


@dataclass
class Laned:
    folder: Path
    redis_url: str
    sandboxes: dict[str, Sandbox]
    urls: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.redis = connect(self.redis_url)
        self.http = httpx.Client(trust_env=False, timeout=15)

    @property
    def environ(self) -> dict[str, str]:
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("RELAY_")},
            "RELAY_CONFIG": str(self.folder / "relay.yaml"),
            "RELAY_REDIS_URL": self.redis_url,
            "RELAY_PORT": str(self.port),
            "RELAY_OPERATOR_TOKEN": "operator-of-these-tests-0123456789",
            "RELAY_ALLOW_WEAK_SECRETS": "true",
            "RELAY_LOG_LEVEL": "error",
        }

    def configure(self, *, own: Mapping[str, str] = {}, rest: str = "") -> None:
        """A source `hook-LANE` for each lane; `own`: what a lane says beside its url and token."""
        lanes = "".join(
            f"  {name}: {{url: '{url}', token: token-of-{name}, types: [{TYPE}]{own.get(name, '')}}}\n"
            for name, url in self.urls.items()
        )
        sources = "".join(
            f"  hook-{name}: {{adapter: generic, bearer: [token], type: {TYPE}, lane: {name}}}\n"
            for name in self.urls
        )
        fresh = self.folder / "relay.next"
        fresh.write_text(
            "planhat: {calls_per_minute: 5000, retry: {first: 100ms, cap: 300ms, probe: 1s, rate_limited: 1s}}\n"
            f"lanes:\n{lanes}sources:\n{sources}companies: [{{default: extid-acme}}]\n{rest}"
        )
        fresh.rename(self.folder / "relay.yaml")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], env=self.environ, cwd=self.folder, stdin=subprocess.DEVNULL
        )
        self.processes.append(process)
        return process

    def begin(self, *work: str) -> None:
        """Starts both sides, and waits until the web side takes events."""
        self.start("relay.cli", "serve")
        self.start("workers", *work)
        wait_until(self.ready, 30)

    def ready(self) -> bool:
        try:
            return self.http.get(f"{self.url}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "relay.cli", *arguments],
            env=self.environ, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def send(self, source: str, number: int, **more: Any) -> httpx.Response:
        body = {"id": f"n{number}", "thread": f"t{number}", "text": f"text {number}", **more}
        return self.http.post(
            f"{self.url}/hooks/{source}", json=body, headers={"authorization": "Bearer token"}
        )

    def api(self, path: str, method: str = "GET", **more: Any) -> Any:
        answer = self.http.request(
            method, f"{self.url}/api/v1/{path}",
            headers={"authorization": f"Bearer {self.environ['RELAY_OPERATOR_TOKEN']}"}, **more,
        )  # fmt: skip
        return answer.json() if answer.status_code == 200 else answer.status_code

    def page(self, path: str) -> str:
        """A page of the console."""
        answer = self.http.get(
            f"{self.url}{path}",
            headers={"authorization": f"Bearer {self.environ['RELAY_OPERATOR_TOKEN']}"},
            follow_redirects=True,
        )
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.text

    def outbox(self, lane: str) -> Outbox:
        return Outbox(lane_client(self.redis, lane), lane=lane)

    def books(self, lane: str) -> dict[str, int]:
        """The lane's, without what is 0; they balance."""
        total: dict[str, int] = dict.fromkeys(("accepted", *STATES), 0)
        for counts in self.outbox(lane).ledger().values():
            assert counts["accepted"] == sum(counts[state] for state in STATES), counts
            for word in total:
                total[word] += counts[word]
        return {word: number for word, number in total.items() if number}

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(20)
        self.http.close()


@contextlib.contextmanager
def laned(folder: Path, *lanes: str, redis_url: str = "") -> Iterator[Laned]:
    """Nothing runs yet but Redis (its own where no `redis_url` is given) and the sandboxes."""
    with contextlib.ExitStack() as stack:
        if not redis_url:
            server = EmbeddedServer(folder / "r").start()
            stack.callback(server.stop)
            redis_url = server.url
        sandboxes = {
            name: create_sandbox(types=[TYPE], quotas=NO_QUOTAS, token=f"token-of-{name}") for name in lanes
        }
        urls = {name: stack.enter_context(running(sandbox)) for name, sandbox in sandboxes.items()}
        relay = Laned(folder, redis_url, sandboxes, urls)
        stack.callback(relay.stop)
        relay.configure()
        yield relay


def wait_until(true: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.05)
