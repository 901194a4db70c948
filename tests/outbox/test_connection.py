"""Who repeats a call, and how often: by intent on each client, never by a library's default."""

from __future__ import annotations

import ast
import os
import signal
import socket
import socketserver
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import ConnectionError, TimeoutError

from relay.outbox.connection import connect, connect_async
from relay.outbox.embedded import EmbeddedServer
from tests.outbox.servers import REDIS_7_0
from tests.outbox.test_sentinel import free_ports
from tests.places import ROOT

#: Where a client may be made: the one place, and the embedded server's own look whether it is up.
MAKERS = {"relay/outbox/connection.py", "relay/outbox/embedded.py"}


def repeats(client: Any, error: type[Exception]) -> int:
    """How often `client` tries again after `error`."""
    retry = client.connection_pool.connection_kwargs["retry"]
    return int(retry._retries) if issubclass(error, tuple(retry._supported_errors)) else 0


@pytest.mark.parametrize(
    "url",
    ["redis://h", "rediss://h", "unix:///s", "redis+sentinel://h:1,i:2/relay", "redis+cluster://h:1,i:2"],
)
def test_a_call_without_an_answer_is_repeated_for_workers_alone(url: str) -> None:
    for client in (connect(url), connect_async(url)):
        assert (repeats(client, TimeoutError), repeats(client, ConnectionError)) == (0, 1)
    assert repeats(connect(url, patient=True), TimeoutError) == 90


def test_no_sentinel_is_asked_twice() -> None:
    url = "redis+sentinel://h:1,i:2,j:3/relay"
    for client in (connect(url), connect_async(url)):
        manager: Any = client.connection_pool
        for sentinel in manager.sentinel_manager.sentinels:
            assert repeats(sentinel, ConnectionError) == repeats(sentinel, TimeoutError) == 0
            waits = sentinel.connection_pool.connection_kwargs
            assert (waits["socket_timeout"], waits["socket_connect_timeout"]) == (0.5, 0.5)


def test_nobody_pings() -> None:
    """A server with a full disk refuses PING, and answers what only reads: who pings takes it for away."""
    found = [
        str(path.relative_to(ROOT))
        for folder in ("relay", "workers")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if ".ping(" in path.read_text(encoding="utf-8")
    ]
    assert not found, found


def test_no_client_is_made_elsewhere() -> None:
    found = []
    for folder in ("relay", "workers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if called.split(".")[-1] in ("Redis", "from_url", "StrictRedis") and name not in MAKERS:
                    found.append(f"{name}:{getattr(node, 'lineno', 0)}: {called}")
    assert not found, found


@pytest.mark.process
def test_a_call_that_timed_out_was_run_once(short_tmp: Path) -> None:
    """A script that only counts: where the client repeated it, it would have counted twice."""
    server = EmbeddedServer(short_tmp / "r", appendfsync="no").start()
    client = connect(server.url, timeout_s=0.3)
    try:
        client.set("relay:n", 0)
        os.kill(server.pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            client.eval("return redis.call('INCR', KEYS[1])", 1, "relay:n")
        os.kill(server.pid, signal.SIGCONT)
        time.sleep(0.3)
        assert client.get("relay:n") == b"1"
    finally:
        server.stop()


@pytest.mark.process
@pytest.mark.skipif(not REDIS_7_0.binary, reason="redis-server is not installed")
def test_a_sentinel_that_hangs_costs_less_than_a_call_may_take(short_tmp: Path) -> None:
    server = EmbeddedServer(short_tmp / "r", appendfsync="no", extra=(f"port {(ports := free_ports(2))[0]}",))
    server.start()
    hung = socket.create_server(("127.0.0.1", 0))
    config = short_tmp / "sentinel.conf"
    config.write_text(
        f"port {ports[1]}\nbind 127.0.0.1\nsentinel monitor relay 127.0.0.1 {ports[0]} 1\n", encoding="ascii"
    )
    sentinel = subprocess.Popen(
        [REDIS_7_0.binary, str(config), "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with redis.Redis(port=ports[1]) as up:
            deadline = time.monotonic() + 10
            while True:
                try:
                    up.ping()
                    break
                except redis.RedisError:
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
        # The first accepts connections and says nothing.
        client = connect(f"redis+sentinel://127.0.0.1:{hung.getsockname()[1]},127.0.0.1:{ports[1]}/relay")
        began = time.monotonic()
        client.time()
        assert time.monotonic() - began < 2.0
        client.close()
    finally:
        sentinel.kill()
        sentinel.wait()
        hung.close()
        server.stop()


def test_nothing_is_tried_again_once_it_is_over_though_it_had_begun_to_wait() -> None:
    asked: list[float] = []

    def over() -> bool:
        # Asked after a failure and before the next try: between the two the process is told to stop.
        asked.append(time.monotonic())
        return len(asked) > 1

    with socketserver.TCPServer(("127.0.0.1", 0), _HangsUp) as server:
        _HangsUp.met = 0
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        client = connect(f"redis://127.0.0.1:{server.server_address[1]}/0", patient=True, over=over)
        with pytest.raises(ConnectionError):
            client.get("x")
        server.shutdown()
    assert _HangsUp.met == 1


class _HangsUp(socketserver.BaseRequestHandler):
    met = 0

    def handle(self) -> None:
        _HangsUp.met += 1
