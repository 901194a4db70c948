"""Time that grows with the input and no faster: what a text function is held to, whatever short piece its input repeats."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from relay.errors import RelayError

Piece = TypeVar("Piece", str, bytes)

SIZE = 50_000
#: Below this, the clock says nothing.
SHORT_S = 0.05
MAX_RUNS = 8


def seconds(work: Callable[[Piece], object], text: Piece) -> float:
    """CPU time of one run in this thread; a refusal is an end like another."""
    # The collector's time goes with what else lives in this process.
    gc.disable()
    began = time.thread_time()
    with suppress(RelayError, ValueError):
        work(text)
    taken = time.thread_time() - began
    gc.enable()
    return taken


def assert_linear(work: Callable[[Piece], object], piece: Piece, *, size: int = SIZE) -> None:
    """`work` takes at most 2.5 times as long for twice the pieces.

    The shortest runs count. What else runs on the machine only ever adds time, so more runs are made while the ratio
    does not hold; where the growth is real, none of them helps.
    """
    short, long = (piece * (size // len(piece) * times) for times in (1, 2))
    twice = seconds(work, long)
    if twice < SHORT_S:
        return
    once = seconds(work, short)
    for _ in range(MAX_RUNS):
        once = min(once, seconds(work, short))
        twice = min(twice, seconds(work, long))
        if twice < max(2.5 * once, SHORT_S):
            break
    assert twice < max(2.5 * once, SHORT_S), (once, twice)
    assert twice < 1.5
