"""Strangers at a real `relay serve`: without a token, behind a plain proxy, with connections that are gone before they are
looked at."""

from __future__ import annotations

import os
import secrets
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis

from relay.outbox.delivery import Delivery
from tests.environ import WEAK
from tests.places import ROOT
from tests.web.test_hooks import CONFIG

pytestmark = pytest.mark.process

TOKEN = secrets.token_urlsafe(24)
FORWARDED = [
    {},
    {"x-forwarded-for": "127.0.0.1"},
    {"via": "1.1 proxy"},
    {"forwarded": "for=127.0.0.1"},
    {"cf-connecting-ip": "127.0.0.1"},
    {"host": "localhost:80@evil"},
    {"host": "localhost"},
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path, redis_url: str, **environ: str) -> Iterator[str]:
    (folder / "relay.yaml").write_text(CONFIG)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "relay.cli", "serve", "--port", str(port)],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "RELAY_REDIS_URL": redis_url, "RELAY_LOG_LEVEL": "error",
            "RELAY_REQUIRE_DURABLE": "false", **WEAK, **environ,
        },
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{url}/healthz", trust_env=False)
                break
            except httpx.HTTPError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(15)


@contextmanager
def plain_proxy(url: str) -> Iterator[str]:
    """Like a web server with nothing but a `proxy_pass`: bytes go through, and everybody comes from 127.0.0.1."""
    target = ("127.0.0.1", int(url.rpartition(":")[2]))
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def accept() -> None:
        while True:
            try:
                here, _ = listener.accept()
            except OSError:
                return
            there = socket.create_connection(target)
            for pair in ((here, there), (there, here)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def knock_and_vanish(url: str, body: bytes, token: str = "") -> None:
    """A request whose connection is reset as soon as it is sent: its peer is nobody by the time it is looked at."""
    head = f"POST /api/v1/pause HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    if token:
        head += f"authorization: Bearer {token}\r\n"
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(head.encode() + b"\r\n" + body)


def test_without_a_token_there_is_neither_console_nor_api(
    tmp_path: Path, redis_url: str, redis_client: redis.Redis
) -> None:
    with serving(tmp_path, redis_url) as url, plain_proxy(url) as behind:
        for base in (url, behind):
            with httpx.Client(base_url=base, trust_env=False) as client:
                for headers in FORWARDED:
                    assert client.get("/api/v1/stats", headers=headers).status_code == 404
                    assert client.post("/api/v1/pause", json={}, headers=headers).status_code == 404
                    assert client.get("/console", headers=headers).status_code == 404
                    assert client.get("/console/sign-in", headers=headers).status_code == 404
                assert client.get("/metrics").status_code == 200
        for _ in range(200):
            knock_and_vanish(url, b"{}")
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        assert Delivery(redis_client).read().state == "open"


def test_with_a_token_nobody_is_let_in_for_where_they_come_from(
    tmp_path: Path, redis_url: str, redis_client: redis.Redis
) -> None:
    with serving(tmp_path, redis_url, RELAY_OPERATOR_TOKEN=TOKEN) as url, plain_proxy(url) as behind:
        for base in (url, behind):
            with httpx.Client(base_url=base, trust_env=False) as client:
                for headers in FORWARDED:
                    assert client.get("/api/v1/stats", headers=headers).status_code in (400, 401), headers
                for _ in range(40):
                    client.get("/api/v1/stats", headers={"authorization": "Bearer guess"})
                right = client.get("/api/v1/stats", headers={"authorization": f"Bearer {TOKEN}"})
                assert right.status_code == 200
                assert (
                    client.get("/api/v1/stats", headers={"authorization": "Bearer guess"}).status_code == 429
                )
        for _ in range(200):
            knock_and_vanish(url, b"{}")
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        assert Delivery(redis_client).read().state == "open"


def test_an_emptied_token_file_opens_nothing_and_is_said(tmp_path: Path, redis_url: str) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    with serving(tmp_path, redis_url, RELAY_OPERATOR_TOKEN_FILE=str(file)) as url:
        right = {"authorization": f"Bearer {TOKEN}"}
        for damage in (b"", b"\n", b"\xff\xfe", b"weak "):
            file.write_bytes(damage)
            assert httpx.get(f"{url}/api/v1/stats", trust_env=False).status_code == 401
            empty = {"authorization": "Bearer"}
            assert httpx.get(f"{url}/api/v1/stats", headers=empty, trust_env=False).status_code == 401
            assert httpx.get(f"{url}/api/v1/stats", headers=right, trust_env=False).status_code == 200
            ready = httpx.get(f"{url}/readyz", trust_env=False)
            assert (ready.status_code, ready.json()["ready"]) == (200, True)
            assert "RELAY_OPERATOR_TOKEN_FILE" in ready.json()["problems"][0]
            assert "relay_damaged_secrets 1" in httpx.get(f"{url}/metrics", trust_env=False).text
        file.write_text(TOKEN)
        assert httpx.get(f"{url}/readyz", trust_env=False).json() == {"ready": True, "problems": []}


def test_a_redirect_never_leads_to_the_host_that_was_asked_for(tmp_path: Path, redis_url: str) -> None:
    with serving(tmp_path, redis_url, RELAY_OPERATOR_TOKEN=TOKEN) as url:
        for path in (
            "/hooks/slack/",
            "/hooks/slack//",
            "/hooks/",
            "/console/",
            "/console/dead/",
            "/api/v1/stats/",
            "/",
        ):
            answer = httpx.get(f"{url}{path}", headers={"host": "evil.example"}, trust_env=False)
            assert "evil" not in answer.headers.get("location", ""), path
        unsigned = httpx.post(f"{url}/hooks/slack/", json={}, trust_env=False)
        assert unsigned.status_code == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [("RELAY_OPERATOR_TOKEN", "op"), ("RELAY_OPERATOR_TOKEN", ""), ("RELAY_ENCRYPTION_KEYS", "x")],
)
def test_a_start_with_a_secret_that_is_none_is_refused(
    tmp_path: Path, redis_url: str, name: str, value: str
) -> None:
    (tmp_path / "relay.yaml").write_text(CONFIG)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "RELAY_REDIS_URL": redis_url, name: value}
    for command in (["relay.cli", "serve"], ["workers"]):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip
        assert done.returncode == 2
        assert name in done.stderr
        assert "Traceback" not in done.stderr
