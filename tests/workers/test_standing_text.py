"""Where entries stand in a text: what the index finds is what reading the whole text finds, and thousands take linear time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.description import block_of, edges
from relay.patch import DESCRIPTION, Document
from tests.growth import assert_linear
from workers.flush.standing import _elsewhere, _in_order, _places, align_appended
from workers.flush.standing_text import Blocks, Lines, RunningText

Place = tuple[int, int]


def plainly(text: Lines) -> Callable[[str, int], Place | None]:
    """`find`, by its definition: the first place whose both ends are ends of lines, or of blocks."""
    whole = text.text
    if isinstance(text, Blocks):
        ends = edges(whole)
    else:
        ends = frozenset(n for n in range(len(whole) + 1) if whole[max(0, n - 1) : n] in ("", "\n"))
        ends_of = frozenset(n for n in range(len(whole) + 1) if whole[n : n + 1] in ("", "\n"))

    def find(words: str, at: int) -> Place | None:
        block = block_of(words) if isinstance(text, Blocks) else words
        for start in range(at, len(whole) - len(block) + 1):
            end = start + len(block)
            closed = end in (ends if isinstance(text, Blocks) else ends_of)
            if whole.startswith(block, start) and start in ends and closed:
                return start, end
        return None

    return find


lines = st.lists(st.sampled_from(["", "a", "b", "ab", "a b", " a"]), max_size=8).map("\n".join)
blocks = st.lists(
    st.sampled_from(["<p>a</p>", "<p>b</p>", "<hr>", "<p></p>", "<ul><li>a</li></ul>", " ", "a", "<p>a<br>b</p>"]),
    max_size=8,
).map("".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_index_finds_what_reading_finds(data: st.DataObject) -> None:
    for made, texts in ((Lines, lines), (Blocks, blocks)):
        text = made(data.draw(texts))
        find = plainly(text)
        words = data.draw(texts)
        for at in range(len(text.text) + 2):
            assert text.find(words, at) == find(words, at), (text.text, words, at)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_stands_elsewhere_is_what_a_plain_search_finds(data: st.DataObject) -> None:
    text = Lines(data.draw(lines))
    spoken = st.lists(st.lists(lines.filter(bool), min_size=1, max_size=2), max_size=5)
    live = [((f"{n % 3}", f"m{n}"), words) for n, words in enumerate(data.draw(spoken))]
    deleted = [((f"{n % 3}", f"x{n}"), words) for n, words in enumerate(data.draw(spoken))]
    ordered = _places(text, live, deleted)
    assert ordered == _places_plainly(text, live, deleted)
    assert _elsewhere(text, [*live, *deleted], ordered) == _elsewhere_plainly(
        text, [*live, *deleted], ordered
    )


Spoken = tuple[tuple[str, str], Sequence[str]]


def _places_plainly(text: Lines, live: Sequence[Spoken], deleted: Sequence[Spoken]) -> dict[str, Place]:
    alone, both = _in_order(text, live), _in_order(text, [*live, *deleted])
    if not deleted or alone.keys() <= both.keys():
        return both
    ordered = [("", ""), *sorted(one for one, _ in live if one[1] in alone), ("~", "")]
    found = dict(alone)
    for after, before in pairwise(ordered):
        at = alone[after[1]][1] if after[1] else 0
        end = alone[before[1]][0] if before[1] else len(text.text)
        between = [(one, words) for one, words in deleted if after < one < before]
        found |= {m: place for m, place in _in_order(text, between, at).items() if place[1] <= end}
    return found


def _elsewhere_plainly(
    text: Lines, said: Sequence[Spoken], found: Mapping[str, Place]
) -> list[tuple[int, int, str]]:
    find, taken = plainly(text), list(found.values())
    more: list[tuple[int, int, str]] = []
    for (_, message), words in sorted(said):
        for one in words:
            if message in found and find(one, found[message][0]) == found[message]:
                continue
            at = 0
            while (place := find(one, at)) is not None:
                if all(place[1] <= start or end <= place[0] for start, end in taken):
                    more.append((*place, message))
                    taken.append(place)
                    break
                at = place[0] + 1
    return more


@given(
    st.lists(st.sampled_from(["a", "ab", "b"]), max_size=9),
    st.lists(st.sampled_from(["a", "ab", "b"]), max_size=5),
)
def test_running_text_holds_what_is_a_part_of_it(words: list[str], said: list[str]) -> None:
    text = " ".join(words)
    for part in (" ".join(said), text[1:-1], text[1:]):
        assert RunningText(text).has(part) == (part in text)


def appended(name: str, standing: Sequence[str], entries: Sequence[str]) -> None:
    """Aligns a text of these lines with a document that holds these entries."""
    document = Document("x")
    document.registers[name] = {
        "append": {f"m{n:05d}": [0, f"e{n}", 0, words, f"{n:05d}"] for n, words in enumerate(entries)}
    }
    document.messages = {f"m{n:05d}": 1 for n in range(len(entries))}
    align_appended(document, name, "\n".join(standing), {}, set(), [])


@pytest.mark.parametrize("name", [DESCRIPTION, "custom.log"])
def test_time_grows_as_the_entries_do(name: str) -> None:
    def as_sent(number: int) -> list[str]:
        return [f"<p>word {n} said</p>" for n in range(number)]

    def same(number: int) -> list[str]:
        return ["<p>again</p>"] * number

    def no_order(number: int) -> list[str]:
        return as_sent(number)[::-1]

    def rewritten(number: int) -> list[str]:
        return [f"<div>word {n} says</div>" for n in range(number)]

    for standing, entries in (
        (as_sent, as_sent), (same, same), (no_order, as_sent), (rewritten, as_sent), (same, as_sent),
    ):  # fmt: skip
        assert_linear(
            lambda of, standing=standing, entries=entries: appended(
                name, standing(len(of)), entries(len(of))
            ),  # type: ignore[misc]
            "-",
            size=2_500,
        )
