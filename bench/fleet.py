"""Several web and worker pods, as processes, rolled under load: `python -m bench.fleet [--rounds N] [--lanes N] [--plain]`.

Over a cluster of three masters with two replicas each (or one plain server): each pod is replaced in turn as a rollout does it, while
workers and web processes are killed with -9, Planhat fails now and then, and in the cluster the lanes and RQ fail over.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Final, Self

from bench.cluster_load import Load, Outcome, Relay
from bench.redis_cluster import ClusterServers, slot_of, until
from bench.servers import Process, Server, free_port
from bench.usage import children
from relay.outbox.embedded import EmbeddedServer
from relay.planhat.sandbox import Fault

_FAULTS: Final = (
    {"commit_then_drop": True, "times": 1},
    {"status": 503, "times": 2},
    {"status": 500, "commit": True, "times": 1},
    {"status": 429, "retry_after": 1, "times": 1},
    {"latency_ms": 400, "times": 3},
)


class Fleet(Relay):
    """`pods` of each kind, on one Redis; senders go to those that are ready, in turns."""

    def __init__(
        self, folder: Path, redis_url: str, *, pods: int = 3, config: str = "", lanes: Sequence[str] = ()
    ) -> None:
        super().__init__(folder, redis_url, config=config, lanes=lanes)
        self._ports = [free_port() for _ in range(pods)]
        self.port = self._ports[0]
        self.ready: list[int] = []
        self._turn = itertools.count()
        self.webs: dict[int, Process] = {}
        self.works: list[Process] = []

    def __enter__(self) -> Self:
        self.begin()
        self._stack.callback(self._stop)
        for port in self._ports:
            self._serve(port)
        self.works = [self._work(number) for number in range(len(self._ports))]
        return self

    def place(self) -> int:
        ready = self.ready
        return ready[next(self._turn) % len(ready)]

    def roll(self, chance: Random, between: Callable[[], None]) -> None:
        """Replaces each pod by a new one; `between` is done after each. A third of them are killed with -9."""
        for port in self._ports:
            self.ready = [other for other in self._ports if other != port and other in self.ready]
            # Those that were chosen before are answered.
            time.sleep(0.3)
            self._end(self.webs[port], chance)
            self._serve(port)
            between()
        for number, work in enumerate(self.works):
            self._end(work, chance)
            self.works[number] = self._work(number)
            between()

    def kill_a_child(self, chance: Random) -> None:
        """One of the workers' processes, at work or not."""
        pids = list(children(chance.choice(self.works).pid))
        if pids:
            os.kill(chance.choice(pids), signal.SIGKILL)

    def _serve(self, port: int) -> None:
        command = [sys.executable, "-m", "relay.cli", "serve"]
        own = {**self.environ, "RELAY_PORT": str(port)}
        self.webs[port] = Server(command, port, self.folder / f"web-{port}.log", own, ready="/readyz")
        self.ready = [*self.ready, port]

    def _work(self, number: int) -> Process:
        return Process([sys.executable, "-m", "workers"], self.folder / f"work-{number}.log", self.environ)

    def _end(self, process: Process, chance: Random) -> None:
        if chance.random() < 0.33:
            os.kill(process.pid, signal.SIGKILL)
        process.stop()

    def _stop(self) -> None:
        for process in (*self.webs.values(), *self.works):
            process.stop()


def roll_under_load(
    folder: Path,
    redis_url: str,
    shake: Callable[[], None],
    *,
    rounds: int = 1,
    pods: int = 3,
    config: str = "",
    lanes: Sequence[str] = (),
) -> Outcome:
    """Rolls a fleet under load, with `shake` for what happens to Redis; what became of the events in the end."""
    chance = Random(7)
    with Fleet(folder, redis_url, pods=pods, config=config, lanes=lanes) as fleet:
        load = Load(fleet, senders=max(3, len(lanes))).start()

        def between() -> None:
            fault = chance.choice(_FAULTS)
            chance.choice(list(fleet.sandboxes.values())).faults.all.append(
                Fault.read({"operation": "upsert", **fault})
            )
            fleet.kill_a_child(chance)
            shake()
            time.sleep(0.3)

        try:
            for _ in range(rounds):
                fleet.roll(chance, between)
        finally:
            for sandbox in fleet.sandboxes.values():
                sandbox.faults.all.clear()
            load.stop()
        fleet.await_settled(90)
        until(lambda: fleet.readyz()[0] == 200, 30)
        return load.outcome()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.fleet", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="one plain server in the place of a cluster")
    parser.add_argument("--lanes", type=int, default=0, help="so many tenants; 0: one, without `lanes:`")
    chosen = parser.parse_args()
    lanes = [f"lane{number}" for number in range(chosen.lanes)]
    with tempfile.TemporaryDirectory(prefix="fleet-") as name, ExitStack() as stack:
        folder = Path(name)
        if chosen.plain:
            server = EmbeddedServer(folder / "redis").start()
            stack.callback(server.stop)
            found = roll_under_load(
                folder / "relay", server.url, lambda: None, rounds=chosen.rounds, lanes=lanes
            )
        else:
            cluster = stack.enter_context(
                ClusterServers(folder / "redis", replicas=2, starts=(0, 5_461, slot_of("main")))
            )
            tags = itertools.cycle((*(lanes or ("main",)), "rq"))

            def shake() -> None:
                tag = next(tags)
                cluster.await_replicas(tag)
                cluster.fail_over(tag)

            found = roll_under_load(
                folder / "relay",
                cluster.url,
                shake,
                rounds=chosen.rounds,
                config="redis: {replicas: 1}\n",
                lanes=lanes,
            )
    print(found)
    return int(bool(found.lost or found.stale or found.double or not found.balanced))


if __name__ == "__main__":
    sys.exit(main())
