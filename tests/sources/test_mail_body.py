"""The right body of a mail: its parts by RFC 8621, flowed text, what is enclosed, and headers as senders break them."""

from __future__ import annotations

import struct
from base64 import encodebytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import PayloadInvalid
from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.mail.calendar import calendar_text
from relay.sources.mail.event import Mail, mail_event
from relay.sources.mail.flowed import unflowed
from relay.sources.mail.mime import MimeMail, read_mime
from relay.sources.mail.repair import mended
from relay.sources.mail.reply import reply_of
from relay.sources.mail.rtf import text_of_rtf, unpacked
from relay.sources.mail.winmail import read_winmail
from relay.sources.read.charset import decode_bytes
from relay.sources.read.markup import clean_html, text_of_html

PLAIN = "Content-Type: text/plain; charset=utf-8\r\n\r\nThe text."
PAGE = "Content-Type: text/html; charset=utf-8\r\n\r\n<p>The <b>page</b>.</p>"


def multipart(kind: str, *parts: str, boundary: str = "x") -> str:
    body = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary={boundary}\r\n\r\n{body}--{boundary}--\r\n"


def read(mail: str) -> MimeMail:
    return read_mime(f"From: a@b.example\r\nSubject: s\r\n{mail}".encode())


def test_of_two_alternatives_each_is_what_it_is() -> None:
    mail = read(multipart("alternative", PLAIN, PAGE))
    assert (mail.text, mail.html) == ("The text.", "<p>The <b>page</b>.</p>")


def test_a_text_and_a_footer_in_html_are_one_body() -> None:
    mail = read(multipart("mixed", PLAIN, "Content-Type: text/html\r\n\r\n<p>A footer.</p>"))
    assert mail.text == "The text.\nA footer."
    assert text_of_html(mail.html).split() == ["The", "text.", "A", "footer."]


def test_a_page_and_a_footer_in_text_are_one_body() -> None:
    mail = read(multipart("mixed", PAGE, "Content-Type: text/plain\r\n\r\nA <footer>."))
    assert mail.text == "The page.\nA <footer>."
    assert text_of_html(mail.html).split() == ["The", "page.", "A", "<footer>."]


def test_alternatives_above_a_footer_each_have_it() -> None:
    inner = multipart("alternative", PLAIN, PAGE, boundary="y")
    mail = read(multipart("mixed", inner, "Content-Type: text/plain\r\n\r\nThe list's footer."))
    assert mail.text == "The text.\nThe list's footer."
    assert text_of_html(mail.html).split() == ["The", "page.", "The", "list's", "footer."]


def test_a_named_text_is_the_body_where_it_comes_first_and_a_file_elsewhere() -> None:
    named = 'Content-Type: text/plain; name="note.txt"\r\n\r\nA note.'
    alone = read(named)
    assert (alone.text, [file.name for file in alone.attachments]) == ("A note.", ["note.txt"])
    second = read(multipart("mixed", PLAIN, named))
    assert (second.text, [file.name for file in second.attachments]) == ("The text.", ["note.txt"])
    attached = "Content-Type: text/plain\r\nContent-Disposition: attachment; filename=log.txt\r\n\r\nERR"
    assert read(attached).text == ""


def test_a_related_page_keeps_its_pictures_out_of_the_body() -> None:
    picture = "Content-Type: image/png; name=a.png\r\nContent-ID: <a>\r\n\r\nx"
    related = multipart("related", PAGE, picture, boundary="y")
    mail = read(multipart("alternative", PLAIN, related))
    assert (mail.text, mail.html) == ("The text.", "<p>The <b>page</b>.</p>")
    assert [file.name for file in mail.attachments] == ["a.png"]


def test_paragraphs_in_format_flowed_are_whole_again() -> None:
    flowed = "Content-Type: text/plain; format=flowed\r\n\r\nThe first \r\nparagraph.\r\n\r\n >no quote\r\n> a \r\n> quote\r\n>> deeper\r\n-- \r\nAda"
    mail = read(flowed)
    assert mail.text == "The first paragraph.\n\n >no quote\n> a quote\n>> deeper\n-- \nAda"
    assert mail.flowed
    assert ">no quote" in reply_of(mail.text, answers=True, flowed=True).text


def test_with_delsp_no_word_is_cut_in_two() -> None:
    flowed = "Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\nAn interna \r\ntional  \r\nword"
    assert read(flowed).text == "An international word"


def test_a_text_that_is_not_flowed_keeps_its_lines() -> None:
    assert read("Content-Type: text/plain\r\n\r\na \r\nb").text == "a \r\nb"


INVITATION = (
    "Content-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\n"
    "DTSTART:19700101T000000\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nSUMMARY:Kick-off\\, part 1\r\n"
    "DTSTART;TZID=Europe/Stockholm:20260305T101200\r\nDTEND:20260305T110000Z\r\nLOCATION:Room 4\r\n"
    "ORGANIZER;CN=Ada:mailto:ada@example.com\r\nDESCRIPTION:First line\\nsecond\r\n  line\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def test_an_invitation_alone_shows_what_it_invites_to() -> None:
    assert read(INVITATION).text == (
        "Kick-off, part 1\nStart: 2026-03-05 10:12 Europe/Stockholm\nEnd: 2026-03-05 11:00 UTC\n"
        "Location: Room 4\nOrganizer: ada@example.com\n\nFirst line\nsecond line"
    )
    assert read(multipart("mixed", PLAIN, INVITATION)).text == "The text."


def test_a_colon_in_quotation_marks_ends_no_name_of_an_invitation() -> None:
    """Exchange names a zone so; and a name may hold a colon. Source: RFC 5545, 3.1."""
    lines = [
        'DTSTART;TZID="(UTC-05:00) Eastern Time (US & Canada)":20261130T090000',
        'ORGANIZER;CN="Ada: Sales":mailto:ada@example.com',
        'SUMMARY;ALTREP="https://shop.example/1":Call: "the desk',
        'LOCATION;LANGUAGE="de:Room 4',
    ]
    assert calendar_text("\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT"])).splitlines() == [
        "Start: 2026-11-30 09:00 (UTC-05:00) Eastern Time (US & Canada)",
        "Organizer: ada@example.com",
        'Call: "the desk',
        "Location: Room 4",
    ]


INNER = "Content-Type: message/rfc822\r\n\r\nFrom: bob@example.com\r\nSubject: Broken\r\nDate: Mon, 2 Mar 2026 10:12:00 +0100\r\n\r\nThe export is broken."


def test_a_mail_forwarded_as_attachment_shows_the_mail() -> None:
    alone = read(multipart("mixed", "Content-Type: text/plain\r\n\r\n", INNER))
    assert (
        alone.text
        == "From: bob@example.com\nDate: Mon, 2 Mar 2026 10:12:00 +0100\nSubject: Broken\n\nThe export is broken."
    )
    assert [file.name for file in alone.attachments] == ["Broken.eml"]
    noted = read_mime(f"Subject: Fwd: Broken\r\n{multipart('mixed', PLAIN, INNER)}".encode())
    assert noted.text.startswith("The text.\n\nFrom: bob@example.com")
    assert "broken." not in read(multipart("mixed", PLAIN, INNER)).text


@pytest.mark.parametrize("padding", [0, 1_500_000], ids=["small", "with a file that is left out"])
def test_a_mail_attached_in_base64_is_a_mail_too(padding: int) -> None:
    encoded = "Content-Transfer-Encoding: base64\r\n\r\n"
    file = f"Content-Type: image/png\r\n{encoded}" + encodebytes(b"p" * padding).decode()
    words = "Content-Type: text/plain\r\n\r\nThe export is broken."
    inner = "From: bob@example.com\r\nSubject: Broken\r\n" + multipart("mixed", words, file, boundary="y")
    part = f"Content-Type: message/rfc822\r\n{encoded}" + encodebytes(inner.encode()).decode()
    alone = read(multipart("mixed", "Content-Type: text/plain\r\n\r\n", part))
    assert alone.text.splitlines()[0] == "From: bob@example.com"
    assert alone.text.endswith("The export is broken.")
    assert [file.name for file in alone.attachments] == ["Broken.eml"]


def tnef(*objects: tuple[int, int, bytes]) -> bytes:
    found = b"\x78\x9f\x3e\x22\x01\x00"
    for level, kind, data in objects:
        found += struct.pack("<BII", level, kind, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)
    return found


def properties(*pairs: tuple[int, int, bytes]) -> bytes:
    found = struct.pack("<I", len(pairs))
    for kind, identity, value in pairs:
        found += struct.pack("<HHII", kind, identity, 1, len(value)) + value + b"\0" * (-len(value) % 4)
    return found


LZFU = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a00726370673132354232 0af32068656c090020627705b06c647d0a800fa0".replace(
        " ", ""
    )
)


def test_a_winmail_dat_shows_its_text_and_its_files() -> None:
    body = tnef(
        (1, 0x00069007, struct.pack("<II", 1252, 0)),
        (1, 0x00069003, properties((31, 0x1000, "Grüße, the export fails.\0".encode("utf-16-le")))),
        (2, 0x00069002, b"\0" * 14),
        (2, 0x00018010, b"REPORT~1.XLS\0"),
        (2, 0x0006800F, b"12345"),
        (2, 0x00069005, properties((30, 0x3707, b"report march.xlsx\0"))),
    )
    part = "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    mail = read(multipart("mixed", "Content-Type: text/plain\r\n\r\n", part + encodebytes(body).decode()))
    assert mail.text == "Grüße, the export fails."
    assert [(file.name, file.size) for file in mail.attachments][1:] == [("report march.xlsx", 5)]


def test_the_packed_rich_text_of_a_winmail_dat_is_read() -> None:
    assert unpacked(LZFU) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    found = read_winmail(tnef((1, 0x00069003, properties((258, 0x1009, LZFU)))))
    assert found is not None
    assert found.text == "hello world"


def test_of_html_in_rich_text_the_words_are_read() -> None:
    rtf = (
        rb"{\rtf1\ansi\ansicpg1252\fromhtml1 {\fonttbl{\f0 Arial;}}{\*\htmltag64 <p>}\htmlrtf \par\htmlrtf0 Gr\'fc\'dfe\u8364?"
        rb" \{x\}{\*\htmltag72 </p>}\par end}"
    )
    assert text_of_rtf(rtf) == "Grüße€ {x}\nend"


@pytest.mark.parametrize(
    "head",
    [
        "From: a@b.example\r\nSubject : Broken\r\nTo: c@d.example",
        "\ufeffFrom: a@b.example\r\nSubject: Broken\r\nTo: c@d.example",
        "From: a@b.example\r\n>From someone\r\nSubject: Broken\r\nTo: c@d.example",
        "From: a@b.example\r\na stray line\r\nSubject: Broken\r\nTo: c@d.example",
        "From: a@b.example\na stray line: no field\nSubject: Broken\nTo: c@d.example",
        "From someone Tue Mar  3 09:15:00 2026\nFrom: a@b.example\nSubject: Broken\nTo: c@d.example",
        "\r\n\r\nFrom: a@b.example\r\nSubject: Broken\r\nTo: c@d.example",
    ],
)
def test_a_bad_header_line_costs_itself(head: str) -> None:
    mail = read_mime(f"{head}\r\n\r\nThe body.".encode())
    assert mail.text == "The body."
    assert (mail.headers.raw("from"), mail.headers.get("subject"), mail.headers.raw("to")) == (
        "a@b.example",
        "Broken",
        "c@d.example",
    )


def test_what_was_wrapped_without_a_blank_is_one_field_again() -> None:
    mail = read_mime(
        b"Content-Type: multipart/mixed;\r\nboundary=x\r\nSubject: a long\r\nsubject\r\nTo: a@b,\r\nc@d\r\nMime-Version: 1.0\r\n\r\n--x\r\n\r\nhi\r\n--x--"
    )
    assert (mail.text, mail.headers.get("subject"), mail.headers.raw("to")) == (
        "hi",
        "a long subject",
        "a@b, c@d",
    )


def test_a_body_without_its_blank_line_is_a_body() -> None:
    assert read_mime(b"From: a@b.example\r\nThe body begins here.\r\nIt has two lines.").text == (
        "The body begins here.\r\nIt has two lines."
    )


def test_a_good_header_is_left_as_it_is() -> None:
    mail = b"From: a@b.example\r\nSubject: x\r\n y: z\r\n\r\nSubject : body\r\n"
    assert mended(mail) is mail


def test_one_bad_byte_costs_one_character() -> None:
    text = "Grüße aus Malmö, schöne Tage"
    raw = text.encode()
    assert decode_bytes(raw[:10] + b"\xff" + raw[10:], "utf-8").count("\ufffd") == 1
    assert decode_bytes("你好，世界".encode("gb18030") + b"\xff", "gb2312").startswith("你好，世界")
    assert decode_bytes(b"sch\xf6n", "utf-8") == "schön"
    assert decode_bytes("你好，世界".encode(), "gb2312") == "你好，世界"


def test_a_text_cut_inside_a_character_loses_that_character_alone() -> None:
    raw = ("ö" * 100).encode()[:-1]
    assert decode_bytes(raw, "utf-8", cut=True) == "ö" * 99


def test_japanese_with_the_characters_of_nec_is_read() -> None:
    raw = b"\x1b$B-!F|K\\-j\x1b(B end \x1b(I6E\x1b(B"
    assert decode_bytes(raw, "iso-2022-jp") == "①日本㈱ end ｶﾅ"
    assert decode_bytes("日本語".encode("iso-2022-jp"), "ISO-2022-JP") == "日本語"


def test_an_eight_bit_subject_is_read_in_the_bodys_charset() -> None:
    mail = b"From: a@b.example\r\nSubject: \xef\xf2\xe2\xe5\xf2\r\nContent-Type: text/plain; charset=windows-1251\r\n\r\n\xef\xf2\xe2\xe5\xf2"
    assert read_mime(mail).headers.get("subject") == "птвет"
    assert (
        read_mime("Subject: Grüße\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\nx".encode()).headers.get(
            "subject"
        )
        == "Grüße"
    )


def test_a_files_name_is_one_line() -> None:
    mail = read(
        multipart("mixed", PLAIN, 'Content-Type: image/png; name="=?utf-8?q?a=0D=0A_b.png?="\r\n\r\nx')
    )
    assert [file.name for file in mail.attachments] == ["a b.png"]


def test_cells_and_nested_blocks_keep_their_words_apart() -> None:
    page = "<table><tr><td>Seats</td><td>25</td></tr><tr><th>Paid</th><td><div>40</div><div>now</div></td></tr></table><div>a<div>b</div>c</div>"
    assert text_of_html(page).split() == ["Seats", "25", "Paid", "40", "now", "a", "b", "c"]


def test_word_and_titles_show_nothing_of_their_own() -> None:
    settings = (
        "<w:WordDocument>" + "<w:LsdException Locked='false' Name='Normal'/>" * 400 + "</w:WordDocument>"
    )
    page = (
        f"<html><head><title>No title</title><!--[if gte mso 9]><xml>{settings}</xml><![endif]--><style>p {{}}</style></head>"
        "<body><![if !supportLists]><p class=MsoNormal><b>Hello</b><o:p>&nbsp;</o:p></p><![endif]>"
        "<span style='display:none'>preview</span></body></html>"
    )
    assert text_of_html(page) == "Hello"
    assert "<b>Hello</b>" in clean_html(page)
    assert "No title" not in clean_html(page)
    assert "Locked" not in clean_html(page)


@given(st.text(alphabet="ab> -\n", max_size=80))
def test_unflowing_loses_no_letters(text: str) -> None:
    wanted = [char for char in text if char in "ab"]
    assert [char for char in unflowed(text, delete_space=True) if char in "ab"] == wanted


@given(
    st.binary(max_size=200),
    st.sampled_from(["utf-8", "gb2312", "iso-2022-jp", "big5", "punycode", "", "utf-16"]),
)
def test_any_bytes_are_a_text(raw: bytes, charset: str) -> None:
    decode_bytes(raw, charset, cut=True).encode("utf-8", "surrogatepass")
    read_winmail(b"\x78\x9f\x3e\x22" + raw)
    text_of_rtf(raw)
    unpacked(b"\0" * 4 + b"\xff\xff\0\0" + b"LZFu" + b"\0" * 4 + raw)
    calendar_text("BEGIN:VEVENT\n" + raw.decode("latin-1"))


@given(
    st.binary(max_size=300),
    st.lists(st.sampled_from([PLAIN, PAGE, INVITATION, INNER, "--x--", "Content-Type: "]), max_size=3),
)
def test_any_bytes_are_a_mail_an_event_or_refused(raw: bytes, parts: list[str]) -> None:
    options = SourceOptions(name="support-mail", adapter="ses")
    try:
        mail = read_mime(raw + multipart("mixed", *parts).encode() + raw)
        found = mail_event(
            Mail(headers=mail.headers, text=mail.text, html=mail.html, flowed=mail.flowed),
            options,
            "ses",
            now_s=1_772_600_000.0,
        )
    except PayloadInvalid:
        return
    if isinstance(found, Event):
        str(found.view()).encode()
