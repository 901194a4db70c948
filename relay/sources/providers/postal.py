"""Postal's HTTP endpoints: one mail as it was sent, or read, as JSON or a form; signed with the installation's own RSA key.

Source: Postal, "Receiving e-mail by HTTP", and how its HTTP sender takes an answer: 2xx is done, 5xx and no answer are
tried again (18 times), 429 drops the mail, any other code bounces it to the customer. So whatever is amiss is answered 503.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from functools import lru_cache
from typing import Any, ClassVar

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
)

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Attachment
from relay.source_options import SourceOptions
from relay.sources.base import Answers, Inbound, Parsed, Sample, Skipped
from relay.sources.foreign_json import Walk, json_object
from relay.sources.large_json import utf8_of
from relay.sources.mail.adapter import MailAdapter, mail_of, mail_view
from relay.sources.mail.event import Mail
from relay.sources.mail.headers import MailHeaders, attachment
from relay.sources.mail.mime import read_mime
from relay.sources.mail.sample import MailSample, sample_mails
from relay.sources.proof.credentials import has_login, login_headers
from relay.sources.proof.public_key import public_key_of
from relay.sources.proof.rule import ProofRule
from relay.sources.read.multipart import parse_form
from relay.sources.read.unknown import skip_unknown

_FORM = "application/x-www-form-urlencoded"
#: The newer signature first: where it is there, the older one proves nothing.
_SIGNATURES: tuple[tuple[str, type[SHA256] | type[SHA1]], ...] = (
    ("x-postal-signature-256", SHA256),
    ("x-postal-signature", SHA1),
)
#: What webhooks of sent mails have, and no mail.
_ACTIVITY = frozenset({"event", "status", "original_message", "server", "domain", "ip_address"})
#: Header fields that the read format gives beside the text.
_FIELDS = ("to", "cc", "from", "date", "in_reply_to", "references", "auto_submitted", "reply_to")


class Postal(MailAdapter):
    """`public_keys` holds the installation's key: what `postal default-dkim-record` shows behind `p=`. `secrets` may hold a
    private key of ours in PEM, with which `relay send` signs its samples."""

    name: ClassVar[str] = "postal"
    content_types: ClassVar[frozenset[str]] = frozenset({"application/json", _FORM})
    answers = Answers(accepted=200, not_authentic=503, malformed=503)

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        self._wants_signature = bool(self._keys())
        if not (self._wants_signature or has_login(options) or options.unauthenticated):
            raise ValueError(
                f"source {options.name!r}: postal needs public_keys: [what `postal default-dkim-record` shows behind "
                "p=], or basic_auth for the login in the URL (or unauthenticated: true)"
            )
        self._rule = ProofRule(options)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)
        if self._wants_signature:
            _given(head)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if not self._wants_signature:
            return
        signature, hash_type = _given(inbound)
        if not any(_holds(key, signature, inbound.body, hash_type) for key in self._keys()):
            raise NotAuthentic("signature")

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        return self._rule.once(inbound.body) if self._wants_signature else ()

    def timeless(self, inbound: Inbound) -> bool:
        return self._wants_signature

    def parse_mail(self, inbound: Inbound, *, now_s: float) -> Parsed:
        content_type = inbound.headers.get("content-type", "")
        if content_type.lower().startswith(_FORM):
            payload: dict[str, Any] = dict(parse_form(inbound.body, content_type).fields())
        else:
            payload = json_object(inbound.body)
        if "rcpt_to" not in payload:
            # A webhook of sent mails (sent, held, bounced) of the same server.
            return Skipped("type") if _ACTIVITY & payload.keys() else skip_unknown(payload)
        body = Walk(payload)
        if payload.get("bounce") in (True, "true", "1"):
            return Skipped("bounce")
        return self.event(_raw(body) if body.maybe_text("message") else _read(body), now_s=now_s)

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        return [
            Sample(orjson.dumps(_sample_payload(mail, serial)), {"content-type": "application/json"})
            for mail in sample_mails(serial=serial, now_s=now_s)
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        headers = {**sample.headers, **login_headers(self.options)}
        private = next((key for secret in self.options.secrets() if (key := _private_key(secret))), None)
        if private is not None:
            for name, hash_type in _SIGNATURES:
                signature = private.sign(sample.body, padding.PKCS1v15(), hash_type())
                headers[name] = b64encode(signature).decode()
        return Sample(sample.body, headers, sample.method)

    def _keys(self) -> list[rsa.RSAPublicKey]:
        found = [public_key_of(text) for text in self.options.public_keys()]
        for secret in self.options.secrets():
            private = _private_key(secret)
            found.append(private.public_key() if private else public_key_of(secret))
        return [key for key in found if isinstance(key, rsa.RSAPublicKey)]


def _given(head: Inbound) -> tuple[bytes, type[SHA256] | type[SHA1]]:
    """The signature that counts, and its hash. Raises NotAuthentic."""
    for name, hash_type in _SIGNATURES:
        given = head.headers.get(name)
        if given:
            try:
                return b64decode("".join(given.split()).encode("ascii"), validate=True), hash_type
            except (binascii.Error, ValueError):
                raise NotAuthentic("signature") from None
    raise NotAuthentic("missing")


def _holds(
    key: rsa.RSAPublicKey, signature: bytes, signed: bytes, hash_type: type[SHA256] | type[SHA1]
) -> bool:
    try:
        key.verify(signature, signed, padding.PKCS1v15(), hash_type())
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


@lru_cache(maxsize=64)
def _private_key(text: str) -> rsa.RSAPrivateKey | None:
    if "PRIVATE KEY-----" not in text:
        return None
    try:
        key = load_pem_private_key(text.strip().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPrivateKey) else None


def _known(body: Walk) -> dict[str, Any]:
    sender = body.value.get("mail_from")
    return {
        "envelope_from": sender if isinstance(sender, str) else None,
        "envelope_to": [body.maybe_text("rcpt_to")],
        "id_without_header": body.maybe_text("token") or body.maybe_ident("id"),
        "delivery_id": body.maybe_ident("id"),
    }


def _raw(body: Walk) -> Mail:
    """The format "raw message"."""
    raw = utf8_of(body.maybe_text("message"))
    if body.value.get("base64") in (True, "true", "1"):
        try:
            raw = b64decode(raw)
        except (binascii.Error, ValueError):
            raise PayloadInvalid("wanted base64", "message") from None
    mime = read_mime(raw)
    kept = {key: value for key, value in body.value.items() if key != "message"}
    return mail_of(mime, **_known(body), payload={**kept, **mail_view(mime)})


def _read(body: Walk) -> Mail:
    """The format "processed": what was cut off as quoted comes along, and is put back."""
    pairs = [(name.replace("_", "-"), body.maybe_text(name)) for name in _FIELDS if body.maybe_text(name)]
    pairs += [("reply-to", one) for one in body.texts("reply_to")]
    text, quoted = body.maybe_text("plain_body"), body.maybe_text("replies_from_plain_body")
    sent_at = body.maybe_number("timestamp")
    return Mail(
        headers=MailHeaders(pairs),
        text=f"{text}\n\n{quoted}".strip() if quoted else text,
        html=body.maybe_text("html_body"),
        subject=body.maybe_text("subject"),
        message_id=body.maybe_text("message_id"),
        received=str(int(sent_at)) if sent_at is not None and 0 <= sent_at < 1e11 else "",
        attachments=_attachments(body),
        payload={key: value for key, value in body.value.items() if not key.startswith("attachments")},
        **_known(body),
    )


def _attachments(body: Walk) -> list[Attachment]:
    return [
        attachment(item.maybe_text("filename"), item.maybe_text("content_type"), item.maybe_size("size"))
        for item in body.items("attachments")
    ]


def _sample_payload(mail: MailSample, serial: int) -> dict[str, Any]:
    return {
        "id": serial,
        "rcpt_to": mail.recipient,
        "mail_from": mail.sender[1],
        "message": b64encode(mail.mime()).decode(),
        "base64": True,
        "size": len(mail.mime()),
    }
