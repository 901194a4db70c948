"""Resend: signed as Svix signs; who, to whom and what about, but no text."""

from __future__ import annotations

import pytest

from relay.errors import NotAuthentic
from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Skipped
from relay.sources.providers.resend import Resend
from tests.places import PAYLOADS

MINE = PAYLOADS / "resend"
NOW_S = 1_772_600_600.0
SECRET = "whsec_c29tZS1zZWNyZXQtb2YtMjQtYnl0ZXM="


def resend() -> Resend:
    return Resend(SourceOptions(name="mail", adapter="resend", secrets=lambda: [SECRET]))


def inbound(name: str) -> Inbound:
    return Inbound((MINE / f"{name}.json").read_bytes(), {"svix-id": "msg_1"})


def test_a_mail_is_an_event_without_text() -> None:
    (found,) = resend().parse(inbound("received"), now_s=NOW_S)
    assert isinstance(found, Event)
    assert (found.message_id, found.subject, found.text) == ("<r1-8841@mail.acme.example>", "Re: Seats", "")
    assert found.time == "2026-03-03T10:40:12.100Z"
    assert [(r.email, r.role) for r in found.recipients] == [
        ("help@vendor.example", "to"),
        ("nora@acme.example", "cc"),
        ("help@in.vendor.example", "envelope"),
    ]
    assert [file.name for file in found.attachments] == ["seats.csv"]
    assert found.delivery_id == "msg_1"


def test_events_of_sent_mail_are_skipped() -> None:
    assert resend().parse(inbound("delivered"), now_s=NOW_S) == [Skipped("type")]


def test_the_signature_covers_body_id_and_time() -> None:
    adapter = resend()
    sample = adapter.sign(adapter.sample(serial=1, now_s=NOW_S), now_s=NOW_S, url="")
    adapter.verify(Inbound(sample.body, sample.headers), now_s=NOW_S + 299)
    for changed in (
        Inbound(sample.body + b" ", sample.headers),
        Inbound(sample.body, {**sample.headers, "svix-id": "msg_2"}),
        Inbound(sample.body, {**sample.headers, "svix-timestamp": str(int(NOW_S) + 1)}),
    ):
        with pytest.raises(NotAuthentic):
            adapter.verify(changed, now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(sample.body, sample.headers), now_s=NOW_S + 600)
