"""Takes what erased events are found by out of the index: who has its key could still ask there whether somebody wrote a word."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from relay.outbox.index.block import Block, Chunk, encode_block, terms_in
from relay.outbox.index.places import EventPlace, Segment
from relay.outbox.index.store import Cursor, EventIndex, IndexState
from relay.outbox.outbox import Outbox

#: An event stands in the list of Redis's minute; the one it came in by the door's clock may be a neighbour.
_NEIGHBOURS: Final = (0, 1, -1)
#: While workers write, what was read may be old: looked at again so often.
_TRIES: Final = 5


def forget_terms(outbox: Outbox, events: Mapping[str, tuple[str, int]]) -> int:
    """Take the terms of `events` (id -> source, when it was received in ms) out of the index; how many of them were in it. Where it changes all the time, all of
    it goes, to be made anew without them. Raises OutboxUnavailable."""
    places = _places(outbox, events)
    index = EventIndex(outbox)
    for _ in range(_TRIES if places else 0):
        state = index.state()
        chunks, blocks, found = _without(index, state, places)
        if not found or index.amend(state, chunks, blocks):
            return found
    if places:
        state = index.state()
        index.rewind(state.revision, Cursor(0), [block.number for block in state.blocks])
    return len(places)


def _places(outbox: Outbox, events: Mapping[str, tuple[str, int]]) -> set[EventPlace]:
    found: set[EventPlace] = set()
    left = dict(events)
    for step in _NEIGHBOURS:
        asked = [
            (event_id, source, at_ms // 60_000 + step) for event_id, (source, at_ms) in left.items() if source
        ]
        positions = outbox.events.positions(asked)
        for (event_id, source, minute), position in zip(asked, positions, strict=True):
            if position is not None:
                found.add(EventPlace(minute, source, position))
                del left[event_id]
    return found


def _without(
    index: EventIndex, state: IndexState, places: set[EventPlace]
) -> tuple[dict[int, Chunk], dict[int, Block], int]:
    """The chunks and blocks that hold some of `places`, without their terms; how many of them had any."""
    chunks: dict[int, Chunk] = {}
    blocks: dict[int, Block] = {}
    found = 0
    by_list: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for place in places:
        by_list[place.source, place.minute].append(place.position)
    for number, chunk in enumerate(index.tail()):
        gone = _numbers(chunk.segments, by_list)
        if any(chunk.terms[n] for n in gone):
            found += len(gone)
            terms = [array("I") if n in gone else held for n, held in enumerate(chunk.terms)]
            chunks[number] = Chunk(chunk.segments, tuple(terms))
    minutes = [minute for _, minute in by_list]
    near = [
        facts
        for facts in state.blocks
        if minutes and facts.first_minute <= max(minutes) and facts.last_minute >= min(minutes)
    ]
    for facts in near:
        block = index.block(facts)
        gone = _numbers(block.segments, by_list) if block is not None else set()
        if block is None or not gone:
            continue
        held = terms_in(block)
        if any(held[n] for n in gone):
            found += len(gone)
            without = [array("I") if n in gone else terms for n, terms in enumerate(held)]
            blocks[facts.number] = encode_block(block.segments, without)
    return chunks, blocks, found


def _numbers(segments: Sequence[Segment], by_list: Mapping[tuple[str, int], Sequence[int]]) -> set[int]:
    """Which of the segments' events are meant, counted through them all."""
    found, start = set[int](), 0
    for segment in segments:
        for position in by_list.get((segment.source, segment.minute), ()):
            if segment.first <= position < segment.first + segment.count:
                found.add(start + position - segment.first)
        start += segment.count
    return found
