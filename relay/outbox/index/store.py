"""The index as Redis holds it: a tail of chunks, written as events come in, and the blocks that they end in. It knows numbers, not
words: what they stand for is `relay.operations.search`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from struct import unpack
from typing import Any, Final

import orjson

from relay.outbox import keys
from relay.outbox.index.block import (
    INDEX_SCHEMA,
    Block,
    Chunk,
    bucket_of,
    look_up,
    open_block,
    open_head,
    table_entry,
)
from relay.outbox.index.places import Segment
from relay.outbox.scripts import reaching_redis
from relay.outbox.store import Store

#: Blocks that one round trip asks.
_AT_ONCE: Final = 250


@dataclass(frozen=True, slots=True)
class Cursor:
    """What of the lists is in the index: all before `minute`, and of it as many of each source as `taken` says. `key` names
    the key of its terms, `clock_back` counts how often Redis's clock went back until then."""

    minute: int
    taken: Mapping[str, int] = field(default_factory=dict)
    key: str = ""
    clock_back: int = 0

    def pack(self) -> bytes:
        facts = {
            "v": INDEX_SCHEMA,
            "m": self.minute,
            "p": dict(self.taken),
            "k": self.key,
            "c": self.clock_back,
        }
        return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def unpack(cls, stored: bytes) -> Cursor | None:
        """Read the state of the index; None for what this release did not write: then there is no index."""
        try:
            facts = orjson.loads(stored)
            if facts["v"] != INDEX_SCHEMA:
                return None
            return cls(facts["m"], facts["p"], facts["k"], facts["c"])
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """What is known of a block without reading it."""

    number: int
    first_minute: int
    last_minute: int
    events: int
    bits: int
    head_bytes: int

    @classmethod
    def of(cls, number: int, block: Block) -> BlockFacts:
        minutes = [segment.minute for segment in block.segments]
        return cls(number, min(minutes), max(minutes), block.events, block.bits, block.head_bytes)

    def pack(self) -> bytes:
        return orjson.dumps([self.first_minute, self.last_minute, self.events, self.bits, self.head_bytes])


@dataclass(frozen=True, slots=True)
class IndexState:
    """The index as it stands at one moment, without its terms. `blocks`: the newest first. `tail`: events that are in none yet.
    `revision` fences a change of what stands there."""

    cursor: Cursor | None
    stored_cursor: bytes
    revision: int
    tail: int
    blocks: tuple[BlockFacts, ...]

    @property
    def next_number(self) -> int:
        return max((block.number for block in self.blocks), default=0) + 1


class EventIndex:
    """Reads and writes the index of one lane. Every method may raise OutboxUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._prefix = store.prefix

    # -- reading ---------------------------------------------------------------------------------------------

    def state(self) -> IndexState:
        """Return how far it has come, and its blocks."""
        with reaching_redis():
            pipe = self._store.redis.pipeline(transaction=True)
            pipe.hgetall(self._prefix + keys.INDEX)
            pipe.hgetall(self._prefix + keys.INDEX_BLOCKS)
            head, rows = pipe.execute()
        stored = head.get(b"cursor", b"")
        blocks = [BlockFacts(int(number), *orjson.loads(facts)) for number, facts in rows.items()]
        blocks.sort(key=lambda block: (block.last_minute, block.first_minute, block.number), reverse=True)
        cursor = Cursor.unpack(stored) if stored else None
        return IndexState(
            cursor, stored, int(head.get(b"revision", 0)), int(head.get(b"tail", 0)), tuple(blocks)
        )

    def tail(self) -> list[Chunk]:
        """Return the chunks that are in no block yet, oldest first. One that cannot be read holds nothing."""
        with reaching_redis():
            stored: Any = self._store.redis.lrange(self._prefix + keys.INDEX_TAIL, 0, -1)
        chunks = []
        for value in stored:
            try:
                chunks.append(Chunk.decode(value))
            except (ValueError, KeyError, TypeError):
                chunks.append(Chunk((), ()))
        return chunks

    def holding(self, blocks: Sequence[BlockFacts], terms: Sequence[int]) -> list[int]:
        """Return for each block the events that hold all of `terms`, a bit each. A block that has expired meanwhile has none."""
        found: list[int] = []
        for start in range(0, len(blocks), _AT_ONCE):
            found += self._holding(blocks[start : start + _AT_ONCE], terms)
        return found

    def _holding(self, blocks: Sequence[BlockFacts], terms: Sequence[int]) -> list[int]:
        redis, asked = self._store.redis, [(block, term) for block in blocks for term in terms]
        with reaching_redis():
            pipe = redis.pipeline(transaction=False)
            for block, term in asked:
                start, end = table_entry(block.head_bytes, bucket_of(term, block.bits))
                pipe.getrange(self._prefix + keys.index_block(block.number), start, end - 1)
            entries = pipe.execute()
            pipe = redis.pipeline(transaction=False)
            for (block, _), entry in zip(asked, entries, strict=True):
                start, end = unpack("<II", entry) if len(entry) == 8 else (0, 0)
                # An empty range cannot be asked for: one byte too many, which is cut off again.
                pipe.getrange(self._prefix + keys.index_block(block.number), start, end)
            buckets = pipe.execute()
        bits = dict.fromkeys((block.number for block in blocks), -1)
        for (block, term), entry, bucket in zip(asked, entries, buckets, strict=True):
            start, end = unpack("<II", entry) if len(entry) == 8 else (0, 0)
            bits[block.number] &= look_up(bucket[: end - start], term, block.bits, block.events)
        return [bits[block.number] for block in blocks]

    def segments(self, blocks: Sequence[BlockFacts]) -> list[tuple[Segment, ...]]:
        """Return which events each of the blocks is about; () for one that has expired."""
        with reaching_redis():
            pipe = self._store.redis.pipeline(transaction=False)
            for block in blocks:
                pipe.getrange(self._prefix + keys.index_block(block.number), 0, block.head_bytes - 1)
            heads = pipe.execute()
        return [open_head(head)[0] if head else () for head in heads]

    def block(self, facts: BlockFacts) -> Block | None:
        """Return all of one; None where it has expired. Raises ValueError for what cannot be read."""
        with reaching_redis():
            stored: Any = self._store.redis.get(self._prefix + keys.index_block(facts.number))
        return open_block(stored, facts.head_bytes) if stored else None

    # -- changing --------------------------------------------------------------------------------------------

    def append(self, before: bytes, cursor: Cursor, chunk: Chunk | None) -> bool:
        """Takes in what came. False where somebody else was quicker."""
        packed, events = (chunk.encode(), chunk.events) if chunk is not None else (b"", 0)
        args = ["append", before, cursor.pack(), self._store.retention.events_s, events, packed]
        return bool(self._store.run("index", args))

    def close(
        self, state: IndexState, closed: Sequence[Chunk], block: Block | None, expired: Sequence[int] = ()
    ) -> bool:
        """Make the oldest chunks of the tail, `closed`, into `block` (None: they go); blocks that have `expired` are named no longer.
        False where it changed meanwhile."""
        number, facts, data = "", b"", b""
        if block is not None:
            number = str(state.next_number)
            facts, data = BlockFacts.of(state.next_number, block).pack(), block.data
        events = sum(chunk.events for chunk in closed)
        kept_s = self._store.retention.events_s
        args = ["close", state.revision, len(closed), kept_s, events, number, facts, data, *expired]
        return bool(self._store.run("index", args))

    def amend(self, state: IndexState, chunks: Mapping[int, Chunk], blocks: Mapping[int, Block]) -> bool:
        """Puts others in the place of chunks (by their place in the tail) and of blocks (by number), of as many events each. False
        where it changed meanwhile."""
        args: list[Any] = ["amend", state.revision]
        for place, chunk in chunks.items():
            args += ("tail", place, chunk.encode(), "", "")
        for fresh, (number, block) in enumerate(blocks.items(), state.next_number):
            args += ("block", number, block.data, fresh, BlockFacts.of(fresh, block).pack())
        return bool(self._store.run("index_amend", args))

    def rewind(self, revision: int, cursor: Cursor, blocks: Sequence[int]) -> bool:
        """Sets it back, without its tail and these blocks. False where it changed meanwhile."""
        return bool(self._store.run("index_amend", ["rewind", revision, cursor.pack(), *blocks]))
