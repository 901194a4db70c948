"""SendGrid's Inbound Parse: one mail as a multipart form, parsed or raw, each text field in its own charset.

Source: SendGrid, "Setting up the Inbound Parse webhook", "Securing Inbound Parse" (ECDSA P-256 over timestamp and raw
body). A 4xx or 3xx makes SendGrid drop the mail and tell nobody, so whatever is amiss is answered 503, which it tries
again for 72 hours: time to mend a key.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from functools import lru_cache
from typing import Any, ClassVar

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
)

from relay.errors import NotAuthentic
from relay.event import Attachment
from relay.source_options import SourceOptions
from relay.sources.base import Answers, Inbound, Parsed, Sample, Skipped
from relay.sources.foreign_json import Walk, parse_json
from relay.sources.mail.adapter import MailAdapter
from relay.sources.mail.event import Mail
from relay.sources.mail.headers import MailHeaders, attachment, header_block
from relay.sources.mail.mime import read_mime
from relay.sources.mail.sample import MailSample, sample_mails
from relay.sources.proof.credentials import has_login, login_headers
from relay.sources.proof.freshness import require_window, window_s
from relay.sources.proof.public_key import public_key_of
from relay.sources.proof.rule import ProofRule
from relay.sources.read.multipart import Form, as_object, encode_multipart, parse_form
from relay.sources.read.unknown import skip_unknown

_SIGNATURE = "x-twilio-email-event-webhook-signature"
_TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
#: SendGrid tries for 72 hours and does not say whether it signs each attempt anew.
_WINDOW_S = 73 * 3600


class SendGrid(MailAdapter):
    """`public_keys` holds SendGrid's verification key. `secrets` may hold a private key of ours (32 bytes in base64, or
    PEM), with which `relay send` signs its samples."""

    name: ClassVar[str] = "sendgrid"
    content_types: ClassVar[frozenset[str]] = frozenset({"multipart/form-data", "application/json"})
    answers = Answers(not_authentic=503, malformed=503)

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        if not (self._keys() or has_login(options) or options.unauthenticated):
            raise ValueError(
                f"source {options.name!r}: sendgrid needs public_keys: [the verification key of its security "
                "policy], or basic_auth for the login in the URL (or unauthenticated: true)"
            )
        self._rule = ProofRule(options)
        #: What is no key of SendGrid's under `secrets` asks for nothing.
        self._wants_signature = bool(self._keys())
        self.proof_window_s = window_s(options, _WINDOW_S)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)
        if not self._wants_signature:
            return
        given, sent_at_s = head.headers.get(_SIGNATURE, ""), head.headers.get(_TIMESTAMP, "")
        if not (given or sent_at_s):
            raise NotAuthentic("missing")
        require_window(sent_at_s, self.options, now_s=now_s, default_s=_WINDOW_S)
        _decoded(given)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if not self._wants_signature:
            return
        signed = inbound.headers[_TIMESTAMP].encode() + inbound.body
        signature = _decoded(inbound.headers.get(_SIGNATURE, ""))
        if not any(_holds(key, signature, signed) for key in self._keys()):
            raise NotAuthentic("signature")

    def parse_mail(self, inbound: Inbound, *, now_s: float) -> Parsed:
        content_type = inbound.headers.get("content-type", "")
        if content_type.lower().startswith("application/json"):
            return _no_mail(parse_json(inbound.body))
        form = parse_form(inbound.body, content_type)
        charsets = {
            key: value for key, value in as_object(form.raw("charsets")).items() if isinstance(value, str)
        }
        return self.event(_mail(Form(form.parts, charsets)), now_s=now_s)

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        boundary = "relaySampleBoundary"
        return [
            Sample(
                encode_multipart(_sample_fields(mail), boundary),
                {"content-type": f"multipart/form-data; boundary={boundary}"},
            )
            for mail in sample_mails(serial=serial, now_s=now_s)
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        private = next((key for secret in self.options.secrets() if (key := _private_key(secret))), None)
        if private is None:
            return Sample(sample.body, {**sample.headers, **login_headers(self.options)}, sample.method)
        sent_at_s = str(int(now_s))
        signature = private.sign(sent_at_s.encode() + sample.body, ec.ECDSA(SHA256()))
        proof = {_TIMESTAMP: sent_at_s, _SIGNATURE: b64encode(signature).decode()}
        return Sample(sample.body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)

    def _keys(self) -> list[ec.EllipticCurvePublicKey]:
        found = [public_key_of(text) for text in self.options.public_keys()]
        for secret in self.options.secrets():
            private = _private_key(secret)
            # The verification key put under `secrets` by mistake is what was meant all the same.
            found.append(private.public_key() if private else public_key_of(secret))
        return [key for key in found if isinstance(key, ec.EllipticCurvePublicKey)]


def _decoded(given: str) -> bytes:
    try:
        return b64decode(given.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise NotAuthentic("signature") from None


def _holds(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=64)
def _private_key(text: str) -> ec.EllipticCurvePrivateKey | None:
    try:
        if "-----BEGIN" in text:
            key = load_pem_private_key(text.strip().encode(), None)
            return key if isinstance(key, ec.EllipticCurvePrivateKey) else None
        raw = b64decode("".join(text.split()), validate=True)
        return ec.derive_private_key(int.from_bytes(raw), ec.SECP256R1()) if len(raw) == 32 else None
    except (binascii.Error, ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _no_mail(payload: Any) -> Skipped:
    """Event webhooks (delivered, opened) of the same account, pointed here. Raises PayloadInvalid for other words."""
    items = payload if isinstance(payload, list) else [payload]
    if all(isinstance(item, dict) and "event" in item for item in items):
        return Skipped("type")
    return skip_unknown(payload)


def _mail(form: Form) -> Mail:
    envelope = Walk(as_object(form.raw("envelope")))
    raw = read_mime(form.raw("email")) if "email" in form else None
    headers = raw.headers if raw else MailHeaders(header_block(form.text("headers")))
    payload: dict[str, Any] = {key: value for key, value in form.fields().items() if key != "email"}
    if raw:
        payload |= {"text": raw.text, "html": raw.html, "headers": headers.pairs()}
    return Mail(
        headers=headers,
        text=raw.text if raw else form.text("text"),
        html=raw.html if raw else form.text("html"),
        flowed=raw.flowed if raw else False,
        subject=form.text("subject"),
        sender=form.text("from"),
        to=form.text("to"),
        cc=form.text("cc"),
        envelope_from=envelope.maybe_text("from") if isinstance(envelope.value.get("from"), str) else None,
        envelope_to=envelope.texts("to") or [envelope.maybe_text("to")],
        attachments=raw.attachments if raw else _attachments(form),
        delivery_id=headers.get("message-id"),
        payload=payload,
    )


def _attachments(form: Form) -> list[Attachment]:
    about = Walk(as_object(form.raw("attachment-info")))
    found = []
    for part in form.files():
        entry = about.maybe(part.name)
        found.append(
            attachment(
                entry.maybe_text("filename") or entry.maybe_text("name") or part.filename or "",
                entry.maybe_text("type") or part.content_type,
                len(part.content),
            )
        )
    return found


def _sample_fields(mail: MailSample) -> list[tuple[str, str]]:
    envelope = {"to": [mail.recipient], "from": mail.sender[1]}
    charsets = dict.fromkeys(("to", "from", "subject", "text", "html"), "UTF-8")
    return [
        ("headers", "".join(f"{name}: {value}\n" for name, value in mail.headers)),
        ("dkim", "{@example.com : pass}"),
        ("to", mail.recipient),
        ("from", mail.from_line),
        ("sender_ip", "192.0.2.1"),
        ("envelope", orjson.dumps(envelope).decode()),
        ("attachments", "0"),
        ("subject", mail.subject),
        ("text", mail.text),
        ("html", mail.html),
        ("charsets", orjson.dumps(charsets).decode()),
        ("SPF", "pass"),
    ]
