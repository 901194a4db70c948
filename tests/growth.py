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
#: What grows in step takes twice as long, what does not four times. Below this it is clearly the one.
CLEAR = 2.2
MAX_TURNS = 15
#: Nobody may wait longer for SIZE twice.
LONGEST_S = 1.5


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

    Each size twice, in turns: where the slowest and the quickest say clearly that it is in step, no machine whose speed changed
    meanwhile has hidden growth. Else it is measured in turns, and the middle of their ratios counts: such a machine spoils the turn in which it changes, and
    neither hides growth nor makes it up. Where the middle does not hold, more turns are made.
    """
    pairs = [(took_s(2 * size), took_s(size)) for _ in range(2)]
    if max(twice for twice, _ in pairs) - slack_s < CLEAR * min(once for _, once in pairs):
        return
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
    twice = took_s(2 * count)
    if twice < SHORT_S:
        return
    try:
        assert_in_step(took_s, count)
    except AssertionError:
        if twice > 4 * SHORT_S:
            raise
        # So short a time may be memory's that is taken from the system anew. What grows faster does so at four times the size too.
        assert_in_step(took_s, 4 * count)
    if twice > LONGEST_S:
        assert min(took_s(2 * count) for _ in range(LEAST_TURNS)) < LONGEST_S
