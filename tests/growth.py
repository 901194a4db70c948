"""Time that grows with the input and no faster: what a text function is held to, whatever short piece its input repeats."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import suppress
from statistics import median
from typing import TypeVar

from relay.errors import RelayError

Piece = TypeVar("Piece", str, bytes)

SIZE = 50_000
#: Below this, the clock says nothing.
SHORT_S = 0.05
LEAST_TURNS = 3
MAX_TURNS = 15


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


def assert_in_step(took_s: Callable[[int], float], size: int, *, slack_s: float = 0.0) -> None:
    """`took_s(size)`, CPU seconds, at most grows by 2.5 from `size` to twice that, beyond `slack_s`.

    Measured in turns, and the middle of their ratios counts: a machine whose speed changes meanwhile spoils the turn in which it
    does, and neither hides growth nor makes it up. Where the middle does not hold, more turns are made.
    """
    ratios: list[float] = []
    while len(ratios) < MAX_TURNS:
        once, twice = took_s(size), took_s(2 * size)
        ratios.append(max(0.0, twice - slack_s) / max(once, 1e-6))
        if len(ratios) >= LEAST_TURNS and len(ratios) % 2 and median(ratios) < 2.5:
            return
    assert median(ratios) < 2.5, ratios


def assert_linear(work: Callable[[Piece], object], piece: Piece, *, size: int = SIZE) -> None:
    """`work` takes at most 2.5 times as long for twice the pieces, and no longer than anybody may wait."""

    def took_s(count: int) -> float:
        return seconds(work, piece * count)

    count = size // len(piece)
    if took_s(2 * count) < SHORT_S:
        return
    assert_in_step(took_s, count)
    assert min(took_s(2 * count) for _ in range(LEAST_TURNS)) < 1.5
