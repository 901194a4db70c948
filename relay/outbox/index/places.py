"""Where an event stands: in the list of its source and minute, counted from the oldest. These lists only grow, so a place is
good for as long as the list is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class EventPlace:
    """`minute` is the epoch's, `position` counts from 0 in the list of `source` and `minute`."""

    minute: int
    source: str
    position: int


@dataclass(frozen=True, slots=True)
class Segment:
    """`count` events of one source and minute, from position `first` on."""

    source: str
    minute: int
    first: int
    count: int

    def pack(self) -> list[str | int]:
        return [self.source, self.minute, self.first, self.count]


def count_events(segments: Sequence[Segment]) -> int:
    return sum(segment.count for segment in segments)


def places_of(segments: Sequence[Segment], bits: int) -> Iterator[EventPlace]:
    """Return the places of the events whose bit is set, in the order of `segments`. Bit 0 is the first segment's first event."""
    start = 0
    for segment in segments:
        part = (bits >> start) & ((1 << segment.count) - 1)
        while part:
            lowest = part & -part
            yield EventPlace(segment.minute, segment.source, segment.first + lowest.bit_length() - 1)
            part ^= lowest
        start += segment.count
