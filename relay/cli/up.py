"""`relay up`: the whole relay on one machine, as real processes under one parent that starts and stops them in order."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any

import click

from relay.errors import RelayError, UserError
from relay.outbox.embedded import EmbeddedServer, end_with_parent
from relay.settings import Settings

READY_TIMEOUT_S = 30.0
#: A server that ends again so soon has a reason that a start does not mend.
_SHORT_LIFE_S = 10.0
#: What each part gets to end by itself, in the order of stopping; together under 10 s.
STOP_S = {"web": 3.5, "workers": 4.0, "sandbox": 1.0}


@dataclass
class Part:
    """One child process. It ends with its parent even when that is killed (Linux)."""

    name: str
    command: list[str]
    environ: Mapping[str, str]
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
            preexec_fn=end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def stop(self, timeout_s: float) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@click.command()
@click.option(
    "--config", "config_file", help="The YAML file; without one, the example shipped in the package."
)
@click.option("--host", default=None, help="Where the web side listens (default 127.0.0.1, or RELAY_HOST).")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=None,
    help="Default 8080, or RELAY_PORT; 0: any free one.",
)
@click.option("--data", default=".relay", show_default=True, help="The folder that everything is kept in.")
@click.option("--planhat", default=None, metavar="URL", help="A real Planhat instead of the sandbox.")
def up(config_file: str | None, host: str | None, port: int | None, data: str, planhat: str | None) -> None:
    """Everything on one machine, nothing to install first: an embedded, disk-backed Redis-compatible server, the
    Planhat sandbox, the web side, the workers and the console.

    \b
    Example:
        relay up
        relay send --source slack      (in another terminal)
    """
    settings = Settings.read(os.environ)
    environ = dict(os.environ)
    folder = Path(data)
    config_path = Path(config_file or environ.get("RELAY_CONFIG") or _example())
    if not config_path.exists():
        raise UserError(f"{config_path}: no such file; leave --config out to try the example")
    host = host or settings.host
    port = settings.port if port is None else port
    port = _free_port(host, port)
    server = EmbeddedServer(folder / "redis", tell=lambda sentence: click.echo(sentence, err=True)).start()
    parts: list[Part] = []
    stopping = _Stop()
    try:
        made = _example_environ(config_path, folder, environ)
        environ |= made
        real_planhat = planhat or environ.get("RELAY_PLANHAT_URL", "")
        sandbox_url = ""
        if not real_planhat:
            sandbox_port = _free_port("127.0.0.1", 8081, or_any=True)
            sandbox_url = f"http://127.0.0.1:{sandbox_port}"
            parts.append(
                Part(
                    "sandbox",
                    [
                        sys.executable,
                        "-m",
                        "relay.planhat.sandbox",
                        "--port",
                        str(sandbox_port),
                        "--state",
                        str(folder / "sandbox"),
                    ],
                    environ,
                )
            )
        else:
            _require_token(environ)
        environ |= {
            "RELAY_CONFIG": str(config_path.absolute()),
            "RELAY_REDIS_URL": server.url,
            "RELAY_PLANHAT_URL": real_planhat or sandbox_url,
            "RELAY_HOST": host,
            "RELAY_PORT": str(port),
        }
        environ.pop("RELAY_REDIS_URL_FILE", None)
        if sandbox_url:
            environ.setdefault("RELAY_PLANHAT_TOKEN", "sandbox")
        _check_config(config_path, environ)
        web = Part("web", [sys.executable, "-m", "relay.cli", "serve"], environ)
        parts += [web, Part("workers", [sys.executable, "-m", "workers"], environ)]
        for part in parts:
            part.environ = environ
            part.start()
        url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104
        _wait_ready(url, parts, stopping)
        if not stopping.asked:
            _write_up(folder, url, sandbox_url, server, parts, config_path, made, real_planhat)
            _announce(url, sandbox_url or real_planhat, config_path, environ, folder)
        _watch(
            server,
            parts,
            stopping,
            lambda: _write_up(folder, url, sandbox_url, server, parts, config_path, made, real_planhat),
        )
    finally:
        # Order: no new events first, then what carries them, then where they are kept.
        for name in ("web", "workers", "sandbox"):
            for part in parts:
                if part.name == name:
                    part.stop(STOP_S[name])
        server.stop()
        (folder / "up.json").unlink(missing_ok=True)
    if stopping.asked:
        click.echo("stopped", err=True)


class _Stop:
    """SIGINT and SIGTERM as a flag, so that stopping happens in one place and in order."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def _example() -> str:
    return str(files("relay").joinpath("examples/relay.yaml"))


def _free_port(host: str, port: int, *, or_any: bool = False) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if or_any:
                return _free_port(host, 0)
            why = "is in use" if error.errno == 98 else f"cannot be used ({error.strerror})"
            raise UserError(f"port {port} on {host} {why}; choose another with --port") from error
        return int(probe.getsockname()[1])


def _example_environ(config: Path, folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Secrets for the shipped example's `${NAME}`s, made once for this data folder: nobody's relay runs with a secret
    that stands in a package."""
    if str(config) != _example():
        return {}
    held_at = folder / "example-secrets.json"
    held: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        held = json.loads(held_at.read_text(encoding="utf-8"))
    names = re.findall(r"\$\{([A-Z][A-Z0-9_]*)", config.read_text(encoding="utf-8"))
    for name in names:
        if name not in held:
            word = secrets.token_hex(16)
            held[name] = f"relay:{word}" if "LOGIN" in name or "BASIC" in name else word
    _write_private(held_at, held)
    return {name: value for name, value in held.items() if name in names and not environ.get(name)}


def _require_token(environ: Mapping[str, str]) -> None:
    if not environ.get("RELAY_PLANHAT_TOKEN") and not environ.get("RELAY_PLANHAT_TOKEN_FILE"):
        raise UserError("a real Planhat needs RELAY_PLANHAT_TOKEN (or RELAY_PLANHAT_TOKEN_FILE)")


def _check_config(config: Path, environ: Mapping[str, str]) -> None:
    from relay.door.house import furnish
    from relay.rules.file.load import load

    furnish(*load(str(config), environ))


def _wait_ready(url: str, parts: list[Part], stopping: _Stop) -> None:
    import urllib.request

    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and not stopping.asked:
        for part in parts:
            if part.ended():
                raise RelayError(
                    f"{part.name} ended while starting (exit code {part.process.returncode if part.process else '?'}); its message stands above"
                )
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:  # noqa: S310
            if answer.status == 200:
                return
        time.sleep(0.05)
    if not stopping.asked:
        raise RelayError(f"the web side was not ready within {READY_TIMEOUT_S:.0f} s; ask {url}/readyz why")


def _write_up(
    folder: Path,
    url: str,
    sandbox: str,
    server: EmbeddedServer,
    parts: list[Part],
    config: Path,
    made: dict[str, str],
    planhat: str,
) -> None:
    pids = {"up": os.getpid(), "redis": server.pid, **{part.name: part.pid for part in parts}}
    _write_private(
        folder / "up.json",
        {
            "relay": url,
            "console": f"{url}/console/",
            "sandbox": sandbox,
            "planhat": planhat or sandbox,
            "redis": server.url,
            "config": str(config.absolute()),
            "environ": made,
            "pids": pids,
        },
    )


def _write_private(path: Path, value: Any) -> None:
    """Whole or not at all, and for our eyes only: it holds secrets. On a full disk what stands there stays. Raises
    UserError where nothing stands there yet."""
    temporary = path.with_suffix(".tmp")
    try:
        with open(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        sentence = f"{path}: cannot be written ({error.strerror}); make room on its disk"
        if not path.exists():
            raise UserError(sentence) from error
        click.echo(f"{sentence}. What stands there is kept", err=True)


def _announce(url: str, planhat: str, config: Path, environ: Mapping[str, str], folder: Path) -> None:
    from relay.rules.file.load import load_config

    sources = list(load_config(str(config), environ).sources)
    source = "slack" if "slack" in sources else (sources[0] if sources else "NAME")
    elsewhere = f" --data {folder}" if str(folder) != ".relay" else ""
    click.echo(f"relay     {url}   (webhooks: {url}/hooks/{{{'|'.join(sources)}}})")
    click.echo(f"console   {url}/console/")
    click.echo(f"planhat   {planhat}")
    click.echo(f"config    {config}")
    click.echo("")
    click.echo(f"Try, in another terminal:  relay send --source {source}{elsewhere}")
    click.echo("Ctrl-C stops everything; nothing accepted is lost.")
    sys.stdout.flush()


def _watch(server: EmbeddedServer, parts: list[Part], stopping: _Stop, changed: Callable[[], None]) -> None:
    """Restarts what dies, with a growing pause, until asked to stop."""
    keeper = _Keeper(server)
    while not stopping.asked:
        time.sleep(0.2)
        if keeper.tend(time.monotonic()):
            changed()
        for part in parts:
            if part.ended() and not stopping.asked:
                lived_s = time.monotonic() - part.started_at
                part.failures = 0 if lived_s > 30 else part.failures + 1
                pause_s = min(10.0, 0.2 * 2**part.failures)
                if lived_s >= pause_s:
                    click.echo(f"{part.name} ended; starting it again", err=True)
                    part.start()
                    changed()


class _Keeper:
    """Keeps the embedded server up. Where it cannot start (its disk is full) everything else goes on: the web side spools,
    or tells senders to come back, and the server is tried again until there is room."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._next = self._started = 0.0
        self._said = ""
        self._failures = 0

    def tend(self, now: float) -> bool:
        """Whether it was started just now."""
        if self._server.alive() or now < self._next:
            return False
        try:
            self._server.spawn()
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
