"""A failover with real sentinel processes: the door refuses while nobody is primary, then goes on without a restart."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from relay.outbox.items import STATES
from relay.settings import Settings
from relay.web.app import WebSide
from tests.environ import WEAK
from tests.web.test_hooks import CONFIG, Door, message, serve

pytestmark = pytest.mark.process


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Cluster:
    """One primary, one replica, one sentinel with a quorum of one."""

    def __init__(self, folder: Path, binary: str) -> None:
        self.folder, self.binary = folder, binary
        self.primary_port, self.replica_port, self.sentinel_port = free_ports(3)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        common = 'bind 127.0.0.1\nappendonly yes\nappendfsync always\nsave ""\nmaxmemory-policy noeviction\n'
        self._start("primary", f"port {self.primary_port}\n{common}")
        self._start("replica", f"port {self.replica_port}\n{common}replicaof 127.0.0.1 {self.primary_port}\n")
        self._await(lambda: self._info(self.replica_port).get("master_link_status") == "up")
        self._start(
            "sentinel",
            f"port {self.sentinel_port}\nbind 127.0.0.1\n"
            f"sentinel monitor relay 127.0.0.1 {self.primary_port} 1\n"
            "sentinel down-after-milliseconds relay 1000\nsentinel failover-timeout relay 5000\n",
            "--sentinel",
        )
        self._await(self._sees_replica)

    def _start(self, name: str, config: str, *arguments: str) -> None:
        place = self.folder / name
        place.mkdir()
        (place / "redis.conf").write_text(f'dir "{place}"\n{config}')
        self.processes[name] = subprocess.Popen(
            [self.binary, str(place / "redis.conf"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _info(self, port: int) -> dict[str, object]:
        with redis.Redis(port=port) as client:
            found: dict[str, object] = client.info("replication")
            return found

    def _sees_replica(self) -> bool:
        with redis.Redis(port=self.sentinel_port) as client:
            rows = client.execute_command("SENTINEL", "REPLICAS", "relay")
            return len(rows) == 1

    @staticmethod
    def _await(ready: object) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                if ready():  # type: ignore[operator]
                    return
            except redis.RedisError:
                pass
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def cluster(short_tmp: Path) -> Iterator[Cluster]:
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if not binary:
        pytest.skip("no redis-server on the PATH for a sentinel")
    made = Cluster(short_tmp, binary)
    yield made
    made.stop()


def test_a_failover_needs_no_restart_and_acknowledges_nothing_falsely(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "relay.yaml").write_text(CONFIG)
    url = f"redis+sentinel://127.0.0.1:{cluster.sentinel_port}/relay/0"
    side = WebSide(Settings(config=str(tmp_path / "relay.yaml"), redis_url=url), WEAK)
    for door_url in serve(side):
        door = Door(door_url, side)
        accepted = [number for number in range(1, 21) if door.slack(message(number)).status_code == 202]
        assert len(accepted) == 20
        with redis.Redis(port=cluster.primary_port) as client:
            assert client.wait(1, 2000) == 1

        cluster.kill("primary")
        began = time.monotonic()
        refused = 0
        number = 100
        while True:
            answer = door.slack(message(number))
            if answer.status_code == 202:
                break
            assert answer.status_code == 503 and answer.headers["retry-after"]
            refused += 1
            number += 1
            assert time.monotonic() - began < 40
            time.sleep(0.2)
        accepted.append(number)

        assert refused > 0
        counts = side.outbox.ledger()["slack"]
        assert counts["accepted"] == len(accepted) == sum(counts[state] for state in STATES)
        # Scripts were never loaded on the new primary: they are, by themselves.
        assert side.outbox.lane.ring() >= 0
