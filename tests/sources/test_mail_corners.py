"""Corners of mails: names with a comma that nobody quoted, writers whom a list put into Cc, rare formats, charsets and dates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sources.mail.headers import addresses, date_us
from relay.sources.mail.mime import read_mime
from relay.sources.read.charset import charset_of_page, decode_bytes
from tests.sources.mails import event

NORA = ("Lind, Nora", "nora@acme.example")


@pytest.mark.parametrize(
    ("value", "people"),
    [
        ("Lind, Nora <nora@acme.example>", [NORA]),
        ('"Lind, Nora" <nora@acme.example>', [NORA]),
        ("Lind, Nora <nora@acme.example>, bo@example.org", [NORA, ("", "bo@example.org")]),
        ("bo@example.org, Lind, Nora <nora@acme.example>", [("", "bo@example.org"), NORA]),
        ("Bo <bo@example.org>, Nora <nora@acme.example>", [("Bo", "bo@example.org"), ("Nora", NORA[1])]),
        ("Bo <bo@example.org>; Lind, Nora <nora@acme.example>", [("Bo", "bo@example.org"), NORA]),
        ("undisclosed recipients; Nora <nora@acme.example>", [("Nora", NORA[1])]),
        ("Bo, nora@acme.example", [("", NORA[1])]),
    ],
)
def test_a_comma_in_a_name_costs_no_word_of_it(value: str, people: list[tuple[str, str]]) -> None:
    assert addresses(value) == people


@given(
    names=st.lists(st.sampled_from(["Nora", "Lind", "Berg"]), min_size=1, max_size=2),
    others=st.integers(0, 3),
)
def test_a_name_comes_back_whatever_stands_around_it(names: list[str], others: int) -> None:
    line = ", ".join(
        [*(f"Bo <b{number}@x.example>" for number in range(others)), f"{', '.join(names)} <n@x.example>"]
    )
    assert addresses(line)[-1] == (", ".join(names), "n@x.example")
    assert len(addresses(line)) == others + 1


@pytest.mark.parametrize(
    "kept",
    [
        ("Cc", "Nora Lind <nora@acme.example>"),
        ("X-MailFrom", "nora@acme.example"),
        ("Cc", '"nora lind" <nora@acme.example>'),
    ],
)
def test_a_list_that_takes_the_writers_place_names_him_elsewhere(kept: tuple[str, str]) -> None:
    found = event(
        ("From", "Nora Lind via Users <users@lists.vendor.example>"),
        ("Reply-To", "users@lists.vendor.example"),
        ("To", "users@lists.vendor.example"),
        ("Cc" if kept[0] != "Cc" else "X-Other", "Bo <bo@acme.example>"),
        kept,
        ("List-Id", "<users.lists.vendor.example>"),
    )
    assert found.sender.email == "nora@acme.example"


def test_a_zone_with_its_name_and_offset_counts_once() -> None:
    for zone in ("+0100", "GMT+01:00", "GMT+0100", "UTC+01:00"):
        assert date_us(f"Thu, 5 Mar 2026 10:12:33 {zone}") == 1_772_701_953_000_000


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/markdown", "**Hi** there", "**Hi** there"),
        ("text/enriched", "<bold>Hello</bold> there <<x>", "Hello there <x>"),
        ("text/rtf", "{\\rtf1 hello you}", "hello you"),
        ("text/x-plain", "Hello <there>", "Hello <there>"),
        ("text/text", "Hello <there>", "Hello <there>"),
        ("application/xhtml+xml", "<html><body><p>Hello</p></body></html>", "Hello"),
    ],
)
def test_a_body_in_a_rare_format_is_read(kind: str, body: str, text: str) -> None:
    assert read_mime(f"From: a@b.example\nContent-Type: {kind}\n\n{body}".encode()).text.strip() == text
    named = f"From: a@b.example\nContent-Type: {kind}; name=a.txt\nContent-Disposition: attachment\n\n{body}"
    assert read_mime(named.encode()).text == ""


def test_an_alternative_for_few_readers_is_no_file() -> None:
    parts = "".join(
        f"--x\nContent-Type: {kind}\n\n{body}\n"
        for kind, body in (
            ("text/plain", "Hi"),
            ("text/x-amp-html", "<html amp>"),
            ("text/html", "<p>Hi</p>"),
        )
    )
    found = read_mime(
        f"From: a@b.example\nContent-Type: multipart/alternative; boundary=x\n\n{parts}--x--\n".encode()
    )
    assert (found.text, found.html, found.attachments) == ("Hi", "<p>Hi</p>", ())


@pytest.mark.parametrize(
    ("charset", "text", "codec"),
    [
        ("windows-874", "สวัสดี", "cp874"),
        ("shift_jis", "①髙﨑", "cp932"),
        ("euc-kr", "똠방각하", "cp949"),
        ("x-gbk", "镕基", "gb18030"),
    ],
)
def test_a_charset_by_the_name_that_mails_give_it(charset: str, text: str, codec: str) -> None:
    assert decode_bytes(text.encode(codec), charset) == text


@pytest.mark.parametrize("named", ["", "; charset=us-ascii"])
@pytest.mark.parametrize(
    ("charset", "words"),
    [
        *(("windows-1251", "Привет"), ("koi8-r", "Привет"), ("gb2312", "你好"), ("shift_jis", "日本語")),
        *(("iso-8859-2", "zażółć"), ("euc-kr", "안녕"), ("windows-1256", "مرحبا"), ("utf-8", "zażółć")),
    ],
)
def test_a_page_that_names_its_charset_itself_is_read_in_it(charset: str, words: str, named: str) -> None:
    for meta in (
        f'<meta http-equiv="Content-Type" content="text/html; charset={charset}">',
        f"<META charset = '{charset}' />",
    ):
        head = f"From: a@b.example\nContent-Type: text/html{named}\n\n".encode()
        page = f"<html><head>{meta}</head><body><p>{words}</p></body></html>"
        assert words in read_mime(head + page.encode(charset)).html
        # What is UTF-8 throughout, or named beside the page, is no other charset whatever the page says.
        assert words in read_mime(head + page.encode()).html
    assert charset_of_page(f"<meta charset={charset}>\xff".encode("latin-1"), "utf-8") == "utf-8"


PAGE = "Content-Type: text/html; charset=utf-8{more}\n\n<p>The export fails.</p>"
FILE = "Content-Type: image/png; name=a.png\nContent-Disposition: inline; filename=a.png\n\nx"


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("related; start='<r>'", "\nContent-ID: <r>"),
        ("related", "\nContent-ID: <r>"),
        ("mixed", "\nContent-Disposition: inline; filename=body.html"),
        ("mixed", "; name=body.html"),
    ],
)
def test_a_body_behind_a_file_is_a_body(kind: str, more: str) -> None:
    parts = "".join(f"--x\n{part}\n" for part in (FILE, PAGE.format(more=more)))
    found = read_mime(
        f"From: a@b.example\nContent-Type: multipart/{kind}; boundary=x\n\n{parts}--x--".encode()
    )
    assert found.html == "<p>The export fails.</p>"
    assert found.attachments[0].name == "a.png"
    attached = PAGE.format(more="\nContent-Disposition: attachment; filename=a.html")
    parts = "".join(f"--x\n{part}\n" for part in (FILE, attached))
    found = read_mime(f"Content-Type: multipart/mixed; boundary=x\n\n{parts}--x--".encode())
    assert (found.text, found.html, len(found.attachments)) == ("", "", 2)


@pytest.mark.parametrize(
    ("partstat", "shown"),
    [("DECLINED", "Declined"), ('"accepted"', "Accepted"), ("TENTATIVE", "Tentative")],
)
def test_an_answer_to_an_invitation_says_what_is_answered_and_why(partstat: str, shown: str) -> None:
    lines = [
        "SUMMARY:Kick-off",
        f"ATTENDEE;PARTSTAT={partstat};CN=Bo:mailto:bo@example.org",
        "COMMENT:Ill\\, sorry",
    ]
    for method, answer in (("REPLY", f"{shown}: bo@example.org\n"), ("REQUEST", "")):
        calendar = "\n".join(
            ["BEGIN:VCALENDAR", f"METHOD:{method}", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR"]
        )
        raw = f"From: a@b.example\nContent-Type: text/calendar; method={method}\n\n{calendar}"
        assert read_mime(raw.encode()).text == f"Kick-off\n{answer}\nIll, sorry"
