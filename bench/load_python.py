"""The load generator where there is no C compiler: the same loops as `load.c`, about half as fast, and so itself near the
limit at a bare server. Results say when it was used."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import cast

from bench.load_result import Result


class _Connection(asyncio.Protocol):
    def __init__(self, work: _Work) -> None:
        self._work = work
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.idle = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._work.connections.append(self)
        if not self._work.rate:
            self.send(time.perf_counter())

    def send(self, due_at: float) -> None:
        request = self._work.next()
        if request is None:
            self.idle = True
            self._work.finished()
            return
        self.idle = False
        self._sent_at = due_at
        assert self._transport
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < head_end + 4 + length:
            return
        work = self._work
        work.result.statuses[int(self._buffer[9:12])] += 1
        now = time.perf_counter()
        work.result.latencies_s.append(now - self._sent_at)
        self._buffer = self._buffer[head_end + 4 + length :]
        self.idle = True
        if work.rate:
            work.freed(self)
        else:
            self.send(now)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._work.done.done() and not self.idle:
            self._work.done.set_exception(ConnectionError("the server hung up"))


class _Work:
    def __init__(self, requests: Sequence[bytes], rate: float, done: asyncio.Future[None]) -> None:
        self._requests = iter(requests)
        self._left = len(requests)
        self.rate = rate
        self.done = done
        self.result = Result()
        self.connections: list[_Connection] = []
        self._due: deque[float] = deque()

    def next(self) -> bytes | None:
        return next(self._requests, None)

    def finished(self) -> None:
        if all(connection.idle for connection in self.connections) and not self.done.done():
            self.done.set_result(None)

    def due(self, at: float) -> None:
        """An open-loop request is due; it goes out on the first free connection."""
        for connection in self.connections:
            if connection.idle:
                connection.send(at)
                return
        self._due.append(at)

    def freed(self, connection: _Connection) -> None:
        if self._due:
            connection.send(self._due.popleft())
        elif sum(self.result.statuses.values()) == self._left and not self.done.done():
            self.done.set_result(None)


async def run(
    host: str, port: int, requests: Sequence[bytes], *, connections: int = 64, rate: float = 0
) -> Result:
    """Sends all `requests`; raises ConnectionError if the server hangs up."""
    loop = asyncio.get_running_loop()
    work = _Work(requests, rate, loop.create_future())
    began = time.perf_counter()
    transports = [
        (await loop.create_connection(lambda: _Connection(work), host, port))[0] for _ in range(connections)
    ]
    if rate:
        began = time.perf_counter()
        sent = 0
        while sent < len(requests):
            now = time.perf_counter()
            while sent < len(requests) and began + sent / rate <= now:
                work.due(began + sent / rate)
                sent += 1
            await asyncio.sleep(max(0.0, min(0.002, began + sent / rate - time.perf_counter())))
    await work.done
    work.result.began_s = began
    work.result.took_s = time.perf_counter() - began
    work.result.latencies_s.sort()
    for transport in transports:
        transport.close()
    return work.result
