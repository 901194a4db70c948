"""Why Redis did not do it, each reason provoked on a real server; decided by class and code, not by what the text holds."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import ResponseError

from relay.errors import OutboxUnavailable
from relay.outbox.connection import connect
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.outbox import Outbox
from relay.outbox.reasons import unavailable_reason
from relay.outbox.scripts import reaching_redis
from tests.disks import fill, small_disk
from tests.outbox.servers import BOTH, VALKEY, Kind, admin, as_user, running
from tests.outbox.test_outbox import entry


def reason(act: Callable[[], Any]) -> OutboxUnavailable:
    with pytest.raises(OutboxUnavailable) as caught, reaching_redis():
        act()
    return caught.value


def writes(client: redis.Redis) -> list[Callable[[], Any]]:
    """The three ways in which the relay writes: a command, a pipeline, a script."""

    def pipelined() -> None:
        pipe = client.pipeline(transaction=False)
        pipe.set("relay:x", "NOAUTH of pipeline caused error: MISCONF OOM READONLY")
        pipe.execute()

    return [lambda: client.set("relay:x", "1"), pipelined, lambda: Outbox(client).record([entry(1)])]


@pytest.mark.process
@pytest.mark.parametrize("kind", BOTH)
def test_full_and_read_only(kind: Kind) -> None:
    with running(kind) as server:
        client = connect(server.url)
        admin(server).config_set("maxmemory", "1")
        assert [str(reason(act)) for act in writes(client)] == ["Redis: full"] * 3
        admin(server).config_set("maxmemory", "0")
        admin(server).replicaof("127.0.0.1", "1")
        assert [str(reason(act)) for act in writes(client)] == ["Redis: read-only"] * 3
        admin(server).replicaof("NO", "ONE")
        admin(server).config_set("min-replicas-to-write", "1")
        assert [str(reason(act)) for act in writes(client)] == ["Redis: too few replicas"] * 3
        client.close()


@pytest.mark.process
@pytest.mark.parametrize("kind", BOTH)
def test_wrong_password_and_what_a_user_may_not(kind: Kind) -> None:
    with running(kind, extra=("requirepass secret",)) as server:
        wrong = connect(as_user(server, "plain", "wrong"))
        assert str(reason(lambda: wrong.set("relay:x", "1"))) == "Redis: wrong user or password"
        missing = connect(f"unix://{server.socket}")
        assert str(reason(lambda: missing.set("relay:x", "1"))) == "Redis: password missing"
        plain = connect(as_user(server, "plain"))
        assert (
            str(reason(lambda: plain.set("another:x", "1")))
            == "Redis: not permitted: this user may not touch these keys"
        )
        assert [reason(act).perhaps_done for act in writes(wrong)[:1]] == [False]


@pytest.mark.process
def test_loading(short_tmp: Path) -> None:
    server = EmbeddedServer(
        short_tmp / "r", extra=("key-load-delay 20000", "loading-process-events-interval-bytes 1024")
    )
    server.start()
    client = connect(server.url)
    for number in range(400):
        client.set(f"relay:{number}", "x" * 100)
    client.bgrewriteaof()
    _settle(client)
    server.kill()
    try:
        starting = subprocess.Popen([*_command(server)], stdout=subprocess.DEVNULL)
        try:
            seen: set[str] = set()
            while "Redis: loading" not in seen:
                assert starting.poll() is None
                try:
                    with reaching_redis():
                        client.set("relay:x", "1")
                except OutboxUnavailable as error:
                    seen.add(str(error))
                else:
                    pytest.fail("it was never seen loading")
        finally:
            starting.kill()
            starting.wait()
    finally:
        server.stop()


def _settle(client: redis.Redis) -> None:
    told: Any = {"aof_rewrite_in_progress": 1}
    while told["aof_rewrite_in_progress"] or told.get("aof_rewrite_scheduled"):
        told = client.info("persistence")


def _command(server: EmbeddedServer) -> list[str]:
    from relay.outbox.embedded import find_server

    return [find_server(), str(server.folder / "redis.conf")]


@pytest.mark.process
@pytest.mark.parametrize("kind", BOTH)
def test_a_hang_is_no_answer_and_perhaps_done(kind: Kind) -> None:
    with running(kind) as server:
        client = connect(server.url, timeout_s=0.3)
        client.set("relay:x", "0")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            told = reason(lambda: client.set("relay:x", "1"))
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert (str(told), told.perhaps_done) == ("Redis: no answer in time", True)
        # It was done, and once: nothing repeats by itself what may have been done.
        assert client.get("relay:x") == b"1"
        client.close()


def test_nobody_there_has_done_nothing(short_tmp: Path) -> None:
    client = connect(f"unix://{short_tmp}/none.sock")
    told = reason(lambda: client.set("relay:x", "1"))
    assert (str(told), told.perhaps_done) == ("Redis: no connection", False)


def test_a_text_that_speaks_of_something_else_decides_nothing() -> None:
    texts = ("value READONLY LOADING MISCONF", "wrong NOAUTH WRONGPASS", "ERR value OOM")
    assert {unavailable_reason(ResponseError(text)) for text in texts} == {"ResponseError"}
    assert unavailable_reason(
        ResponseError("Command # 1 (SET k OOM READONLY) of pipeline caused error: MISCONF x")
    )
    assert (
        unavailable_reason(ResponseError("Command # 1 (SET k MISCONF) of pipeline caused error: ERR value"))
        == "ResponseError"
    )


@pytest.mark.process
def test_a_full_disk_refuses_writes_and_lets_reads_go_on() -> None:
    with small_disk("3m") as folder:
        server = EmbeddedServer(folder / "r", binary=VALKEY.binary, appendfsync="everysec").start()
        try:
            client = connect(server.url)
            client.set("relay:x", "1")
            fill(folder, leave=100_000)
            with suppress(redis.RedisError):
                for number in range(10_000):
                    client.set(f"relay:{number}", os.urandom(4000))
            told = reason(lambda: client.set("relay:x", "2"))
            assert str(told) == "Redis: cannot write to its disk"
            # A PING is refused then; what reads must not begin with one.
            client.connection_pool.disconnect()
            assert client.get("relay:x") == b"1"
            client.close()
        finally:
            server.kill()
            server.stop()
