"""Time that grows with a mail's length and no faster, over short pieces repeated: no mail may stall the door."""

from __future__ import annotations

import pytest

from relay.errors import PayloadInvalid
from relay.sources.mail.bodies import bodies_of
from relay.sources.mail.calendar import calendar_text
from relay.sources.mail.flowed import unflowed
from relay.sources.mail.mime import read_mime
from relay.sources.mail.reply import reply_of, reply_of_html
from relay.sources.mail.rtf import text_of_rtf, unpacked
from relay.sources.mail.winmail import read_winmail
from relay.sources.read.charset import decode_bytes
from relay.sources.read.markup import clean_html, text_of_html
from tests.growth import assert_linear

ATTRIBUTION = "On Mon, 2 Mar 2026 at 10:00, Bob <bob@example.com> wrote:\n"
TEXTS = [
    *(
        "\n",
        "a\n",
        "> q\n",
        ">",
        "wrote:\n",
        "From: x\nSent: y\n",
        "From: a@b\nSent: 10:12\n",
        "-",
        "_\n",
        "---\n",
    ),
    *(
        "10:12 ",
        "5 2026 ",
        "a@",
        "<",
        "<a@b\n",
        ":\n",
        "---- wrote\n",
        "word. Word ",
        "##-",
        "On Mon, 1, ",
        "<\nmailto:\n",
    ),
    *(
        "> (http://x\na)\n",
        "5 Mar 2026 10:12 a@b\n> x\n",
        ATTRIBUTION,
        f"> {ATTRIBUTION}",
        f"{ATTRIBUTION}> q\n",
        "年5月 ",
    ),
    *(
        "| a\n",
        "a:b\n",
        "-- Forwarded message --\n",
        "-- Original Message\n",
        "\ufeff",
        "Am Le On El ",
        "a \n",
    ),
]
PAGES = [
    *(
        "<p>",
        "<br>",
        "<p>x</p>",
        "<div>",
        "<div></div>",
        "<b>",
        "<b><p>",
        "<p><b>",
        "<td>",
        "<ul><li>",
        "<blockquote>",
    ),
    *(
        "<blockquote>x</blockquote>",
        "&",
        "&amp;",
        "&#x;",
        "<",
        "</",
        "<!--",
        "<!---->",
        "<pre>\n",
        "<img>",
        "<hr>",
        "\0",
    ),
    *(
        "<div class='gmail_quote'><blockquote>",
        "<p style='border-top:solid'>a</p>",
        "<title>",
        "<table><a>",
        "<svg><b>",
    ),
    *(
        f"<p>{ATTRIBUTION}</p>",
        "<p>From: a@b</p>",
        "<p class='quote'>a</p>",
        "</b><i><a>",
        "<a href='&",
        "<font a>x<p>",
    ),
]
MAILS = [
    *(
        b"\n",
        b"\r",
        b"X: y\n",
        b"Subject : y\n",
        b"stray\n",
        b" b\n",
        b"--x\n",
        b"--x\n\n\n\n",
        b"boundary=x;",
        b"\xff",
    ),
    *(
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n",
        b"Content-Type: message/rfc822\n\n",
        b"--x\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nRnJvbTogYUBiCgp4\n",
        b"=?utf-8?q?a?= ",
        b"=C3",
    ),
    *(
        b"--x\nContent-Type: text/html\n\n<p>\n",
        b"name*0=x;",
        b"\x1b$B",
        b"To: a@b,\n",
        b"Content-Type: text/plain;\n",
    ),
]
BEGINNINGS = [
    b"",
    b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\n",
    b"Content-Type: text/plain; charset=iso-2022-jp; format=flowed\n\n",
]


@pytest.mark.parametrize("piece", TEXTS, ids=repr)
def test_a_text_takes_linear_time(piece: str) -> None:
    assert_linear(reply_of, piece)
    assert_linear(lambda text: reply_of(f"Hi\n\n{text}\n\nend", answers=True), piece)
    assert_linear(lambda text: unflowed(text, delete_space=True), piece)
    assert_linear(lambda text: calendar_text("BEGIN:VEVENT\n" + text), piece)


@pytest.mark.parametrize("piece", PAGES, ids=repr)
def test_a_page_takes_linear_time(piece: str) -> None:
    assert_linear(lambda page: bodies_of("Hi\n\n> x", "<p>Hi</p>" + page), piece)
    assert_linear(text_of_html, piece)
    assert_linear(lambda page: clean_html("<p>" + page), piece)


@pytest.mark.parametrize("piece", MAILS, ids=repr)
def test_a_raw_mail_takes_linear_time(piece: bytes) -> None:
    for beginning in BEGINNINGS:
        assert_linear(lambda raw, begin=beginning: read_mime(begin + raw), piece)  # type: ignore[misc]
    assert_linear(lambda raw: decode_bytes(raw, "iso-2022-jp"), piece)
    assert_linear(lambda raw: decode_bytes(raw, "utf-8"), piece)


@pytest.mark.parametrize(
    "piece",
    [b"{", b"}", b"\\", b"\\par", b"\\'e9", b"\\u123 ", b"x", b"{\\*", b"\n", b"\0", b"\xff\x0f"],
    ids=repr,
)
def test_what_lies_in_a_winmail_dat_takes_linear_time(piece: bytes) -> None:
    assert_linear(text_of_rtf, piece)
    assert_linear(lambda raw: unpacked(b"\0\0\0\0\xff\xff\xff\0LZFu\0\0\0\0" + raw), piece)
    assert_linear(lambda raw: read_winmail(b"\x78\x9f\x3e\x22\0\0" + raw), piece)


def test_parts_that_nest_with_many_empty_lines_take_linear_time_or_are_refused() -> None:
    def opened(depth: int) -> bytes:
        return b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (at, at) for at in range(depth)
        )

    assert_linear(lambda lines: read_mime(opened(20) + lines), b"\n\n")
    with pytest.raises(PayloadInvalid):
        read_mime(opened(200) + b"\n" * 1000)


def test_formats_that_every_paragraph_opens_again_take_linear_time_or_are_read_as_text() -> None:
    opened = "".join(f"<font a{at}>" for at in range(150))
    assert_linear(lambda page: reply_of_html(f"<p>{opened}x</p>{page}"), "<p>x</p>")
