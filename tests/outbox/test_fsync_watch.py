"""A write that is said to be on disk is: over a model of how a server syncs each second, and over a real one's system calls."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.outbox.connection import connect
from relay.outbox.durability import examine_durability, try_write
from relay.outbox.fsync_watch import FsyncWatch, answers_early
from tests.outbox.servers import VALKEY, running


@dataclass
class Server:
    """What a server with `everysec` does, by its source: it looks whether a sync is due after each turn of its loop."""

    chance: Random
    slow_ms: int
    skips: bool
    now: float = 50_000.0
    last_sync: float = 49_000.0
    size: int = 0
    handed: int = 0
    synced: int = 0
    buffered: int = 0
    postponed: float = 0.0
    #: (what it brings to disk, when it is done), one at a time.
    syncs: list[tuple[int, float]] = field(default_factory=list)
    child_until: float = 0.0

    def turn(self, ms: float) -> None:
        self.now += ms
        while self.syncs and self.syncs[0][1] <= self.now:
            self.synced = max(self.synced, self.syncs.pop(0)[0])
        if self.chance.random() < 0.003 and self.child_until <= self.now:
            self.child_until = self.now + self.chance.uniform(50, 1500)
        busy = bool(self.syncs)
        due = self.now - self.last_sync >= 1_000
        if not self.buffered:
            if self.handed != self.size and due and not busy:
                self._sync(busy)
            return
        if busy:
            self.postponed = self.postponed or self.now
            if self.now - self.postponed < 2_000:
                return
        self.postponed = 0.0
        self.size += self.buffered
        self.buffered = 0
        self._sync(busy)

    def _sync(self, busy: bool) -> None:
        if self.skips and self.child_until > self.now:
            return
        if self.now - self.last_sync >= 1_000:
            if not busy:
                self.syncs.append((self.size, self.now + self.chance.uniform(0, self.slow_ms)))
                self.handed = self.size
            self.last_sync = self.now

    def write(self) -> int:
        self.buffered += 1
        self.turn(0.1)
        return self.size + self.buffered

    def ask(self) -> tuple[dict[str, Any], int]:
        """What INFO and TIME tell; the turn ends after they were answered."""
        told = {
            "aof_last_write_status": "ok",
            "aof_pending_bio_fsync": len(self.syncs),
            "aof_buffer_length": self.buffered,
            "aof_rewrite_in_progress": 0,
            "rdb_bgsave_in_progress": int(self.child_until > self.now),
        }
        answer = told, int(self.now)
        self.turn(0.1)
        return answer


@given(
    seed=st.integers(0, 1_000_000), slow_ms=st.sampled_from([1, 30, 900, 3_000, 8_000]), skips=st.booleans(),
    busy=st.booleans(), every_ms=st.sampled_from([1, 20, 100, 1_000, 10_000]),
)  # fmt: skip
def test_what_is_said_to_be_on_disk_is(
    seed: int, slow_ms: int, skips: bool, busy: bool, every_ms: int
) -> None:
    chance = Random(seed)
    server = Server(chance, slow_ms, skips)
    for _ in range(chance.randint(0, 40)):
        if chance.random() < 0.5:
            server.write()
        server.turn(chance.uniform(0, 300))
    mine = server.write()
    watch = FsyncWatch(skips_in_rewrite=skips)
    began = server.now
    while (wait_s := watch.heard(*server.ask())) is not None:
        until = server.now + wait_s * 1000
        while server.now + every_ms < until:
            if busy and chance.random() < 0.1:
                server.write()
            server.turn(every_ms)
        # A loop that has nothing to do sleeps until it is asked.
        server.now = max(server.now, until)
        # A disk that takes 8 s a sync and a child most of the time: minutes, by bad luck.
        assert server.now - began < 1_200_000, "it never ends"
    assert server.synced >= mine
    if slow_ms == 1 and not skips:
        assert server.now - began < 1_100


@pytest.mark.parametrize(
    ("told", "early"),
    [
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "8.0.0"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.11"}, False),
        ({"redis_version": "7.2.4"}, False),
        ({"redis_version": "7.4.2"}, True),
        ({"redis_version": "7.4.3"}, False),
        ({"redis_version": "8.0.1"}, False),
        ({"redis_version": "255.255.255"}, False),
        ({"redis_version": "next"}, False),
        ({}, False),
    ],
)
def test_which_servers_confirm_too_early(told: dict[str, str], early: bool) -> None:
    assert answers_early(told) == early


@pytest.mark.process
def test_the_server_that_the_tests_run_is_judged_rightly() -> None:
    """One that waits for its syncs cannot confirm three writes within a second: they are a second apart. Should this fail
    with a newer server, its version is mended: name it in `answers_early`."""
    with running(VALKEY, fsync="everysec") as server:
        client = connect(server.url)
        began = time.monotonic()
        for number in range(3):
            client.set("relay:key", number)
            assert client.waitaof(1, 0, 3_000)[0] == 1
        quick = time.monotonic() - began < 0.9
        assert answers_early(client.info("server")) == quick
        client.close()


@pytest.mark.process
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_look_waits_for_the_sync_itself(tmp_path: Path) -> None:
    """By the server's own system calls: the look's write, a finished fdatasync, and only then what comes after the look."""
    trace = tmp_path / "trace"
    with running(VALKEY, fsync="everysec") as server:
        command = ["strace", "-f", "-s", "300", "-o", str(trace), "-e", "trace=fsync,fdatasync,write"]
        tracer = subprocess.Popen([*command, "-p", str(server.pid)], stderr=subprocess.PIPE)
        try:
            assert tracer.stderr
            if b"attached" not in tracer.stderr.readline():
                pytest.skip("strace may not look into a process here")
            client = connect(server.url)
            found = examine_durability(client)
            assert found.confirmed_by == "watched"
            for number in range(4):
                assert try_write(client, found, prefix=f"relay:LOOK{number}:") == ""
                client.echo(f"DONE{number}")
                time.sleep(0.07 * number)
            client.close()
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(10)
    flushed, done = True, 0
    for line in trace.read_text(errors="replace").splitlines():
        if re.search(r"write\(.*LOOK\d:ready", line):
            flushed = False
        elif "fdatasync" in line and line.rstrip().endswith("= 0"):
            flushed = True
        elif re.search(r"write\(\d+, \"[^\"]*DONE\d", line):
            done += 1
            assert flushed, line
    assert done == 4
