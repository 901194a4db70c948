"""Redis's own pace: plain SETs of ready-made values, pipelined over a few connections, `appendfsync always`. No client library
is in the way: the commands are bytes made beforehand."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import redis

from bench.servers import redis_server
from bench.usage import redis_cpu_s
from relay.outbox.embedded import EmbeddedServer

CONNECTIONS = 4
DEPTH = 64
_OK = b"+OK\r\n"


def measure(folder: Path, size: int, count: int = 40_000) -> dict[str, float]:
    """`per_s` and the server's CPU microseconds a SET, for values of `size` bytes on a fresh server."""
    with redis_server(folder) as server:
        return sets(server, size, count)


def sets(server: EmbeddedServer, size: int, count: int) -> dict[str, float]:
    """The same on a server that holds something already; the new keys are gone afterwards."""
    client = redis.Redis.from_url(server.url)
    values = [os.urandom(size // 2 + 1).hex()[:size].encode() for _ in range(DEPTH)]
    rounds = max(1, count // (DEPTH * CONNECTIONS))
    names = [
        [[f"bench:{link}:{turn}:{n}".encode() for n in range(DEPTH)] for turn in range(rounds)]
        for link in range(CONNECTIONS)
    ]
    groups = [[_group(some, values) for some in turns] for turns in names]
    links = [_connect(server.socket) for _ in range(CONNECTIONS)]
    used, began = redis_cpu_s(client), time.perf_counter()
    for number, link in enumerate(links):
        link.sendall(groups[number][0])
    for turn in range(rounds):
        for number, link in enumerate(links):
            _hear(link)
            if turn + 1 < rounds:
                link.sendall(groups[number][turn + 1])
    took_s = time.perf_counter() - began
    used = redis_cpu_s(client) - used
    for link in links:
        link.close()
    for turns in names:
        for some in turns:
            client.unlink(*some)
    done = rounds * DEPTH * CONNECTIONS
    return {"per_s": done / took_s, "cpu_us": used / done * 1e6}


def _connect(path: Path) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.connect(str(path))
    return link


def _group(keys: list[bytes], values: list[bytes]) -> bytes:
    """So many SETs as they go over the wire."""
    return b"".join(
        b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(value), value)
        for key, value in zip(keys, values, strict=True)
    )


def _hear(link: socket.socket) -> None:
    left = len(_OK) * DEPTH
    while left:
        said = link.recv(left)
        if not said or b"-" in said:
            raise RuntimeError(f"Redis said {said[:100]!r}")
        left -= len(said)
