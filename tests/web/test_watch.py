"""What the door says while Redis changes under it: other settings, another server, no answer, no room."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from relay.outbox.durability import AOF_FAILED, REPLICA
from relay.outbox.embedded import EmbeddedServer, find_server
from relay.settings import Settings
from relay.web.app import WebSide
from relay.web.assembly import assemble
from relay.web.watch import ANSWER_S
from tests.environ import WEAK
from tests.outbox.servers import BOTH, REDIS_7_0, VALKEY, Kind, admin, as_user, running
from tests.web.test_hooks import CONFIG, Door, message, serve

pytestmark = pytest.mark.process

SPOOL = "spool: {{dir: {folder}/spool, max_bytes: 10MB}}\n"


@contextmanager
def door(folder: Path, url: str, *, spool: bool = False, token: str = "") -> Iterator[Door]:
    config = folder / "relay.yaml"
    config.write_text(CONFIG + (SPOOL.format(folder=folder) if spool else ""))
    side = WebSide(
        Settings(config=str(config), redis_url=url, require_durable=True, operator_token=lambda: token), WEAK
    )
    for address in serve(side):
        yield Door(address, side)


def ready(at: Door) -> tuple[int, str]:
    answer = at.http.get("/readyz")
    return answer.status_code, " ".join(answer.json()["problems"])


def confirmations(server: EmbeddedServer) -> int:
    """How often a WAITAOF that waits was asked: those of a look among them, one each."""
    return _confirmations(admin(server))


def _confirmations(client: redis.Redis) -> int:
    told: Any = client.info("commandstats")
    return int(told.get("cmdstat_waitaof", {}).get("calls", 0))


def wait_for(what: str, holds: Any, seconds: float = 8.0) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, what
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.mark.parametrize("user", ["plain", "mute"])
@pytest.mark.parametrize("fsync", ["always", "everysec", "no"])
@pytest.mark.parametrize("kind", BOTH)
def test_ready_means_that_a_write_is_known_to_be_on_disk(
    kind: Kind, fsync: str, user: str, tmp_path: Path
) -> None:
    told = user == "plain"
    confirmed = fsync != "no" and (kind.waitaof or (told and fsync == "always"))
    with running(kind, fsync=fsync) as server, door(tmp_path, as_user(server, user)) as at:
        status, problems = ready(at)
        assert (status == 200) == confirmed, problems
        if not confirmed:
            assert "appendfsync" in problems
        by_waitaof = kind.waitaof and not (told and fsync == "always")
        if confirmed:
            before = confirmations(server)
            assert at.slack(message(1)).status_code == 202
            assert not by_waitaof or confirmations(server) > before
        elif kind.waitaof:
            # Asked, and not confirmed: no 202.
            assert at.slack(message(1)).status_code == 503


def test_a_redis_that_was_away_at_the_start_is_not_trusted_blindly(short_tmp: Path, tmp_path: Path) -> None:
    server = EmbeddedServer(short_tmp / "r", appendfsync="everysec")
    with door(tmp_path, server.url) as at:
        assert ready(at)[0] == 503
        server.start()
        try:
            wait_for("ready", lambda: ready(at)[0] == 200)
            before = confirmations(server)
            assert at.slack(message(1)).status_code == 202
            assert confirmations(server) > before
        finally:
            server.stop()


@pytest.mark.parametrize("kind", BOTH)
def test_a_setting_that_is_changed_while_it_runs_is_seen(kind: Kind, tmp_path: Path) -> None:
    with running(kind, fsync="always") as server, door(tmp_path, server.url) as at:
        assert ready(at)[0] == 200 and at.slack(message(1)).status_code == 202
        admin(server).config_set("appendfsync", "everysec")
        if kind.waitaof:
            wait_for("the door to confirm", lambda: at.side.recorder.durable.wait_aof, 3)
            assert ready(at)[0] == 200
        else:
            wait_for("not ready", lambda: ready(at)[0] == 503, 3)
            assert "appendfsync everysec" in ready(at)[1] and "WAITAOF" in ready(at)[1]
        admin(server).config_set("appendfsync", "always")
        wait_for("the door to know", lambda: not at.side.recorder.durable.wait_aof and ready(at)[0] == 200, 3)


def test_a_server_that_took_another_s_place_confirms_from_its_first_write_on(
    short_tmp: Path, tmp_path: Path
) -> None:
    """A failover: the same address, another server, set otherwise."""
    first = EmbeddedServer(short_tmp / "r", appendfsync="always").start()
    second = EmbeddedServer(short_tmp / "r", appendfsync="everysec")
    try:
        with door(tmp_path, first.url) as at:
            assert at.slack(message(1)).status_code == 202
            wait_for("the door to know", lambda: not at.side.recorder.durable.wait_aof)
            first.stop()
            second.start()
            number = 1
            while True:
                number += 1
                before = confirmations(second)
                if at.slack(message(number)).status_code == 202:
                    break
            assert confirmations(second) > before and at.side.recorder.durable.wait_aof
    finally:
        first.stop()
        second.stop()


def test_not_even_a_write_that_finds_the_connection_broken_goes_unconfirmed(
    short_tmp: Path, tmp_path: Path
) -> None:
    """A failover in no time: when the door next writes, the other server answers at the address already."""
    first = EmbeddedServer(short_tmp / "a", appendfsync="always").start()
    second = EmbeddedServer(short_tmp / "b", appendfsync="everysec").start()
    try:
        with door(tmp_path, first.url) as at:
            assert at.slack(message(1)).status_code == 202
            durable = at.side.recorder.durable
            wait_for("the door to know", lambda: not durable.wait_aof)
            os.replace(second.socket, first.socket)
            first.kill()
            asked = redis.Redis(unix_socket_path=str(first.socket))
            before = _confirmations(asked)
            answer = at.slack(message(2))
            assert answer.status_code == 202, answer.text
            assert _confirmations(asked) > before and durable.wait_aof
    finally:
        first.stop()
        second.stop()


class Posting:
    """Senders that go on posting; what each answer was and how long it took."""

    def __init__(self, at: Door, senders: int = 8) -> None:
        self.at, self.answers, self.stop = at, list[tuple[int, float]](), False
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(senders)]

    def __enter__(self) -> Posting:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop = True
        for thread in self._threads:
            thread.join(20)

    def _send(self, sender: int) -> None:
        own, number = Door(self.at.url, self.at.side), 0
        while not self.stop:
            number += 1
            began = time.monotonic()
            status = own.slack(message(sender * 100_000 + number)).status_code
            self.answers.append((status, time.monotonic() - began))
            time.sleep(0.01)

    def taken(self, status: int) -> int:
        return sum(1 for said, _ in self.answers if said == status)


@pytest.mark.parametrize("spool", [False, True])
def test_a_redis_that_hangs_costs_a_sender_two_seconds_at_most(spool: bool, tmp_path: Path) -> None:
    with (
        running(VALKEY) as server,
        door(tmp_path, server.url, spool=spool, token="t" * 32) as at,
        Posting(at) as posting,
    ):
        wait_for("a first event", lambda: posting.taken(202) > 5)
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            stopped = time.monotonic()
            time.sleep(0.2)
            began = time.monotonic()
            status, problems = ready(at)
            assert time.monotonic() - began < 3.0
            assert (status, "no answer in time" in problems) == ((200, False) if spool else (503, True))
            said = at.side.health
            began = time.monotonic()
            assert "relay_redis_up 0" in said.exposition(at.side.watch.last).decode()
            assert time.monotonic() - began < 3.0
            time.sleep(max(0.0, 4 - (time.monotonic() - stopped)))
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_for("the door to go on", lambda: at.side.watch.last.answers)
        before = len(posting.answers)
        wait_for("new events", lambda: any(said == 202 for said, _ in posting.answers[before:]))
        if spool:
            wait_for("the spool to be empty", lambda: at.side.spooler and not at.side.spooler.spool.count)
    slowest = sorted(took for _, took in posting.answers)
    assert slowest[-1] < ANSWER_S, slowest[-5:]
    if spool:
        assert posting.taken(202) == len(posting.answers)


def test_metrics_are_there_in_time_also_when_redis_hangs_in_the_middle_of_a_look(tmp_path: Path) -> None:
    """It told its settings and took no write any more: both are waited for, one after the other."""
    from relay.web.assembly import create_operator_app
    from tests.operating import Caller

    with running(VALKEY) as server, door(tmp_path, server.url) as at:
        caller = Caller(create_operator_app(at.side), address="127.0.0.1")
        wait_for("a look", lambda: at.side.watch.last.answers)
        admin(server).client_pause(20_000, all=False)
        # A look of a moment ago would do for an answer.
        at.side.watch.expire()
        stop = threading.Timer(0.5, os.kill, (server.pid, signal.SIGSTOP))
        began = time.monotonic()
        stop.start()
        try:
            answer = caller.request("GET", "/metrics")
            assert time.monotonic() - began < 3.0
            assert answer.status_code == 200 and "relay_redis_up 0" in answer.text
        finally:
            stop.join()
            os.kill(server.pid, signal.SIGCONT)
            admin(server).client_unpause()


def test_the_operators_pages_say_that_redis_hangs(tmp_path: Path) -> None:
    from relay.web.assembly import create_operator_app
    from tests.operating import Caller

    with running(VALKEY) as server, door(tmp_path, server.url, token="t" * 32) as at:
        wait_for("a look", lambda: at.side.watch.last.answers)
        caller = Caller(
            create_operator_app(at.side), address="127.0.0.1", headers={"authorization": "Bearer " + "t" * 32}
        )
        assert caller.request("GET", "/api/v1/stats").status_code == 200
        os.kill(server.pid, signal.SIGSTOP)
        try:
            for path in ("/api/v1/stats", "/console/", "/metrics", "/readyz"):
                began = time.monotonic()
                answer = caller.request("GET", path)
                assert time.monotonic() - began < 3.0, path
                assert answer.status_code == 503 or "relay_redis_up 0" in answer.text, path
                assert "no answer in time" in answer.text or "relay_redis_up 0" in answer.text, path
        finally:
            os.kill(server.pid, signal.SIGCONT)


def test_the_door_stops_below_the_limit_and_the_spool_stands_in(tmp_path: Path) -> None:
    for spool in (False, True):
        with running(VALKEY) as server, door(tmp_path, server.url, spool=spool) as at:
            assert at.slack(message(1)).status_code == 202
            used = int(admin(server).info("memory")["used_memory"])
            # Redis itself would take a good deal more.
            admin(server).config_set("maxmemory", str(used + 400_000))
            wait_for("the door to stop", lambda: bool(at.side.recorder.refusal), 3)
            assert at.slack(message(2)).status_code == (202 if spool else 503)
            status, problems = ready(at)
            assert status == (200 if spool else 503)
            assert spool or ("nearly full" in problems and "relay prune" in problems)
            admin(server).config_set("maxmemory", "0")
            wait_for("the door to go on", lambda: not at.side.recorder.refusal, 3)
            assert at.slack(message(3)).status_code == 202
            if spool:
                wait_for("the spool", lambda: at.side.outbox.ledger()["slack"]["accepted"] == 3)


def _no_room_for_the_aof(server: EmbeddedServer, full: bool) -> None:
    """Its disk is full: no file grows."""
    resource.prlimit(
        server.pid, resource.RLIMIT_FSIZE, (1 if full else resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )


def _another_s_replica(server: EmbeddedServer, full: bool) -> None:
    where = ("127.0.0.1", "1") if full else ("NO", "ONE")
    admin(server).execute_command("REPLICAOF", *where)  # type: ignore[no-untyped-call]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of another process are Linux's")
@pytest.mark.parametrize("spool", [False, True])
@pytest.mark.parametrize(
    ("suffers", "words"), [(_no_room_for_the_aof, AOF_FAILED), (_another_s_replica, REPLICA)]
)
def test_a_redis_that_takes_no_write_for_a_while_is_what_the_spool_is_for(
    suffers: Callable[[EmbeddedServer, bool], None], words: str, spool: bool, short_tmp: Path, tmp_path: Path
) -> None:
    """It answered 202 and said that it was not ready: the balancer sent nothing any more, spool or not."""
    binary = short_tmp / "server"
    # Where a file may not grow, a write fails, instead of ending the process.
    binary.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {find_server()} \"$@\"\n")
    binary.chmod(0o755)
    server = EmbeddedServer(short_tmp / "r", appendfsync="everysec", binary=str(binary)).start()
    try:
        with door(tmp_path, server.url, spool=spool, token="t" * 32) as at:
            assert at.slack(message(1)).status_code == 202
            suffers(server, True)
            wait_for(
                "the spool to stand in", lambda: at.slack(message(2)).status_code == (202 if spool else 503)
            )
            wait_for("it to be seen", lambda: at.side.watch.last.away == words)
            answer = at.http.get("/readyz")
            assert answer.status_code == (200 if spool else 503), answer.text
            assert (words in answer.text) != spool
            assert at.slack(message(3)).status_code == (202 if spool else 503)
            suffers(server, False)
            wait_for(
                "all to be well", lambda: at.slack(message(4)).status_code == 202 and ready(at) == (200, "")
            )
            if spool:
                wait_for("the spool", lambda: at.side.outbox.ledger()["slack"]["accepted"] == 4)
    finally:
        server.stop()


@pytest.mark.skipif(not REDIS_7_0.binary, reason="redis-server is not installed")
def test_the_metric_says_who_vouches(tmp_path: Path) -> None:
    with running(REDIS_7_0, fsync="everysec") as server, door(tmp_path, server.url) as at:
        text = httpx.get(f"{at.url}/readyz", trust_env=False).text
        assert "WAITAOF" in text
        said = at.side.health.exposition().decode()
        assert "relay_redis_durable 0" in said and 'relay_redis_fsync_confirmed{by="nobody"} 1' in said
        assert "relay_ready 0" in said


@pytest.mark.parametrize("turns", range(6))
def test_it_stops_also_while_a_connection_is_made(turns: int, redis_url: str, tmp_path: Path) -> None:
    """A stop comes some turns of the loop after the ticker was woken: no turn may swallow it."""
    (tmp_path / "relay.yaml").write_text(CONFIG, encoding="utf-8")
    side = WebSide(
        Settings(config=str(tmp_path / "relay.yaml"), redis_url=redis_url, require_durable=False), WEAK
    )

    async def live() -> None:
        async with side.lifespan(assemble(side, operators=False)):
            # Until the ticker waits for its next turn: asyncio says it no other way.
            while not getattr(side._look_wanted, "_waiters", ()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            side._connected()
            for _ in range(turns):
                await asyncio.sleep(0)

    async def watched() -> bool:
        ended, _ = await asyncio.wait([asyncio.ensure_future(live())], timeout=5)
        return bool(ended)

    assert asyncio.run(watched())
