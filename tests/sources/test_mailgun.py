"""Mailgun: forms parsed and raw, and a signature that covers no mail."""

from __future__ import annotations

from urllib.parse import urlencode

import orjson
import pytest

from relay.errors import NotAuthentic
from relay.event import Attachment, Event
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parsed, Sample, Skipped, hmac_bytes
from relay.sources.providers.mailgun import Mailgun
from tests.places import PAYLOADS

MINE = PAYLOADS / "mailgun"
NOW_S = 1_772_534_500.0
MULTIPART = "multipart/form-data; boundary=zXq7Boundary"
FORM = "application/x-www-form-urlencoded"


def mailgun(**signature: str) -> Mailgun:
    return Mailgun(
        SourceOptions(name="mail", adapter="mailgun", secrets=lambda: ["key-1", "key-2"], signature=signature)
    )


def inbound(name: str) -> Inbound:
    return Inbound((MINE / f"{name}.multipart").read_bytes(), {"content-type": MULTIPART})


def parsed(name: str) -> Parsed:
    (found,) = mailgun().parse(inbound(name), now_s=NOW_S)
    return found


def event(name: str) -> Event:
    found = parsed(name)
    assert isinstance(found, Event)
    return found


def signed(body: bytes, at_s: float, secret: str = "key-1", token: str = "t0") -> Inbound:
    stamp = str(int(at_s))
    proof = {
        "timestamp": stamp,
        "token": token,
        "signature": hmac_bytes(secret, (stamp + token).encode()).hex(),
    }
    return Inbound(urlencode(proof).encode() + b"&" + body, {"content-type": FORM})


def test_a_parsed_mail_is_read() -> None:
    found = event("parsed")
    assert found.subject == "Re: Plätze"
    assert (found.text, found.html) == ("25 stimmt.", "<p>25 stimmt.</p>")
    assert (found.sender.email, found.thread) == ("omar@acme.example", "<q1-8841@mail.acme.example>")
    assert [(r.email, r.role) for r in found.recipients] == [
        ("help@vendor.example", "to"),
        ("team@vendor.example", "to"),
        ("help@in.vendor.example", "envelope"),
    ]
    assert found.attachments == (Attachment("bild ä.png", "image/png", 13),)


def test_a_raw_mail_gives_the_same_event_id() -> None:
    raw = event("raw")
    assert raw.id == event("parsed").id
    assert raw.text == "Schön, 25 ist richtig."
    assert raw.html == "<p>Schön, 25 ist richtig.</p>"
    assert raw.attachments == (Attachment("Plätze.pdf", "application/pdf", 11),)
    assert not {"body-mime", "token", "signature"} & set(raw.payload)


def test_events_of_sent_mail_are_skipped() -> None:
    assert parsed("tracking") == Skipped("type")
    event_hook = Inbound(b'{"event-data":{"event":"opened"}}', {"content-type": "application/json"})
    assert mailgun().parse(event_hook, now_s=NOW_S) == [Skipped("type")]


def test_a_signature_holds_for_every_shape_of_body() -> None:
    adapter = mailgun()
    for secret in ("key-1", "key-2"):
        adapter.verify(signed(b"subject=x", NOW_S, secret), now_s=NOW_S)
    form = adapter.sign(
        Sample((MINE / "raw.multipart").read_bytes(), {"content-type": MULTIPART}), now_s=NOW_S, url=""
    )
    adapter.verify(Inbound(form.body, form.headers), now_s=NOW_S)
    stamp = str(int(NOW_S))
    proof = {"timestamp": stamp, "token": "t", "signature": hmac_bytes("key-1", (stamp + "t").encode()).hex()}
    body = orjson.dumps({"signature": proof, "event-data": {}})
    adapter.verify(Inbound(body, {"content-type": "application/json"}), now_s=NOW_S)


def test_a_wrong_key_and_an_old_signature_are_refused() -> None:
    with pytest.raises(NotAuthentic):
        mailgun().verify(signed(b"", NOW_S, "key-3"), now_s=NOW_S)
    # Mailgun tries for eight hours, maybe under the first signature.
    mailgun().verify(signed(b"", NOW_S), now_s=NOW_S + 8 * 3600)
    for late_s in (10 * 3600, -600):
        with pytest.raises(NotAuthentic):
            mailgun().verify(signed(b"", NOW_S), now_s=NOW_S + late_s)
    with pytest.raises(NotAuthentic):
        mailgun(tolerance="2m").verify(signed(b"", NOW_S), now_s=NOW_S + 121)


def test_a_token_that_was_seen_carries_no_second_mail() -> None:
    first, forged = (
        mailgun().parse(signed(body, NOW_S, token="once"), now_s=NOW_S)[0]
        for body in (
            b"from=a%40b.example&Message-Id=%3C1%40a%3E",
            b"from=evil%40b.example&Message-Id=%3C2%40a%3E",
        )
    )
    assert isinstance(first, Event)
    assert isinstance(forged, Event)
    assert first.id != forged.id
    once = [mailgun().nonces(signed(body, NOW_S, token="once")) for body in (b"a=b", b'c="d"')]
    assert once[0] == once[1] != mailgun().nonces(signed(b"a=b", NOW_S, token="another"))


def test_406_is_never_answered() -> None:
    answers = mailgun().answers
    assert 406 not in (answers.not_authentic, answers.malformed, answers.try_later)
