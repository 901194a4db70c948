"""The processes of one seed: Redis on a disk of its own, web side, workers, and a sandbox as Planhat."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import redis

from bench.chaos.senders import SECRET
from relay.errors import UserError
from relay.outbox.embedded import EmbeddedServer, find_server
from relay.outbox.outbox import Outbox
from relay.outbox.spool import Spool
from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = "chaos-operator-token-of-32-chars"
CONFIG = """
planhat:
  types: [Slack thread]
  calls_per_minute: 6000
  timeout: 2s
  lease: 4s
  batch: {{max_items: 500}}
  retry: {{first: 200ms, cap: 1s, probe: 500ms, rate_limited: 500ms, max_refusals: 2}}
{spool}
alerts:
  webhook: {{url: "{alerts}", secret: whsec_Y2hhb3NjaGFvc2NoYW9zY2hhb3M=}}
  blocked_for: 5s
sources:
  slack: {{adapter: slack, secrets: [{secret}], type: Slack thread}}
companies:
  - default: extid-acme
"""
DISK = "96m"
_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
_SCHEMA = re.compile(r"^(\w+_SCHEMA(?:: Final)?) = (\d+)$", re.M)


@dataclass(frozen=True)
class Means:
    """What this machine lets us do. `disk`: mount a small file system; `clock`: give Redis a clock of its own."""

    disk: bool
    clock: bool

    @classmethod
    def found(cls) -> Means:
        return cls(disk=sys.platform == "linux" and os.geteuid() == 0, clock=_FAKETIME.exists())


@contextmanager
def small_disk(folder: Path, size: str = DISK) -> Iterator[bool]:
    """`folder` as a file system of its own; False where that cannot be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], capture_output=True, check=False
    )
    try:
        yield not done.returncode
    finally:
        if not done.returncode:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def next_release(folder: Path) -> set[str]:
    """Makes `folder` a copy of this release whose records are a schema further: what it writes this one cannot read. The names
    of the schemas."""
    bumped: set[str] = set()
    for room in ("relay", "workers"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (folder / "relay").rglob("*.py"):
        text = file.read_text()
        if found := _SCHEMA.findall(text):
            bumped.update(name.split(":")[0] for name, _ in found)
            file.write_text(_SCHEMA.sub(lambda found: f"{found[1]} = {int(found[2]) + 1}", text))
    release = folder / "relay" / "release.py"
    text = release.read_text().replace('return "unknown"', 'return "next"')
    release.write_text(text.replace('return version("planhat-relay")', 'return "next"'))
    return bumped


class House:
    """`spool`: the web side has one. `fsync`: how Redis syncs."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        fsync: str,
        spool: bool,
        alerts_url: str,
        planhat_url: str,
        means: Means,
    ) -> None:
        self.folder, self.port, self.means = folder, port, means
        self.planhat_url = planhat_url
        self.fsync = fsync
        self.spool_folder = folder / "spool" if spool else None
        told = f"spool: {{dir: {self.spool_folder}, max_bytes: 100MB}}" if spool else ""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "relay.yaml").write_text(CONFIG.format(alerts=alerts_url, secret=SECRET, spool=told))
        self.clock_file = folder / "clock"
        self.set_clock(0)
        self.redis_server = EmbeddedServer(
            folder / "redis" / "data", appendfsync=fsync, binary=self._server_with_a_clock()
        ).start()
        self.web: subprocess.Popen[bytes] | None = None
        self.work: subprocess.Popen[bytes] | None = None
        self.releases = {"web": ROOT, "work": ROOT}

    # -- Redis -----------------------------------------------------------------------------------------------

    def _server_with_a_clock(self) -> str:
        if not self.means.clock:
            return ""
        script = self.folder / "server"
        script.write_text(
            f'#!/bin/sh\nexport FAKETIME_TIMESTAMP_FILE="{self.clock_file}" FAKETIME_CACHE_DURATION=1 '
            f'FAKETIME_DONT_FAKE_MONOTONIC=1 LD_PRELOAD={_FAKETIME}\nexec "{find_server()}" "$@"\n'
        )
        script.chmod(0o755)
        return str(script)

    def set_clock(self, ahead_s: int) -> None:
        """Redis's clock; it follows within a second."""
        self.clock_ahead_s = ahead_s
        self.clock_file.write_text(f"{ahead_s:+d}s\n")

    def outbox(self) -> Outbox:
        return Outbox(redis.Redis.from_url(self.redis_server.url, socket_timeout=5))

    def spawn_redis(self) -> bool:
        """Starts it where it does not run, as whoever runs a server does; False where it cannot be started now."""
        if self.redis_server.alive():
            return True
        try:
            self.redis_server.spawn()
        except UserError:
            return False
        return True

    def spooled(self) -> int:
        """Requests that wait in the spool."""
        if self.spool_folder is None or not self.spool_folder.exists():
            return 0
        visit = Spool(self.spool_folder, visit=True)
        try:
            return visit.count
        finally:
            visit.close()

    # -- ours ------------------------------------------------------------------------------------------------

    def environ(self, release: Path = ROOT) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(release),
            "RELAY_REDIS_URL": self.redis_server.url,
            "RELAY_PLANHAT_URL": self.planhat_url,
            "RELAY_PLANHAT_TOKEN": "token",
            "RELAY_ALLOW_WEAK_SECRETS": "true",
            "RELAY_CONFIG": str(self.folder / "relay.yaml"),
            "RELAY_DATA": str(self.folder / "none"),
            "RELAY_PORT": str(self.port),
            "RELAY_OPERATOR_TOKEN": TOKEN,
            "RELAY_LOG_LEVEL": "error",
        }

    def start(self, what: str) -> None:
        command = [sys.executable, "-m", *(["relay.cli", "serve"] if what == "web" else ["workers"])]
        with open(self.folder / f"{what}.log", "ab") as log:
            process = subprocess.Popen(
                command, env=self.environ(self.releases[what]), cwd=self.folder, stderr=log, stdout=log
            )
        setattr(self, what, process)

    def end(self, what: str, number: int, *, to: Path | None = None) -> None:
        """Ends `web` or `work` by a signal and starts it anew; `to`: with that release."""
        process: subprocess.Popen[bytes] | None = getattr(self, what)
        if process is not None:
            process.send_signal(number)
            process.wait(20)
        self.releases[what] = to or self.releases[what]
        self.start(what)

    def mend(self) -> None:
        """Everything runs."""
        self.spawn_redis()
        for what in ("web", "work"):
            process = getattr(self, what)
            if process is None or process.poll() is not None:
                self.start(what)

    def children(self) -> list[int]:
        if not self.work:
            return []
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.work.pid)], check=False, capture_output=True, text=True
        )
        return [int(pid) for pid in listed.stdout.split()]

    def kill_worker(self, chance: Random) -> None:
        children = self.children()
        if children:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(children), signal.SIGKILL)

    def stop(self) -> None:
        for process in (self.web, self.work):
            if process and process.poll() is None:
                process.terminate()
        for process in (self.web, self.work):
            if process:
                try:
                    process.wait(12)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.redis_server.stop()


def sandbox() -> Sandbox:
    return create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
