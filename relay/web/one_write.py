"""An answer in one piece: uvicorn writes head and body apart, and each write is a system call and a packet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE


def answer_at_once(cycle: Any, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
    """Answer one of uvicorn's cycles, none of whose answer was sent, as its `send` would, in one write. False: that is to do it, since the
    connection takes nothing now, or is gone. `body` is not empty, and the request no HEAD; `headers` are our own: in small letters,
    the body's length among them, nothing of the connection."""
    if cycle.flow.write_paused or cycle.disconnected:
        return False
    content = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        content += (name, b": ", value, b"\r\n")
    if not cycle.keep_alive:
        content.append(b"connection: close\r\n")
    content += (b"\r\n", body)
    cycle.response_started, cycle.waiting_for_100_continue = True, False
    cycle.transport.write(b"".join(content))
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
