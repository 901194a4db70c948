"""`relay serve`: the web side under uvicorn."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
from contextlib import nullcontext, suppress
from types import FrameType
from typing import Any

import click

from relay.cli.place import Place, env_file_option
from relay.errors import OutboxUnavailable, UserError

#: Requests that are under way at SIGTERM get this long; Kubernetes' grace is longer.
_GRACE_S = 8
#: Whatever waits then, the process ends so long after SIGTERM. What was answered is kept by then; the rest is sent again.
_LATEST_S = 9.5


@click.command()
@click.option("--config", "config_file", help="The YAML file; RELAY_CONFIG otherwise.")
@env_file_option
@click.option("--host", help="Where to listen; RELAY_HOST otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), help="RELAY_PORT otherwise.")
@click.option(
    "--operator-port", type=click.IntRange(0, 65535), help="A listener of its own for console, API, metrics."
)
def serve(
    config_file: str | None,
    env_file: str | None,
    host: str | None,
    port: int | None,
    operator_port: int | None,
) -> None:
    """Run the web side alone: /hooks, health, metrics, console and API.

    \b
    Example:
        RELAY_REDIS_URL=redis://127.0.0.1:6379/0 relay serve --port 8080
    """
    from dataclasses import replace

    from relay.settings import Settings
    from relay.telemetry import set_up_logging

    Place(config=config_file or "", env_file=env_file or "").enter()
    settings = Settings.read(os.environ)
    changes: dict[str, Any] = {}
    if config_file:
        changes["config"] = config_file
    if host:
        changes["host"] = host
    if port is not None:
        changes["port"] = port
    if operator_port is not None:
        changes["operator_port"] = operator_port
    settings = replace(settings, **changes)
    set_up_logging(settings.log_format, settings.log_level)
    if not os.path.exists(settings.config):
        raise UserError(f"{settings.config}: no such file; name one with --config or RELAY_CONFIG")
    run_web(settings)


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket. Raises UserError with a clear sentence where the port is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        why = "is in use" if error.errno == 98 else f"cannot be used ({error.strerror})"
        raise UserError(f"port {port} on {host} {why}; choose another with --port") from error
    bound.listen(2048)
    bound.set_inheritable(True)
    return bound


def _allow_files(wanted: int) -> None:
    """So many open files, if the system lets us: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def run_web(settings: Any) -> None:
    """Runs until SIGTERM or SIGINT: stops accepting, finishes what it holds, then ends."""
    import uvicorn

    from relay.latest_end import LatestEnd
    from relay.web.app import WebSide
    from relay.web.assembly import assemble, create_operator_app
    from relay.web.listener import Listener

    server: uvicorn.Server | None = None
    latest = LatestEnd(_LATEST_S)

    def stop(number: int, frame: FrameType | None) -> None:
        # Ours until uvicorn's own handlers stand, and again when it raises the signal once more after an orderly stop:
        # being told to stop is no failure, at whatever moment it comes.
        if server is None:
            raise SystemExit(0)
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    side = WebSide(settings)
    # A second relay on its keys ends here, with a sentence; where it cannot be found out now, it is not ready until it is.
    with suppress(OutboxUnavailable):
        side.lanes.require_own()
    public = listen(settings.host, settings.port)
    _allow_files(2 * settings.bounds.connections + 200)
    options: dict[str, Any] = {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "lifespan": "on",
        "ws": "none",
        "timeout_graceful_shutdown": _GRACE_S,
        "forwarded_allow_ips": settings.trusted_proxies,
    }
    apart = bool(settings.operator_port)
    server = Listener(
        uvicorn.Config(assemble(side, operators=not apart), http=side.protocol(), **options), latest.told
    )
    if not apart:
        server.run(sockets=[public])
        return
    operators = listen(settings.host, settings.operator_port)
    options["lifespan"] = "off"
    second = server.beside = uvicorn.Server(
        uvicorn.Config(create_operator_app(side), http=side.protocol(), **options)
    )
    # One process, two listeners: the signal handlers are the first server's, which tells the second.
    second.capture_signals = nullcontext  # type: ignore[assignment,method-assign]
    _run_both((server, public), (second, operators))


def _run_both(first: tuple[Any, socket.socket], second: tuple[Any, socket.socket]) -> None:
    """Runs two servers until the first has ended; then the second ends too."""

    async def both() -> None:
        beside = asyncio.create_task(second[0].serve(sockets=[second[1]]))
        await first[0].serve(sockets=[first[1]])
        second[0].should_exit = True
        await beside

    try:
        import uvloop

        uvloop.run(both())
    except ImportError:
        asyncio.run(both())
