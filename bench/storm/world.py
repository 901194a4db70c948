"""What storms share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.storm.storm import Storm


@dataclass(slots=True)
class Process:
    """The worker process that works on all lanes. `flushing`: how many flushes are under way, one inside of the other."""

    flushing: int = 0


class World:
    """What the lanes of one Redis share. `full`: it is at its memory limit."""

    def __init__(self, process: Process | None = None) -> None:
        self.storms: list[Storm] = []
        self.full = False
        self.process = process or Process()
