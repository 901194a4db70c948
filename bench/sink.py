"""A bare Planhat: takes `PUT /conversations`, waits, says that all of it was created. Nothing is parsed, so that it is never the limit.

    python -m bench.sink PORT LATENCY_MS

`GET /stats` answers {"calls", "items", "largest", "arrivals"}; `arrivals` is (externalId, monotonic ns) for conversations named
"slack-..." while few enough to keep, which is how end-to-end latency is measured without a clock of its own.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import cast

import uvloop

KEPT_ARRIVALS = 100_000
_ID = re.compile(rb'"externalId":"(slack-[^"]+)"')


class Sink:
    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s
        self.calls = self.items = self.largest = 0
        self.arrivals: list[tuple[str, int]] = []

    def answer(self, body: bytes) -> bytes:
        count = body.count(b'"externalId":')
        self.calls += 1
        self.items += count
        self.largest = max(self.largest, count)
        if count < 500 and len(self.arrivals) < KEPT_ARRIVALS:
            now = time.monotonic_ns()
            self.arrivals += [(name.decode(), now) for name in _ID.findall(body)]
        return json.dumps(
            {
                "created": count,
                "createdErrors": [],
                "insertsKeys": [],
                "updated": 0,
                "updatedErrors": [],
                "updatesKeys": [],
                "nonupdates": 0,
                "modified": [],
                "upsertedIds": [],
                "permissionErrors": [],
            }
        ).encode()

    def stats(self) -> bytes:
        return json.dumps(
            {
                "calls": self.calls,
                "items": self.items,
                "largest": self.largest,
                "arrivals": self.arrivals,
            }
        ).encode()


class _Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._parts: list[bytes] = []
        self._size = self._wanted = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._wanted and self._size < self._wanted:
            return
        whole = b"".join(self._parts)
        self._parts = [whole]
        head_end = whole.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = whole[:head_end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        self._wanted = head_end + 4 + length
        if self._size < self._wanted:
            return
        self._parts, self._size, self._wanted = [], 0, 0
        if head.startswith(b"put "):
            answer = self._sink.answer(whole[head_end + 4 :])
            asyncio.get_running_loop().call_later(self._sink.latency_s, self._say, answer)
        else:
            self._say(self._sink.stats() if head.startswith(b"get /stats") else b"[]")

    def _say(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def serve(port: int, latency_ms: float) -> None:
    sink = Sink(latency_ms / 1000)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(sink), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
