"""Which places may hold what is asked for: of what the index has, those where it says so; of what it does not have yet, all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from relay.operations.search.terms import NO_COMPANY, Terms
from relay.operations.search.wanted import EventQuery
from relay.outbox.index.block import Chunk
from relay.outbox.index.places import EventPlace, Segment, places_of
from relay.outbox.index.store import BlockFacts, Cursor, EventIndex
from relay.outbox.outbox import Outbox

#: How far an event's minute may lie before this process's clock.
_AHEAD_MS: Final = 3_600_000
#: Blocks that are asked together: the first few alone, most pages end there.
_BLOCKS: Final = (4, 32, 250)


@dataclass(frozen=True, slots=True)
class Run:
    """Positions of one source and minute, newest first. `unsure`: nobody has looked whether they hold what is asked for."""

    minute: int
    source: str
    positions: Sequence[int]
    unsure: bool = False


class Candidates:
    """Of one question. `asked`: the terms that an event must hold, all of them."""

    def __init__(self, outbox: Outbox, wanted: EventQuery, terms: Terms | None) -> None:
        self._outbox = outbox
        self._wanted = wanted
        self._terms = terms
        self.asked: tuple[int, ...] = tuple(wanted.terms(terms)) if terms is not None else ()

    def runs(self, from_minute: int | None) -> Iterator[Run]:
        """Yield runs by minute, newest first; from `from_minute` on (None: the newest)."""
        now_ms, kept_ms = self._outbox.now_ms(), self._outbox.retention.events_s * 1000
        # Nothing older is kept: days without end are not asked for.
        first = max(self._wanted.since_ms, now_ms - kept_ms) // 60_000
        last = min(self._wanted.until_ms, now_ms + _AHEAD_MS) // 60_000
        if from_minute is not None:
            last = min(last, from_minute)
        if self._terms is None:
            yield from self._listed(first, last, None)
            return
        index = EventIndex(self._outbox)
        state = index.state()
        cursor = state.cursor
        if cursor is None or cursor.key != self._terms.mark:
            yield from self._listed(first, last, None)
            return
        yield from self._listed(max(first, cursor.minute), last, cursor)
        blocks = [
            block for block in state.blocks if block.last_minute >= first and block.first_minute <= last
        ]
        places = self._in_tail(index.tail()) if self._tail_reaches(state.blocks, last) else iter(())
        yield from self._runs(places, first, last)
        yield from self._runs(self._in_blocks(index, blocks), first, last)

    @staticmethod
    def _tail_reaches(blocks: Sequence[BlockFacts], last: int) -> bool:
        """Whether the tail may say anything of minutes up to `last`."""
        return not blocks or last >= blocks[0].last_minute

    def _runs(self, places: Iterable[EventPlace], first: int, last: int) -> Iterator[Run]:
        """Places, newest first by minute, as runs."""
        for minute, group in groupby(places, key=lambda place: place.minute):
            of: dict[str, list[int]] = {}
            for place in group:
                if first <= minute <= last and self._wanted.source in ("", place.source):
                    of.setdefault(place.source, []).append(place.position)
            for source, positions in of.items():
                yield Run(minute, source, sorted(positions, reverse=True))

    # -- not in the index -----------------------------------------------------------------------------------------

    def _listed(self, first: int, last: int, cursor: Cursor | None) -> Iterator[Run]:
        """All that came in, but for what is before `cursor`."""
        if first > last:
            return
        since_ms, until_ms = first * 60_000, last * 60_000
        found = self._outbox.events.minutes(since_ms=since_ms, until_ms=until_ms, source=self._wanted.source)
        for minute, sources in found:
            lengths = self._outbox.events.lengths([(source, minute) for source in sources])
            for source, length in zip(sources, lengths, strict=True):
                start = cursor.taken.get(source, 0) if cursor and cursor.minute == minute else 0
                if length > start:
                    yield Run(minute, source, range(length - 1, start - 1, -1), self._terms is not None)

    # -- in the index ---------------------------------------------------------------------------------------------

    def _in_tail(self, tail: Sequence[Chunk]) -> Iterator[EventPlace]:
        for chunk in reversed(tail):
            bits = (1 << chunk.events) - 1
            for term in self.asked:
                bits &= chunk.holding(term)
                if not bits:
                    break
            yield from _newest_first(chunk.segments, bits)

    def _in_blocks(self, index: EventIndex, blocks: Sequence[BlockFacts]) -> Iterator[EventPlace]:
        start = 0
        for size in (*_BLOCKS, *[_BLOCKS[-1]] * len(blocks)):
            part = blocks[start : start + size]
            if not part:
                return
            start += size
            found = index.holding(part, self.asked) if self.asked else [-1] * len(part)
            if self._wanted.company and self._terms is not None:
                there = index.holding(part, [self._terms.company(self._wanted.company)])
                unknown = index.holding(part, [self._terms.company(NO_COMPANY)])
                found = [bits & (a | b) for bits, a, b in zip(found, there, unknown, strict=True)]
            holding = [(block, bits) for block, bits in zip(part, found, strict=True) if bits]
            for (_, bits), segments in zip(
                holding, index.segments([block for block, _ in holding]), strict=True
            ):
                yield from _newest_first(segments, bits)


def _newest_first(segments: Sequence[Segment], bits: int) -> list[EventPlace]:
    return sorted(places_of(segments, bits), reverse=True)
