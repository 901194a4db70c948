"""MailerSend, Brevo, SparkPost, Mandrill, Mailjet and Postal: one mail in six shapes, and what each of them alone does."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from relay.errors import NotAuthentic
from relay.event import Attachment, Event
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound, Parked, Parsed, Reply, Sample, Skipped
from relay.sources.registry import build_adapter
from tests.places import PAYLOADS

NOW_S = 1_772_600_600.0
URL = "https://hooks.vendor.example/hooks/mail"
CSV = Attachment(name="seats.csv", type="text/csv", size=4)

#: adapter/payload -> its attachments.
ONE_MAIL: dict[str, tuple[Attachment, ...]] = {
    "mailersend/reply.json": (CSV,),
    "mailersend/parsed.json": (CSV,),
    "brevo/batch.json": (CSV,),
    "sparkpost/batch.json": (CSV,),
    "sparkpost/parsed.json": (),
    "mandrill/inbound.form": (CSV,),
    "mandrill/parsed.form": (CSV,),
    "mailjet/reply.json": (CSV, Attachment(name="chartä", type="image/png", size=8)),
    "postal/raw.json": (CSV,),
    "postal/raw.form": (CSV,),
    "postal/processed.json": (CSV,),
}


def build(name: str, **options: Any) -> Adapter:
    options.setdefault("unauthenticated", True)
    return build_adapter(SourceOptions(name="mail", adapter=name, public_url=URL, **options))


def request(label: str) -> Inbound:
    file = PAYLOADS / label
    kind = "application/x-www-form-urlencoded" if file.suffix == ".form" else "application/json"
    return Inbound(file.read_bytes(), {"content-type": kind}, "POST", "/hooks/mail")


def parsed(label: str) -> list[Parsed]:
    return build(label.partition("/")[0]).parse(request(label), now_s=NOW_S)


def events(label: str) -> list[Event]:
    return [one for one in parsed(label) if isinstance(one, Event)]


@pytest.mark.parametrize("label", ONE_MAIL)
def test_one_mail_is_one_event_in_whatever_shape_it_comes(label: str) -> None:
    event = next(one for one in events(label) if one.message_id == "<r1-8841@mail.acme.example>")
    assert event.thread == "<q1-8841@mail.acme.example>"
    assert event.text == "25 is right, see the file."
    assert event.html == "<div>25 is right, see the file.</div>"
    assert "our invoice lists 40 seats" in event.quoted
    assert event.subject == "Re: Seats on our invoice"
    assert (event.sender.name, event.sender.email) == ("Omar Diaz", "omar@acme.example")
    assert [(one.email, one.role) for one in event.recipients] == [
        ("help@vendor.example", "to"),
        ("nora@acme.example", "cc"),
        ("help+hidden@in.vendor.example", "envelope"),
    ]
    assert event.time == "2026-03-03T10:40:10.000Z"
    assert event.attachments == ONE_MAIL[label]
    assert "bmFtZQ==" not in orjson.dumps(dict(event.payload)).decode()
    assert event.threading
    assert event.threading.named


@pytest.mark.parametrize(
    ("label", "reasons"),
    [
        ("mailersend/activity.json", ["type"]),
        ("brevo/delivered.json", ["type"]),
        ("sparkpost/sent.json", ["type"]),
        ("mandrill/sent.form", ["type"]),
        ("mandrill/test.form", ["test"]),
        ("mailjet/sent.json", ["type"]),
        ("postal/sent.json", ["type"]),
        ("postal/bounce.json", ["bounce"]),
    ],
)
def test_what_is_no_mail_of_a_customers_is_skipped(label: str, reasons: list[str]) -> None:
    assert parsed(label) == [Skipped(reason) for reason in reasons]


def test_several_mails_of_one_request_and_one_that_is_none() -> None:
    question, reply = events("brevo/batch.json")
    assert question.thread == reply.thread
    assert (question.sender.name, question.sender.email) == ("Nora Lind", "nora@acme.example")
    good, bad = parsed("brevo/one_bad_item.json")
    assert isinstance(good, Event)
    assert isinstance(bad, Parked)
    assert "mail 2" in bad.cause
    assert [type(one) for one in parsed("sparkpost/batch.json")] == [Event, Event, Skipped]


@pytest.mark.parametrize("name", ["mailersend", "brevo", "sparkpost", "mandrill", "mailjet", "postal"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b"null", b"\xff", b"mandrill_events=%7B", b'{"items":[{}]}']
)
def test_nothing_genuine_is_refused(name: str, body: bytes) -> None:
    """What cannot be read is parked, or it is none of a customer's mails; never an error that a sender would hear."""
    kind = "application/x-www-form-urlencoded" if name == "mandrill" else "application/json"
    found = build(name).parse(Inbound(body, {"content-type": kind}), now_s=NOW_S)
    assert all(isinstance(one, (Parked, Skipped)) for one in found)


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("mailersend", (200, 503, 503, 503)),
        ("brevo", (200, 429, 429, 429)),
        ("sparkpost", (200, 503, 503, 503)),
        ("mandrill", (200, 503, 503, 503)),
        ("mailjet", (200, 503, 503, 503)),
        ("postal", (200, 503, 503, 503)),
    ],
)
def test_each_is_answered_so_that_it_tries_again(name: str, answers: tuple[int, ...]) -> None:
    told = build(name).answers
    assert (told.accepted, told.not_authentic, told.malformed, told.try_later) == answers


# -- Mandrill ---------------------------------------------------------------------------------------------------------


def mandrill(**options: Any) -> Adapter:
    return build("mandrill", unauthenticated=False, secrets=lambda: ["the-key"], **options)


def signed(adapter: Adapter, body: bytes, url: str = URL) -> Inbound:
    sample = adapter.sign(
        Sample(body, {"content-type": "application/x-www-form-urlencoded"}), now_s=NOW_S, url=url
    )
    return Inbound(sample.body, dict(sample.headers), "POST", "/hooks/mail")


def test_mandrill_signs_url_and_fields_whatever_their_encoding() -> None:
    adapter = mandrill()
    body = (PAYLOADS / "mandrill/inbound.form").read_bytes()
    good = signed(adapter, body)
    adapter.verify(good, now_s=NOW_S)
    # Another encoding of the same fields has the same signature, and is the same request.
    same = Inbound(body.replace(b"+", b"%20"), good.headers, "POST", "/hooks/mail")
    adapter.verify(same, now_s=NOW_S)
    assert adapter.nonces(same) == adapter.nonces(good) != ()
    assert adapter.timeless(good)
    for changed in (body + b"&more=1", body.replace(b"inbound", b"outbound"), b""):
        with pytest.raises(NotAuthentic):
            adapter.verify(Inbound(changed, good.headers, "POST", "/hooks/mail"), now_s=NOW_S)


def test_mandrill_signs_the_login_with_the_url() -> None:
    from relay.sources.base import hmac_bytes

    adapter = mandrill(basic_auth=lambda: ["hook:word"])
    body = urlencode({"mandrill_events": "[]"}).encode()
    url = URL.replace("https://", "https://hook:word@")
    proof = b64encode(hmac_bytes("the-key", url.encode() + b"mandrill_events[]", "sha1")).decode()
    login = b64encode(b"hook:word").decode()
    headers = {"x-mandrill-signature": proof, "authorization": f"Basic {login}"}
    adapter.verify(Inbound(body, headers, "POST", "/hooks/mail"), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(body, {"x-mandrill-signature": proof}, "POST", "/hooks/mail"), now_s=NOW_S)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_mandrill_asks_whether_the_address_is_there(method: str) -> None:
    assert mandrill().handshake(Inbound(b"", {}, method), now_s=NOW_S) == Reply(200)


def test_mandrill_needs_the_url_that_it_signs() -> None:
    with pytest.raises(ValueError, match="public_url"):
        build_adapter(SourceOptions(name="mail", adapter="mandrill", secrets=lambda: ["the-key"]))


# -- SparkPost --------------------------------------------------------------------------------------------------------


def test_sparkpost_sends_a_token_in_a_header() -> None:
    adapter = build("sparkpost", unauthenticated=False, secrets=lambda: ["first", "second"])
    for token in ("first", "second"):
        adapter.verify_head(Inbound(b"", {"x-messagesystems-webhook-token": token}), now_s=NOW_S)
    for headers in ({}, {"x-messagesystems-webhook-token": "third"}, {"x-messagesystems-webhook-token": ""}):
        with pytest.raises(NotAuthentic):
            adapter.verify_head(Inbound(b"", headers), now_s=NOW_S)
    assert "x-messagesystems-webhook-token" in adapter.credentials.headers
    build("sparkpost", unauthenticated=False, bearer=lambda: ["of-oauth"]).verify_head(
        Inbound(b"", {"authorization": "Bearer of-oauth"}), now_s=NOW_S
    )


# -- Postal -----------------------------------------------------------------------------------------------------------


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def postal_keys() -> tuple[str, str, str]:
    """The private key in PEM; the public one as a DKIM record has it, and in PEM."""
    key = rsa_key()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key()
    der = b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    return private, der, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_postal_signs_with_its_own_key() -> None:
    private, der, pem = postal_keys()
    signer = build("postal", unauthenticated=False, secrets=lambda: [private])
    body = (PAYLOADS / "postal/raw.json").read_bytes()
    sample = signer.sign(Sample(body, {"content-type": "application/json"}), now_s=NOW_S, url=URL)
    headers = dict(sample.headers)
    for public in (der, pem, der[:40] + "\n" + der[40:]):
        adapter = build("postal", unauthenticated=False, public_keys=lambda value=public: [value])
        adapter.verify(Inbound(body, headers), now_s=NOW_S)
        # An older installation has the older signature alone.
        older = {name: value for name, value in headers.items() if not name.endswith("-256")}
        adapter.verify(Inbound(body, older), now_s=NOW_S)
        for wrong in (
            {},
            {**headers, "x-postal-signature-256": older["x-postal-signature"]},
            {**older, "x-postal-signature": "!"},
        ):
            with pytest.raises(NotAuthentic):
                adapter.verify(Inbound(body, wrong), now_s=NOW_S)
        with pytest.raises(NotAuthentic):
            adapter.verify(Inbound(body + b" ", headers), now_s=NOW_S)
        assert adapter.nonces(Inbound(body, headers))
        assert adapter.timeless(Inbound(body, headers))


def test_postal_may_be_asked_for_a_login_alone() -> None:
    adapter = build("postal", unauthenticated=False, basic_auth=lambda: ["hook:word"])
    login = b64encode(b"hook:word").decode()
    adapter.verify(Inbound(b"{}", {"authorization": f"Basic {login}"}), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(b"{}", {}), now_s=NOW_S)


# -- MailerSend -------------------------------------------------------------------------------------------------------


def test_mailersends_signature_covers_the_whole_body() -> None:
    adapter = build("mailersend", unauthenticated=False, secrets=lambda: ["the-secret"])
    body = (PAYLOADS / "mailersend/reply.json").read_bytes()
    sample = adapter.sign(Sample(body, {"content-type": "application/json"}), now_s=NOW_S, url=URL)
    adapter.verify(Inbound(body, dict(sample.headers)), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(body + b"\n", dict(sample.headers)), now_s=NOW_S)
    assert adapter.nonces(Inbound(body, {}))


def test_nobody_to_answer_to_is_a_bounce() -> None:
    payload = orjson.loads((PAYLOADS / "mailersend/parsed.json").read_bytes())
    payload["data"]["sender"]["email"] = ""
    body = orjson.dumps(payload)
    assert build("mailersend").parse(Inbound(body, {}), now_s=NOW_S) == [Skipped("bounce")]
