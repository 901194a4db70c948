"""The two stored forms of the index. Pure: bytes in, bytes out.

A *chunk* is what is written as events come in: the terms of one event after the other, 4 bytes each. A *block* is what some
thousand events end in: for each term the events that hold it. Of a block only the bucket of a term is read: about a
kilobyte of half a megabyte.

A term is a number of 32 bits (a keyed hash, see `relay.operations.search.terms`). Its upper `bits` say which bucket it stands in.
A bucket is, by ascending term: the distance to the term before (varint), then a varint that says what follows: even, the one
event that holds it (times two); 1, a bit for each event of the block; odd, so many bytes (times two, plus one) of distances between
events (varints).
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from struct import pack_into, unpack
from typing import Any

import orjson

from relay.errors import NewerRecord
from relay.outbox.index.places import Segment, count_events

#: Version of both stored forms. N reads N-1.
INDEX_SCHEMA = 1
TERM_BITS = 32
#: A bucket is read as a whole: about so many bytes are worth a read of its own.
_BUCKET_BYTES = 1_024
_MOST_BITS = 12
_OFFSET_BYTES = 4


@dataclass(frozen=True, slots=True)
class Chunk:
    """`terms` has one entry an event, in the order of `segments`."""

    segments: tuple[Segment, ...]
    terms: tuple[array[int], ...]

    @property
    def events(self) -> int:
        return len(self.terms)

    def encode(self) -> bytes:
        head = {
            "v": INDEX_SCHEMA,
            "s": [segment.pack() for segment in self.segments],
            "n": [len(terms) for terms in self.terms],
        }
        return b"%b\n%b" % (orjson.dumps(head), b"".join(terms.tobytes() for terms in self.terms))

    @classmethod
    def decode(cls, stored: bytes) -> Chunk:
        """Read a chunk of the tail. Raises NewerRecord, or ValueError for what is no chunk."""
        head, _, body = stored.partition(b"\n")
        facts = _facts(head)
        terms, at = [], 0
        for number in facts["n"]:
            one = array("I")
            one.frombytes(body[at : at + number * one.itemsize])
            terms.append(one)
            at += number * one.itemsize
        return cls(_segments(facts["s"]), tuple(terms))

    def holding(self, term: int) -> int:
        """Return the events that hold `term`, a bit each."""
        return sum(1 << n for n, terms in enumerate(self.terms) if term in terms)


@dataclass(frozen=True, slots=True)
class Block:
    """A block as it is stored. `head_bytes` come before the table of its buckets."""

    segments: tuple[Segment, ...]
    bits: int
    head_bytes: int
    data: bytes

    @property
    def events(self) -> int:
        return count_events(self.segments)

    def bucket(self, number: int) -> bytes:
        start, end = unpack("<II", self.data[slice(*table_entry(self.head_bytes, number))])
        return self.data[start:end]


def encode_block(segments: Sequence[Segment], terms: Sequence[Sequence[int]]) -> Block:
    """Return a block of the events of `segments`, each with its terms."""
    if count_events(segments) != len(terms):
        raise ValueError("each event of the segments needs its terms")
    postings = _postings(terms)
    body_bytes = sum(map(len, postings.values())) + 2 * len(postings)
    bits = min(_MOST_BITS, max(0, (body_bytes // _BUCKET_BYTES).bit_length()))
    buckets = [bytearray() for _ in range(1 << bits)]
    shift = TERM_BITS - bits
    before = [number << shift for number in range(1 << bits)]
    for term in sorted(postings):
        number = term >> shift
        bucket = buckets[number]
        _put(bucket, term - before[number])
        bucket += postings[term]
        before[number] = term
    head = zlib.compress(
        orjson.dumps({"v": INDEX_SCHEMA, "b": bits, "s": [segment.pack() for segment in segments]}), 6
    )
    first = len(head) + _OFFSET_BYTES * (len(buckets) + 1)
    table = bytearray(_OFFSET_BYTES * (len(buckets) + 1))
    ends = accumulate(map(len, buckets), initial=first)
    for number, end in enumerate(ends):
        pack_into("<I", table, number * _OFFSET_BYTES, end)
    return Block(tuple(segments), bits, len(head), b"".join((head, table, *buckets)))


def _postings(terms: Sequence[Sequence[int]]) -> dict[int, bytes]:
    """Term -> its events as a bucket writes them."""
    events_of: dict[int, list[int]] = {}
    for number, held in enumerate(terms):
        for term in held:
            found = events_of.get(term)
            if found is None:
                events_of[term] = [number]
            elif found[-1] != number:
                found.append(number)
    width = (len(terms) + 7) // 8
    return {term: _posting(found, width) for term, found in events_of.items()}


def _posting(events: list[int], width: int) -> bytes:
    out = bytearray()
    if len(events) == 1:
        _put(out, events[0] * 2)
        return bytes(out)
    if len(events) <= width:
        steps = bytearray()
        before = 0
        for number in events:
            _put(steps, number - before)
            before = number
        if len(steps) <= width:
            _put(out, len(steps) * 2 + 1)
            return bytes(out + steps)
    bits = bytearray(width)
    for number in events:
        bits[number >> 3] |= 1 << (number & 7)
    out.append(1)
    return bytes(out + bits)


def open_block(stored: bytes, head_bytes: int) -> Block:
    """Read a block. Raises NewerRecord, or ValueError for what is no block."""
    segments, bits = open_head(stored[:head_bytes])
    return Block(segments, bits, head_bytes, stored)


def open_head(head: bytes) -> tuple[tuple[Segment, ...], int]:
    """Return (segments, bits) of a block's head. Raises NewerRecord, ValueError."""
    try:
        facts = _facts(zlib.decompress(head))
    except zlib.error as error:
        raise ValueError("a block of the index is damaged") from error
    return _segments(facts["s"]), int(facts["b"])


def table_entry(head_bytes: int, bucket: int) -> tuple[int, int]:
    """Return where it says in a block (from, to) where a bucket begins and ends."""
    at = head_bytes + bucket * _OFFSET_BYTES
    return at, at + 2 * _OFFSET_BYTES


def bucket_of(term: int, bits: int) -> int:
    return term >> (TERM_BITS - bits)


def look_up(bucket: bytes, term: int, bits: int, events: int) -> int:
    """Return the events of a block that hold `term`, a bit each, out of its bucket. Of damaged bytes: none."""
    found = 0
    for held, posting in _walk(bucket, bucket_of(term, bits) << (TERM_BITS - bits), events):
        if held >= term:
            found = _bits(posting, bucket, events) if held == term else 0
            break
    return found


#: (kind, from, to): 0, the number of one event is `from`; 1, bits; 2, distances.
_Posting = tuple[int, int, int]


def _walk(bucket: bytes, before: int, events: int) -> Iterator[tuple[int, _Posting]]:
    """(term, where its events stand) of a bucket, ascending."""
    at, end, width = 0, len(bucket), (events + 7) // 8
    while at < end:
        step, at = _take(bucket, at)
        before += step
        word, at = _take(bucket, at)
        if not word & 1:
            yield before, (0, word >> 1, 0)
            continue
        size = width if word == 1 else word >> 1
        yield before, (1 if word == 1 else 2, at, at + size)
        at += size


def _bits(posting: _Posting, bucket: bytes, events: int) -> int:
    """A bit for each event. A number that no event of the block has is damage: then there is none, and no such bit is made."""
    kind, start, end = posting
    if kind == 0:
        return 1 << start if start < events else 0
    if kind == 1:
        return int.from_bytes(bucket[start:end], "little") & ((1 << events) - 1)
    found = number = 0
    while start < min(end, len(bucket)):
        step, start = _take(bucket, start)
        number += step
        if number >= events:
            return 0
        found |= 1 << number
    return found


def terms_in(block: Block) -> list[array[int]]:
    """Return what `encode_block` was given: the terms of each event, ascending."""
    terms = [array("I") for _ in range(block.events)]
    for number in range(1 << block.bits):
        bucket = block.bucket(number)
        for term, posting in _walk(bucket, number << (TERM_BITS - block.bits), block.events):
            bits = _bits(posting, bucket, block.events)
            while bits:
                lowest = bits & -bits
                terms[lowest.bit_length() - 1].append(term)
                bits ^= lowest
    return terms


def _put(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _take(data: bytes, at: int) -> tuple[int, int]:
    """(a varint, where it ends). What is cut off ends there."""
    number = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
    return number, at


def _facts(head: bytes) -> dict[str, Any]:
    facts: Any = orjson.loads(head)
    schema = facts.get("v") if isinstance(facts, dict) else None
    if isinstance(schema, int) and schema > INDEX_SCHEMA:
        raise NewerRecord(f"a part of the index of schema {schema}; this release reads {INDEX_SCHEMA}")
    if schema != INDEX_SCHEMA:
        raise ValueError("no part of the index")
    return dict(facts)


def _segments(packed: object) -> tuple[Segment, ...]:
    rows = packed if isinstance(packed, list) else []
    return tuple(
        Segment(str(source), int(minute), int(first), int(count)) for source, minute, first, count in rows
    )
