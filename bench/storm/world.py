"""What storms share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.storm.storm import Storm


class World:
    """What the lanes of one Redis share. `flushing`: how many flushes are under way, one inside of the other."""

    def __init__(self) -> None:
        self.storms: list[Storm] = []
        self.full = False
        self.flushing = 0
