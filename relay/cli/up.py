"""`relay up`: the whole relay on one machine, as real processes under one parent that starts and stops them in order."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from relay.cli.context import operator
from relay.cli.place import Place, place_options
from relay.cli.up_folder import close_folder, config_of, example_environ, make_secrets, write_private
from relay.cli.up_parts import HUNG_S, HUNG_SERVER_S, STOP_S, Stop, UpPart, free_port, wait_ready, watch
from relay.cli.up_tenant import SandboxTenant
from relay.config import Config
from relay.environment import Environment
from relay.errors import UserError
from relay.outbox.embedded import STOP_TIMEOUT_S, EmbeddedServer
from relay.planhat.address import base_url
from relay.planhat.sandbox.server import bind_kept
from relay.settings import Settings

#: The first choice; afterwards the one that the data folder had before.
SANDBOX_PORT = 8081


@click.command()
@place_options
@click.option("--host", default=None, help="Where the web side listens (default 127.0.0.1, or RELAY_HOST).")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=None,
    help="Default 8080, or RELAY_PORT; 0: any free one.",
)
@click.option("--planhat", default=None, metavar="URL", help="A real Planhat instead of the sandbox.")
def up(place: Place, host: str | None, port: int | None, planhat: str | None) -> None:
    """Run everything on one machine, nothing to install first: an embedded, disk-backed Redis-compatible server, the
    Planhat sandbox, the web side, the workers and the console. Without --config it runs `relay.yaml` of this folder, where
    there is one, else the example that is shipped in the package. The console's token is made at the first start and kept in the data folder.

    \b
    Example:
        relay up
        relay send --source slack      (in another terminal)
    """
    folder = Path(place.data)
    environ = place.environ()
    given = Environment(environ)
    config = config_of(place.config or given.value("CONFIG", ""))
    if not config.exists():
        raise UserError(f"{config}: no such file; leave --config out to try the example")
    close_folder(folder)
    environ |= make_secrets(folder, environ)
    settings = Settings.read(environ)
    here = host or settings.host
    at = free_port(here, settings.port if port is None else port)
    # Before anything runs: the server may load its file for minutes.
    stopping = Stop()
    server = EmbeddedServer(folder / "redis", tell=lambda sentence: click.echo(sentence, err=True))
    server.start(lambda: stopping.asked)
    relay = Installation(folder, config, server, host=here, port=at)
    try:
        if not stopping.asked:
            relay.prepare(environ, planhat or given.value("PLANHAT_URL", ""))
            relay.start()
            wait_ready(relay.url, relay.parts, stopping)
        if not stopping.asked:
            relay.write_down()
            relay.announce()
        watch(server, relay.parts, stopping, relay.write_down, relay.follow)
    finally:
        relay.stop()
    if stopping.asked:
        click.echo("stopped", err=True)


@dataclass
class Installation:
    """One `relay up`: its folder, its server, its parts and what they are told."""

    folder: Path
    config: Path
    server: EmbeddedServer
    host: str
    port: int
    environ: dict[str, str] = field(default_factory=dict)
    #: What was made for the example's `${NAME}`s: commands beside it need it too.
    made: dict[str, str] = field(default_factory=dict)
    sandbox: str = ""
    planhat: str = ""
    parts: list[UpPart] = field(default_factory=list)
    tenant: SandboxTenant | None = None

    @property
    def url(self) -> str:
        return self._at(self.port)

    @property
    def operators_url(self) -> str:
        """Where console and API are: a listener of their own, with RELAY_OPERATOR_PORT."""
        return self._at(Settings.read(self.environ).operator_port or self.port)

    def _at(self, port: int) -> str:
        return f"http://{'127.0.0.1' if self.host in ('0.0.0.0', '::') else self.host}:{port}"  # noqa: S104

    def prepare(self, environ: Mapping[str, str], real_planhat: str) -> None:
        """Decides what the parts are told. Raises UserError for a config or settings that do not hold."""
        self.made = example_environ(self.config, self.folder, environ)
        if real_planhat:
            self.planhat = base_url(real_planhat)
            _require_token(environ)
        else:
            self._prepare_sandbox()
        decided = {
            "RELAY_CONFIG": str(self.config.absolute()),
            "RELAY_REDIS_URL": self.server.url,
            "RELAY_PLANHAT_URL": self.planhat,
            "RELAY_HOST": self.host,
            "RELAY_PORT": str(self.port),
        }
        self.environ = {**environ, **self.made, **decided}
        for name in decided:
            self.environ.pop(f"{name}_FILE", None)
        if self.sandbox and "RELAY_PLANHAT_TOKEN_FILE" not in self.environ:
            self.environ.setdefault("RELAY_PLANHAT_TOKEN", "sandbox")
        Settings.read(self.environ)
        config = self._load()
        if self.tenant:
            self.tenant.write(config)
        self.parts.append(UpPart("web", [sys.executable, "-m", "relay.cli", "serve"]))
        self.parts.append(UpPart("workers", [sys.executable, "-m", "workers"]))

    def _prepare_sandbox(self) -> None:
        state = self.folder / "sandbox"
        listener = bind_kept("127.0.0.1", SANDBOX_PORT, state)
        self.sandbox = self.planhat = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.tenant = SandboxTenant(self.folder, self.config, self._load)
        command = [sys.executable, "-m", "relay.planhat.sandbox", "--fd", str(listener.fileno())]
        command += ["--state", str(state), "--seed", str(self.tenant.file)]
        self.parts.append(UpPart("sandbox", command, listener))

    def _load(self) -> Config:
        """The config as it stands in the file. Raises UserError."""
        from relay.door.house import furnish
        from relay.rules.file.load import load

        config, book = load(str(self.config), self.environ)
        furnish(config, book)
        return config

    def follow(self) -> None:
        """Tell the sandbox what it has to know of a config that changed."""
        if self.tenant:
            self.tenant.follow(self.sandbox, time.monotonic())

    def start(self) -> None:
        for part in self.parts:
            part.environ = self.environ
            part.start()

    def stop(self) -> None:
        """Stop new events first, then what carries them, then where they are kept; all at once where that one hangs or loads."""
        hangs = not self.server.answers()
        if hangs:
            for part in self.parts:
                part.tell()
        deadline = time.monotonic() + HUNG_S
        for name in ("web", "workers", "sandbox"):
            for part in self.parts:
                if part.name == name:
                    left_s = max(0.1, deadline - time.monotonic())
                    part.stop(min(STOP_S[name], left_s) if hangs else STOP_S[name])
        self.server.stop(HUNG_SERVER_S if hangs else STOP_TIMEOUT_S)
        (self.folder / "up.json").unlink(missing_ok=True)

    def write_down(self) -> None:
        """Write `up.json`, from which commands know what runs here."""
        write_private(
            self.folder / "up.json",
            {
                "relay": self.url,
                "console": f"{self.operators_url}/console/",
                "sandbox": self.sandbox,
                "planhat": self.planhat,
                "redis": self.server.url,
                "config": str(self.config.absolute()),
                "operator_token_file": self.environ.get("RELAY_OPERATOR_TOKEN_FILE", ""),
                "environ": self.made,
                "pids": {
                    "up": os.getpid(),
                    "redis": self.server.pid,
                    **{part.name: part.pid for part in self.parts},
                },
            },
        )

    def announce(self) -> None:
        from relay.rules.file.load import load_config

        config = load_config(str(self.config), self.environ)
        sources = list(config.sources)
        source = "slack" if "slack" in sources else (sources[0] if sources else "NAME")
        elsewhere = f" --data {self.folder}" if str(self.folder) != ".relay" else ""
        click.echo(f"relay     {self.url}   (webhooks: {self.url}/hooks/{{{'|'.join(sources)}}})")
        click.echo(f"console   {self.operators_url}/console/")
        click.echo(
            f"sign in   {self._sign_in_link()}   (good once, for 15 minutes; then: relay sign-in{elsewhere})"
        )
        for number, place in enumerate(self._planhats(config)):
            click.echo(f"{'' if number else 'planhat':9} {place}")
        click.echo(f"config    {self.config}")
        click.echo("")
        click.echo(f"Try, in another terminal:  relay send --source {source}{elsewhere}")
        click.echo("Ctrl-C stops everything; nothing accepted is lost.")
        sys.stdout.flush()

    def _planhats(self, config: Config) -> list[str]:
        """Where it delivers to; with lanes where each does, so that nobody takes one that has a `url` for the sandbox's."""
        if not config.lanes:
            return [self.planhat]
        places = {name: lane.url or self.planhat for name, lane in config.lanes.items()}
        return [
            f"{name}: {url}{'' if url == self.sandbox or not self.sandbox else ' (its own url, not the sandbox)'}"
            for name, url in places.items()
        ]

    def _sign_in_link(self) -> str:
        from relay.operations.sign_in import sign_in_link
        from relay.outbox.connection import connect
        from relay.outbox.outbox import Outbox
        from relay.outbox.vault import Vault

        settings = Settings.read(self.environ)
        outbox = Outbox(
            connect(self.server.url), base=settings.key_prefix, vault=Vault(settings.encryption_keys)
        )
        return sign_in_link(outbox, self.operators_url, name=operator().removeprefix("cli:"))


def _require_token(environ: Mapping[str, str]) -> None:
    if not environ.get("RELAY_PLANHAT_TOKEN") and not environ.get("RELAY_PLANHAT_TOKEN_FILE"):
        raise UserError("a real Planhat needs RELAY_PLANHAT_TOKEN (or RELAY_PLANHAT_TOKEN_FILE)")
