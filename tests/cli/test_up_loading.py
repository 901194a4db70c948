"""`relay up` is told to stop while its server still loads a file that takes long, at the first start or after a crash: it ends in order, and
what the file holds is untouched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from relay.outbox.embedded import EmbeddedServer
from tests.cli.test_up import environ, running
from tests.outbox.servers import admin
from tests.processes import alive, descendants
from tests.workers.test_workers import wait_until

pytestmark = pytest.mark.process

#: What the contract gives a stop.
ENDS_S: Final = 10.0
#: Commands that take the server some tenths of a millisecond each.
_COMMANDS: Final = 12_000
_MEMBERS: Final = 200


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _write_slow_file(data: Path) -> Path:
    """A folder as the server leaves it, whose append-only file takes long to load."""
    folder = data / "redis" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    file = folder / "appendonly.aof.1.incr.aof"
    members = [b"m%d" % number for number in range(_MEMBERS)]
    with file.open("wb") as out:
        out.write(_command(b"SELECT", b"0") + _command(b"SADD", b"a", *members))
        for _ in range(_COMMANDS // 1000):
            out.write(_command(b"SUNIONSTORE", b"b", b"a") * 1000)
        out.write(_command(b"SET", b"last", b"here"))
    return file


def _loads(data: Path, times: int) -> bool:
    log = data / "redis" / "redis.log"
    said = log.read_text() if log.exists() else ""
    return said.count("in anticipation of a load") == times or said.count("Server initialized") == times


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_the_server_loads_is_one_in_order(number: signal.Signals, short_tmp: Path) -> None:
    data = short_tmp / ".relay"
    file = _write_slow_file(data)
    size = file.stat().st_size
    said = short_tmp / "said.txt"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "relay.cli", "up", "--port", "0"],
            cwd=short_tmp, env=environ(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
        try:
            wait_until(lambda: _loads(data, 1), 30)
            children = descendants(process.pid)
            process.send_signal(number)
            began = time.monotonic()
            assert process.wait(30) == 0
            assert time.monotonic() - began < ENDS_S
        finally:
            process.kill()
            process.wait()
    assert said.read_text() == "stopped\n"
    assert children and not [pid for pid in children if alive(pid)]
    assert not (data / "up.json").exists()
    assert file.stat().st_size == size
    # The folder is free, and whole.
    server = EmbeddedServer(data / "redis").start()
    try:
        assert admin(server).get("last") == b"here" and admin(server).scard("b") == _MEMBERS
    finally:
        server.stop()


def test_a_stop_while_it_loads_after_a_crash_is_one_in_order(short_tmp: Path) -> None:
    data = short_tmp / ".relay"
    _write_slow_file(data)
    with running(short_tmp) as (process, told):
        children = descendants(process.pid)
        os.kill(told["pids"]["redis"], signal.SIGKILL)
        wait_until(lambda: _loads(data, 2), 20)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(30) == 0
        assert time.monotonic() - began < ENDS_S
    assert not [pid for pid in children if alive(pid)]
