"""An answer to a webhook is one write, and the bytes are the server's own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from relay.web.one_write import answer_at_once

_HEADERS = [(b"content-type", b"application/json"), (b"retry-after", b"5"), (b"content-length", b"4")]


class Wire:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True


def cycle_of(wire: Wire, *, keep_alive: bool, ends: list[str], paused: bool = False) -> RequestResponseCycle:
    nothing: Any = None
    flow: Any = SimpleNamespace(write_paused=paused)
    scope: Any = {"type": "http", "method": "POST"}
    transport: Any = wire
    return RequestResponseCycle(
        scope=scope,
        transport=transport,
        flow=flow,
        logger=nothing,
        access_logger=nothing,
        access_log=False,
        default_headers=[(b"server", b"of ours")],
        message_event=asyncio.Event(),
        expect_100_continue=True,
        keep_alive=keep_alive,
        on_response=lambda: ends.append("answered"),
    )


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("status", [200, 202, 401, 429, 503])
def test_it_says_what_the_server_itself_would_say(status: int, keep_alive: bool) -> None:
    ours, theirs, ends = Wire(), Wire(), list[str]()
    one = cycle_of(ours, keep_alive=keep_alive, ends=ends)
    other = cycle_of(theirs, keep_alive=keep_alive, ends=ends)

    async def both() -> None:
        assert answer_at_once(one, status, _HEADERS, b"body")
        await other.send({"type": "http.response.start", "status": status, "headers": _HEADERS})
        await other.send({"type": "http.response.body", "body": b"body"})

    asyncio.run(both())
    assert ours.written == [b"".join(theirs.written)]
    assert ours.closed == theirs.closed == (not keep_alive)
    assert ends == ["answered", "answered"]
    for name in (
        "response_started",
        "response_complete",
        "waiting_for_100_continue",
        "keep_alive",
        "disconnected",
    ):
        assert getattr(one, name) == getattr(other, name), name
    assert one.message_event.is_set() and other.message_event.is_set()


@pytest.mark.parametrize("gone", [True, False])
def test_a_connection_that_takes_nothing_is_left_to_the_server(gone: bool) -> None:
    wire, ends = Wire(), list[str]()
    cycle = cycle_of(wire, keep_alive=True, ends=ends, paused=not gone)
    cycle.disconnected = gone
    assert not answer_at_once(cycle, 202, _HEADERS, b"body")
    assert not wire.written and not ends and not cycle.response_started
