"""What a list shows of an event."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from relay.event import LISTED_CHARS, Event

#: Blanks of every kind that a text is split at, and letters, printable and not.
LINES = st.text(st.sampled_from("ab é\u00a0\u3000\u2009\u2028\t\n\x1c\x85\u200b\U0001f600"), max_size=200)


def about(subject: str, text: str = "", label: str = "") -> str:
    return Event("evt_1", "s", "generic", "custom", "", 1, "t", subject=subject, text=text, label=label).about


@given(LINES)
@example("x" * LISTED_CHARS)
@example("x" * (LISTED_CHARS + 1))
@example("x" * (LISTED_CHARS - 1) + " y")
@example("x" * LISTED_CHARS + " " * LISTED_CHARS)
@example(" " + "x" * LISTED_CHARS)
def test_the_line_of_a_list_is_the_text_with_single_blanks_cut(words: str) -> None:
    line = " ".join(words[: 2 * LISTED_CHARS].split())[:LISTED_CHARS]
    assert about(words) == line
    assert about("", words) == line


def test_the_subject_comes_before_the_text_and_the_label_last() -> None:
    assert about("subject", "text", "label") == "subject"
    assert about("", "text", "label") == "text"
    assert about("", "", "label " * 40) == ("label " * 40)[:LISTED_CHARS]
