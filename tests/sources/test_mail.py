"""The mail room: threads, one event per mail, what a program wrote, and bodies without their quotes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import PayloadInvalid
from relay.event import Event
from relay.sources.mail.event import Mail, mail_event
from relay.sources.mail.headers import MailHeaders
from tests.sources.mails import NOW_S, OPTIONS, event


def test_a_mail_that_answers_nothing_begins_its_own_thread() -> None:
    assert event(("message-id", "<1@a>")).thread == "<1@a>"


def test_a_mail_without_an_id_is_known_by_what_it_says() -> None:
    first, again = (
        event(("Date", "Tue, 3 Mar 2026 09:15:00 +0100")),
        event(("Date", "Tue, 3 Mar 2026 09:15:00 +0100"), now_s=NOW_S + 3600),
    )
    other = event(("Date", "Tue, 3 Mar 2026 09:15:00 +0100"), text="something else")
    assert (first.id, first.thread) == (again.id, again.thread)
    assert first.id != other.id
    assert first.thread.endswith("@no-message-id>")


def test_one_mail_delivered_under_two_provider_ids_is_one_event() -> None:
    one = event(("Message-ID", "<1@a>"), delivery_id="x", id_without_header="x")
    two = event(("Message-ID", "<1@a>"), delivery_id="y", id_without_header="y", envelope_to=["b@c.example"])
    assert one.id == two.id


def test_the_date_orders_mails_and_a_clock_far_ahead_does_not() -> None:
    assert event(("Date", "Tue, 3 Mar 2026 09:15:00 +0100")).time == "2026-03-03T08:15:00.000Z"
    assert event(("Date", "Tue, 3 Mar 2026 09:15:00 +01:00 (CET)")).time == "2026-03-03T08:15:00.000Z"
    assert event(("Date", "Tue, 3 Mar 2099 09:15:00 +0100")).version == int(NOW_S * 1_000_000)
    received = event(("Date", "yesterday"), received="2026-03-03T08:16:00Z")
    assert received.time == "2026-03-03T08:16:00.000Z"


def test_the_envelopes_recipient_is_kept_beside_those_of_the_header() -> None:
    found = event(
        ("To", '"Desk, Help" <help@vendor.example>, team@vendor.example'),
        ("Cc", "Nora <nora@acme.example>"),
        envelope_to=["hidden@in.vendor.example"],
    )
    assert [(r.name, r.email, r.role) for r in found.recipients] == [
        ("Desk, Help", "help@vendor.example", "to"),
        ("", "team@vendor.example", "to"),
        ("Nora", "nora@acme.example", "cc"),
        ("", "hidden@in.vendor.example", "envelope"),
    ]


def test_html_is_clean_without_pictures_and_without_the_quote() -> None:
    html = (
        '<p onclick="x()">New<script>alert(1)</script><img src="https://t.example/p.gif"></p>'
        '<div class="gmail_quote">old</div>'
    )
    found = event(text="New\n\n> old", html=html)
    assert found.html == "<p>New</p>"
    assert found.text == "New"


def test_html_whose_quote_has_no_mark_gives_way_to_the_text() -> None:
    quoted = "Nora, 3 Mar 2026 09:15\n\n> " + "old " * 100
    found = event(text=f"New\n\n{quoted}", html="<p>New</p><p>Nora, 3 Mar 2026 09:15</p><p>" + "old " * 100)
    assert found.html == "New"


def test_answers_between_the_quotes_are_not_lost_with_them() -> None:
    text = "> one?\nyes, all of it\n> two?\nno, not yet at all"
    html = "<div>Hi</div><div class='gmail_quote'>one? yes ... two? no ...</div>"
    found = event(("In-Reply-To", "<1@a>"), text=text, html=html)
    assert found.text == "yes, all of it\nno, not yet at all"
    assert found.html == "yes, all of it<br>no, not yet at all"


def test_a_mail_of_html_alone_has_a_text_too() -> None:
    assert event(text="", html="<p>One</p><p>Two</p>").text == "One\nTwo"


def test_a_providers_own_reply_costs_no_words_of_the_text() -> None:
    assert event(text="New\nand more of it", reply="New").text == "New\nand more of it"


def test_a_providers_own_reply_stands_in_for_a_text_that_is_missing_or_another() -> None:
    assert event(text="", reply="New").text == "New"
    assert (
        event(text="This is a test text body.", reply="The reply of the sample").text
        == "The reply of the sample"
    )


def test_what_was_cut_is_the_events_quoted() -> None:
    attribution = "On Tue, 3 Mar 2026 at 09:15, Nora Lind <nora@acme.example> wrote:"
    found = event(text=f"New\n\n{attribution}\n> old words\n")
    assert (found.text, found.quoted) == ("New", f"{attribution}\n> old words")
    assert found.view()["quoted"] == found.quoted
    page = "<p>New</p><div class='gmail_quote'><i>Nora:</i><blockquote>old words</blockquote></div>"
    assert "old words" in event(text="", html=page).quoted


def test_a_mail_with_nothing_in_it_is_refused() -> None:
    mail = Mail(headers=MailHeaders([]))
    with pytest.raises(PayloadInvalid):
        mail_event(mail, OPTIONS, "postmark", now_s=NOW_S)


anything = st.text(max_size=60) | st.sampled_from(["<a@b>", "a@b", "=?utf-8?q?=FF?=", "<", "\udcff", "\x00<"])


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                ["From", "To", "Subject", "Date", "Message-ID", "References", "In-Reply-To", "Content-Type"]
            ),
            anything,
        ),
        max_size=8,
    ),
    text=anything,
    html=anything,
)
def test_any_mail_is_an_event_or_skipped_or_refused(
    headers: list[tuple[str, str]], text: str, html: str
) -> None:
    mail = Mail(headers=MailHeaders(headers), text=text, html=html, envelope_to=[text], sender=html)
    try:
        found = mail_event(mail, OPTIONS, "postmark", now_s=NOW_S)
    except PayloadInvalid:
        return
    if isinstance(found, Event):
        assert found.thread
        str(found.view()).encode()


@pytest.mark.parametrize(
    "piece",
    [
        "<div>",
        "<p-x>",
        "<!--</div>--><div>",
        "<div a='</div>'>",
        "<div><object></div></object>",
        "<svg><![CDATA[></div>]]></svg><div>",
    ],
)
def test_html_nested_without_end_stalls_nothing(piece: str) -> None:
    began = time.process_time()
    event(text="", html="Hello " + piece * (900_000 // len(piece)))
    # Unguarded, the HTML parser takes 20 s and more.
    assert time.process_time() - began < 3
