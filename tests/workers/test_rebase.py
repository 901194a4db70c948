"""What Planhat has becomes the base: whatever was forgotten, nothing that a person can still see is overwritten or said twice."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.description import safe_html
from relay.event import iso_time
from relay.patch import Document, Patch, fold
from relay.registers import Way
from relay.value import AS_BEFORE
from workers.flush.rebase import rebase

_WORDS = re.compile(r"text-\d+-\d+")


def patch(number: int, message: int, *, edit: int = 0, kind: str = "upsert", **fields: Any) -> Patch:
    """Event `number` about message `message`; its text is unique."""
    return Patch(
        external_id="x",
        event_id=f"evt_{number}",
        source="slack",
        version=1_700_000_000_000_000 + number,
        time=iso_time(1_700_000_000 + (message if kind == "upsert" else number)),
        fields={
            "type": ("replace", "Slack thread"),
            "subject": ("first", f"subject {number}"),
            "custom.Last": ("replace", f"last {number}"),
            "description": ("append", f"text-{message}-{edit}"),
            "endusers": ("union", [{"id": f"p{message % 3}"}]),
            **fields,
        }
        if kind == "upsert"
        else {},
        action=kind,  # type: ignore[arg-type]
        message_id=f"m{message}",
    )


def stands(document: Document, **more: Any) -> dict[str, Any]:
    """What Planhat has once `document` was delivered."""
    return {"_id": "u1", "externalId": "x", "companyId": "c1", **document.render(), **more}


def _about(texts: list[str]) -> set[str]:
    return {f"m{text.split('-')[1]}" for text in texts}


@dataclass
class History:
    """Events in the order they came: some stored before Redis was set back, some delivered and lost, some that come now."""

    events: list[Patch]
    stored: int
    delivered: int
    pending: set[int] = field(default_factory=set)
    #: Until then what came may have been delivered, as far as Redis can tell.
    since: int = 0


@st.composite
def histories(draw: st.DrawFn) -> History:
    events: list[Patch] = []
    said: list[int] = []
    edits: dict[int, int] = {}
    for number in range(draw(st.integers(2, 12))):
        kind = draw(st.sampled_from(["new", "new", "new", "edit", "retract"]))
        if kind == "new" or not said:
            said.append(number)
            events.append(patch(number, number))
        elif kind == "edit":
            message = draw(st.sampled_from(said))
            edits[message] = edits.get(message, 0) + 1
            events.append(patch(number, message, edit=edits[message]))
        else:
            # Nobody edits what is deleted.
            events.append(patch(number, said.pop(draw(st.integers(0, len(said) - 1))), kind="retract"))
    stored = draw(st.integers(0, len(events)))
    delivered = draw(st.integers(stored, len(events)))
    pending = {n for n in range(stored, delivered) if draw(st.booleans())}
    return History(events, stored, delivered, pending, draw(st.integers(delivered, len(events))))


@pytest.mark.parametrize(("way", "number"), [("replace", 7), ("first", 3)])
def test_what_a_cut_off_call_has_brought_is_no_first_of_somebody_else(way: str, number: int) -> None:
    """A call was cut off and took effect late: its event waits still, beside one that was first."""
    brought = patch(5, 5, subject=(way, "subject 5"))
    other = patch(number, number)
    there = fold(Document("x"), [brought])
    made = rebase(Document("x"), [], [brought, other], stands(there), repeated=[brought, other])
    fold(made, [brought, other])
    assert made.render()["subject"] == fold(Document("x"), [brought, other]).render()["subject"]


@given(histories())
def test_nothing_is_overwritten_and_nothing_said_twice(history: History) -> None:
    """`pending`: what waited when the state was taken that Redis was set back to. It was delivered since, and waits again."""
    events = history.events
    there = fold(Document("x"), events[: history.delivered])
    document = fold(Document("x"), events[: history.stored])
    waits = [events[n] for n in sorted(history.pending)]
    coming = events[history.delivered :]
    before = [*waits, *events[history.delivered : history.since]]
    made = rebase(document, before, [*waits, *coming], stands(there))
    fold(made, coming)
    whole = fold(Document("x"), events)
    # What is left out of an update stays as it is.
    said = {**there.render(), **made.render()}
    found = _WORDS.findall(str(said.get("description", "")))
    assert len(found) == len(set(found)), "said twice"
    # An edit or a deletion of what is only seen as text cannot reach into it: its old words may stay. Whose words are known
    # as they stand there, it is taken out.
    standing = _about(_WORDS.findall(str(there.render().get("description", ""))))
    known = _known(events[: history.stored], [*waits, *coming], standing, there)
    touched = {p.message_id for p in coming if p.action == "retract" or "description" in p.fields} - known
    expected = _WORDS.findall(str(whole.render().get("description", "")))
    visible = _WORDS.findall(str(there.render().get("description", "")))
    assert set(expected) <= set(found)
    # And what waited, and may never have been delivered, is said rather than lost, though it was deleted since.
    doubtful = {p.message_id for p in before} - {p.message_id for p in events[: history.stored]}
    extra = set(found) - set(expected)
    assert extra <= {
        text for text in found if f"m{text.split('-')[1]}" in touched & _about(visible) | doubtful
    }
    for name in ("type", "subject"):
        if there.render().get(name):
            assert said[name] == there.render()[name] if name == "subject" else said[name] == "Slack thread"
    assert {p["id"] for p in whole.render().get("endusers", [])} == {
        p["id"] for p in said.get("endusers", [])
    }
    newest = [p for p in events[history.since :] if "custom.Last" in p.fields]
    if newest:
        assert said["custom"]["Last"] == newest[-1].fields["custom.Last"][1]
    elif any(event.action == "retract" for event in events):
        pass
    elif set(range(history.stored, history.delivered)) <= history.pending:
        # All that was said is known, and so is what waited behind what stands there.
        assert said["custom"] == whole.render()["custom"]
    elif there.render().get("custom"):
        assert said["custom"] in (there.render()["custom"], whole.render()["custom"])


def _known(stored: list[Patch], pending: list[Patch], standing: set[str], there: Document) -> set[str]:
    """Deleted messages that stand in Planhat in words which Redis still holds."""
    held = fold(Document("x"), stored).registers.get("description", {}).get("append", {})
    words = {message: {entry[3]} for message, entry in held.items()}
    for p in pending:
        if "description" in p.fields:
            words.setdefault(p.message_id, set()).add(p.fields["description"][1])
    deleted = {p.message_id for p in [*stored, *pending] if p.action == "retract"} & standing
    entries = there.registers.get("description", {}).get("append", {})
    return {message for message in deleted if entries[message][3] in words.get(message, ())}


@given(histories())
def test_with_all_of_it_at_hand_it_is_the_fold(history: History) -> None:
    """Set back to what was delivered last: entries stay entries, so that edits and deletions reach them."""
    events = history.events
    there = fold(Document("x"), events[: history.delivered])
    document = fold(Document("x"), events[: history.delivered])
    coming = events[history.delivered :]
    made = fold(rebase(document, [], coming, stands(there)), coming)
    whole = fold(Document("x"), events)
    assert _WORDS.findall(str(made.render().get("description", ""))) == _WORDS.findall(
        str(whole.render().get("description", ""))
    )


@given(histories(), st.data())
def test_whatever_way_a_field_is_merged_in_what_stands_there_can_be_the_base(
    history: History, data: st.DataObject
) -> None:
    ways = st.sampled_from(get_args(Way))
    events = [
        replace(event, fields={**event.fields, "subject": (data.draw(ways), f"subject {event.event_id}")})
        if event.action == "upsert"
        else event
        for event in history.events
    ]
    there = fold(Document("x"), events[: history.delivered])
    coming = events[history.stored :]
    made = fold(rebase(fold(Document("x"), events[: history.stored]), [], coming, stands(there)), coming)
    again = Document.decode(made.encode())
    assert fold(again, coming).render() == made.render()


@pytest.mark.parametrize(
    ("came", "comes", "later", "subject"),
    [
        # A text stood in for a subject; it is known again by what comes, and the real one wins.
        (("placeholder", "Ticket 1"), ("placeholder", "Ticket 1"), ("first", "Printer"), "Printer"),
        (("fallback", "hello"), ("fallback", "other"), ("first", "Printer"), "hello"),
        # A real one stands: neither a stand-in nor a later real one takes its place.
        (("first", "Printer"), ("fallback", "hello"), ("first", "Scanner"), "Printer"),
        (("first", "Printer"), ("first", "Scanner"), ("placeholder", "Ticket 1"), "Printer"),
        (("first", "Printer"), ("placeholder", "Ticket 1"), ("replace", "Scanner"), "Scanner"),
    ],
)
def test_a_stand_in_takes_no_better_value_s_place(
    came: tuple[Way, str], comes: tuple[Way, str], later: tuple[Way, str], subject: str
) -> None:
    there = fold(Document("x"), [patch(1, 1, subject=came)])
    coming = [patch(2, 2, subject=comes)]
    made = fold(rebase(Document("x"), [], coming, stands(there)), [*coming, patch(3, 3, subject=later)])
    assert made.render()["subject"] == subject


@given(histories())
def test_what_a_call_that_was_cut_off_may_have_brought_is_not_said_twice(history: History) -> None:
    """All of it came after Redis was set back, and was sent once already; whether that arrived is not known."""
    events = [event for event in history.events if event.action == "upsert"]
    there = fold(Document("x"), events[: history.delivered])
    made = fold(rebase(Document("x"), [], events, stands(there), repeated=events), events)
    found = _WORDS.findall(str(made.render().get("description", "")))
    # Nor in older words: all of them are known.
    assert len(found) == len(_about(found)), "said twice"
    expected = fold(Document("x"), events).render()
    assert set(_WORDS.findall(str(expected.get("description", "")))) <= set(found)
    assert made.render().get("custom") == expected.get("custom")


def test_an_edit_finds_what_it_edits_though_nobody_knows_that_it_was_delivered() -> None:
    """The settlement was lost with a node of a cluster: message and edit wait, and the message stands in Planhat."""
    first, message, edit = patch(1, 1), patch(2, 2), patch(3, 2, edit=1)
    record = stands(fold(fold(Document("x"), [first]), [message]))
    based = rebase(fold(Document("x"), [first]), [message, edit], [message, edit], record)
    for one in (message, edit):
        based.absorb(one)
    assert _WORDS.findall(based.render()["description"]) == ["text-1-0", "text-2-1"]


def test_a_forgotten_thread_goes_on_where_it_stopped() -> None:
    old = fold(Document("x"), [patch(n, n) for n in range(3)])
    coming = [patch(9, 9)]
    made = fold(rebase(Document("x"), [], coming, stands(old)), coming)
    said = made.render()
    assert said["description"] == "".join(f"<p>text-{n}-0</p>" for n in (0, 1, 2, 9))
    assert said["subject"] == "subject 0" and said["custom"]["Last"] == "last 9"
    assert (made.planhat_id, made.company_id) == ("u1", "c1")


def test_what_a_person_wrote_in_it_stays_where_it_is() -> None:
    delivered = [patch(n, n) for n in range(2)]
    record = stands(fold(Document("x"), delivered))
    stood = record["description"].replace("</p><p>", "</p><ul><li>a note of ours<li>text-1-0</ul><p>")
    record["description"] = stood + "and the end"
    coming = [patch(9, 9), patch(10, 0, edit=1)]
    made = fold(rebase(fold(Document("x"), delivered), [], coming, record), coming)
    note = safe_html("<ul><li>a note of ours<li>text-1-0</ul>")
    assert made.render()["description"] == (
        f"<p>text-0-1</p>{note}<p>text-1-0</p><p>and the end</p><p>text-9-0</p>"
    )


def test_what_planhat_s_editor_has_rewritten_is_kept_whole() -> None:
    delivered = [patch(n, n) for n in range(2)]
    record = stands(
        fold(Document("x"), delivered),
        description='<p style="text-align: left">text-0-0</p>\n<div>text-1-0</div>',
    )
    coming = [patch(9, 9), patch(10, 0, edit=1)]
    made = fold(rebase(fold(Document("x"), delivered), [], coming, record), coming)
    assert made.render()["description"] == "<p>text-0-1</p><p>text-1-0</p><p>text-9-0</p>"


def test_a_deletion_of_what_is_forgotten_takes_nothing_away() -> None:
    old = fold(Document("x"), [patch(n, n) for n in range(2)])
    coming = [patch(9, 0, kind="retract")]
    made = fold(rebase(Document("x"), [], coming, stands(old)), coming)
    assert made.render().get("archived") is not True


def test_an_edit_finds_what_it_edits_although_both_waited() -> None:
    """The message was delivered, its edit was not, and Redis was set back to before both."""
    said = [patch(0, 0), patch(1, 1), patch(2, 2), patch(9, 1, edit=1)]
    record = stands(fold(Document("x"), said[:3]))
    made = fold(rebase(Document("x"), said, said, record), said)
    assert made.render()["description"] == "<p>text-0-0</p><p>text-1-1</p><p>text-2-0</p>"


@pytest.mark.parametrize("waited", [True, False])
@pytest.mark.parametrize("stored", [0, 3])
def test_a_deletion_of_what_stands_there_takes_it_out(stored: int, waited: bool) -> None:
    """It was delivered, its deletion was not, and then Redis was set back: to where it was known, or to where it waited. The
    same words of somebody else stay."""
    same: dict[str, Any] = {"description": ("append", "ok")}
    said = [patch(0, 0), patch(1, 1, **same), patch(2, 2, **same)]
    record = stands(fold(Document("x"), said))
    coming = [*said[stored:], patch(9, 1, kind="retract")]
    before = coming if waited else said[stored:]
    made = fold(rebase(fold(Document("x"), said[:stored]), before, coming, record), coming)
    assert made.render()["description"] == "<p>text-0-0</p><p>ok</p>"
    # And where it was taken out already, nothing else is.
    record = stands(fold(Document("x"), [*said, patch(9, 1, kind="retract")]))
    made = fold(rebase(fold(Document("x"), said[:stored]), before, coming, record), coming)
    assert made.render()["description"] == "<p>text-0-0</p><p>ok</p>"


def test_what_planhat_does_not_have_begins_anew() -> None:
    document = fold(Document("x", planhat_id="gone", sent_hash="h"), [patch(0, 0)])
    made = rebase(document, [], [patch(1, 1)], None)
    assert (made.planhat_id, made.sent_hash) == ("", "")


def _again(document: Document, record: dict[str, Any], *coming: Patch) -> Document:
    """What is known here after `coming`, said again by its sender, was delivered on top of `record`."""
    document = Document.decode(document.encode())
    return fold(rebase(document, [], coming, record, repeated=coming), coming)


def test_what_belongs_between_words_that_were_forgotten_parts_them_when_they_are_known_again() -> None:
    """1 and 3 were delivered and forgotten; 2, older than 3, had not come yet. Then 3 comes once more."""
    made = fold(Document("x"), [patch(0, 0)])
    record = stands(fold(Document("x"), [patch(n, n) for n in (0, 1, 3)]))
    for number, expected in (
        (5, [0, 1, 3, 5]),
        (2, [0, 1, 3, 2, 5]),
        (3, [0, 1, 2, 3, 5]),
        (1, [0, 1, 2, 3, 5]),
    ):
        made = _again(made, record, patch(number, number))
        record = stands(made)
        assert _WORDS.findall(record["description"]) == [f"text-{n}-0" for n in expected]


def test_a_forgotten_edit_that_comes_again_does_not_stand_beside_itself() -> None:
    """A message and its edit were delivered and forgotten. The message comes again, and stands beside its edit; then the edit."""
    first, edit = patch(1, 1), patch(2, 1, edit=1)
    record = stands(fold(Document("x"), [patch(0, 0), first, edit, patch(3, 3)]))
    for order in ((first, edit), (edit, first)):
        made, there = fold(Document("x"), [patch(0, 0)]), record
        for one in order:
            made = _again(made, there, one)
            there = stands(made)
        assert _WORDS.findall(there["description"]) == ["text-0-0", "text-1-1", "text-3-0"]


def test_lines_are_found_whole() -> None:
    """An appended text that is no description: a word is no line because another line holds it."""

    def note(number: int, text: str) -> Patch:
        return replace(patch(number, number), fields={"custom.Notes": ("append", text)})

    there = fold(Document("x"), [note(1, "token"), note(2, "ok"), note(3, "ok then")])
    made = _again(Document("x"), stands(there), note(2, "ok"))
    assert made.render()["custom"]["Notes"] == "token\nok\nok then"


def test_an_edit_whose_author_was_known_from_its_message_is_found() -> None:
    said = replace(patch(1, 1), author="Ann")
    edit = patch(2, 1, description=("append", f"<p><strong>{AS_BEFORE}</strong>: text-1-1</p>"))
    record = stands(fold(Document("x"), [said, edit, patch(3, 3)]))
    assert "Ann" in record["description"]
    made = _again(Document("x"), record, said, edit)
    assert made.render()["description"] == record["description"]
