"""A process that is told to stop ends within seconds, whatever Redis does: real processes, role by role."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from rq import Queue
from rq.exceptions import StopRequested

from relay.outbox.bell import Bell
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.items import Entry
from relay.outbox.outbox import Outbox
from relay.outbox.processes import read_processes
from relay.planhat.sandbox import NO_QUOTAS, Fault, create_sandbox
from relay.planhat.sandbox.server import running as sandbox_running
from relay.settings import Settings
from tests.cli.test_up import running as relay_up
from tests.environ import WEAK
from tests.flushing import patch
from tests.outbox.servers import admin, running
from tests.places import ROOT
from tests.processes import catches
from tests.workers.test_workers import wait_until
from workers.process.job import RelayJob
from workers.process.signs import Signs
from workers.process.stopping import Stopping
from workers.process.supervisor import Child, Supervisor
from workers.process.worker import RelayWorker

pytestmark = pytest.mark.process

CONFIG = """
planhat: {types: [Slack thread], lease: 4s}
sources: {slack: {adapter: slack, secrets: [shh], type: Slack thread}}
companies: [{default: extid-acme}]
"""
ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "flush": ("workers", "--queue", "flush"),
    "dead-letter": ("workers", "--queue", "dead-letter"),
    "supervisor": ("relay.cli", "work"),
    "web": ("relay.cli", "serve"),
}
BURST: Final = ("relay.cli", "work", "--burst")
#: What is given a sign by: a supervisor starts two workers of its own.
SIGNS: Final = ["dead-letter", "dead-letter", "flush", "flush", "supervisor", "web"]
#: The supervisor's bound is 8 s and the second of its last words, far below the chart's grace; a busy machine takes its share.
ENDS_S: Final = 10.0


class House:
    """One process of each role on one Redis. `said(role)` is what it wrote. `before`: what each command is started by; `more`: of the config."""

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        planhat_url: str,
        *,
        before: tuple[str, ...] = (),
        more: str = "",
        port: int = 0,
    ) -> None:
        self._folder = folder
        self._before = before
        (folder / "relay.yaml").write_text(CONFIG + more)
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RELAY_")},
            **WEAK,
            "RELAY_REDIS_URL": redis_url,
            "RELAY_PLANHAT_URL": planhat_url,
            "RELAY_PLANHAT_PLAIN_HTTP": "true",
            "RELAY_PLANHAT_TOKEN": "token",
            "RELAY_CONFIG": str(folder / "relay.yaml"),
            "RELAY_PORT": str(port),
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start_all(self) -> None:
        for role, command in ROLES.items():
            self.start(role, command)

    def start(self, role: str, command: tuple[str, ...]) -> None:
        with (self._folder / role).open("wb") as out:
            self.processes[role] = subprocess.Popen(
                [*self._before, sys.executable, "-m", *command],
                env=self._environ, cwd=ROOT, stdout=out, stderr=out,
            )  # fmt: skip

    def said(self, role: str) -> str:
        return (self._folder / role).read_text()

    def stop(self, *, twice: bool) -> dict[str, tuple[int, float]]:
        """Exit code and seconds of each."""
        began = time.monotonic()
        ended: dict[str, tuple[int, float]] = {}
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        while len(ended) < len(self.processes) and time.monotonic() - began < 2 * ENDS_S:
            for role, process in self.processes.items():
                if role not in ended and process.poll() is not None:
                    ended[role] = process.returncode, time.monotonic() - began
            if twice and time.monotonic() - began > 1.5:
                # RQ would cut its job off, more than a second after the first.
                twice = False
                for process in self.processes.values():
                    process.send_signal(signal.SIGTERM)
            time.sleep(0.02)
        return ended

    def kill(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@contextmanager
def house(folder: Path, redis_url: str, planhat_url: str, *, before: tuple[str, ...] = ()) -> Iterator[House]:
    made = House(folder, redis_url, planhat_url, before=before)
    try:
        made.start_all()
        yield made
    finally:
        made.kill()


def begin_a_call(outbox: Outbox) -> None:
    one = patch(1)
    entry = Entry(one.event_id, one.source, "pending", (one.event_id,), b"{}", one.external_id, one.encode())
    generation, _ = outbox.record([entry])
    Bell(outbox.redis).ring_flush(generation)


def roles(outbox: Outbox) -> list[str]:
    return sorted(process.role for process in read_processes(outbox))


@pytest.mark.parametrize("redis_is", ["well", "killed", "hung"])
def test_every_role_ends_within_seconds_whatever_redis_does(redis_is: str, tmp_path: Path) -> None:
    slow = Fault.read({"operation": "upsert", "latency_ms": 9_000, "times": 1})
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS, faults=[slow])
    with running() as server, sandbox_running(sandbox) as url, house(tmp_path, server.url, url) as made:
        outbox = Outbox(admin(server))
        wait_until(lambda: roles(outbox) == SIGNS, 30)
        codes = dict.fromkeys(ROLES, 0)
        if redis_is != "killed":
            begin_a_call(outbox)
            wait_until(lambda: slow.met, 10)
        if redis_is == "hung":
            # It waits for the lane that is being worked on; by its code it says that something due was not delivered.
            clients = len(outbox.redis.client_list())
            made.start("burst", BURST)
            burst = made.processes["burst"].pid
            wait_until(lambda: catches(burst, signal.SIGTERM), 30)
            wait_until(lambda: len(outbox.redis.client_list()) > clients, 10)
            codes["burst"] = 1
        _break(server, redis_is)
        ended = made.stop(twice=redis_is == "hung")

        assert {role: code for role, (code, _) in ended.items()} == codes
        assert {role: s for role, (_, s) in ended.items() if s > ENDS_S} == {}
        assert not any("Traceback" in made.said(role) for role in codes)
        # A supervisor's workers say it beside it.
        left = {role: made.said(role).count("signs.left_behind") for role in ROLES}
        if redis_is == "well":
            assert roles(outbox) == [] and left == dict.fromkeys(ROLES, 0)
        else:
            assert left == {"flush": 1, "dead-letter": 1, "supervisor": 3, "web": 1}
        if redis_is == "hung":
            os.kill(server.pid, signal.SIGCONT)
            made.start("next", ROLES["supervisor"])
            wait_until(lambda: not outbox.ledger()["slack"]["pending"], 20)
            assert len(sandbox.store) == 1 and outbox.dead.count() == 0


def _break(server: EmbeddedServer, redis_is: str) -> None:
    if redis_is != "well":
        os.kill(server.pid, signal.SIGKILL if redis_is == "killed" else signal.SIGSTOP)


def test_every_role_ends_where_redis_never_answered(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=256) as mute:
        address = f"redis://127.0.0.1:{mute.getsockname()[1]}/0"
        with house(tmp_path, address, "http://127.0.0.1:9") as made:
            wait_until(lambda: "redis.away" in made.said("supervisor"), 30)
            ended = made.stop(twice=False)

            # Nothing was under way, and no sign had been given.
            assert {role: s for role, (_, s) in ended.items() if s > ENDS_S} == {}
            # Before Python has read our handler the signal's own default ends the process.
            assert {role for role, (code, _) in ended.items() if code in (0, -signal.SIGTERM)} == set(ROLES)
            assert not any("signs.left_behind" in made.said(role) for role in ROLES)


def test_the_last_bound_holds_where_nobody_reads_what_is_written() -> None:
    """Its reader has gone, with words still to be written: to write them fails, and the process ends all the same."""
    words = (
        "import signal, sys, time; from relay.latest_end import LatestEnd\n"
        "signal.signal(signal.SIGTERM, lambda *_: None); LatestEnd(0.1, code=7)\n"
        "print('ready', flush=True); sys.stdin.read(1); print('more'); print('done', file=sys.stderr, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", words],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        assert process.stdout.readline() == b"ready\n"
        process.stdout.close()
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stderr.readline() == b"done\n"
        process.terminate()
        assert process.wait(ENDS_S) == 7
    finally:
        process.kill()
        process.wait()


def test_no_look_for_trouble_is_begun_once_the_workers_are_told_to_stop(redis_url: str) -> None:
    """It saw that nobody delivers, and the next start told it at once: that there was no flush worker for all the time between."""
    supervisor = Supervisor(Settings.read({"RELAY_REDIS_URL": redis_url}))
    looked: list[bool] = []

    class Told(Child):
        def tell(self, number: int) -> None:
            looked.append(supervisor.alerting.looks)

    supervisor.children[:] = [Told("flush"), Told("dead-letter")]
    assert supervisor.alerting.looks
    supervisor.begin_to_stop()
    assert looked == [False, False]


def test_up_ends_within_seconds_where_its_server_hangs(short_tmp: Path) -> None:
    with relay_up(short_tmp) as (process, told):
        os.kill(told["pids"]["redis"], signal.SIGSTOP)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - began < ENDS_S


def test_a_worker_whose_stop_was_swallowed_asks_for_no_more_work(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log's handler, under way when the signal comes, swallows what RQ raises in it: RQ itself would go on asking."""
    told = Stopping()
    told.set()
    monkeypatch.setattr("workers.process.worker.STOPPING", told)
    worker: Any = RelayWorker(
        [Queue("flush", connection=redis_client, serializer="json", job_class=RelayJob)],
        connection=redis_client, serializer="json", job_class=RelayJob,
    )  # fmt: skip
    worker.signs = Signs(Outbox(redis_client), "flush", parting=Outbox(redis_client))
    with pytest.raises(StopRequested):
        worker.heartbeat()
