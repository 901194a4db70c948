"""Addresses, message ids, encoded words and charsets, as real mails hold them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sources.mail.headers import MailHeaders, addresses, date_us, decoded, header_block
from relay.sources.mail.thread_ids import message_ids
from relay.sources.read.charset import decode_bytes, printable


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("nora@acme.example", [("", "nora@acme.example")]),
        ("Nora Lind <nora@acme.example>", [("Nora Lind", "nora@acme.example")]),
        ('"Lind, Nora" <nora@acme.example>', [("Lind, Nora", "nora@acme.example")]),
        ('"Nora \\"N\\" Lind" <n@a.example>', [('Nora "N" Lind', "n@a.example")]),
        ("n@a.example (Nora)", [("Nora", "n@a.example")]),
        ("Nora<n@a.example>", [("Nora", "n@a.example")]),
        ("=?utf-8?b?TsO2cmE=?= <n@a.example>", [("Nöra", "n@a.example")]),
        (
            "a@a.example, b@b.example; c@c.example",
            [("", "a@a.example"), ("", "b@b.example"), ("", "c@c.example")],
        ),
        ("Team: a@a.example, B <b@b.example>;", [("", "a@a.example"), ("B", "b@b.example")]),
        ("undisclosed-recipients:;", []),
        ("a@a.example,\r\n\t\r\n\tb@b.example", [("", "a@a.example"), ("", "b@b.example")]),
        ("mailto:a@a.example", [("", "a@a.example")]),
        ("", []),
        ("not an address", []),
    ],
)
def test_addresses_are_found(value: str, wanted: list[tuple[str, str]]) -> None:
    assert addresses(value) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("=?utf-8?q?Re=3A_Pl=C3=A4tze?=", "Re: Plätze"),
        ("=?UTF-8?B?w6Q=?= =?UTF-8?B?w7Y=?=", "äö"),
        ("=?utf-8?b?w?= =?utf-8?b?6Q=?= x", "=?utf-8?b?w?= =?utf-8?b?6Q=?= x"),
        ("=?iso-8859-1*de?q?=E4?=", "ä"),
        ("=?utf-8?q?a?=\r\n =?utf-8?q?b?= c", "ab c"),
        ("plain =? text ?=", "plain =? text ?="),
    ],
)
def test_encoded_words_are_read(value: str, wanted: str) -> None:
    if wanted == value:
        assert decoded(value)
    else:
        assert decoded(value) == wanted


def test_a_character_split_over_two_words_is_whole_again() -> None:
    assert decoded("=?utf-8?q?=C3?= =?utf-8?q?=A4?=") == "ä"


def test_message_ids_are_found_among_other_things() -> None:
    assert message_ids("<a@b>\r\n <c@d> (note)") == ["<a@b>", "<c@d>"]
    assert message_ids("a@b") == ["<a@b>"]
    assert message_ids("") == []


@pytest.mark.parametrize(
    "written",
    [
        "Wed, 4 Mar 2026 06:00:00 +0100",
        "Wed, 4 Mar 2026 06:00 +01:00",
        "Wed Mar  4 05:00:00 2026",
        "4 Mar 2026 06:00:00 +0100",
        "04 Mar 2026 06:00:00 +01:00 (CET)",
        "2026-03-04T06:00:00+01:00",
    ],
)
def test_a_date_is_read_with_and_without_its_weekday(written: str) -> None:
    """The weekday may be left out. Source: RFC 5322, section 3.3."""
    assert date_us(written) == 1_772_600_400_000_000


def test_a_header_block_is_unfolded_and_names_are_found_in_any_case() -> None:
    headers = MailHeaders(header_block("Subject: one\r\n two\r\nX-A: b\r\nbroken line\r\nx-a: c\r\n"))
    assert headers.get("subject") == "one two"
    assert headers.all("x-a") == ["b", "c"]


@pytest.mark.parametrize(
    "piece", ["(", "<", ",", '"', "\\", "a@b,", "=?utf-8?q?", ":", "@:", "=?utf-8?q?a?= "]
)
def test_a_hostile_header_takes_no_time(piece: str) -> None:
    value = (piece * 300_000)[:1_000_000]
    began = time.process_time()
    addresses(value), decoded(value[:65_536]), message_ids(value)
    assert time.process_time() - began < 2


@given(st.text(max_size=200) | st.text(alphabet='<>@,;:"()\\=?q_ab \r\n', max_size=200))
def test_any_text_has_addresses_ids_and_a_reading(value: str) -> None:
    assert all("@" in email and name == printable(name) for name, email in addresses(value))
    decoded(value).encode()
    str(message_ids(value)).encode()


@given(
    st.binary(max_size=60), st.text(max_size=20) | st.sampled_from(["utf-16", "base64", "idna", "punycode"])
)
def test_any_bytes_are_text_in_any_charset(raw: bytes, charset: str) -> None:
    assert isinstance(decode_bytes(raw, charset), str)
