"""A outgoing item is its draft in bytes: nothing of what its patches said is lost on the way to Planhat's answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from relay.conversation import canonical
from relay.outbox.items import Item, Pending
from relay.patch import Document, Patch, fold
from relay.value import AS_BEFORE
from tests.outbox.test_patch import patches, state
from workers.flush.first_word import first_word
from workers.flush.fold import HISTORY_ENTRIES, FoldedItem, OutgoingItem


def item(events: list[Patch], document: bytes | None = None) -> Item:
    pending = tuple(Pending(patch.event_id, "slack", 1, patch.encode()) for patch in events)
    return Item("x", "slack", "7", 0, 0, 1, document, pending)


def outgoing(events: list[Patch], document: bytes | None = None) -> OutgoingItem:
    folded_item = FoldedItem.of(item(events, document))
    folded_item.company_id = "extid-acme"
    return folded_item.outgoing()


@given(st.lists(patches(), max_size=5), st.lists(patches(), min_size=1, max_size=5))
def test_a_parcel_holds_the_whole_fold(before: list[Patch], events: list[Patch]) -> None:
    stored = fold(Document("x"), before).encode() if before else None
    expected = fold(Document("x"), [*before, *events])

    made = outgoing(events, stored)

    assert state(made.whole()) == state(expected)
    assert state(Document.decode(made.delivered("u1", {"at_ms": 1, "what": "sent"}))) == state(expected)
    sent = orjson.loads(made.row.body)
    assert sent == {"externalId": "x", "companyId": "extid-acme", **expected.render()}


@given(st.lists(patches(), max_size=3), st.lists(patches(), min_size=1, max_size=5))
def test_an_event_is_superseded_where_nothing_stands_on_it(before: list[Patch], events: list[Patch]) -> None:
    stored = fold(Document("x"), before).encode() if before else None
    document = fold(Document("x"), [*before, *events])
    standing = document.contributors()
    gone = {
        patch.event_id
        for patch in events
        if patch.event_id not in standing
        or (patch.action == "upsert" and patch.message_id in document.retracted)
    }

    assert FoldedItem.of(item(events, stored)).superseded() == gone


@given(patches())
def test_the_first_word_on_a_conversation_stands_as_any_other(patch: Patch) -> None:
    standing = fold(Document("x"), [patch]).contributors()
    assert FoldedItem.of(item([patch])).superseded() == {patch.event_id} - standing


@given(
    patches(),
    st.dictionaries(
        st.sampled_from(["description", "snippet", "custom.channel", "custom.Channel", "archived"]),
        st.tuples(
            st.sampled_from(["replace", "first", "append", "fallback", "placeholder", "union"]),
            st.sampled_from(["", "a", f"<b>{AS_BEFORE}</b>: b", None, 0, False, [], ["a"], 1.5]),
        ),
    ),
)
def test_the_first_word_alone_is_what_the_fold_makes_of_it(patch: Patch, more: dict[str, Any]) -> None:
    patch = replace(patch, fields={**patch.fields, **more})
    expected = fold(Document("x", life=3), [patch])

    made = first_word("x", 3, patch)

    said = orjson.dumps([value for way, value in patch.fields.values() if way == "append"])
    general = (
        patch.action != "upsert"
        or any(way == "union" for way, _ in patch.fields.values())
        or AS_BEFORE.encode() in said
        or {"custom.channel", "custom.Channel"} <= patch.fields.keys()
    )
    assert made or general
    if made:
        assert made[0].encode() == expected.encode()
        assert canonical(made[1]) == canonical(expected.render())


def test_what_was_delivered_is_remembered() -> None:
    event = Patch("x", "e1", "slack", 1, "2026-01-01T00:00:00.000Z", {"type": ("replace", "Slack thread")})
    made = outgoing([event])
    for number in range(HISTORY_ENTRIES + 5):
        stored = made.delivered("u1", {"at_ms": number, "what": "sent"})
        made = outgoing([event], stored)
    document = Document.decode(stored)

    assert (document.planhat_id, document.company_id, document.sent_hash) == ("u1", "extid-acme", made.hash)
    assert [entry["at_ms"] for entry in document.history] == list(range(5, HISTORY_ENTRIES + 5))
    assert FoldedItem.of(item([event], stored)).need == "same"


def test_without_its_id_a_parcel_says_the_same() -> None:
    event = Patch("x", "e1", "slack", 1, "2026-01-01T00:00:00.000Z", {"subject": ("replace", "hello")})
    stored = outgoing([event]).delivered("u1", {"at_ms": 1, "what": "sent"})
    later = Patch("x", "e2", "slack", 2, "2026-01-02T00:00:00.000Z", {"subject": ("replace", "bye")})
    by_id = outgoing([later], stored)

    plain = by_id.by_external_id()

    assert by_id.row.planhat_id == "u1" and plain.row.planhat_id == ""
    assert {"_id": "u1", **orjson.loads(plain.row.body)} == orjson.loads(by_id.row.body)


def test_patches_let_go_of_their_bytes_once_folded() -> None:
    event = Patch("x", "e1", "slack", 1, "2026-01-01T00:00:00.000Z", {"subject": ("replace", "hello")})
    assert [pending.patch for pending in outgoing([event]).item.pending] == [b""]


def test_the_last_message_that_goes_archives_whatever_a_rule_had_written_before() -> None:
    time = "2026-01-01T00:00:00.000Z"
    open_again: dict[str, Any] = {"archived": ("replace", False), "description": ("append", "hello")}
    said = Patch("x", "e1", "slack", 1, time, open_again, message_id="m1")
    gone = Patch("x", "e2", "slack", 2, time, action="retract", message_id="m1")
    kept_open = Patch("x", "e3", "slack", 3, time, {"archived": ("replace", False)})
    another = Patch("x", "e3", "slack", 3, time, open_again, message_id="m2")
    for events, archived in (
        ([said], False),
        ([said, gone], True),
        ([said, gone, kept_open], False),
        ([said, gone, another], False),
    ):
        for order in permutations(events):
            assert fold(Document("x"), order).render()["archived"] is archived
