"""The sandbox under uvicorn: in this process until it is told to stop, or in a thread beside a test."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn

from relay.errors import SettingsInvalid
from relay.planhat.sandbox.app import Sandbox

_PORT_FILE: Final = "port"


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises SettingsInvalid when the port is taken."""
    try:
        return socket.create_server((host, port), backlog=512)
    except (OSError, OverflowError) as error:
        raise SettingsInvalid(f"the sandbox cannot listen on {host}:{port}: {error}") from error


def bind_kept(host: str, preferred: int, state: str | os.PathLike[str] | None) -> socket.socket:
    """Return a listening socket on a port that stays the same: the one that this state folder had before, else the preferred
    one (0: none), else any. A port that somebody else has taken meanwhile is passed over. Raises SettingsInvalid."""
    for port in (_port_of(state), preferred):
        if port:
            with contextlib.suppress(SettingsInvalid):
                return bind(host, port)
    return bind(host, 0)


def keep_port(listener: socket.socket, state: str | os.PathLike[str] | None) -> None:
    """Remember the port of a listener in the state folder, which must exist."""
    if state is not None:
        (Path(state) / _PORT_FILE).write_text(str(listener.getsockname()[1]), encoding="ascii")


def _port_of(state: str | os.PathLike[str] | None) -> int:
    if state is None:
        return 0
    try:
        text = (Path(state) / _PORT_FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdigit() and len(text) < 6 and int(text) < 65_536 else 0


def _server(sandbox: Sandbox) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            sandbox,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
    )


def run(sandbox: Sandbox, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    # What arrives stays: looking through all of it for garbage again and again would cost more than the work.
    gc.set_threshold(100_000, 50, 100)
    _server(sandbox).run(sockets=[listener])


@contextlib.contextmanager
def running(sandbox: Sandbox, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve in a thread; gives the base URL."""
    listener = bind(host, port)
    server = _server(sandbox)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
