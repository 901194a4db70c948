"""One seed of `python -m bench.chaos`: real processes killed at random under load. More seeds by hand."""

from __future__ import annotations

import socket

import pytest

from bench.chaos.command import main

pytestmark = pytest.mark.process


def test_nothing_is_lost_stale_or_twice_whatever_is_killed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    assert (
        main(
            [
                "--seed",
                "7",
                "--seconds",
                "5",
                "--port",
                str(port),
                "--only",
                "gone,full,drained,disk,restored,paused",
            ]
        )
        == 0
    )
