"""Makes the index: takes in what came since it was done last, in the order of the lists, a little at a time.

It is a worker's, beside the drain: the door pays nothing for it. What a run did is there for good; one that is killed, or that
another one outruns, has lost nothing but its time.
"""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from relay.errors import MappingFailed
from relay.operations.context import OperatorContext
from relay.operations.remap import EventReader, Stored, read_stored
from relay.operations.search.terms import NO_COMPANY, Terms
from relay.outbox.epoch import read_life
from relay.outbox.index.block import Block, Chunk, encode_block
from relay.outbox.index.places import Segment, count_events
from relay.outbox.index.store import Cursor, EventIndex, IndexState
from relay.outbox.outbox import Outbox
from relay.patch import pinned_company
from relay.telemetry import log

#: Events of a block: less costs memory, more costs who makes and who asks it.
BLOCK_EVENTS: Final = 4_096
#: A search puts no more into the tail: then no worker makes blocks of it.
_MOST_TAIL: Final = 4 * BLOCK_EVENTS
#: What is read and parsed at a time.
_PART_EVENTS: Final = 256
_PART_BYTES: Final = 4_000_000
#: Events of this minute and the one before may wait: after each part a worker pauses for so many times what it took. The cores, and
#: their caches, are the door's and the drain's first; what is older is taken in without a pause.
_MAY_WAIT_MIN: Final = 1
_PAUSE: Final = 3.0
#: Minutes whose lists are looked at together.
_WINDOW: Final = 60


@dataclass(frozen=True, slots=True)
class _Came:
    """What came in after a cursor. `event_ids` in the order of `segments`; `cursor`: behind them."""

    segments: tuple[Segment, ...]
    event_ids: tuple[str, ...]
    cursor: Cursor


class Indexer:
    """Indexes the events of one lane. `events` and `blocks` are what it has taken in and made. `pause(seconds)` is called between parts
    while what is left may wait."""

    def __init__(
        self,
        context: OperatorContext,
        terms: Terms,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = lambda seconds: None,
    ) -> None:
        self._context = context
        self._outbox: Outbox = context.outbox
        self._index = EventIndex(context.outbox)
        self._terms = terms
        self._clock = clock
        self._pause = pause
        self._reader = EventReader(context)
        self.events = self.blocks = 0

    def run(self, seconds: float) -> bool:
        """Works for about so long. True: all that had come is in. Raises OutboxUnavailable."""
        until = self._clock() + seconds
        horizon = self._horizon()
        state = self._begin_anew(self._index.state(), horizon)
        while True:
            began = self._clock()
            state = self._close_what_is_full(state)
            done = self._take(state, horizon)
            if done or done is None:
                return bool(done)
            if self._clock() >= until:
                return False
            state = self._index.state()
            if state.cursor and self._outbox.now_ms() // 60_000 - state.cursor.minute <= _MAY_WAIT_MIN:
                self._pause(_PAUSE * (self._clock() - began))

    def catch_up(self, seconds: float) -> None:
        """Take in, for who is about to search, the little that came since a worker did it, which else each search would read through
        anew. Nothing is begun or put into blocks. Raises OutboxUnavailable."""
        until = self._clock() + seconds
        while self._clock() < until:
            state = self._index.state()
            if state.cursor is None or not self._goes_on(state.cursor) or state.tail >= _MOST_TAIL:
                return
            if self._take(state, self._horizon()) is not False:
                return

    def _take(self, state: IndexState, horizon: int) -> bool | None:
        """Whether all that had come is in; None where somebody else is at it."""
        cursor = state.cursor or Cursor(horizon, {}, self._terms.mark, self._clock_back())
        came = self._next(cursor, horizon)
        if came is None:
            return True
        chunk = Chunk(came.segments, tuple(self._terms_of(came.event_ids)))
        if not self._index.append(state.stored_cursor, came.cursor, chunk):
            return None
        self.events += chunk.events
        return False

    def _goes_on(self, cursor: Cursor) -> bool:
        """Whether what is in the index was made with our key, of lists that have only grown since."""
        return (cursor.key, cursor.clock_back) == (self._terms.mark, self._clock_back())

    # -- what came ------------------------------------------------------------------------------------------------

    def _horizon(self) -> int:
        """The minute before which nothing is kept."""
        return (self._outbox.now_ms() - self._outbox.retention.events_s * 1000) // 60_000

    def _clock_back(self) -> int:
        return read_life(self._outbox).clock_back

    def _next(self, cursor: Cursor, horizon: int) -> _Came | None:
        """The next part, None where nothing came."""
        now = self._outbox.now_ms() // 60_000
        sources = self._outbox.sources()
        for start in range(max(cursor.minute, horizon), now + 1, _WINDOW):
            window = range(start, min(start + _WINDOW, now + 1))
            asked = [(source, minute) for minute in window for source in sources]
            lengths = dict(zip(asked, self._outbox.events.lengths(asked), strict=True))
            self._note(window, [place for place in asked if lengths[place]])
            for minute in window:
                taken = dict(cursor.taken) if minute == cursor.minute else {}
                part = _parts(sources, minute, lengths, taken)
                if part:
                    return self._came(part, Cursor(minute, taken, self._terms.mark, self._clock_back()))
        return None

    def _came(self, part: Sequence[tuple[str, int, int, int]], cursor: Cursor) -> _Came:
        rows = self._outbox.events.listed(part)
        segments, ids = [], []
        for (source, minute, first, _), row in zip(part, rows, strict=True):
            if row:
                segments.append(Segment(source, minute, first, len(row)))
                ids += row
        return _Came(tuple(segments), tuple(ids), cursor)

    def _note(self, window: range, found: Sequence[tuple[str, int]]) -> None:
        """Older releases write no bits of minutes."""
        if not found:
            return
        known = {
            (source, minute)
            for minute, sources in self._outbox.events.minutes(
                since_ms=window.start * 60_000, until_ms=(window.stop - 1) * 60_000
            )
            for source in sources
        }
        self._outbox.events.note_minutes(place for place in found if place not in known)

    # -- their terms ----------------------------------------------------------------------------------------------

    def _terms_of(self, event_ids: Sequence[str]) -> Iterator[array[int]]:
        """In their order; none of what has expired."""
        for part in self._in_parts(event_ids):
            for stored in read_stored(self._context, part):
                yield self._of(stored) if stored is not None else array("I")

    def _in_parts(self, event_ids: Sequence[str]) -> Iterator[list[str]]:
        """So many at a time that their bodies fit into memory."""
        part, size = list[str](), 0
        for event_id, stored_bytes in zip(event_ids, self._outbox.events.sizes(event_ids), strict=True):
            if part and size + stored_bytes > _PART_BYTES:
                yield part
                part, size = [], 0
            part.append(event_id)
            size += stored_bytes
        if part:
            yield part

    def _of(self, stored: Stored) -> array[int]:
        facts = stored.facts
        try:
            return self._terms.of_event(self._reader.event_as_sent(stored), str(facts.get("rule") or ""))
        except MappingFailed:
            return self._terms.of_facts(facts)
        except Exception as error:
            # One that an adapter stumbles over must not keep the index from all that come after it.
            log("index.stumbled", level=logging.ERROR, id=stored.event_id, error=type(error).__name__)
            return self._terms.of_facts(facts)

    # -- blocks ---------------------------------------------------------------------------------------------------

    def _begin_anew(self, state: IndexState, horizon: int) -> IndexState:
        """Sets the index back to nothing where its key is another one, or the clock went back since: then lists that it was done
        with grow again."""
        cursor = state.cursor
        if cursor is None and not (state.blocks or state.tail):
            return state
        if cursor is not None and self._goes_on(cursor):
            return state
        log("index.begins_anew", blocks=len(state.blocks))
        begin = Cursor(horizon, {}, self._terms.mark, self._clock_back())
        self._index.rewind(state.revision, begin, [block.number for block in state.blocks])
        return self._index.state()

    def _close_what_is_full(self, state: IndexState) -> IndexState:
        while state.tail >= BLOCK_EVENTS:
            tail, closed = self._index.tail(), list[Chunk]()
            for chunk in tail:
                closed.append(chunk)
                if sum(one.events for one in closed) >= BLOCK_EVENTS:
                    break
            horizon = self._horizon()
            expired = [block.number for block in state.blocks if block.last_minute < horizon - 1]
            if not self._index.close(state, closed, self._block_of(closed), expired):
                return self._index.state()
            self.blocks += 1
            state = self._index.state()
        return state

    def _block_of(self, closed: Sequence[Chunk]) -> Block:
        segments = _joined([segment for chunk in closed for segment in chunk.segments])
        terms = [held for chunk in closed for held in chunk.terms]
        companies = self._companies(segments)
        return encode_block(
            segments,
            [[*held, self._terms.company(company)] for held, company in zip(terms, companies, strict=True)],
        )

    def _companies(self, segments: Sequence[Segment]) -> list[str]:
        """Of each event's conversation, as far as it is known by now."""
        rows = self._outbox.events.listed(
            [(s.source, s.minute, s.first, s.first + s.count - 1) for s in segments]
        )
        companies: list[str] = []
        for segment, ids in zip(segments, rows, strict=True):
            homes = [
                str(head.facts.get("external_id") or "") if head else ""
                for head in self._outbox.events.heads(ids)
            ]
            known = companies_of(self._outbox, homes)
            found = [known.get(home) or NO_COMPANY for home in homes]
            companies += found + [NO_COMPANY] * (segment.count - len(found))
        return companies


def companies_of(outbox: Outbox, external_ids: Sequence[str]) -> dict[str, str]:
    """Give conversation -> its company; those without one are left out."""
    names = [name for name in dict.fromkeys(external_ids) if name]
    pinned = {
        name: pinned_company(document) if document else ""
        for name, document in zip(names, outbox.documents(names), strict=True)
    }
    return {name: company for name, company in pinned.items() if company}


def _parts(
    sources: Sequence[str], minute: int, lengths: dict[tuple[str, int], int], taken: dict[str, int]
) -> list[tuple[str, int, int, int]]:
    """What is next of a minute: (source, minute, first, last), `_PART_EVENTS` at most. `taken` is brought up to that."""
    part, room = [], _PART_EVENTS
    for source in sources:
        first = taken.get(source, 0)
        number = min(room, lengths[source, minute] - first)
        if number > 0:
            part.append((source, minute, first, first + number - 1))
            taken[source] = first + number
            room -= number
    return part


def _joined(segments: Sequence[Segment]) -> list[Segment]:
    """Segments that follow each other as one."""
    joined: list[Segment] = []
    for segment in segments:
        last = joined[-1] if joined else None
        if last and (last.source, last.minute, last.first + last.count) == (
            segment.source,
            segment.minute,
            segment.first,
        ):
            joined[-1] = Segment(last.source, last.minute, last.first, last.count + segment.count)
        else:
            joined.append(segment)
    assert count_events(joined) == count_events(segments)
    return joined
