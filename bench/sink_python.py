"""The bare Planhat where there is no C compiler: the same as `sink.c`, at about ten times its CPU.

python -m bench.sink_python PORT LATENCY_MS [keys]
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import sys
import time
from typing import Any, cast

import orjson

KEPT_ARRIVALS = 1_000_000
_ID = re.compile(rb'"externalId":"([^"]+)"')


class Sink:
    def __init__(self, latency_s: float, *, keys: bool) -> None:
        self.latency_s = latency_s
        self.keys = keys
        self.calls = self.items = self.largest = self.bytes = 0
        self.arrivals: list[tuple[str, int]] = []

    def answer(self, body: bytes) -> bytes:
        now = time.monotonic_ns()
        names = [name.decode() for name in _ID.findall(body)]
        self.calls += 1
        self.items += len(names)
        self.bytes += len(body)
        self.largest = max(self.largest, len(names))
        if len(self.arrivals) < KEPT_ARRIVALS:
            self.arrivals += [(name, now) for name in names]
        answer = {
            "created": len(names),
            "createdErrors": [],
            "insertsKeys": [{"_id": _id(name), "externalId": name} for name in names] if self.keys else [],
            "updated": 0,
            "updatedErrors": [],
            "updatesKeys": [],
            "nonupdates": 0,
            "modified": [],
            "upsertedIds": [],
            "permissionErrors": [],
        }
        return orjson.dumps(answer)

    def stats(self) -> bytes:
        names = ("calls", "items", "largest", "bytes")
        return orjson.dumps({name: getattr(self, name) for name in names})


def _id(external_id: str) -> str:
    return hashlib.blake2b(external_id.encode(), digest_size=12).hexdigest()


class _Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._held = bytearray()
        self._wanted = 0
        self._head = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not self._wanted:
            head_end = self._held.find(b"\r\n\r\n")
            if head_end < 0:
                return
            head = bytes(self._held[:head_end]).lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._head = head_end + 4
            self._wanted = self._head + length
        if len(self._held) < self._wanted:
            return
        whole, head_size = bytes(self._held), self._head
        self._held, self._wanted = bytearray(), 0
        sink = self._sink
        if whole.startswith(b"PUT "):
            answer = sink.answer(whole[head_size:])
            if sink.latency_s:
                asyncio.get_running_loop().call_later(sink.latency_s, self._say, answer)
            else:
                self._say(answer)
        elif whole.startswith(b"GET /stats"):
            self._say(sink.stats())
        else:
            self._say(orjson.dumps(sink.arrivals) if whole.startswith(b"GET /arrivals") else b"[]")

    def _say(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def serve(port: int, latency_ms: float, *, keys: bool) -> None:
    sink = Sink(latency_ms / 1000, keys=keys)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(sink), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop

        runner: Any = uvloop.run
    except ImportError:  # not on every platform
        runner = asyncio.run
    runner(serve(int(sys.argv[1]), float(sys.argv[2]), keys="keys" in sys.argv[3:]))
