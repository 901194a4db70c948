"""An answer to a webhook is one write, on whatever it is written."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from relay.web.one_write import join_head_and_body


class Wire:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("paused", "written"), [(False, [b"headbody"]), (True, [b"head", b"body"])])
def test_head_and_body_go_out_together_unless_the_connection_takes_nothing(
    paused: bool, written: list[bytes]
) -> None:
    """Where it takes nothing the answer waits between the two, and the connection may be given another end meanwhile."""
    wire = Wire()
    cycle = SimpleNamespace(transport=wire, flow=SimpleNamespace(write_paused=paused))
    join_head_and_body(cycle)
    cycle.transport.write(b"head")
    cycle.transport.write(b"body")
    cycle.transport.close()
    assert wire.written == written and wire.closed
