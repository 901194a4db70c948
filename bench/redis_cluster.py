"""A real cluster on 127.0.0.1: masters and replicas, each a process with a folder of its own, none of them left behind.

The nodes begin with a `nodes.conf` that already says who has which slots, so that the cluster is whole in two seconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisError
from redis.retry import Retry

from bench.redis_tls import Secured
from relay.outbox.embedded import end_with_parent, find_server

SLOTS: Final = 16_384
_CONFIG: Final = """{place}
bind 127.0.0.1
dir "{folder}"
cluster-enabled yes
cluster-port {bus}
cluster-config-file nodes.conf
cluster-node-timeout {timeout_ms}
cluster-replica-validity-factor 0
cluster-require-full-coverage {coverage}
appendonly yes
appendfsync {fsync}
save ""
maxmemory-policy noeviction
repl-diskless-sync-delay 0
repl-backlog-size 16mb
logfile "{folder}/log"
"""


def slot_of(tag: str) -> int:
    """The slot of `{tag}`."""
    return int(key_slot(f"{{{tag}}}".encode()))


@dataclass
class Node:
    """One server. `name` is its cluster id."""

    folder: Path
    port: int
    bus: int
    name: str
    process: subprocess.Popen[bytes] | None = None
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    _client: redis.Redis | None = field(default=None, repr=False)

    @property
    def client(self) -> redis.Redis:
        if self._client is None:
            once = Retry(NoBackoff(), 0)
            self._client = redis.Redis("127.0.0.1", self.port, socket_timeout=2.0, retry=once, **self.options)
        return self._client

    def ask(self, *words: Any) -> Any:
        return self.client.execute_command(*words)  # type: ignore[no-untyped-call]


class ClusterServers:
    """`masters` masters, each with `replicas` replicas. `url` is what the relay is given; nodes are named by their place: the
    masters first."""

    def __init__(
        self,
        folder: Path,
        *,
        binary: str = "",
        masters: int = 3,
        replicas: int = 1,
        node_timeout_ms: int = 1_000,
        fsync: str = "always",
        starts: Sequence[int] = (),
        coverage: bool = True,
        secured: Secured | None = None,
    ) -> None:
        """`starts`: the first slot of each master; left out: equal parts. `coverage`: a shard that is away closes all. `secured`: they
        speak TLS alone, and know users."""
        self._secured = secured
        self._binary = binary or find_server()
        self._settings = {
            "timeout_ms": node_timeout_ms,
            "fsync": fsync,
            "coverage": "yes" if coverage else "no",
        }
        self.nodes = _places(folder, masters * (1 + replicas))
        for node in self.nodes:
            node.options = secured.options() if secured else {}
        self._starts = [*(starts or (SLOTS * at // masters for at in range(masters))), SLOTS]
        self._write(masters)

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> Self:
        for node in self.nodes:
            self.run(node)
        until(lambda: all(self._whole(node) for node in self.nodes), 20)
        return self

    def run(self, node: Node) -> None:
        """Starts one, also once more after it was killed."""
        node.process = subprocess.Popen(
            [self._binary, str(node.folder / "redis.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )

    def stop(self) -> None:
        for node in self.nodes:
            if node.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(node.process.pid, signal.SIGKILL)
                node.process.wait()
                node.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- who is who ------------------------------------------------------------------------------------------

    def master_of(self, tag: str) -> Node:
        """Whom those that answer say is the slot's master. Raises AssertionError where nobody tells."""
        wanted = slot_of(tag)
        for node in self.nodes:
            if node.process is None:
                continue
            try:
                rows = node.ask("CLUSTER", "SLOTS")
            except (RedisError, OSError):
                continue
            for first, last, place, *_ in rows:
                if first <= wanted <= last:
                    return next(other for other in self.nodes if other.port == place[1])
        raise AssertionError(f"no node says who has the slot of {tag}")

    def replicas_of(self, master: Node) -> list[Node]:
        """Those that follow it, by its own word."""
        found: dict[str, Any] = master.client.info("replication")
        ports = {
            row["port"] for key, row in found.items() if key.startswith("slave") and isinstance(row, dict)
        }
        return [node for node in self.nodes if node.port in ports]

    def await_replicas(self, tag: str, count: int = 1) -> None:
        """Until so many follow the slot's master, in step."""
        until(lambda: self.master_of(tag).client.wait(count, 100) >= count, 30)

    def await_other(self, tag: str, old: Node, seconds: float = 30) -> Node:
        """Until another than `old` is the slot's master; which."""
        until(lambda: self.master_of(tag) is not old, seconds)
        return self.master_of(tag)

    # -- what happens to them --------------------------------------------------------------------------------

    def kill(self, node: Node) -> None:
        assert node.process is not None
        node.process.kill()
        node.process.wait()
        node.process = None

    def revive(self, node: Node) -> None:
        """Starts a killed one, until it answers; it may be a replica then."""
        self.run(node)
        until(lambda: bool(node.client.ping()), 20)

    def hang(self, node: Node) -> None:
        assert node.process is not None
        os.kill(node.process.pid, signal.SIGSTOP)

    def wake(self, node: Node) -> None:
        assert node.process is not None
        os.kill(node.process.pid, signal.SIGCONT)

    def fail_over(self, tag: str) -> Node:
        """By command, as for an upgrade; the new master."""
        old = self.master_of(tag)
        [replica, *_] = self.replicas_of(old)
        replica.ask("CLUSTER", "FAILOVER")
        return self.await_other(tag, old)

    def other_master(self, *tags: str) -> Node:
        """A master that has none of these slots."""
        own = [self.master_of(tag) for tag in tags]
        return next(
            node
            for node in self.nodes
            if node not in own and node.process and node.client.info("replication")["role"] == "master"
        )

    def move_slot(self, tag: str, to: Node, *, keys_at_once: int = 20) -> None:
        """The old way, key by key, as `redis-cli --cluster reshard` does it."""
        slot, source = slot_of(tag), self.master_of(tag)
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.name)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.name)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, keys_at_once):
            source.ask("MIGRATE", "127.0.0.1", to.port, "", 0, 5_000, "KEYS", *keys)
        for node in (to, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", to.name)
        until(lambda: self.master_of(tag) is to, 20)

    def reshard(self, tag: str, to: Node, cli: str) -> str:
        """The same by `redis-cli --cluster reshard`, which moves the first slots that a master has: the tag's must be one. What
        went wrong, "" for nothing."""
        source = self.master_of(tag)
        done = subprocess.run(
            [
                *(cli, "--cluster", "reshard", f"127.0.0.1:{source.port}", "--cluster-from", source.name),
                *("--cluster-to", to.name, "--cluster-slots", "1", "--cluster-yes"),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return "" if done.returncode == 0 else done.stdout[-300:] + done.stderr[-300:]

    def migrate_slots(self, tag: str, to: Node) -> None:
        """Valkey 9's own way, in which the slot changes hands at once."""
        slot = slot_of(tag)
        self.master_of(tag).ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", to.name)
        until(lambda: self.master_of(tag) is to, 30)

    # -- making them -----------------------------------------------------------------------------------------

    def _whole(self, node: Node) -> bool:
        found = node.ask("CLUSTER", "INFO")
        text = found.decode() if isinstance(found, bytes) else str(found)
        told: dict[str, Any] = node.client.info("replication")
        linked = told["role"] == "master" or told["master_link_status"] == "up"
        return ("cluster_state:ok" in text or "cluster_state', 'ok'" in text) and linked

    def _write(self, masters: int) -> None:
        for at, node in enumerate(self.nodes):
            node.folder.mkdir(parents=True)
            place = self._secured.config(node.port) if self._secured else f"port {node.port}"
            config = _CONFIG.format(place=place, bus=node.bus, folder=node.folder, **self._settings)
            (node.folder / "redis.conf").write_text(config)
            lines = [self._line(other, masters, myself=other == at) for other in range(len(self.nodes))]
            (node.folder / "nodes.conf").write_text(
                "\n".join([*lines, f"vars currentEpoch {masters} lastVoteEpoch 0", ""])
            )

    def _line(self, at: int, masters: int, *, myself: bool) -> str:
        node, mine = self.nodes[at], "myself," if myself else ""
        place = f"{node.name} 127.0.0.1:{node.port}@{node.bus}"
        if at >= masters:
            master = self.nodes[at % masters].name
            return f"{place} {mine}slave {master} 0 0 {at % masters + 1} connected"
        first, last = self._starts[at], self._starts[at + 1] - 1
        return f"{place} {mine}master - 0 0 {at + 1} connected {first}-{last}"


def _places(folder: Path, count: int) -> list[Node]:
    probes = [socket.socket() for _ in range(2 * count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return [
        Node(folder / f"node{at}", ports[2 * at], ports[2 * at + 1], os.urandom(20).hex())
        for at in range(count)
    ]


def until(ready: Callable[[], bool], seconds: float) -> float:
    """Waits until it is so; how long that took. What cannot be asked yet is not so."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(RedisError, OSError):
            if ready():
                return time.monotonic() - began
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.05)
