"""Which mails are skipped: automatic answers and bounces, and nothing that a person may have written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from relay.event import Event
from relay.sources.base import Skipped
from tests.sources.mails import OPTIONS, event, parsed

AUTO_SUBJECT = "Automatic reply: Export fails"
SUPPRESS = ("X-Auto-Response-Suppress", "All")

ANSWERS: list[tuple[tuple[str, str], ...]] = [
    (("Auto-Submitted", "auto-replied"),),
    (("Auto-Submitted", "auto-replied; owner-email=x@acme.example"),),
    (("Auto-Submitted", "Auto-Replied (vacation)"),),
    (("Precedence", "auto_reply"),),
    (("X-Autoreply", "yes"),),
    (("X-Autorespond", "Export fails"),),
    (("X-Autoresponder", "cPanel"),),
    (("X-Mail-Autoreply", "true"),),
    (("X-POST-MessageClass", "9; Autoresponder"),),
    (("Delivered-To", "Autoresponder"),),
    (("Content-Type", "multipart/report; report-type=disposition-notification; boundary=x"),),
    (SUPPRESS, ("Subject", AUTO_SUBJECT)),
    (SUPPRESS, ("Subject", "Autosvar: Exporten")),
    (SUPPRESS, ("Subject", "Automatische Antwort: Export")),
    (SUPPRESS, ("Subject", "Réponse automatique : export")),
    (SUPPRESS, ("Subject", "Respuesta automática: exportación")),
    (SUPPRESS, ("Subject", "Odpowiedź automatyczna: eksport")),
    (SUPPRESS, ("Subject", "=?utf-8?q?Automatick=C3=A1_odpov=C4=9B=C4=8F=3A?= export")),
    (SUPPRESS, ("Subject", "自動応答：エクスポート")),
    (SUPPRESS, ("Subject", "Автоматический ответ: экспорт")),
    (("Precedence", "bulk"), ("Subject", "Out of office: Export fails")),
    (("Return-Path", "<>"), ("Subject", "Abwesenheitsnotiz")),
    (("Auto-Submitted", "auto-generated"), ("Subject", "Out of Office")),
]

BOUNCES: list[tuple[tuple[str, str], ...]] = [
    (("Content-Type", 'multipart/report; report-type=delivery-status; boundary="x"'),),
    (("From", "Mail Delivery System <MAILER-DAEMON@mx.example>"),),
    (("From", "MAILER-DAEMON (Mail Delivery System)"),),
    (("From", "MAILER-DAEMON"),),
    (("From", "Mail Delivery Subsystem <mailer-daemon@googlemail.com>"), ("In-Reply-To", "<1@a>")),
    (("From", "Mail Delivery System <postmaster@mx.example>"),),
    (("From", "<>"),),
    (("X-Failed-Recipients", "ann@acme.example"),),
    (("From", "postmaster@mx.example"), ("Return-Path", "<>")),
    (("From", "postmaster@mx.example"), ("Auto-Submitted", "auto-replied")),
]

PEOPLE: list[tuple[tuple[str, str], ...]] = [
    (("X-Autoreply", "no"),),
    (("Auto-Submitted", "no"),),
    (("Auto-Submitted", "no (a person wrote this)"),),
    (("Precedence", "normal"),),
    (("From", "Paul Oster <postmaster@acme.example>"),),
    (("Return-Path", "<>"), ("X-Forwarded-To", "help@vendor.example")),
    (("Return-Path", "<>"),),
    (SUPPRESS, ("Subject", "Export fails")),
    (("Subject", AUTO_SUBJECT),),
    (SUPPRESS, ("Subject", f"Re: {AUTO_SUBJECT}")),
    (SUPPRESS, ("Subject", "Automatic replying is broken")),
    (("From", "Mailer Daemonic <mailer@acme.example>"),),
]

TAGGED: list[tuple[tuple[tuple[str, str], ...], tuple[str, ...]]] = [
    ((("Precedence", "list"), ("List-ID", "<support.vendor.example>")), ("list",)),
    ((("List-Id", "News <news.acme.example>"),), ("list",)),
    ((("Mailing-list", "list support@vendor.example"),), ("list",)),
    ((("Precedence", "bulk"),), ("bulk",)),
    ((("Precedence", "junk"),), ("bulk",)),
    ((("Auto-Submitted", "auto-generated"),), ("auto-generated",)),
    ((("Auto-Submitted", "auto-forwarded"),), ("auto-generated",)),
    ((("List-Id", "<a.b>"), ("Precedence", "bulk")), ("list", "bulk")),
]


@pytest.mark.parametrize("headers", ANSWERS)
def test_an_automatic_answer_is_skipped(headers: tuple[tuple[str, str], ...]) -> None:
    assert parsed(*headers) == Skipped("auto_reply")
    kept = event(*headers, keep_auto=True)
    assert kept.sender.bot
    assert "auto-reply" in kept.tags


@pytest.mark.parametrize("headers", BOUNCES)
def test_a_bounce_is_skipped(headers: tuple[tuple[str, str], ...]) -> None:
    assert parsed(*headers) == Skipped("bounce")
    assert "bounce" in event(*headers, keep_auto=True).tags


@pytest.mark.parametrize("headers", PEOPLE)
def test_what_a_person_may_have_written_is_relayed(headers: tuple[tuple[str, str], ...]) -> None:
    found = event(*headers)
    assert not found.tags
    assert not found.sender.bot


@pytest.mark.parametrize(("headers", "tags"), TAGGED)
def test_lists_bulk_and_machines_are_relayed_and_tagged(
    headers: tuple[tuple[str, str], ...], tags: tuple[str, ...]
) -> None:
    found = event(*headers)
    assert found.tags == tags
    assert not found.sender.bot


@pytest.mark.parametrize(
    ("header", "word"),
    [
        (("List-Id", "<a.b>"), "lists"),
        (("Precedence", "bulk"), "bulk"),
        (("Auto-Submitted", "auto-generated"), "auto_generated"),
    ],
)
def test_who_wants_none_of_them_says_so(header: tuple[str, str], word: str) -> None:
    assert parsed(header, options=replace(OPTIONS, skip=frozenset({word}))) == Skipped(word)
    others = frozenset({"lists", "bulk", "auto_generated"}) - {word}
    assert isinstance(parsed(header, options=replace(OPTIONS, skip=others)), Event)


@pytest.mark.parametrize("nobody", ["", "<>"])
def test_an_envelope_without_a_sender_is_a_bounces(nobody: str) -> None:
    assert parsed(envelope_from=nobody) == Skipped("bounce")
    assert isinstance(parsed(envelope_from=None), Event)


@pytest.mark.parametrize(
    "header",
    [("X-Forwarded-For", "nora@acme.example help@vendor.example"), ("Resent-From", "x@acme.example")],
)
def test_a_mailbox_that_passes_mail_on_may_empty_the_envelope(header: tuple[str, str]) -> None:
    assert isinstance(parsed(header, envelope_from=""), Event)


def test_tags_of_the_provider_stay(**fields: Any) -> None:
    assert event(("List-Id", "<a.b>"), tags=("spam", "")).tags == ("spam", "list")
