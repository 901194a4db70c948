"""A listener under bounds of the test's choosing, and raw sockets to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn
import uvloop

from relay.bounds import Bounds
from relay.web.protocol import bounded
from relay.web.traffic import BodyRoom, Traffic


class Listener:
    """`refused`: the statuses that the protocol answered by itself."""

    def __init__(self, port: int, traffic: Traffic) -> None:
        self.port = port
        self.traffic = traffic
        self.refused: list[int] = []
        traffic.refused = lambda status, scope: self.refused.append(status)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, *pieces: bytes) -> bytes:
        """Everything that comes back until the other side hangs up."""
        with self.connect() as line:
            for piece in pieces:
                line.sendall(piece)
            return until_closed(line)


def until_closed(line: socket.socket) -> bytes:
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := line.recv(65536):
            said += piece
    return said


def answer_of(line: socket.socket) -> bytes:
    """One answer with a Content-Length; the connection stays open."""
    said = b""
    while b"\r\n\r\n" not in said:
        piece = line.recv(1)
        if not piece:
            return said
        said += piece
    head = said.lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    while length:
        piece = line.recv(length)
        assert piece
        said += piece
        length -= len(piece)
    return said


def _run(server: uvicorn.Server, bound: socket.socket) -> None:
    # The loop that `relay serve` runs on.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=[bound]))


@contextlib.contextmanager
def listening(app: Any, bounds: Bounds) -> Iterator[Listener]:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    traffic = Traffic(bounds, BodyRoom(bounds))
    config = uvicorn.Config(
        app, http=bounded(traffic), ws="none", log_config=None, access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=_run, args=(server, bound), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield Listener(bound.getsockname()[1], traffic)
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()
