"""The index's two stored forms, and the fences that keep two who write it apart."""

from __future__ import annotations

import time
from array import array
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.errors import NewerRecord
from relay.outbox.index.block import (
    Chunk,
    bucket_of,
    encode_block,
    look_up,
    open_block,
    terms_in,
)
from relay.outbox.index.places import EventPlace, Segment, places_of
from relay.outbox.index.store import Cursor, EventIndex
from relay.outbox.outbox import Outbox
from tests.growth import assert_linear

#: Few different ones, so that they meet; and any.
TERMS = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))
EVENTS = st.lists(st.lists(TERMS, max_size=30), min_size=1, max_size=60)


def segments_of(number: int) -> list[Segment]:
    """`number` events of two sources, over some minutes."""
    found, minute = [], count(100)
    while number:
        part = min(number, 7)
        found.append(Segment(("mail", "slack")[part % 2], next(minute), number % 5, part))
        number -= part
    return found


@given(EVENTS, st.data())
def test_a_block_knows_which_events_hold_a_term(events: list[list[int]], data: st.DataObject) -> None:
    block = encode_block(segments_of(len(events)), events)
    opened = open_block(block.data, block.head_bytes)
    asked = data.draw(st.one_of(TERMS, st.sampled_from([t for terms in events for t in terms] or [0])))

    bucket = opened.bucket(bucket_of(asked, opened.bits))
    bits = look_up(bucket, asked, opened.bits, opened.events)

    assert [n for n in range(len(events)) if bits >> n & 1] == [
        n for n, held in enumerate(events) if asked in held
    ]
    assert opened.segments == tuple(segments_of(len(events)))
    assert [list(held) for held in terms_in(opened)] == [sorted(set(held)) for held in events]


@given(st.lists(st.lists(TERMS, max_size=30).map(lambda held: array("I", held)), max_size=20))
def test_a_chunk_says_the_same_when_it_is_read_again(events: list[array[int]]) -> None:
    chunk = Chunk(tuple(segments_of(len(events))), tuple(events))
    read = Chunk.decode(chunk.encode())
    assert read == chunk
    for term in {*range(5), *(term for held in events for term in held)}:
        assert read.holding(term) == sum(1 << n for n, held in enumerate(events) if term in held)


def test_bits_become_places() -> None:
    segments = [Segment("slack", 5, 10, 3), Segment("mail", 5, 0, 2), Segment("slack", 6, 0, 1)]
    assert list(places_of(segments, 0b101010)) == [
        EventPlace(5, "slack", 11),
        EventPlace(5, "mail", 0),
        EventPlace(6, "slack", 0),
    ]


@given(st.binary(max_size=200), TERMS, st.integers(0, 8), st.integers(1, 100))
def test_a_damaged_bucket_breaks_nothing(bucket: bytes, term: int, bits: int, events: int) -> None:
    assert 0 <= look_up(bucket, term, bits, events) < 1 << events


def test_what_a_newer_release_wrote_is_not_guessed_at() -> None:
    with pytest.raises(NewerRecord):
        Chunk.decode(b'{"v":99,"s":[],"n":[]}\n')
    for broken in (b"", b"[]", b'{"s":[]}\n', b"no json"):
        with pytest.raises(ValueError):
            Chunk.decode(broken)


def test_a_block_grows_with_its_events_only() -> None:
    def encode(events: bytes) -> None:
        number = len(events)
        encode_block([Segment("s", 1, 0, number)], [range(n, n + 20) for n in range(number)])

    assert_linear(encode, b"x", size=8_000)


@settings(max_examples=25)
@given(st.integers(1, 4000))
def test_a_thousand_events_take_a_few_bytes_each(seed: int) -> None:
    from random import Random

    chance = Random(seed)
    events = [{int(chance.paretovariate(0.5)) * 7919 % 2**32 for _ in range(40)} for _ in range(1_000)]
    block = encode_block([Segment("s", 1, 0, 1_000)], [sorted(held) for held in events])
    assert len(block.data) < 4.5 * sum(map(len, events)) + 5_000


# -- in Redis -----------------------------------------------------------------------------------------------------------


def chunk_of(minute: int, *events: list[int]) -> Chunk:
    return Chunk((Segment("slack", minute, 0, len(events)),), tuple(array("I", held) for held in events))


def test_an_append_counts_once_whoever_makes_it(outbox: Outbox) -> None:
    index = EventIndex(outbox)
    before = index.state().stored_cursor
    cursor = Cursor(100, {"slack": 2}, "k")

    assert index.append(before, cursor, chunk_of(100, [1, 2], [3]))
    assert not index.append(before, cursor, chunk_of(100, [1, 2], [3]))

    state = index.state()
    assert (state.cursor, state.tail, len(index.tail())) == (cursor, 2, 1)
    assert 0 < outbox.redis.ttl(f"{outbox.prefix}index:tail") <= outbox.retention.events_s


def test_a_block_takes_the_place_of_its_chunks(outbox: Outbox) -> None:
    index = EventIndex(outbox)
    for minute in (100, 101):
        index.append(
            index.state().stored_cursor, Cursor(minute, {"slack": 2}, "k"), chunk_of(minute, [1], [1, minute])
        )
    state, [first, _] = index.state(), index.tail()
    block = encode_block(first.segments, first.terms)

    assert index.close(state, [first], block)
    # Who read before that is refused.
    assert not index.close(state, [first], block)

    state = index.state()
    assert (state.tail, [b.first_minute for b in state.blocks]) == (2, [100])
    assert index.holding(state.blocks, [1]) == [0b11]
    assert index.holding(state.blocks, [1, 100]) == [0b10]
    assert index.holding(state.blocks, [7]) == [0]
    assert index.segments(state.blocks) == [first.segments]


def test_a_block_that_has_expired_holds_nothing_and_is_forgotten(outbox: Outbox) -> None:
    index = EventIndex(outbox)
    for minute in (100, 101):
        chunk = chunk_of(minute, [1])
        index.append(index.state().stored_cursor, Cursor(minute, {"slack": 1}, "k"), chunk)
        index.close(index.state(), [chunk], encode_block(chunk.segments, chunk.terms))
    outbox.redis.delete(f"{outbox.prefix}index:block:1")
    state = index.state()
    assert index.holding(state.blocks, [1]) == [1, 0]
    assert index.segments(state.blocks)[1] == ()
    assert index.block(state.blocks[1]) is None

    index.append(state.stored_cursor, Cursor(102, {"slack": 1}, "k"), chunk_of(102, [1]))
    assert index.close(index.state(), index.tail(), None, expired=[1])
    assert [block.number for block in index.state().blocks] == [2]


def test_what_is_amended_lives_as_long_as_before(outbox: Outbox) -> None:
    index = EventIndex(outbox)
    first, second = chunk_of(100, [1], [2]), chunk_of(101, [1], [3])
    for chunk in (first, second):
        index.append(index.state().stored_cursor, Cursor(chunk.segments[0].minute, {"slack": 2}, "k"), chunk)
    index.close(index.state(), [first], encode_block(first.segments, first.terms))
    outbox.redis.expire(f"{outbox.prefix}index:block:1", 500)
    state = index.state()
    without = encode_block(first.segments, [[], [2]])

    assert index.amend(state, {0: chunk_of(101, [], [3])}, {1: without})
    assert not index.amend(state, {}, {1: without})

    state = index.state()
    assert index.holding(state.blocks, [1]) == [0]
    assert index.holding(state.blocks, [2]) == [0b10]
    assert index.tail()[0].holding(1) == 0
    assert 490 < outbox.redis.ttl(f"{outbox.prefix}index:block:{state.blocks[0].number}") <= 500


def test_a_search_of_many_blocks_is_a_few_round_trips(outbox: Outbox) -> None:
    index = EventIndex(outbox)
    for minute in range(60):
        chunk = chunk_of(minute, [1, minute], [2])
        index.append(index.state().stored_cursor, Cursor(minute, {"slack": 2}, "k"), chunk)
        index.close(index.state(), [chunk], encode_block(chunk.segments, chunk.terms))
    state = index.state()
    began = time.perf_counter()
    found = index.holding(state.blocks, [1, 17])
    assert time.perf_counter() - began < 1
    assert [block.last_minute for block, bits in zip(state.blocks, found, strict=True) if bits] == [17]
