"""What the head alone proves false is answered at once, and nothing of its body is kept; slow and crowded bodies are answered in
each sender's words."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.bounds import Bounds
from tests.door.opened import Opened, opened
from tests.web.listening import answer_of, until_closed

CONFIG = """
planhat: {types: [Slack thread, Support email, Help-desk ticket]}
sources:
  slack: {adapter: slack, secrets: ["key"], type: Slack thread}
  mail: {adapter: postmark, basic_auth: ["user:pass"], type: Support email}
  sendgrid: {adapter: sendgrid, basic_auth: ["user:pass"], type: Support email}
  bearer: {adapter: generic, bearer: ["token"], type: Help-desk ticket}
  apikey: {adapter: generic, api_key: {header: X-Key, values: ["token"]}, type: Help-desk ticket}
  freshdesk: {adapter: freshdesk, secrets: ["token"], type: Help-desk ticket}
  salesforce: {adapter: salesforce, secrets: ["token"], type: Help-desk ticket}
  mailgun: {adapter: mailgun, secrets: ["key"], type: Support email}
companies: [{default: extid-acme}]
"""
BOUNDS = Bounds(first_byte_s=0.6, body_s=0.8, head_s=0.6, bodies_bytes=1_200_000)
LOGIN = b"Authorization: Basic dXNlcjpwYXNz"


@pytest.fixture(scope="module")
def door(redis_server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder: Path = tmp_path_factory.mktemp("early")
    with opened(redis_server_url, folder, config=CONFIG, bounds=BOUNDS) as made:
        yield made


def ask(door: Opened, path: bytes, length: int, *headers: bytes, body: bytes = b"") -> tuple[bytes, float]:
    """The answer to a head (and a part of a body), and how long it took."""
    host, _, port = door.url.removeprefix("http://").partition(":")
    lines = (b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % length, *headers)
    with socket.create_connection((host, int(port)), timeout=10) as line:
        began = time.monotonic()
        line.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        return answer_of(line), time.monotonic() - began


def status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (b"/hooks/slack", ()),
        (b"/hooks/slack", (b"X-Slack-Signature: v0=00", b"X-Slack-Request-Timestamp: 1")),
        (b"/hooks/mail", ()),
        (b"/hooks/mail", (b"Authorization: Basic dXNlcjpub3BlCg==",)),
        (b"/hooks/bearer", (b"Authorization: Bearer wrong",)),
        (b"/hooks/apikey", (b"X-Key: wrong",)),
        (b"/hooks/freshdesk?token=wrong", ()),
        (b"/hooks/freshdesk", ()),
        (b"/hooks/salesforce?token=wrong", (b"Content-Type: text/xml",)),
    ],
)
def test_a_proof_in_the_head_is_looked_at_before_the_body_is_read(
    door: Opened, path: bytes, headers: tuple[bytes, ...]
) -> None:
    said, took_s = ask(door, path, 500_000, b"Expect: 100-continue", *headers)
    assert status(said) == 401
    assert took_s < 0.4
    assert b"100 Continue" not in said


def test_a_proof_that_holds_is_told_to_go_on(door: Opened) -> None:
    said, _ = ask(door, b"/hooks/mail", 2, b"Expect: 100-continue", LOGIN)
    assert said.startswith(b"HTTP/1.1 100 Continue")


@pytest.mark.simulated
@pytest.mark.parametrize("begun", [b"", b'{"From": '])
def test_a_body_that_does_not_come_is_408_and_503_where_a_4xx_would_lose_the_mail(
    door: Opened, begun: bytes
) -> None:
    said, took_s = ask(door, b"/hooks/mail", 1000, LOGIN, body=begun)
    assert status(said) == 408
    assert 0.5 < took_s < 1.5
    assert b"too_slow" in said
    multipart = b"Content-Type: multipart/form-data; boundary=x"
    said, _ = ask(door, b"/hooks/sendgrid", 1000, LOGIN, multipart, body=begun)
    assert status(said) == 503


def test_what_is_announced_too_large_is_not_awaited(door: Opened) -> None:
    said, took_s = ask(door, b"/hooks/slack", 20_000_000)
    assert status(said) == 413
    assert took_s < 0.4


@pytest.mark.simulated
def test_too_many_bytes_at_once_are_503_with_a_time_to_come_again(door: Opened) -> None:
    host, _, port = door.url.removeprefix("http://").partition(":")
    head = b"POST /hooks/mail HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n" + LOGIN + b"\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as holding:
        holding.sendall(head + b"x" * 800_000)
        ends = time.monotonic() + 5
        while door.side._room.held_bytes < 800_000:
            assert time.monotonic() < ends
        said, _ = ask(door, b"/hooks/mail", 600_000, LOGIN, body=b"x" * 500_000)
        assert status(said) == 503
        assert b"retry-after: " in said.lower()
        assert door.mail(b"{}").status_code == 202
        until_closed(holding)


def test_what_the_protocol_refuses_is_counted(door: Opened) -> None:
    host, _, port = door.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000)
        assert status(until_closed(line)) == 431
    text = b"".join(door.side.health.exposition().splitlines(keepends=True)).decode()
    assert 'relay_http_requests_total{source="unknown",status="431"}' in text
