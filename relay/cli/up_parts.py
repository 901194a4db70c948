"""The processes of `relay up`: started, watched and stopped in order by one parent."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType

import click

from relay.errors import RelayError, UserError
from relay.outbox.embedded import EmbeddedServer, end_with_parent

READY_TIMEOUT_S = 30.0
#: A server that ends again so soon has a reason that a start does not mend.
_SHORT_LIFE_S = 10.0
#: What each part gets to end by itself, in the order of stopping; together under 10 s.
STOP_S = {"web": 3.5, "workers": 4.0, "sandbox": 1.0}
#: What all of them get at once, and then the server, where it hangs: none of them can hand anything over any more.
HUNG_S, HUNG_SERVER_S = 4.0, 1.0


@dataclass
class UpPart:
    """One child process. It ends with its parent even when that is killed (Linux). `listener`: a socket that it is handed at each start:
    nobody else can take the port meanwhile, and who asks while it is started again waits."""

    name: str
    command: list[str]
    listener: socket.socket | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = field(default=0)

    def start(self) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603
            self.command,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            # Ctrl-C must reach the parent alone: it stops the parts in order.
            start_new_session=True,
            pass_fds=(self.listener.fileno(),) if self.listener else (),
            preexec_fn=end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def tell(self) -> None:
        """Tell it to end. A second time does no harm."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout_s: float) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.tell()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Stop:
    """SIGINT and SIGTERM as a flag, so that stopping happens in one place and in order."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def free_port(host: str, port: int) -> int:
    """Return `port`, or a free one where it is 0. Raises UserError."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = "is in use" if error.errno == 98 else f"cannot be used ({error.strerror})"
            raise UserError(f"port {port} on {host} {why}; choose another with --port") from error
        return int(probe.getsockname()[1])


def wait_ready(url: str, parts: list[UpPart], stopping: Stop) -> None:
    """Wait until /readyz says yes. Raises RelayError where a part ends first, or it takes too long."""
    import urllib.request

    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and not stopping.asked:
        for part in parts:
            if part.ended():
                code = part.process.returncode if part.process else "?"
                raise RelayError(
                    f"{part.name} ended while starting (exit code {code}); its message stands above"
                )
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:  # noqa: S310
            if answer.status == 200:
                return
        time.sleep(0.05)
    if not stopping.asked:
        raise RelayError(f"the web side was not ready within {READY_TIMEOUT_S:.0f} s; ask {url}/readyz why")


def watch(
    server: EmbeddedServer,
    parts: list[UpPart],
    stopping: Stop,
    changed: Callable[[], None],
    follow: Callable[[], None],
) -> None:
    """Restarts what dies, with a growing pause, until asked to stop. `changed` hears of a restart, `follow` is called at each turn."""
    keeper = Keeper(server, stopping)
    while not stopping.asked:
        time.sleep(0.2)
        if keeper.tend(time.monotonic()):
            changed()
        follow()
        for part in parts:
            if part.ended() and not stopping.asked:
                lived_s = time.monotonic() - part.started_at
                part.failures = 0 if lived_s > 30 else part.failures + 1
                pause_s = min(10.0, 0.2 * 2**part.failures)
                if lived_s >= pause_s:
                    click.echo(f"{part.name} ended; starting it again", err=True)
                    part.start()
                    changed()


class Keeper:
    """Keeps the embedded server up. Where it cannot start (its disk is full) everything else goes on: the web side spools,
    or tells senders to come back, and the server is tried again until there is room."""

    def __init__(self, server: EmbeddedServer, stopping: Stop) -> None:
        self._server = server
        self._stopping = stopping
        self._next = self._started = 0.0
        self._said = ""
        self._failures = 0

    def tend(self, now: float) -> bool:
        """Tell whether it was started just now."""
        if self._server.alive() or now < self._next:
            return False
        try:
            self._server.spawn(lambda: self._stopping.asked)
        except UserError as error:
            self._pause(now)
            if str(error) != self._said:
                # Once: it is tried every few seconds.
                self._said = str(error)
                click.echo(
                    f"the embedded server is down: {error}. It is tried again until it starts; meanwhile what comes in is "
                    "spooled where `spool:` is set, and told to come back otherwise",
                    err=True,
                )
            return False
        if now - self._started < _SHORT_LIFE_S:
            self._pause(now)
        else:
            self._failures = 0
        self._started, self._said = now, ""
        click.echo("the embedded server ended; it was started again", err=True)
        return True

    def _pause(self, now: float) -> None:
        self._failures += 1
        self._next = now + min(5.0, 0.5 * 2**self._failures)
