"""A large mail is parsed without most of what is attached to it, and is the same mail."""

from __future__ import annotations

import random
from email.message import EmailMessage

import pytest

from relay.sources.mail import slim
from relay.sources.mail.mime import MimeMail, read_mime


def mail(*, log_lines: int = 20_000) -> bytes:
    made = EmailMessage()
    made["From"], made["Subject"], made["Message-ID"] = "ana@customer.example.com", "It stops", "<a@x>"
    made.set_content("It stops after 500 rows \N{GRINNING FACE}.\n" * 20)
    made.add_alternative("<p>It stops after 500 rows.</p>" * 2000, subtype="html")
    for number, size in enumerate((1_000_000, 999_999, 1_000_001, 20)):
        made.add_attachment(
            random.Random(number).randbytes(size),
            maintype="application",
            subtype="zip",
            filename=f"{number}.zip",
        )
    made.add_attachment("a line of the log é\n" * log_lines, filename="log.txt", cte="8bit")
    return made.as_bytes()


def told(found: MimeMail) -> tuple[object, ...]:
    return found.headers.pairs(), found.text, found.html, found.attachments, found.flowed


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_it_is_the_same_mail(monkeypatch: pytest.MonkeyPatch, line_end: bytes) -> None:
    raw = mail().replace(b"\n", line_end)
    lean = slim.slim(raw).lean
    assert len(lean) < len(raw) / 4
    read = told(read_mime(raw))
    assert [file.size for file in read_mime(raw).attachments[:4]] == [1_000_000, 999_999, 1_000_001, 20]
    monkeypatch.setattr(slim, "SLIM_FROM_BYTES", len(raw))
    assert told(read_mime(raw)) == read


def test_what_is_given_to_the_parser_is_bounded_whatever_stands_in_it() -> None:
    line = b"words that are no base64, again and again\n"
    for raw in (
        b"From: a@b.example\n\n" + line * 300_000,
        b"From: a@b.example\nContent-Type: multipart/mixed; boundary=x\n\n" + (b"--x\n\n" + line * 3000) * 90,
    ):
        lean = slim.slim(raw).lean
        assert len(lean) < slim.ALL_BYTES + slim.PART_BYTES
        assert read_mime(raw).text.startswith("words that are no base64")


def test_text_and_tnef_in_base64_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made = EmailMessage()
    made["From"] = "ana@customer.example.com"
    made.set_content("Grüße aus Köln.\n" * 100_000, cte="base64")
    raw = made.as_bytes()
    assert len(slim.slim(raw).lean) < 1000
    read = read_mime(raw).text
    assert len(read) == 1_000_000 and read.startswith("Grüße aus Köln.\nGrüße")


def test_a_line_that_only_looks_like_a_mark_is_text() -> None:
    raw = (
        b"From: a@b.example\n\nleft-out-0123456789abcdef0123456789abcdef-0\n"
        + b"text of the mail\n" * 100_000
    )
    assert read_mime(raw).text.startswith("left-out-0123456789abcdef0123456789abcdef-0\ntext")
