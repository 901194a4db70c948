"""A conversation's date is its newest message's, as in Planhat's own threads, however late or twisted its events come."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.patch import Document, fold
from relay.rules.examples import example_event
from relay.rules.file.load import load
from relay.rules.rule import Mapped, RuleBook

FAMILIES = ("slack", "teams", "postmark", "zendesk", "generic")


def book_of(folder: Path, adapter: str, planhat: str = "") -> RuleBook:
    path = folder / f"{adapter}.yaml"
    path.write_text(
        f"planhat: {{types: [T]{planhat}}}\nsources: {{src: {{adapter: {adapter}, unauthenticated: true, type: T}}}}\n"
        "companies: [default: extid-a]\n"
    )
    return load(str(path), {})[1]


def date_after(book: RuleBook, adapter: str, *told: tuple[str, int, str]) -> str:
    """The date after these events, each (kind, minute, message id); an edit's own minute is when it was edited."""
    patches = []
    for number, (kind, minute, message) in enumerate(told):
        event = example_event(
            {
                "id": f"e{number}",
                "kind": kind,
                "time": f"2026-03-01T10:{minute:02d}:00.000Z",
                "version": minute,
                "text": "x",
                "message_id": message,
            },
            source="src",
            adapter=adapter,
        )
        verdict = book.map(event)
        assert isinstance(verdict, Mapped)
        patches.append(verdict.patch)
    return str(fold(Document("x"), patches).render()["date"])


@pytest.mark.parametrize("adapter", FAMILIES)
def test_the_newest_message_gives_the_date(adapter: str, tmp_path: Path) -> None:
    book = book_of(tmp_path, adapter)
    kind = "ticket.commented" if adapter == "zendesk" else "message.created"
    assert date_after(book, adapter, (kind, 1, "a"), (kind, 5, "b")) == "2026-03-01T10:05:00.000Z"
    late = date_after(book, adapter, (kind, 5, "b"), (kind, 1, "a"))
    assert late == "2026-03-01T10:05:00.000Z"


@pytest.mark.parametrize("adapter", FAMILIES)
def test_the_first_one_by_choice(adapter: str, tmp_path: Path) -> None:
    book = book_of(tmp_path, adapter, ", thread_date: first")
    kind = "ticket.commented" if adapter == "zendesk" else "message.created"
    assert date_after(book, adapter, (kind, 5, "b"), (kind, 1, "a")) == "2026-03-01T10:01:00.000Z"


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RuleBook]:
    return {name: book_of(tmp_path_factory.mktemp("dates"), name) for name in ("slack", "teams", "zendesk")}


TOLD = st.lists(
    st.tuples(
        st.sampled_from(["message.created", "message.created", "message.updated"]),
        st.integers(0, 59),
        st.sampled_from("abcd"),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda one: one[1],
)


@given(adapter=st.sampled_from(["slack", "teams", "zendesk"]), told=TOLD, chance=st.randoms())
def test_edits_never_move_the_date_and_the_order_of_arrival_does_not_matter(
    books: dict[str, RuleBook], adapter: str, told: list[tuple[str, int, str]], chance: Random
) -> None:
    created = [minute for kind, minute, _ in told if kind == "message.created"]
    # Of a message that is known by its edits alone, the first of them.
    minute = max(created) if created else min(minute for _, minute, _ in told)
    wanted = f"2026-03-01T10:{minute:02d}:00.000Z"
    assert date_after(books[adapter], adapter, *told) == wanted
    twisted = list(told)
    chance.shuffle(twisted)
    assert date_after(books[adapter], adapter, *twisted) == wanted


def test_a_new_status_of_a_ticket_is_no_message(tmp_path: Path) -> None:
    book = book_of(tmp_path, "zendesk")
    opened = example_event({"kind": "ticket.created", "version": 1}, source="src", adapter="zendesk")
    solved = example_event(
        {
            "kind": "ticket.solved",
            "version": 2,
            "time": "2026-05-01T00:00:00Z",
            "ticket": {"status": "solved"},
        },
        source="src",
        adapter="zendesk",
    )
    patches = [verdict.patch for verdict in map(book.map, (opened, solved)) if isinstance(verdict, Mapped)]
    document = fold(Document("x"), patches).render()
    assert (document["date"], document["custom"]["Status"]) == ("2026-01-02T03:04:05.000Z", "solved")


@pytest.mark.parametrize("written", ['"2025-08-11"', "2025-08-11", '"{{ payload.day }}"'])
def test_a_plain_date_is_completed(written: str, tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    path.write_text(
        "planhat: {types: [T]}\nsources: {src: {adapter: generic, unauthenticated: true}}\ncompanies: [default: extid-a]\n"
        f"rules: [{{name: r, source: src, conversation: {{type: T, externalId: '{{{{ event.thread }}}}', date: {written}, startDate: {written}}}}}]\n"
    )
    _, book = load(str(path), {})
    verdict = book.map(example_event({}, source="src", adapter="generic", payload={"day": "2025-08-11"}))
    assert isinstance(verdict, Mapped)
    assert verdict.patch.fields["date"] == ("replace", "2025-08-11T00:00:00.000Z")
    assert verdict.patch.fields["startDate"] == ("replace", "2025-08-11T00:00:00.000Z")
