"""What must hold in the end of a seed, when nothing is pending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from relay.event import event_id
from relay.outbox.items import STATES
from relay.patch import Document, Patch, fold

if TYPE_CHECKING:
    from bench.storm.storm import Storm


def check_end(storm: Storm, *, with_dead: bool) -> None:
    """Books, states, documents and records agree. `with_dead`: no letter is left either."""
    _check_books(storm)
    outbox = storm.outbox
    dead = {letter.external_id for letter in outbox.dead.get_many(outbox.dead.ids(limit=1000))}
    assert not (with_dead and dead), dead
    twice = Counter(record["externalId"] for record in storm.planhat.records.values())
    assert not twice or max(twice.values()) == 1, twice
    stands = {record["externalId"]: record for record in storm.planhat.records.values()}
    for external_id, patches in storm.patches.items():
        if external_id in dead:
            continue
        record = stands.get(external_id)
        if any(patch.event_id in storm.forgotten for patch in patches):
            _check_forgotten([p for p in patches if p.event_id not in storm.forgotten], patches, record)
            continue
        expected = fold(Document(external_id), patches)
        stored = outbox.document(external_id)
        assert stored is not None, external_id
        if not storm.was_set_back:
            held = Document.decode(stored)
            mine = (held.registers, held.retracted, held.messages)
            assert mine == (expected.registers, expected.retracted, expected.messages), external_id
        _check_record(expected, record)


def _check_books(storm: Storm) -> None:
    books: Counter[str] = Counter()
    for source, counts in storm.outbox.ledger().items():
        assert counts["accepted"] == sum(counts[state] for state in STATES), (source, counts)
        assert counts["pending"] == 0, (source, counts)
        books.update(counts)
    names = sorted({event_id("slack", str(n + 1)) for n in range(storm.number)} - storm.forgotten)
    assert books["accepted"] == len(names), (books, len(names))
    states = Counter(found[0] for found in storm.outbox.events.get_many(names) if found)
    assert all(states[state] == books[state] for state in STATES), (states, books)


def _check_record(expected: Document, record: Mapping[str, Any] | None) -> None:
    if record is None:
        assert _nothing_to_have(expected), expected.external_id
        return
    for name, value in expected.render().items():
        assert record.get(name) == value, (expected.external_id, name, record.get(name), value)


def _check_forgotten(
    known: Sequence[Patch], patches: Sequence[Patch], record: Mapping[str, Any] | None
) -> None:
    """Some of its events are forgotten: what is known of a message that they do not speak of is there, once."""
    text = f"{(record or {}).get('description', '')}<"
    said = Counter(patch.message_id for patch in patches)
    for patch in known:
        if patch.action == "upsert" and said[patch.message_id] == 1:
            words = f"{patch.fields['description'][1]}<"
            assert text.count(words) == 1, (patch.external_id, words, text)


def _nothing_to_have(document: Document) -> bool:
    from workers.flush.fold import _need

    return _need(document, document.render(), "x") == "nothing"
