"""Raw mails: charsets, parts and attachments; and whatever else comes, in bounded time."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.errors import PayloadInvalid
from relay.event import Attachment
from relay.sources.mail.mime import MimeMail, read_mime
from tests.places import PAYLOADS

MAIL = (PAYLOADS / "ses" / "mail.eml").read_bytes()


def test_text_html_and_attachments_are_told_apart() -> None:
    mail = read_mime(MAIL)
    assert mail.text.startswith("Sch\u00f6n, 25 ist richtig.")
    assert "Sch\u00f6n" in mail.html
    assert mail.attachments == (Attachment("Pl\u00e4tze.pdf", "application/pdf", 11),)
    assert mail.headers.get("subject") == "Re: Seats"
    assert mail.headers.raw("references") == "<q1-8841@mail.acme.example> <mid@acme.example>"


@pytest.mark.parametrize(
    ("charset", "raw"),
    [
        ("utf-8", "ö".encode()),
        ("ISO-8859-1", b"\xf6"),
        ('"windows-1252"', b"\xf6"),
        ("koi8-r", "ж".encode("koi8-r")),
        ("iso-2022-jp", "日本".encode("iso-2022-jp")),
        ("gb2312", "你好".encode("gb2312")),
        ("no-such-charset", b"\xf6"),
        ("us-ascii", "ö".encode()),
    ],
)
def test_a_body_is_read_in_the_charset_it_names(charset: str, raw: bytes) -> None:
    wanted = {"koi8-r": "ж", "iso-2022-jp": "日本", "gb2312": "你好"}.get(charset, "ö")
    mail = b"From: a@b.example\nContent-Type: text/plain; charset=%b\n\n%b" % (charset.encode(), raw)
    assert read_mime(mail).text == wanted


def test_headers_in_raw_utf_8_and_latin_1_are_read() -> None:
    assert read_mime("Subject: Grüße\n\nx".encode()).headers.get("subject") == "Grüße"
    assert read_mime("Subject: Grüße\n\nx".encode("latin-1")).headers.get("subject") == "Grüße"


def test_a_mail_attached_to_a_mail_is_named_and_not_read() -> None:
    inner = b"Subject: The inner one\nContent-Type: text/plain\n\nsecret"
    mail = read_mime(
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nouter\n--x\nContent-Type: message/rfc822\n\n"
        + inner
        + b"\n--x--\n"
    )
    assert mail.text == "outer"
    assert [file.name for file in mail.attachments] == ["The inner one.eml"]


def test_file_names_lose_their_folders() -> None:
    mail = read_mime(b'Content-Type: application/x; name="C:\\\\tmp\\\\..\\\\a.exe"\n\nx')
    assert [file.name for file in mail.attachments] == ["a.exe"]


@pytest.mark.parametrize(
    "mail",
    [
        b"X: y\n" * 1_000_000,
        b"Subject: a\n" + b" b\n" * 1_000_000,
        b"Subject: " + b"a" * 10_000_000,
        b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\nhi\n" * 100_000,
        b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(2000)),
        b"Content-Type: message/rfc822\n\n" * 5000,
        b"Content-Type: text/plain; charset=punycode\n\n" + b"a" * 300_000 + b"-" + b"b" * 300_000,
        b"Content-Type: text/plain;" + b"name*0=x;" * 200_000 + b"\n\nx",
        b"To: " + b"(" * 1_000_000 + b"\n\nx",
        b"\n" + b"\r" * 5_000_000,
    ],
    ids=lambda mail: repr(mail[:24]),
)
def test_a_hostile_mail_takes_no_time(mail: bytes) -> None:
    began = time.process_time()
    with suppress(PayloadInvalid):
        assert isinstance(read_mime(mail), MimeMail)
    assert time.process_time() - began < 3


@given(st.binary(max_size=400))
def test_any_bytes_are_a_mail_or_refused(raw: bytes) -> None:
    _survive(raw)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(0, len(MAIL)), st.integers(0, 30), st.binary(max_size=12)),
        min_size=1,
        max_size=6,
    )
)
def test_a_damaged_mail_is_a_mail_or_refused(damages: list[tuple[int, int, bytes]]) -> None:
    raw = bytearray(MAIL)
    for place, length, replacement in damages:
        raw[place : place + length] = replacement
    _survive(bytes(raw))


PIECES = st.sampled_from(
    [
        *("Content-Type: ", "multipart/mixed", "; boundary=x", "; charset=", "text/html", "message/rfc822"),
        *(
            "\n\n",
            "\r\n",
            "--x",
            "--x--",
            "Content-Transfer-Encoding: base64",
            "uuencode",
            "filename*=",
            "''%ff",
        ),
        *(
            "Content-Disposition: attachment",
            '"',
            ";",
            "=?utf-8?b?//8=?=",
            "message/delivery-status",
            "\udcff",
        ),
    ]
)


@settings(max_examples=200)
@given(st.lists(PIECES | st.text(max_size=5), max_size=25))
def test_any_sequence_of_mime_words_is_a_mail_or_refused(pieces: list[str]) -> None:
    _survive("".join(pieces).encode("utf-8", "surrogateescape"))


def _survive(raw: bytes) -> None:
    try:
        mail = read_mime(raw)
    except PayloadInvalid:
        return
    for text in (mail.text, mail.html, *(file.name for file in mail.attachments)):
        text.encode()
    str(mail.headers.pairs()).encode()
