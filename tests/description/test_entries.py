"""A thread's entries are shown apart, and what Planhat has no room for is left out and said, never refused."""

from __future__ import annotations

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from relay.description import MAX_CHARS, fit_to_planhat, join, safe_html, words_of_html
from relay.planhat.sandbox.editor import as_edited
from tests.growth import assert_in_step

ENTRIES = st.lists(
    st.one_of(
        st.text(alphabet="ab <&é👾", max_size=30).map(lambda text: " ".join(text.split())),
        st.sampled_from(["<p>a <b>b</b></p>", "<ul><li>a<li>b</ul>", "one\ntwo", "<p>x</p><hr><p>y</p>"]),
    ).map(safe_html),
    max_size=12,
)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def test_entries_are_blocks_of_their_own() -> None:
    assert join(["hello", "<p>you</p>", "a &amp; b"]) == "<p>hello</p><p>you</p><p>a &amp; b</p>"
    assert join(["alone"]) == "alone"
    assert join([]) == ""


@given(ENTRIES)
def test_a_join_is_safe_and_holds_all_words(entries: list[str]) -> None:
    joined = join(entries)
    assert words_of_html(joined) == [word for entry in entries for word in words_of_html(entry)]
    assert as_edited(joined).faithful
    if len([entry for entry in entries if entry]) > 1:
        assert safe_html(joined) == joined


def test_the_oldest_entries_give_way_and_the_newest_stay() -> None:
    entries = [f"<p>entry {number} {'x' * 900}</p>" for number in range(1_000)]
    text = join(entries)
    assert units(text) <= MAX_CHARS
    assert text.endswith(entries[-1])
    kept = re.findall(r"entry (\d+)", text)
    assert kept == [str(number) for number in range(int(kept[0]), 1_000)]
    assert f"{1_000 - len(kept)} earlier entries are left out here" in text[:200]
    assert len(text) > MAX_CHARS - 2_000
    assert safe_html(text) == text


def test_an_entry_that_is_too_long_alone_is_cut_at_its_end() -> None:
    text = fit_to_planhat("<p>" + "word " * 200_000 + "</p>")
    assert units(text) <= MAX_CHARS
    assert text.startswith("<p>word word")
    assert "The rest is left out here: it has 1,000,007 characters" in text
    both = join(["<p>old</p>", "<p>" + "word " * 200_000 + "</p>"])
    assert units(both) <= MAX_CHARS
    assert "1 earlier entry is left out here" in both
    assert "The rest is left out here" in both


def test_characters_that_take_two_units_count_twice() -> None:
    assert fit_to_planhat("👾" * (MAX_CHARS // 2)) == "👾" * (MAX_CHARS // 2)
    text = fit_to_planhat("👾" * (MAX_CHARS // 2 + 1))
    assert units(text) <= MAX_CHARS
    text.encode()


@given(ENTRIES, st.integers(min_value=400, max_value=700))
def test_whatever_is_cut_fits_and_is_whole_html(entries: list[str], limit: int) -> None:
    long = [entry * 9 if entry.startswith("<") else entry for entry in entries]
    text = join(long, limit=limit)
    assert units(text) <= limit
    assert as_edited(text).faithful
    opened = re.findall(r"<(p|ul|ol|li|strong|em|a|blockquote)\b", text)
    assert sorted(opened) == sorted(re.findall(r"</(\w+)>", text))


def test_joining_is_linear() -> None:
    def cpu_s(count: int) -> float:
        entries = ["<p>entry with some words in it</p>"] * count
        began = time.process_time()
        join(entries)
        return time.process_time() - began

    assert_in_step(cpu_s, 20_000, slack_s=0.003)
