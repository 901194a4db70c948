"""Who wrote a mail, where From names a form, a no-reply address, a group or ourselves."""

from __future__ import annotations

import pytest

from tests.sources.mails import event

OURS = ("To", "Support <support@vendor.example>")
GROUP = ("From", "'Anna Berg' via Support <support@vendor.example>")
ANNA = ("Anna Berg", "anna@kunde.example")

CASES: list[tuple[str, list[tuple[str, str]], tuple[str, str]]] = [
    ("a person", [OURS, ("From", "Anna Berg <anna@kunde.example>")], ANNA),
    (
        "a person with another address for answers",
        [OURS, ("From", "Anna Berg <anna@kunde.example>"), ("Reply-To", "archive@elsewhere.example")],
        ANNA,
    ),
    (
        "a no-reply address",
        [OURS, ("From", "Forms <noreply@forms.example>"), ("Reply-To", "Anna Berg <anna@kunde.example>")],
        ANNA,
    ),
    (
        "a no-reply address whose name is hers",
        [OURS, ("From", "Anna Berg <no-reply@forms.example>"), ("Reply-To", "anna@kunde.example")],
        ANNA,
    ),
    (
        "no-reply in German",
        [
            OURS,
            ("From", "Bitte nicht antworten <nicht-antworten@forms.example>"),
            ("Reply-To", "Anna Berg <anna@kunde.example>"),
        ],
        ANNA,
    ),
    (
        "our own address",
        [OURS, ("From", "support@vendor.example"), ("Reply-To", "Anna Berg <anna@kunde.example>")],
        ANNA,
    ),
    (
        "our own website",
        [OURS, ("From", "Website <www@vendor.example>"), ("Reply-To", "Anna Berg <anna@kunde.example>")],
        ANNA,
    ),
    (
        "WordPress",
        [OURS, ("From", "Vendor <wordpress@vendor.example>"), ("Reply-To", "Anna Berg <anna@kunde.example>")],
        ANNA,
    ),
    (
        "our own, answered to ourselves",
        [OURS, ("From", "Kim <kim@vendor.example>"), ("Reply-To", "desk@vendor.example")],
        ("Kim", "kim@vendor.example"),
    ),
    (
        "a colleague who writes to a customer",
        [
            ("To", "Anna Berg <anna@kunde.example>"),
            ("From", "Kim <kim@vendor.example>"),
            ("Reply-To", "ticket+7@desk.example"),
        ],
        ("Kim", "kim@vendor.example"),
    ),
    (
        "a group, with the whole line",
        [OURS, GROUP, ("X-Original-From", "Anna Berg <anna@kunde.example>")],
        ANNA,
    ),
    ("a group, with the address", [OURS, GROUP, ("X-Original-Sender", "anna@kunde.example")], ANNA),
    ("a group, with where to answer", [OURS, GROUP, ("Reply-To", "anna@kunde.example")], ANNA),
    (
        "a group, in German",
        [
            OURS,
            ("From", "\"'Anna Berg' über Support\" <support@vendor.example>"),
            ("X-Original-Sender", "anna@kunde.example"),
        ],
        ANNA,
    ),
    (
        "a group that answers to itself",
        [OURS, GROUP, ("Reply-To", "support@vendor.example"), ("X-Original-Sender", "anna@kunde.example")],
        ANNA,
    ),
    (
        "a group that changed nothing",
        [
            OURS,
            ("From", "Anna Berg <anna@kunde.example>"),
            ("List-ID", "<support.vendor.example>"),
            ("X-Original-Sender", "bounces+anna=kunde.example@mail.example"),
        ],
        ANNA,
    ),
    (
        "somebody who says what a group would",
        [OURS, ("From", "Eve <eve@evil.example>"), ("X-Original-Sender", "anna@kunde.example")],
        ("Eve", "eve@evil.example"),
    ),
    (
        "a no-reply address and nobody else",
        [OURS, ("From", "Shop <noreply@shop.example>")],
        ("Shop", "noreply@shop.example"),
    ),
    (
        "a no-reply address that answers to another",
        [OURS, ("From", "Shop <noreply@shop.example>"), ("Reply-To", "do-not-reply@shop.example")],
        ("Shop", "noreply@shop.example"),
    ),
    (
        "the second who would be answered",
        [
            OURS,
            ("From", "noreply@forms.example"),
            ("Reply-To", "support@vendor.example, Anna Berg <anna@kunde.example>"),
        ],
        ANNA,
    ),
]


@pytest.mark.parametrize(("case", "headers", "writer"), CASES, ids=[case for case, _, _ in CASES])
def test_who_wrote(case: str, headers: list[tuple[str, str]], writer: tuple[str, str]) -> None:
    sender = event(*headers).sender
    assert (sender.name, sender.email) == writer


@pytest.mark.parametrize(
    ("local", "is_read"),
    [
        *(
            (word, False)
            for word in ("noreply", "no-reply", "NoReply", "no_reply", "do-not-reply", "donotreply")
        ),
        *(
            (word, False)
            for word in ("acme-noreply", "noreply+7", "noreply2", "keine-antwort", "nepasrepondre")
        ),
        *(
            (word, False)
            for word in ("nao-responda", "svara-inte", "nieodpowiadaj", "notifications", "wordpress")
        ),
        *(
            (word, True)
            for word in ("nora", "noreen.replyton", "info", "anoreplya", "sales", "donotello", "noa")
        ),
    ],
)
def test_which_addresses_nobody_reads(local: str, is_read: bool) -> None:
    found = event(OURS, ("From", f"{local}@forms.example"), ("Reply-To", "anna@kunde.example")).sender.email
    assert found == (f"{local}@forms.example" if is_read else "anna@kunde.example")


def test_without_from_whoever_can_be_named() -> None:
    assert (
        event(("From", "undisclosed"), ("Sender", "Anna Berg <anna@kunde.example>")).sender.email == ANNA[1]
    )
    assert event(("From", "undisclosed"), envelope_from="anna@kunde.example").sender.email == ANNA[1]


def test_the_envelope_tells_which_address_is_ours() -> None:
    headers = (("From", "desk@in.vendor.example"), ("Reply-To", "anna@kunde.example"))
    assert event(*headers, envelope_to=["desk@in.vendor.example"]).sender.email == ANNA[1]
