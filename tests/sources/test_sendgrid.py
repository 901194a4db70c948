"""SendGrid: parsed and raw forms, a signature over raw bytes, and no answer that makes it drop a mail."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relay.errors import NotAuthentic
from relay.event import Attachment, Event
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parked, Sample, Skipped
from relay.sources.providers.sendgrid import SendGrid
from tests.places import PAYLOADS

MINE = PAYLOADS / "sendgrid"
NOW_S = 1_772_600_600.0
MULTIPART = "multipart/form-data; boundary=zXq7Boundary"
PRIVATE = b64encode(b"0123456789abcdef0123456789abcdef").decode()


def sendgrid(**options: Any) -> SendGrid:
    return SendGrid(
        SourceOptions(name="mail", adapter="sendgrid", **(options or {"secrets": lambda: [PRIVATE]}))
    )


def event(name: str) -> Event:
    inbound = Inbound((MINE / f"{name}.multipart").read_bytes(), {"content-type": MULTIPART})
    (found,) = sendgrid().parse(inbound, now_s=NOW_S)
    assert isinstance(found, Event)
    return found


def public_key() -> str:
    private = ec.derive_private_key(int.from_bytes(b"0123456789abcdef0123456789abcdef"), ec.SECP256R1())
    return b64encode(
        private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()


def test_each_field_is_read_in_the_charset_that_charsets_names() -> None:
    found = event("parsed")
    assert found.subject == "Re: Plätze"
    assert found.text == "Como usted pidió"
    assert found.html == "<p>Como usted pidió</p>"


def test_sender_envelope_thread_and_attachments_are_read() -> None:
    found = event("parsed")
    assert (found.sender.name, found.sender.email) == ("Omar Diaz", "omar@acme.example")
    assert found.thread == "<q1-8841@mail.acme.example>"
    assert [(r.email, r.role) for r in found.recipients] == [
        ("help@vendor.example", "to"),
        ("help@in.vendor.example", "envelope"),
    ]
    assert found.attachments == (Attachment("seats.bin", "application/octet-stream", 9),)


def test_raw_and_bare_line_feed_forms_give_the_same_event_id() -> None:
    raw = event("raw")
    assert raw.id == event("bare_lf").id == event("parsed").id
    assert raw.text == "Schön, 25 ist richtig."
    assert "email" not in raw.payload


def test_a_raw_mail_larger_than_a_mebibyte_is_not_lost() -> None:
    mail = (
        b"From: a@b.example\r\nMessage-ID: <big@a>\r\nIn-Reply-To: <1@a>\r\n\r\nfirst line\r\n"
        + b"> quoted line\r\n" * 100_000
    )
    body = b'--q\r\nContent-Disposition: form-data; name="email"\r\n\r\n' + mail + b"\r\n--q--\r\n"
    (found,) = sendgrid().parse(
        Inbound(body, {"content-type": "multipart/form-data; boundary=q"}), now_s=NOW_S
    )
    assert isinstance(found, Event)
    assert (found.text, found.message_id) == ("first line", "<big@a>")


def test_the_signature_covers_timestamp_and_raw_body() -> None:
    body = (MINE / "parsed.multipart").read_bytes()
    proof = sendgrid().sign(Sample(body, {"content-type": MULTIPART}), now_s=NOW_S, url="").headers
    checking = sendgrid(public_keys=lambda: [public_key()])
    checking.verify(Inbound(body, proof), now_s=NOW_S)
    # Tried for 72 hours, maybe under the first signature.
    checking.verify(Inbound(body, proof), now_s=NOW_S + 72 * 3600)
    with pytest.raises(NotAuthentic):
        checking.verify(Inbound(body, proof), now_s=NOW_S + 80 * 3600)
    with pytest.raises(NotAuthentic):
        checking.verify(Inbound(body.replace(b"\r\n", b"\n"), proof), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        checking.verify(Inbound(body, {"content-type": MULTIPART}), now_s=NOW_S)


def test_a_login_alone_serves_where_no_key_is_configured() -> None:
    adapter = sendgrid(basic_auth=lambda: ["hook:pass"])
    sample = adapter.sign(adapter.sample(serial=1, now_s=NOW_S), now_s=NOW_S, url="")
    adapter.verify(Inbound(sample.body, sample.headers), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(sample.body, {}), now_s=NOW_S)


def test_the_verification_key_under_secrets_is_no_mistake_that_matters() -> None:
    proof = sendgrid().sign(Sample(b"x", {}), now_s=NOW_S, url="").headers
    sendgrid(secrets=lambda: [public_key()]).verify(Inbound(b"x", proof), now_s=NOW_S)
    with pytest.raises(ValueError, match="public_keys"):
        sendgrid(secrets=lambda: ["no key at all"])


def test_no_answer_of_ours_makes_sendgrid_drop_a_mail() -> None:
    answers = sendgrid().answers
    assert all(code >= 500 for code in (answers.not_authentic, answers.malformed, answers.try_later))
    (found,) = sendgrid().parse(Inbound(b"--q\r\n", {"content-type": "multipart/form-data"}), now_s=NOW_S)
    assert isinstance(found, Parked)
    events = Inbound(b'[{"event":"open"}]', {"content-type": "application/json"})
    assert sendgrid().parse(events, now_s=NOW_S) == [Skipped("type")]
