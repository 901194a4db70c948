"""What strangers do to the door, over real sockets against a real `relay serve`, while honest traffic goes on: each attack's
answers, what it takes of memory (all of the web side's processes, and bodies in files in memory), the slowest `/healthz`
meanwhile, and the slowest honest webhook.

An answer that is not the right one, or a connection that is held for ever, ends the run.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.attack_lines import Lines, attacks, status_of
from bench.attack_requests import CONFIG, OPERATOR, Bodies, proven, unproven, warm_up
from bench.figures import Cell, main
from bench.servers import ROOT, Server, environ, free_port, redis_server
from bench.traffic import slack_requests
from bench.usage import children, memory_mb

PART = "attacks"
MIB = 1024 * 1024


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", default="", help="attacks whose name holds this")
    parser.add_argument("--honest", type=float, default=30, help="honest webhooks a second beside them")


def run(chosen: argparse.Namespace) -> list[Cell]:
    cells: dict[str, Cell] = {}
    for _ in range(chosen.runs):
        # A server for the connections, one for the bodies: what one attack leaves behind is in the next one's way, and shows.
        for listed in (attacks(), [*unproven(), *proven()]):
            wanted = [one for one in listed if chosen.only in one.name]
            if not wanted:
                continue
            with _web() as side:
                for attack in [None, *wanted]:
                    name = attack.name if attack else "nothing, for as long"
                    figures = _measured(side, attack, chosen.honest)
                    cells.setdefault(name, Cell(name)).add(figures)
    return list(cells.values())


class WebSide:
    """A `relay serve` with a listener for operators, and what it takes."""

    def __init__(self, server: Server, operators: int) -> None:
        self.server, self.port, self.operators = server, server.port, operators
        #: With everything made that is made once.
        self.rest_bytes = 0

    def memory_bytes(self) -> int:
        return int(sum(self.parts().values()))

    def parts(self) -> dict[str, float]:
        """Bytes of the web process, of those beside it, and of bodies in files, which no process's resident memory has."""
        beside = [*children(self.server.pid)]
        held = [memory_mb(pid) * MIB for pid in (self.server.pid, *beside)]
        web, *others = [one if one == one else 0 for one in held]
        return {"web": web, "beside": sum(others), "files": _bodies_bytes([self.server.pid, *beside])}


def _bodies_bytes(pids: list[int]) -> int:
    """Each file once, whoever has it open."""
    sizes: dict[int, int] = {}
    for pid in pids:
        with suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    if "memfd:relay-body" in os.readlink(entry.path):
                        status = os.stat(entry.path)
                        sizes[status.st_ino] = status.st_size
    return sum(sizes.values())


@contextmanager
def _web() -> Iterator[WebSide]:
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        (folder / "relay.yaml").write_text(CONFIG)
        with redis_server(folder) as store:
            port, operators = free_port(), free_port()
            own = {
                "RELAY_CONFIG": str(folder / "relay.yaml"),
                "RELAY_REDIS_URL": store.url,
                "RELAY_PORT": str(port),
                "RELAY_OPERATOR_PORT": str(operators),
                "RELAY_OPERATOR_TOKEN": OPERATOR,
                "RELAY_ALLOW_WEAK_SECRETS": "true",
                "RELAY_LOG_LEVEL": "error",
            }
            command = [sys.executable, "-m", "relay.cli", "serve"]
            with Server(command, port, folder / "web.log", own, ready="/readyz") as server:
                side = WebSide(server, operators)
                _warm_up(side)
                yield side


def _warm_up(side: WebSide) -> None:
    """Everything that is made once is made: the process for large bodies too."""
    if _send(side.port, warm_up()) != 202:
        raise RuntimeError("the first mail was not accepted")
    time.sleep(1)
    side.rest_bytes = side.memory_bytes()


def _measured(side: WebSide, attack: Bodies | Lines | None, honest: float) -> dict[str, float]:
    port = side.operators if isinstance(attack, Lines) and attack.operators else side.port
    before = side.rest_bytes
    if isinstance(attack, Bodies):
        # The process that reads large bodies may have ended itself after the last one.
        _send(side.port, warm_up())
        time.sleep(0.5)
    at_hand = side.memory_bytes()
    peak = [at_hand]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            peak[0] = max(peak[0], side.memory_bytes())

    made = [attack.make() for _ in range(attack.times * attack.at_once)] if isinstance(attack, Bodies) else []
    watcher = threading.Thread(target=watch)
    with Prober(side.port, honest) as prober:
        watcher.start()
        began = time.monotonic()
        if attack is None:
            time.sleep(5)
            answers: Counter[int] = Counter()
        elif isinstance(attack, Lines):
            answers = attack.run(port)
        else:
            answers = _all(port, made, attack.at_once)
        took = time.monotonic() - began
        stop.set()
        watcher.join()
    if attack is not None and not set(answers) <= attack.right:
        raise RuntimeError(f"{attack.name}: answers {dict(answers)}, right would be {sorted(attack.right)}")
    time.sleep(0.5)
    figures = {
        "healthz_max_ms": prober.healthz_ms,
        "honest_max_ms": prober.honest_ms,
        "honest_refused": prober.refused,
        "memory_mb": (peak[0] - before) / MIB,
        "memory_left_mb": (side.memory_bytes() - before) / MIB,
        "took_s": took,
    }
    if isinstance(attack, Bodies):
        figures["memory_a_body"] = (peak[0] - at_hand) / attack.size
    for status, number in sorted(answers.items()):
        figures[f"answers_{status}"] = number
    return figures


def _all(port: int, made: list[bytes], at_once: int) -> Counter[int]:
    with ThreadPoolExecutor(at_once) as pool:
        return Counter(pool.map(lambda one: _send(port, one), made))


def _send(port: int, request: bytes) -> int:
    """The status; 0 where the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        with suppress(OSError):
            line.sendall(request)
        try:
            return status_of(line.recv(65_536))
        except OSError:
            return 0


class Prober:
    """A process of its own, so that nothing of what is measured waits for who makes the attack. It asks for `/healthz` all the
    time, and sends honest webhooks."""

    def __init__(self, port: int, honest: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.attacks", "--probe", str(port), str(honest)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environ(),
        )
        assert self._process.stdout
        self._process.stdout.readline()
        self.healthz_ms = self.honest_ms = 0.0
        self.refused = 0

    def __enter__(self) -> Prober:
        return self

    def __exit__(self, *_: object) -> None:
        said, _unused = self._process.communicate(b"\n", timeout=60)
        told = json.loads(said)
        self.healthz_ms, self.honest_ms, self.refused = told["healthz_ms"], told["honest_ms"], told["refused"]


def probe(port: int, honest: float) -> None:
    """Until a line comes in."""
    requests = iter(slack_requests(5_000, start=int(time.time() * 1000) % 10**9))
    done = threading.Event()

    def wait() -> None:
        sys.stdin.readline()
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    slowest, honest_ms, refused = 0.0, 0.0, 0
    health = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    line = socket.create_connection(("127.0.0.1", port), timeout=60)
    other = socket.create_connection(("127.0.0.1", port), timeout=60)
    _ask(line, health)
    print("ready", flush=True)
    next_honest = time.monotonic()
    while not done.is_set():
        slowest = max(slowest, _ask(line, health)[1])
        if honest and time.monotonic() >= next_honest:
            next_honest += 1 / honest
            status, took_ms = _ask(other, next(requests))
            honest_ms = max(honest_ms, took_ms)
            refused += status != 202
        time.sleep(0.002)
    print(json.dumps({"healthz_ms": slowest, "honest_ms": honest_ms, "refused": refused}), flush=True)


def _ask(line: socket.socket, request: bytes) -> tuple[int, float]:
    """The status of the whole answer, and the milliseconds until it was there."""
    began = time.perf_counter()
    line.sendall(request)
    said = b""
    while b"\r\n\r\n" not in said:
        said += line.recv(65_536)
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += line.recv(65_536)
    return status_of(said), (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    if sys.argv[1:2] == ["--probe"]:
        probe(int(sys.argv[2]), float(sys.argv[3]))
    else:
        main(PART, (__doc__ or "").split("\n\n")[0], run, options)
