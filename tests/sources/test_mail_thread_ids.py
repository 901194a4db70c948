"""Which mails a mail names, in whatever spelling, and what is no id."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sources.mail.thread_ids import conversation_of, message_ids, normal
from relay.thread_ids import ThreadIds
from tests.sources.mails import OPTIONS, event

ROOT = "<CAF+root=1@mail.example.com>"
CONVERSATION = b"\x01\xd8" + bytes(range(20))


def ids(*headers: tuple[str, str], **fields: Any) -> ThreadIds:
    found = event(("Message-ID", "<own@a>"), *headers, **fields).threading
    assert found is not None
    return found


def key(message_id: str) -> str:
    return ids(("In-Reply-To", message_id)).named[0]


def test_a_new_thread_is_named_by_the_first_of_its_references() -> None:
    reply = event(
        ("Message-ID", "<3@a>"), ("In-Reply-To", "<2@a>"), ("References", "<1@a>\r\n\t<2@a> (a comment)")
    )
    assert reply.thread == "<1@a>"
    assert reply.message_id == "<3@a>"


def test_without_references_the_mail_answered_names_the_thread() -> None:
    assert event(("Message-ID", "<3@a>"), ("In-Reply-To", "Nora's mail of Monday <2@a>")).thread == "<2@a>"


@pytest.mark.parametrize(
    "spelling",
    [
        "<CAF+root=1@MAIL.Example.COM>",
        "CAF+root=1@mail.example.com",
        " <CAF+root=1@mail.example.com> ",
        "<CAF+root=1 @mail.example.com>",
        "<CAF+root=1@mail.\r\n example.com>",
        "< CAF+root=1@mail.example.com >",
        "=?utf-8?Q?=3CCAF+root=3D1=40mail=2Eexample=2Ecom=3E?=",
        "=?us-ascii?B?" + b64encode(ROOT.encode()).decode() + "?=",
        "=?utf-8?Q?=3CCAF+root=3D1=40mail=2E?=\r\n =?utf-8?Q?example=2Ecom=3E?=",
        "Nora's message of Monday <CAF+root=1@mail.example.com>",
        "<CAF+root=1@mail.example.com.>",
    ],
)
def test_one_id_in_many_spellings(spelling: str) -> None:
    assert key(spelling) == key(ROOT)
    assert ids(("References", spelling)).named[0] == key(ROOT)
    assert event(("Message-ID", spelling)).threading.own == (key(ROOT),)  # type: ignore[union-attr]


@pytest.mark.parametrize("other", ["<caf+root=1@mail.example.com>", "<CAF+root=1@mail.example.org>", "<x@y>"])
def test_another_id_is_another(other: str) -> None:
    assert key(other) != key(ROOT)


def test_amazons_ids_are_known_whatever_region_they_name() -> None:
    sent = "0100018f2d3c4b5a-8f1e2d3c-1a2b-3c4d-5e6f-0123456789ab-000000"
    spellings = [f"<{sent}@email.amazonses.com>", f"<{sent}@eu-west-1.amazonses.com>", sent, f"<{sent}>"]
    assert len({key(spelling) for spelling in spellings}) == 1
    assert key("<person@eu-west-1.amazonses.com>") != key("<person@email.amazonses.com>")


@pytest.mark.parametrize(
    "header", ["<>", "<@>", "< >", "reply", "<reply>", "<@example.com>", "<nobody@>", "none", "Re: hello", ""]
)
def test_what_is_no_id_names_nothing(header: str) -> None:
    found = ids(("References", header), ("In-Reply-To", header))
    assert found.named == ()
    assert found.begins


def test_an_address_of_somebody_who_takes_part_is_no_id() -> None:
    found = ids(("In-Reply-To", "Your message, Nora <Nora@acme.example>"), ("To", "help@vendor.example"))
    assert found.begins
    assert ids(("In-Reply-To", "<help@vendor.example>"), ("To", "help@vendor.example")).begins
    assert not ids(("In-Reply-To", "<someone@else.example>")).begins


def test_a_mail_without_a_usable_id_of_its_own_joins_no_other() -> None:
    one, two = event(("Message-ID", "<>"), text="one"), event(("Message-ID", "<>"), text="two")
    assert one.threading
    assert two.threading
    assert set(one.threading.own).isdisjoint(two.threading.own)
    assert one.thread != two.thread


def test_the_nearest_mail_is_asked_first() -> None:
    found = ids(("References", "<1@a> <2@a> <3@a>"), ("In-Reply-To", "<3@a>"))
    assert found.named == (key("<3@a>"), key("<2@a>"), key("<1@a>"))
    assert found.first == key("<1@a>")
    assert not found.begins


def test_a_mail_that_names_itself_begins_a_thread() -> None:
    assert ids(("References", "<own@a>")).begins
    assert ids(("References", "<own@a>")).named == ()


def test_ids_that_were_replaced_on_the_way_are_own_ones() -> None:
    found = ids(("X-Microsoft-Original-Message-ID", "<before@a>"))
    assert len(found.own) == 2
    assert key("<before@a>") in found.own


def test_a_long_thread_is_known_by_its_first_and_last_mails() -> None:
    many = " ".join(f"<{n}@a>" for n in range(5_000))
    found = ids(("References", many))
    assert len(found.named) < 100
    assert found.named[0] == key("<4999@a>")
    assert found.first in found.named


def thread_index(raw: bytes) -> tuple[str, str]:
    return ("Thread-Index", b64encode(raw).decode())


def test_exchange_names_a_conversation() -> None:
    root, answer = ids(thread_index(CONVERSATION)), ids(thread_index(CONVERSATION + b"12345"))
    assert root.named == answer.named != ()
    assert root.begins
    assert not answer.begins
    other = CONVERSATION[:-1] + b"\xff"
    assert ids(thread_index(other)).named != root.named


@pytest.mark.parametrize(
    "value",
    ["", "hello", "AdB=", b64encode(CONVERSATION[:-1]).decode(), b64encode(b"\x02" * 22).decode(), "é" * 30],
)
def test_what_is_no_thread_index_names_nothing(value: str) -> None:
    assert conversation_of(value) == ("", False)


@pytest.mark.parametrize(
    ("pattern", "subject", "is_found"),
    [
        (r"\[#(\d+)\]", "Re: [#4711] Export fails", True),
        (r"\[#(\d+)\]", "Re: Export fails #4711", False),
        (r"CASE-\d+", "FW: CASE-99 open", True),
        (r"\[#(\d*)\]", "Re: [#] nothing", False),
    ],
)
def test_a_number_in_the_subject_by_a_pattern_of_the_config(
    pattern: str, subject: str, is_found: bool
) -> None:
    options = replace(OPTIONS, thread_subject=pattern)
    found = ids(("Subject", subject), ("In-Reply-To", "<2@a>"), options=options)
    plain = ids(("Subject", subject), ("In-Reply-To", "<2@a>"))
    assert found.named == plain.named or is_found
    # The number says more than any header.
    assert (found.named[1:] == plain.named) is is_found


def test_sources_have_threads_of_their_own() -> None:
    other = replace(OPTIONS, name="sales-mail")
    assert ids(("In-Reply-To", "<2@a>")).named != ids(("In-Reply-To", "<2@a>"), options=other).named


@given(st.text(max_size=300) | st.text(alphabet='<>@, \r\n\t"()=?qQbB_.-a1', max_size=300))
def test_any_text_has_ids_or_none(text: str) -> None:
    found = message_ids(text)
    assert all(one.startswith("<") and one.endswith(">") and one.strip("<>") for one in found)
    assert all(normal(one) == normal(normal(one)) for one in found)
    assert message_ids(" ".join(found)) == found
