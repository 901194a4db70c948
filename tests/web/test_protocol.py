"""The bounds of a request, each over a real socket, with an application that reads, answers early, or neither."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from relay.bounds import Bounds
from relay.web import protocol
from tests.web.listening import Listener, answer_of, listening, until_closed

BOUNDS = Bounds(
    head_bytes=4096,
    head_s=0.5,
    first_byte_s=0.5,
    body_s=1.0,
    bodies_bytes=1_000_000,
    connections=16,
    idle_s=1.0,
)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def post(path: bytes = b"/", length: int = 0, *headers: bytes) -> bytes:
    lines = (b"POST %b HTTP/1.1" % path, b"Host: x", b"Content-Length: %d" % length, *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Says how long the body was; on /early without reading it, on /slow after a while, on /hold once it may."""
    size = 0
    if scope["path"] == "/slow":
        await asyncio.sleep(0.8)
    if scope["path"] != "/early":
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect" or scope["relay.request"].why:
                size = -1
                break
            size += len(message["body"])
            more = message["more_body"]
    if size < 0 and scope["path"] == "/silent":
        await asyncio.sleep(1.5)
    body = b"%d %b" % (size, scope["relay.request"].why.encode())
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with listening(app, BOUNDS) as made:
        yield made


def timed(listener: Listener, *pieces: bytes) -> tuple[bytes, float]:
    began = time.monotonic()
    return listener.ask(*pieces), time.monotonic() - began


def status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1]) if said else 0


# -- heads ---------------------------------------------------------------------------------------------------


def test_a_head_up_to_the_bound_is_read_and_a_larger_one_is_431(listener: Listener) -> None:
    def head(size: int) -> bytes:
        start = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: "
        return start + b"a" * (size - len(start) - 4) + b"\r\n\r\n"

    assert status(listener.ask(head(BOUNDS.head_bytes))) == 200
    assert status(listener.ask(head(BOUNDS.head_bytes + 1))) == 431
    assert status(listener.ask(head(100 * BOUNDS.head_bytes))) == 431


@pytest.mark.parametrize(
    "piece", [b"X-Many: 1\r\n", b"X-Long", b"a" * 1000, b"\r\n\r\n" + b"GET /" + b"a" * 9000]
)
def test_a_head_without_an_end_is_cut_off_whatever_it_is_made_of(listener: Listener, piece: bytes) -> None:
    with listener.connect() as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-First: ")
        line.setblocking(False)
        sent, said = 0, b""
        while b"HTTP/1.1" not in said:
            assert sent < 30_000_000
            with contextlib.suppress(BlockingIOError):
                sent += line.send(piece)
            with contextlib.suppress(BlockingIOError):
                said += line.recv(1000)
    # The last of these is a whole first request, with such a head behind it.
    assert status(said) == (200 if b"GET" in piece else 431)


def test_more_headers_than_anybody_sends_are_431(listener: Listener) -> None:
    many = b"".join(b"a%d:\r\n" % n for n in range(protocol.MAX_HEADERS))
    assert status(listener.ask(b"GET / HTTP/1.1\r\n", many, b"Host: x\r\n\r\n")) == 431


def test_the_bound_of_a_head_holds_for_the_second_request_too(listener: Listener) -> None:
    large = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 5000 + b"\r\n\r\n"
    with listener.connect() as line:
        line.sendall(GET)
        assert status(answer_of(line)) == 200
        line.sendall(large)
        assert status(until_closed(line)) == 431
    # Sent ahead, in one piece with the first.
    said = listener.ask(GET + large)
    assert status(said) == 200
    assert said.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_is_not_whole_in_time_ends_the_connection(listener: Listener, begun: bytes) -> None:
    said, took_s = timed(listener, begun)
    assert status(said) == (408 if begun.strip() else 0)
    assert 0.4 < took_s < 1.0


def test_a_head_that_trickles_is_cut_off_like_one_that_stops(listener: Listener) -> None:
    with listener.connect() as line:
        began = time.monotonic()
        line.settimeout(0.05)
        said = b""
        for byte in b"GET / HTTP/1.1\r\nHost: " + b"x" * 100:
            try:
                line.sendall(bytes([byte]))
                said = line.recv(1000)
            except TimeoutError:
                continue
            except OSError:
                break
            break
        assert status(said) == 408
        assert time.monotonic() - began < 1.2


@pytest.mark.simulated
def test_between_two_requests_a_connection_may_be_silent_only_so_long(listener: Listener) -> None:
    with listener.connect() as line:
        line.sendall(GET)
        answer_of(line)
        began = time.monotonic()
        line.sendall(b"\r\n")  # nothing of a request
        time.sleep(0.5)
        line.sendall(b"\r\n")
        assert until_closed(line) == b""
        assert 0.8 < time.monotonic() - began < 1.6


# -- bodies --------------------------------------------------------------------------------------------------


@pytest.mark.simulated
def test_a_body_that_never_begins_or_never_ends_is_told_to_the_application(listener: Listener) -> None:
    said, took_s = timed(listener, post(b"/", 10, b"Connection: close"))
    assert said.endswith(b"-1 slow") and 0.4 < took_s < 1.2
    said, took_s = timed(listener, post(b"/", 10, b"Connection: close"), b"abc")
    assert said.endswith(b"-1 slow") and 0.9 < took_s < 1.8


@pytest.mark.simulated
def test_a_body_that_trickles_is_bounded_as_a_whole(listener: Listener) -> None:
    with listener.connect() as line:
        began = time.monotonic()
        line.sendall(post(b"/", 1000, b"Connection: close"))
        line.settimeout(0.1)
        said = b""
        while not said:
            try:
                line.sendall(b"x")
                said = line.recv(1000)
            except TimeoutError:
                continue
        line.settimeout(5)
        assert (said + until_closed(line)).endswith(b"-1 slow")
        assert 0.9 < time.monotonic() - began < 1.8


def test_where_the_application_does_not_answer_the_protocol_does(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_ANSWER_S", 0.2)
    listener.refused.clear()
    assert status(listener.ask(post(b"/silent", 10))) == 408
    assert listener.refused == [408]


def test_bodies_of_all_requests_together_are_bounded(listener: Listener) -> None:
    held = []
    for _ in range(2):
        line = listener.connect()
        line.sendall(post(b"/", 500_000) + b"x" * 400_000)
        held.append(line)
    wait_for(lambda: listener.traffic.room.held_bytes == 800_000)
    with listener.connect() as third:
        third.sendall(post(b"/", 200_000) + b"x" * 200_000)
        assert answer_of(third).endswith(b"-1 crowded")
        # What is left is for small ones.
        third.sendall(post(b"/", 50_000) + b"x" * 50_000)
        assert answer_of(third).endswith(b"50000 ")
    for line in held:
        line.sendall(b"x" * 100_000)
        assert answer_of(line).split()[-1] in {b"500000", b"crowded"}
        line.close()
    wait_for(lambda: listener.traffic.room.held_bytes == 0)


@pytest.mark.simulated
def test_room_is_given_back_whatever_became_of_a_request(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "DRAIN_S", 0.2)
    lines = [listener.connect() for _ in range(6)]
    for number, line in enumerate(lines):
        line.sendall(post(b"/slow" if number % 2 else b"/", 60_000) + b"x" * 50_000)
    lines[0].close()
    lines[1].close()
    lines[2].sendall(b"x" * 10_000 + post(b"/", 10) + b"x" * 10)
    for line in lines[2:]:
        until_closed(line)
        line.close()
    wait_for(lambda: listener.traffic.room.held_bytes == 0)


@pytest.mark.parametrize(
    "unit",
    [b"1\r\nx\r\n", b"1;" + b"e" * 2000 + b"\r\nx\r\n"],
    ids=["chunks of one byte", "extensions"],
)
def test_chunks_that_carry_nearly_nothing_are_refused(listener: Listener, unit: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert status(listener.ask(head, unit * (300_000 // len(unit)))) == 400


def test_a_trailer_has_a_bound_and_adds_nothing_to_the_head(listener: Listener) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert listener.ask(head + b"3\r\nabc\r\n0\r\nX-Late: 1\r\n\r\n").endswith(b"3 ")
    assert status(listener.ask(head + b"3\r\nabc\r\n0\r\nX-Late: ", b"a" * 100_000)) == 400


# -- answers before the body ---------------------------------------------------------------------------------


@pytest.mark.parametrize("close", [(), (b"Connection: close",)])
def test_an_answer_that_comes_before_the_body_is_read_by_who_sends_it_all(
    listener: Listener, close: tuple[bytes, ...]
) -> None:
    with listener.connect() as line:
        line.sendall(post(b"/early", 20_000_000, *close))
        time.sleep(0.1)
        line.sendall(b"x" * 20_000_000)
        assert status(answer_of(line)) == 200
        if not close:
            # The connection goes on.
            line.sendall(GET)
            assert status(answer_of(line)) == 200


def test_after_an_early_answer_the_rest_of_the_body_is_awaited_for_a_moment_only(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "DRAIN_S", 0.3)
    with listener.connect() as line:
        line.sendall(post(b"/early", 1000))
        assert status(answer_of(line)) == 200
        began = time.monotonic()
        assert until_closed(line) == b""
        assert time.monotonic() - began < 1


@pytest.mark.simulated
def test_nothing_is_taken_for_a_request_that_may_be_an_announced_body(listener: Listener) -> None:
    """A sender that asks first may send its body after the answer, or another request instead."""
    said = listener.ask(post(b"/early", len(GET), b"Expect: 100-continue"), GET)
    assert said.count(b"HTTP/1.1 ") == 1


# -- many ----------------------------------------------------------------------------------------------------


def test_requests_sent_ahead_are_answered_in_order_up_to_a_number(listener: Listener) -> None:
    few = b"".join(post(b"/", n) + b"x" * n for n in range(20)) + GET.replace(
        b"Host", b"Connection: close\r\nHost"
    )
    said = listener.ask(few)
    assert [line for line in said.split(b"\r\n") if line.endswith(b" HTTP/1.1 200 OK")] == [
        b"%d HTTP/1.1 200 OK" % n for n in range(20)
    ] or said.count(b"200 OK") == 21
    many = listener.ask(GET * 5000)
    assert 1 <= many.count(b"200 OK") <= protocol.MAX_AHEAD + 2


def test_garbage_behind_a_request_does_not_take_its_answer(listener: Listener) -> None:
    said = listener.ask(post(b"/slow") + b"\x00\x01garbage\r\n\r\n")
    assert said.count(b"HTTP/1.1") == 1 and status(said) == 200
    assert status(listener.ask(b"\x00\x01garbage\r\n\r\n")) == 400


@pytest.mark.simulated
def test_one_connection_too_many_is_told_so_and_silent_ones_make_room(listener: Listener) -> None:
    with listening(app, Bounds(connections=8, head_s=30)) as small:
        silent = [small.connect() for _ in range(8)]
        wait_for(lambda: len(small.traffic.connections) == 8)
        assert status(small.ask(GET)) == 503
        time.sleep(2.6)
        # By now they have waited long enough to be closed for somebody who has something to say.
        with small.connect() as line:
            line.sendall(GET)
            assert status(answer_of(line)) == 200
        for line in silent:
            line.close()


def test_far_too_many_connections_leave_nothing_behind(listener: Listener) -> None:
    with listening(app, Bounds(connections=8, head_s=0.5)) as small:
        lines = [small.connect() for _ in range(200)]
        wait_for(lambda: len(small.traffic.connections) <= 8 + 64)
        for line in lines:
            until_closed(line)
            line.close()
        wait_for(lambda: not small.traffic.connections)
        assert status(small.ask(GET.replace(b"Host", b"Connection: close\r\nHost"))) == 200


def test_a_sender_that_does_not_read_its_answer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STUCK_S", 0.3)

    async def large(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(400):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with listening(large, BOUNDS) as greedy, greedy.connect() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall(GET)
        wait_for(lambda: len(greedy.traffic.connections) == 1)
        wait_for(lambda: not greedy.traffic.connections)


def test_an_upgrade_is_not_taken(listener: Listener) -> None:
    said = listener.ask(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"PRI * HTTP/2.0\r\n"
    )
    assert said.count(b"HTTP/1.1") == 1 and status(said) == 200


def wait_for(true: Any, within_s: float = 5.0) -> None:
    ends = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)
