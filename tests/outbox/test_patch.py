"""The fold's law: any order, any duplication, any grouping of the same patches gives the same document."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.patch import MAX_COMPANY_ASKS, PATCH_SCHEMA, Document, Patch, fold
from relay.registers import Way
from relay.value import AS_BEFORE

WORDS = st.sampled_from(["", "a", "b", "c"])
MESSAGES = st.sampled_from(["m1", "m2", "m3", ""])
PEOPLE = st.lists(st.fixed_dictionaries({"id": st.sampled_from(["p", "q"]), "name": WORDS}), max_size=2)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "subject": st.tuples(st.sampled_from(["replace", "first", "fallback", "placeholder"]), WORDS),
        "type": st.tuples(st.just("replace"), WORDS),
        "description": st.tuples(st.sampled_from(["append", "replace"]), WORDS),
        "endusers": st.tuples(st.just("union"), PEOPLE),
        "custom.Channel": st.tuples(st.sampled_from(["replace", "first"]), st.integers(0, 2)),
    },
)


@st.composite
def patches(draw: st.DrawFn) -> Patch:
    fields: Any = FIELDS
    action: Any = draw(st.sampled_from(["upsert", "upsert", "upsert", "retract", "archive"]))
    version = draw(st.integers(0, 4))
    return Patch(
        external_id="x",
        event_id=draw(st.sampled_from(["e1", "e2", "e3", "e4"])),
        source="slack",
        version=version,
        time=f"2026-01-0{version + 1}T00:00:00.000Z",
        fields=draw(fields) if action == "upsert" else {},
        action=action,
        message_id=draw(MESSAGES),
        company_id=draw(st.sampled_from(["", "extid-a", "extid-b"])),
        company=draw(st.sampled_from([{}, {"email": "ann@example.com"}])),
        revision=draw(st.integers(0, 1)),
        author=draw(st.sampled_from(["", "Ann", "Bo"])) if action == "upsert" else "",
    )


def state(document: Document) -> tuple[Any, ...]:
    held = (document.registers, document.retracted, document.messages, document.authors, document.asks)
    return (*held, document.render())


@given(st.lists(patches(), max_size=8), st.randoms(use_true_random=False))
def test_any_order_and_any_duplication_give_the_same_document(events: list[Patch], chance: Any) -> None:
    in_order = fold(Document("x"), events)
    shuffled = [*events, *events[:3]]
    chance.shuffle(shuffled)

    assert state(fold(Document("x"), shuffled)) == state(in_order)


@given(st.lists(patches(), max_size=8), st.integers(0, 8))
def test_folding_in_parts_through_storage_is_folding_at_once(events: list[Patch], cut: int) -> None:
    first = fold(Document("x"), events[:cut])
    stored = Document.decode(first.encode())
    second = fold(stored, [Patch.decode(patch.encode()) for patch in events[cut:]])

    assert state(second) == state(fold(Document("x"), events))


@given(st.lists(patches(), max_size=8))
def test_taking_in_what_is_already_in_changes_nothing(events: list[Patch]) -> None:
    document = fold(Document("x"), events)
    before = copy.deepcopy(state(document))

    fold(document, events)

    assert state(document) == before


@given(st.lists(patches(), min_size=1, max_size=8))
def test_the_newest_replace_is_what_stands(events: list[Patch]) -> None:
    named = [p for p in events if p.action == "upsert" and p.fields.get("type", ("", ""))[1]]
    document = fold(Document("x"), events)
    with_type = [p for p in events if p.action == "upsert" and "type" in p.fields]
    if with_type and named:
        newest = max(with_type, key=lambda p: (p.version, p.event_id, p.revision, p.fields["type"][1]))
        assert document.render().get("type", "") == newest.fields["type"][1]


def upsert(event: str, version: int, text: str, message: str, **fields: Any) -> Patch:
    return Patch(
        "x",
        event,
        "slack",
        version,
        f"2026-01-01T00:00:0{version}.000Z",
        {"description": ("append", text), **fields},
        message_id=message,
    )


def retract(event: str, version: int, message: str) -> Patch:
    return Patch(
        "x", event, "slack", version, "2026-01-02T00:00:00.000Z", action="retract", message_id=message
    )


@given(st.lists(patches(), max_size=8))
def test_a_fallback_never_wins_over_a_value(events: list[Patch]) -> None:
    told = fold(Document("x"), events).render().get("subject")
    for better in (("replace", "first"), ("replace", "first", "fallback")):
        if any(p.fields.get("subject", ("",))[0] in better for p in events):
            kept = [p for p in events if p.fields.get("subject", better)[0] in better]
            assert told == fold(Document("x"), kept).render().get("subject")


def test_an_edit_that_does_not_say_who_wrote_keeps_the_author_in_any_order() -> None:
    said = Patch(
        "x",
        "e1",
        "crisp",
        1,
        "2026-01-01T00:00:01.000Z",
        {"description": ("append", "<b>A &amp; B</b>: hi")},
        message_id="m1",
        author="A & B",
    )
    edited = Patch(
        "x",
        "e2",
        "crisp",
        2,
        "2026-01-01T00:00:02.000Z",
        {"description": ("append", f"<b>{AS_BEFORE}</b>: hello")},
        message_id="m1",
    )
    for events in ([said, edited], [edited, said]):
        assert fold(Document("x"), events).render() == {"description": "<b>A &amp; B</b>: hello"}
    assert fold(Document("x"), [edited]).render() == {"description": "hello"}


def test_a_fallback_stands_until_something_better_comes_whatever_its_version() -> None:
    steps: tuple[tuple[Way, str], ...] = (
        ("placeholder", "Ticket 12"),
        ("fallback", "It stops at row 500"),
        ("first", "Export fails"),
    )
    document = Document("x")
    for n, (way, subject) in enumerate(steps, 1):
        document.absorb(
            Patch("x", f"e{n}", "desk", n, f"2026-01-01T00:00:0{n}.000Z", {"subject": (way, subject)})
        )
        assert document.render() == {"subject": subject}
        assert document.contributors() == {f"e{n}"}


def test_an_edit_replaces_its_entry_and_stays_in_its_place() -> None:
    document = fold(Document("x"), [upsert("e1", 1, "one", "m1"), upsert("e2", 2, "two", "m2")])
    fold(document, [upsert("e3", 3, "one, mended", "m1")])
    assert document.render()["description"] == "<p>one, mended</p><p>two</p>"
    assert document.contributors() == {"e2", "e3"}


def test_an_older_edit_that_comes_late_changes_nothing_but_the_place() -> None:
    document = fold(Document("x"), [upsert("e3", 3, "new", "m1"), upsert("e1", 1, "old", "m1")])
    assert document.render()["description"] == "new"
    assert document.contributors() == {"e3"}


def test_a_deletion_before_its_message_keeps_it_out_for_good() -> None:
    document = fold(Document("x"), [retract("e2", 2, "m1")])
    assert document.render() == {}
    fold(document, [upsert("e1", 1, "gone", "m1")])
    assert document.render()["description"] == ""
    assert document.nothing_left() and document.render()["archived"] is True
    fold(document, [upsert("e3", 3, "still here", "m3")])
    assert document.render() == {"description": "still here", "archived": False}


def test_a_later_mapping_of_the_same_event_wins_over_its_own_earlier_one_only() -> None:
    def mapped(event: str, version: int, value: str, revision: int) -> Patch:
        return Patch("x", event, "s", version, "t", {"subject": ("replace", value)}, revision=revision)

    document = fold(Document("x"), [mapped("e1", 1, "old rules", 0), mapped("e1", 1, "new rules", 9)])
    assert document.render()["subject"] == "new rules"
    fold(document, [mapped("e2", 2, "newer event", 0), mapped("e1", 1, "newest rules", 99)])
    assert document.render()["subject"] == "newer event"


def test_only_the_earliest_companies_are_asked_for() -> None:
    many = [Patch("x", f"e{n}", "s", n, "t", company={"email": f"{n}@example.com"}) for n in range(20, 0, -1)]
    document = fold(Document("x"), many)
    assert len(document.asks) == MAX_COMPANY_ASKS
    assert document.asks[0][3] == {"email": "1@example.com"}


def test_this_release_reads_what_the_one_before_wrote_and_refuses_what_it_cannot_know() -> None:
    """Old and new code side by side in a rolling update: N reads N-1."""
    patch = upsert("e1", 1, "hi", "m1")
    document = fold(Document("x"), [patch])
    for kind, written in ((Patch, patch.encode()), (Document, document.encode())):
        raw = orjson.loads(written)
        assert kind.decode(orjson.dumps(raw | {"v": PATCH_SCHEMA - 1})) == kind.decode(written)
        with pytest.raises(ValueError, match="schema"):
            kind.decode(orjson.dumps(raw | {"v": PATCH_SCHEMA + 1}))


def test_keys_that_a_newer_release_adds_are_passed_over() -> None:
    """... and N's additions must not break N-1, which runs beside it for a while."""
    patch = upsert("e1", 1, "hi", "m1")
    assert Patch.decode(orjson.dumps(orjson.loads(patch.encode()) | {"new": 1})) == patch


def test_a_text_whose_every_entry_was_taken_back_is_sent_empty() -> None:
    document = fold(Document("x"), [upsert("e1", 1, "secret", "m1", **{"custom.Log": ("append", "secret")})])
    fold(document, [retract("e2", 2, "m1")])
    assert document.render() == {"description": "", "custom": {"Log": ""}, "archived": True}


# ---- descriptions


def test_what_an_older_release_kept_is_made_into_blocks_once() -> None:
    old = Document("x")
    old.registers["description"] = {
        "append": {
            "m1": [1, "e1", 0, "<div>one</div>\n<ul><li>two</li></ul>", "2026-01-01T00:00:01.000Z"],
            "m2": [2, "e2", 0, "three\nfour", "2026-01-01T00:00:02.000Z"],
        }
    }
    stored = orjson.loads(old.encode())
    del stored["b"]
    read = Document.decode(orjson.dumps(stored))
    text = read.render()["description"]
    assert text.startswith("<p>one</p><ul class=")
    assert text.endswith("<p>three<br>four</p>")
    again = Document.decode(read.encode())
    assert again.render()["description"] == text
    patch = orjson.loads(upsert("e3", 3, "five\n", "m3").encode())
    del patch["b"]
    assert Patch.decode(orjson.dumps(patch)).fields["description"] == ("append", "five")


def test_what_planhat_has_no_room_for_is_left_out_and_kept_here() -> None:
    document = fold(
        Document("x"), [upsert(f"e{n}", n, f"<p>{n} {'x' * 100_000}</p>", f"m{n}") for n in range(9)]
    )
    text = document.render()["description"]
    assert len(text) <= 524_288
    assert "4 earlier entries are left out here" in text
    assert ">8 xxx" in text
    fold(document, [retract(f"r{n}", 20 + n, f"m{n}") for n in range(4, 9)])
    assert document.render()["description"].startswith("<p>0 xxx")
    alone = fold(
        Document("y"), [Patch("y", "e", "s", 1, "", {"description": ("replace", "<p>" + "x" * 600_000)})]
    )
    assert "The rest is left out here" in alone.render()["description"]


def test_other_fields_that_append_are_lines() -> None:
    patches = [
        Patch(
            "x",
            f"e{n}",
            "s",
            n,
            f"2026-01-01T00:00:0{n}.000Z",
            {"custom.Log": ("append", f"line {n}")},
            message_id=f"m{n}",
        )
        for n in (1, 2)
    ]
    assert fold(Document("x"), patches).render() == {"custom": {"Log": "line 1\nline 2"}}


def test_of_two_custom_names_that_differ_in_case_the_newer_one_is_sent() -> None:
    """A rule was mended; what it wrote before stands in the document all the same."""
    before = Patch(
        "x", "e1", "s", 1, "", {"custom.status": ("replace", "open"), "custom.Channel": ("replace", "C1")}
    )
    after = Patch("x", "e2", "s", 2, "", {"custom.Status": ("replace", "done")})
    for order in ([before, after], [after, before]):
        assert fold(Document("x"), order).render() == {"custom": {"Channel": "C1", "Status": "done"}}
