"""Attacks that are no whole requests: heads without an end, connections that say nothing, bodies that trickle."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

#: Whoever is not let go of after so long is held for ever.
PATIENCE_S = 45.0


@dataclass(frozen=True)
class Lines:
    """`run(port)` gives how often each came back: a status, 0 for a connection that was closed without a word, -1 for one that
    still stood at the end. `right` are those that may."""

    name: str
    run: Callable[[int], Counter[int]]
    right: frozenset[int]
    #: To the operators' listener.
    operators: bool = False


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def status_of(said: bytes) -> int:
    return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.1 ") else 0


def endless(port: int, begin: bytes, unit: bytes, most: int = 64 * 1024 * 1024) -> Counter[int]:
    """Sends until it is stopped, or has sent `most` bytes."""
    said, sent, piece = b"", 0, unit * max(1, 65_536 // len(unit))
    with connect(port) as line:
        line.sendall(begin)
        line.setblocking(False)
        ends = time.monotonic() + PATIENCE_S
        while sent < most and time.monotonic() < ends:
            readable, writable, _ = select.select([line], [line], [], 1.0)
            with contextlib.suppress(BlockingIOError):
                if readable:
                    piece_of_answer = line.recv(65_536)
                    said += piece_of_answer
                    if not piece_of_answer or said:
                        break
            try:
                if writable:
                    sent += line.send(piece)
            except OSError:
                break
    return Counter({status_of(said): 1})


def waiting(port: int, begun: bytes, count: int = 200) -> Counter[int]:
    """Many connections that say so much and no more."""
    return _until_closed([_begun(port, begun) for _ in range(count)])


def trickling(port: int, begun: bytes, count: int = 50, every_s: float = 1.0) -> Counter[int]:
    """Many that go on, a byte at a time."""
    lines = [_begun(port, begun) for _ in range(count)]
    return _until_closed(lines, trickle_s=every_s)


def crowd(port: int, count: int = 1500) -> Counter[int]:
    """More connections than there may be. The listener's queue takes some, which are not connected yet to anybody."""
    lines = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            lines.append(connect(port))
    return _until_closed(lines)


def ahead(port: int, count: int = 20_000) -> Counter[int]:
    """Requests sent ahead of their answers."""
    with connect(port) as line:
        line.settimeout(5)
        said = b""
        with contextlib.suppress(OSError):
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * count)
        with contextlib.suppress(OSError):
            while piece := line.recv(65_536):
                said += piece
    answers = said.count(b"HTTP/1.1 200")
    return Counter({200: 1}) if 1 <= answers < 100 else Counter({-1: 1})


def _begun(port: int, begun: bytes) -> socket.socket:
    line = connect(port)
    line.sendall(begun)
    line.setblocking(False)
    return line


def _until_closed(lines: list[socket.socket], trickle_s: float = 0.0) -> Counter[int]:
    said: dict[socket.socket, bytes] = dict.fromkeys(lines, b"")
    found: Counter[int] = Counter()
    waits = set(lines)
    poll = select.poll()
    by_fd = {line.fileno(): line for line in lines}
    for line in lines:
        poll.register(line, select.POLLIN)
    ends, next_byte = time.monotonic() + PATIENCE_S, time.monotonic() + trickle_s
    while waits and time.monotonic() < ends:
        for fd, _ in poll.poll(200):
            line = by_fd[fd]
            try:
                piece = line.recv(65_536)
            except OSError:
                piece = b""
            said[line] += piece
            if not piece:
                poll.unregister(line)
                waits.discard(line)
                found[status_of(said[line])] += 1
        if trickle_s and time.monotonic() >= next_byte:
            next_byte += trickle_s
            for line in waits:
                with contextlib.suppress(OSError):
                    line.send(b"x")
    for line in lines:
        if line in waits:
            found[status_of(said[line]) or -1] += 1
        line.close()
    return found


HEAD = b"POST /hooks/mailgun HTTP/1.1\r\nHost: x\r\n"
_BODY = HEAD + b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
_CHUNKED = HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_SIGN_IN = b"POST /console/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"


def attacks() -> list[Lines]:
    return [
        Lines("a head without an end, one header", lambda port: endless(port, HEAD + b"X: ", b"a"), frozenset({431})),
        Lines("a head without an end, many headers", lambda port: endless(port, HEAD, b"a:\r\n"), frozenset({431})),
        Lines("a trailer without an end", lambda port: endless(port, _CHUNKED + b"1\r\nx\r\n0\r\nX: ", b"a"), frozenset({400})),
        Lines("chunks of one byte", lambda port: endless(port, _CHUNKED, b"1\r\nx\r\n"), frozenset({400})),
        Lines("200 silent connections", lambda port: waiting(port, b""), frozenset({0})),
        Lines("200 half heads", lambda port: waiting(port, HEAD), frozenset({408})),
        Lines("200 heads without a body", lambda port: waiting(port, _BODY), frozenset({408})),
        Lines("200 half bodies", lambda port: waiting(port, _BODY + b"{" * 50_000), frozenset({408})),
        Lines("50 heads that trickle", lambda port: trickling(port, HEAD + b"X: "), frozenset({408})),
        Lines("50 bodies that trickle", lambda port: trickling(port, _BODY), frozenset({408})),
        Lines("1,500 connections", crowd, frozenset({0, 503})),
        Lines("20,000 requests sent ahead", ahead, frozenset({200})),
        Lines("a sign-in that does not come, 50 of them", lambda port: waiting(port, _SIGN_IN + b"Content-Length: 100\r\n\r\ntoken=", 50), frozenset({408}), operators=True),
        Lines("half heads to the operators, 50 of them", lambda port: waiting(port, _SIGN_IN, 50), frozenset({408}), operators=True),
    ]  # fmt: skip
