"""An answer in one piece: uvicorn writes head and body apart, and each write is a system call and a packet."""

from __future__ import annotations

from typing import Any


class _OneWrite:
    """A connection's transport for one answer: what is written first goes out with what is written next."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        if self._head is None:
            self._head = data
        else:
            self._transport.write(self._head + data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def join_head_and_body(cycle: Any) -> None:
    """Have the answer of one of uvicorn's cycles go out in one write. It must have a body, and be sent by two messages, one behind the
    other: nothing else happens between these while the connection takes what is written."""
    if not cycle.flow.write_paused:
        cycle.transport = _OneWrite(cycle.transport)
