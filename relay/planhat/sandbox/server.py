"""The sandbox under uvicorn: in this process until it is told to stop, or in a thread beside a test."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
from collections.abc import Iterator

import uvicorn

from relay.errors import SettingsInvalid
from relay.planhat.sandbox.app import Sandbox


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises SettingsInvalid when the port is taken."""
    try:
        return socket.create_server((host, port), backlog=512)
    except (OSError, OverflowError) as error:
        raise SettingsInvalid(f"the sandbox cannot listen on {host}:{port}: {error}") from error


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
