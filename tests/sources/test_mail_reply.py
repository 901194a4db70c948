"""A reply apart from its quote, as the common mail programs write them, and in time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sources.mail.reply import reply_of, reply_of_html

QUOTED = "> our invoice lists 40 seats\n> we have 25\n"


@pytest.mark.parametrize(
    "attribution",
    [
        "On Tue, 3 Mar 2026 at 09:15, Nora Lind <nora@acme.example> wrote:",
        "On Tue, 3 Mar 2026 at 09:15, Nora Lind with a rather long name\n<nora@acme.example> wrote:",
        "Am 3. M\u00e4rz 2026 um 09:15 schrieb Nora Lind <nora@acme.example>:",
        "Le 3 mars 2026 \u00e0 09:15, Nora Lind <nora@acme.example> a \u00e9crit :",
        "Il 3 marzo 2026 alle 09:15 Nora Lind ha scritto:",
        "Op di 3 mrt 2026 om 09:15 schreef Nora Lind <nora@acme.example>:",
    ],
)
def test_a_line_that_says_who_wrote_leaves_with_its_quote(attribution: str) -> None:
    assert reply_of(f"25 is right.\r\n\r\n{attribution}\r\n\r\n{QUOTED}") == "25 is right."


@pytest.mark.parametrize(
    "block",
    [
        "-----Original Message-----\nFrom: Nora\n\nour invoice",
        "________________________________\nFrom: Nora\nSent: Tuesday\nTo: Help\nSubject: Seats\n\nour invoice",
        "From: Nora\nSent: Tuesday\nTo: Help\nSubject: Seats\n\nour invoice",
        "*From:* Nora\n*Sent:* Tuesday\n*To:* Help\n\nour invoice",
        "Von: Nora\nGesendet: Dienstag\nAn: Hilfe\nBetreff: Pl\u00e4tze\n\nRechnung",
        "---------- Forwarded message ---------\nFrom: Nora\n\nour invoice",
    ],
)
def test_a_copied_header_ends_the_reply(block: str) -> None:
    assert reply_of(f"25 is right.\n\n{block}") == "25 is right."


def test_answers_between_and_below_quotes_stay() -> None:
    text = f"On Tuesday, Nora wrote:\n{QUOTED}\nThat is right.\n\n{QUOTED}\nThis too."
    assert reply_of(text) == "That is right.\n\n\nThis too."


def test_a_mail_that_only_quotes_is_given_whole() -> None:
    assert reply_of(QUOTED) == QUOTED.strip()


def test_a_long_paragraph_comes_back_unharmed() -> None:
    long = "word " * 2000
    assert reply_of(f"{long}\nOn Tuesday, Nora wrote:\n> x") == long.strip()


def test_ordinary_lines_with_colons_are_no_header() -> None:
    text = "To: the team\nplease note\nSubject: to change"
    assert reply_of(text) == text


@pytest.mark.parametrize(
    "quote",
    [
        "> a quoted line of some length, as there are many\n" * 15_700,
        "> " + "x" * 785_000,
        ">" * 785_000,
        "On x\n" * 157_000,
        "On a wrote:\n" * 65_000,
        "From: x\nSent: y\n" * 49_000,
        "-" * 785_000,
        ("_" * 40 + "\n") * 19_000,
        " \n" * 392_000,
        "schrieb napsal \u5e74 skrev " * 30_000,
        "Am Am On On El Le " * 43_000,
    ],
    ids=lambda quote: repr(quote[:12]),
)
def test_767_kilobytes_of_quote_take_no_time(quote: str) -> None:
    began = time.process_time()
    assert reply_of(f"Short answer.\n\n{quote}").startswith("Short answer.")
    # Measured 0.1 s at most; a quadratic pattern takes minutes.
    assert time.process_time() - began < 3


@pytest.mark.parametrize("html", ["<div " * 200_000, "<div class='" + "x" * 1_000_000, "<" * 1_000_000])
def test_html_that_never_ends_takes_no_time(html: str) -> None:
    began = time.process_time()
    reply_of_html(html)
    assert time.process_time() - began < 3


def test_html_ends_where_a_mail_program_began_its_quote() -> None:
    for mark in (
        '<div class="gmail_quote gmail_quote_container">',
        '<blockquote type="cite">',
        '<div id="divRplyFwdMsg" dir="ltr">',
        '<div class="moz-cite-prefix">',
        '<div id="appendonsend">',
    ):
        assert reply_of_html(f"<p>New</p>{mark}old</div>") == "<p>New</p>"
    assert (
        reply_of_html('<blockquote type="cite">all</blockquote>')
        == '<blockquote type="cite">all</blockquote>'
    )


LINES = st.sampled_from(
    [
        "> q",
        "On x, y wrote:",
        "From: a",
        "Sent: b",
        "To: c",
        "hello",
        "",
        "--",
        "\ue000",
        "\ue0010",
        "a" * 400,
    ]
)


@given(st.lists(LINES | st.text(max_size=30), max_size=30))
def test_a_reply_holds_only_lines_of_the_mail(lines: list[str]) -> None:
    text = "\n".join(lines)
    written = {line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")}
    assert {line.strip() for line in reply_of(text).split("\n")} <= written | {""}
