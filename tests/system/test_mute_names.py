"""No name server answers, and nothing waits for one longer than it may: a process that is told to stop ends by itself within its bound, one
that starts takes events in, and what was accepted is delivered once names are known again."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from relay.outbox.embedded import EmbeddedServer
from relay.outbox.outbox import Outbox
from relay.planhat.sandbox import NO_QUOTAS, Fault, create_sandbox
from relay.planhat.sandbox.server import running as sandbox_running
from tests.cli.test_up import free_port
from tests.name_servers import name_server
from tests.outbox.servers import admin
from tests.places import ROOT
from tests.system.test_upgrade import signed
from tests.web.test_hooks import message
from tests.workers.test_stops import ENDS_S, ROLES, SIGNS, House, begin_a_call, house, roles
from tests.workers.test_workers import wait_until

pytestmark = pytest.mark.process

HOST = "store.relay.test"
#: A start, of which Redis's own bound of two seconds is taken several times, on a busy machine.
STARTS_S = 20.0


def test_every_role_ends_by_itself_where_no_name_server_answers(short_tmp: Path) -> None:
    slow = Fault.read({"operation": "upsert", "latency_ms": 9_000, "times": 1})
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS, faults=[slow])
    port = free_port()
    server = EmbeddedServer(short_tmp / "r", extra=(f"port {port}",)).start()
    redis_url = f"redis://{HOST}:{port}/0"
    try:
        with (
            name_server(short_tmp) as names,
            sandbox_running(sandbox) as url,
            house(short_tmp, redis_url, url, before=names.before) as made,
        ):
            outbox = Outbox(admin(server))
            wait_until(lambda: roles(outbox) == SIGNS, 30)
            begin_a_call(outbox)
            wait_until(lambda: slow.met, 10)
            # Each has to connect anew, and cannot find out where.
            names.mute = True
            server.kill()
            wait_until(lambda: names.swallowed > 8, 20)
            ended = made.stop(twice=False)

            assert {role: code for role, (code, _) in ended.items()} == dict.fromkeys(ROLES, 0)
            assert {role: s for role, (_, s) in ended.items() if s > ENDS_S} == {}
            # Each wait had an end of its own, but for the call to Planhat that was under way.
            assert [role for role in ROLES if "stop.cut_off" in made.said(role)] in ([], ["flush"])
            assert "worker.killed" not in made.said("supervisor")
            names.mute = False
            server.spawn()
            made.start("next", ROLES["supervisor"])
            wait_until(lambda: not outbox.ledger()["slack"]["pending"], 20)
            assert len(sandbox.store) == 1 and outbox.dead.count() == 0
    finally:
        server.stop()


def test_a_door_that_starts_while_no_name_server_answers_spools_and_delivers_later(short_tmp: Path) -> None:
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    port, own = free_port(), free_port()
    server = EmbeddedServer(short_tmp / "r", extra=(f"port {port}",)).start()
    door = f"http://127.0.0.1:{own}"
    spool = f"spool: {{dir: {short_tmp / 'spool'}, max_bytes: 10MB}}\n"
    try:
        with name_server(short_tmp) as names, sandbox_running(sandbox) as url:
            names.mute = True
            made = House(
                short_tmp, f"redis://{HOST}:{port}/0", url, before=names.before, more=spool, port=own
            )
            try:
                began = time.monotonic()
                made.start("web", ROLES["web"])
                wait_until(lambda: _status(f"{door}/healthz") == 200, 3 * STARTS_S)
                assert time.monotonic() - began < STARTS_S
                for number in range(1, 6):
                    body = message(number, thread_ts=f"1700000000.{number:06d}")
                    answer = httpx.post(
                        f"{door}/hooks/slack", content=body, headers=signed(body), timeout=10, trust_env=False
                    )
                    assert answer.status_code == 202
                names.mute = False
                made.start("supervisor", ROLES["supervisor"])
                wait_until(lambda: len(sandbox.store) == 5, 60)
                assert {code for code, _ in made.stop(twice=False).values()} == {0}
            finally:
                made.kill()
    finally:
        server.stop()


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=1, trust_env=False).status_code
    except httpx.HTTPError:
        return 0


def test_a_call_to_planhat_ends_in_its_time(short_tmp: Path) -> None:
    words = (
        "import sys, time; from relay.errors import PlanhatUnavailable; from relay.planhat.client import Planhat\n"
        "with Planhat('https://planhat.relay.test', 'token', timeout_s=1.0) as planhat:\n"
        "    began = time.monotonic()\n"
        "    try: planhat.custom_fields()\n"
        "    except PlanhatUnavailable: print(time.monotonic() - began)"
    )
    with name_server(short_tmp) as names:
        names.mute = True
        done = subprocess.run(
            [*names.before, sys.executable, "-c", words],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert 0.9 < float(done.stdout or "-1") < STARTS_S / 2, done.stderr
        assert names.swallowed
