"""Gong: a call that was processed, as an automation rule's webhook sends it.

Proven by a signed JWT (RS256; its claims cover the URL and the body), or by a secret in the URL.
Source: Gong, "Understanding webhooks: URL includes key, signed JWT header".
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, urlsafe_b64decode
from functools import lru_cache
from typing import Any, ClassVar

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event, Person, Recipient, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    BaseAdapter,
    Inbound,
    Parsed,
    Sample,
    Skipped,
    Walk,
    any_same,
    iso_from_us,
    json_object,
)
from relay.sources.proof.credentials import has_login, has_secret, login_headers
from relay.sources.proof.public_url import require_public_url, signed_urls
from relay.sources.proof.rule import TOKEN_HEADER, Rule, require_free_authorization, token_of
from relay.sources.read.markup import html_of_text
from relay.sources.read.moment import moment_us

_LEEWAY_S = 60
#: A token that expires later is refused: it would outlive the memory of what it was sent with.
MAX_LIFE_S = 72 * 3600.0
#: A token is some 900 characters long.
_MAX_TOKEN = 8192
_MAX_PARTIES = 500


class Gong(BaseAdapter):
    name: ClassVar[str] = "gong"
    #: Transcripts and trackers make calls large.
    max_body_bytes: ClassVar[int] = 4 * 1024 * 1024

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        keys = [key for key in options.public_keys() if key]
        if not (keys or has_secret(options) or has_login(options) or options.unauthenticated):
            raise ValueError(
                f"source {options.name!r}: gong needs public_keys: [the rule's public key], or secrets: [a long random "
                "value that the URL carries as ?token=] (or unauthenticated: true)"
            )
        self._rule = Rule(options)
        self._keyed = bool(keys)
        if keys:
            self.proof_window_s = MAX_LIFE_S + _LEEWAY_S
            require_free_authorization(options)
            require_public_url(options)
            if any(_public_key(key) is None for key in keys):
                raise ValueError(f"source {options.name!r}: public_keys: wanted RSA keys as PEM or base64")

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)
        token = self._jwt(head)
        if token:
            self._verify_jwt(head, token, now_s)
        elif self._rule.secret:
            # The keys are no tokens: without `secrets` nothing but a JWT will do.
            self._rule.check_token(token_of(head))

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        token = self._jwt(inbound)
        if not token:
            return
        digest = _json_part(token.split(".")[1]).get("body_sha256")
        wanted = hashlib.sha256(inbound.body).hexdigest()
        if not isinstance(digest, str) or not any_same(digest.lower(), [wanted]):
            raise NotAuthentic("claims")

    def _jwt(self, head: Inbound) -> str:
        _, _, token = head.headers.get("authorization", "").rpartition(" ")
        return token if self._keyed and token.count(".") == 2 else ""

    def _verify_jwt(self, head: Inbound, token: str, now_s: float) -> None:
        """The algorithm is fixed: a token that names another one ("none", HS256) is refused. So is one that lives longer than
        a delivery is remembered."""
        keys = [key for key in self.options.public_keys() if key]
        if len(token) > _MAX_TOKEN:
            raise NotAuthentic("token")
        signed, _, signature = token.rpartition(".")
        algorithm, _, body = signed.partition(".")
        if _json_part(algorithm).get("alg") != "RS256":
            raise NotAuthentic("algorithm")
        raw_signature = _part(signature)
        if not any(_signed_by(key, raw_signature, signed.encode("ascii", "replace")) for key in keys):
            raise NotAuthentic("signature")
        claims = _json_part(body)
        expires_s = claims.get("exp")
        if isinstance(expires_s, bool) or not isinstance(expires_s, (int, float)):
            raise NotAuthentic("claims")
        if not now_s - _LEEWAY_S <= expires_s <= now_s + MAX_LIFE_S:
            raise NotAuthentic("stale")
        url = claims.get("webhook_url")
        if not isinstance(url, str) or not any_same(url, signed_urls(self.options, head)):
            raise NotAuthentic("claims")

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        payload = json_object(inbound.body)
        body = Walk(payload)
        if payload.get("isTest") is True:
            return [Skipped("test")]
        call = body["callData"]
        meta = call["metaData"]
        call_id = meta.ident("id")
        begun_us = moment_us(meta.value.get("started")) or moment_us(meta.value.get("scheduled"))
        if begun_us is None:
            raise PayloadInvalid("wanted a time", "callData.metaData.started")
        duration_s = meta.maybe_number("duration") or 0
        ended_us = begun_us + int(min(max(duration_s, 0), 86_400 * 7) * 1_000_000)
        sender, recipients = _people(call, meta)
        text = _said(call.maybe("content"), duration_s)
        url = meta.maybe_text("url")
        source = self.options.name
        return [
            Event(
                id=event_id(source, call_id),
                source=source,
                adapter=self.name,
                kind="call.ended",
                time=iso_from_us(begun_us),
                version=ended_us,
                thread=call_id,
                subject=meta.maybe_text("title"),
                text=text,
                html=html_of_text(text),
                sender=sender,
                recipients=recipients,
                message_id=call_id,
                url=url if url.startswith(("https://", "http://")) else "",
                tags=tuple(
                    word for name in ("direction", "scope", "media") if (word := meta.maybe_text(name))
                ),
                delivery_id=call_id,
                payload=payload,
            )
        ]

    def sample(self, *, serial: int, now_s: float) -> Sample:
        call = {
            "metaData": {
                "id": str(7_400_000_000_000_000_000 + serial),
                "url": f"https://app.gong.example/call?id={7_400_000_000_000_000_000 + serial}",
                "title": "Quarterly review",
                "started": iso_from_us(int(now_s - 1900) * 1_000_000),
                "duration": 1800,
                "primaryUserId": "100",
                "direction": "Conference",
                "scope": "External",
                "media": "Video",
            },
            "context": [],
            "parties": [
                {
                    "userId": "100",
                    "name": "Sam Support",
                    "emailAddress": "sam@example.com",
                    "affiliation": "Internal",
                },
                {
                    "name": "Kim Example",
                    "emailAddress": "kim@customer.example.com",
                    "affiliation": "External",
                },
            ],
            "content": {"brief": "The customer wants to add a second team in May."},
        }
        body = orjson.dumps({"callData": call, "isTest": False})
        return Sample(body, {"content-type": "application/json"})

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        """With the URL's secret, or a login: the private key of the JWT is Gong's alone."""
        headers = {**sample.headers, **login_headers(self.options)}
        secret = next((secret for secret in self.options.secrets() if secret), "")
        if secret:
            headers[TOKEN_HEADER] = secret
        return Sample(sample.body, headers, sample.method)


def _part(encoded: str) -> bytes:
    try:
        return urlsafe_b64decode(encoded.encode("ascii") + b"=" * (-len(encoded) % 4))
    except (binascii.Error, ValueError):
        raise NotAuthentic("token") from None


def _json_part(encoded: str) -> dict[str, Any]:
    try:
        value = orjson.loads(_part(encoded))
    except orjson.JSONDecodeError:
        raise NotAuthentic("token") from None
    if not isinstance(value, dict):
        raise NotAuthentic("token")
    return value


@lru_cache(maxsize=16)
def _public_key(text: str) -> RSAPublicKey | None:
    """A PEM, its base64 without the frame lines, or None for what is no RSA key."""
    try:
        if "BEGIN" in text:
            key = load_pem_public_key(text.replace("\\n", "\n").encode())
        else:
            key = load_der_public_key(b64decode("".join(text.split()), validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPublicKey) else None


def _signed_by(text: str, signature: bytes, signed: bytes) -> bool:
    key = _public_key(text)
    if key is None:
        return False
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _people(call: Walk, meta: Walk) -> tuple[Person, tuple[Recipient, ...]]:
    """The call's owner, and everyone on it; a recipient's role is the affiliation in Gong's word."""
    owner_id = meta.maybe_ident("primaryUserId")
    sender = Person(id=owner_id)
    found = []
    for party in call.items("parties")[:_MAX_PARTIES]:
        name, email = party.maybe_text("name"), party.maybe_text("emailAddress")
        if owner_id and party.maybe_ident("userId") == owner_id:
            sender = Person(id=owner_id, name=name, email=email)
        if name or email:
            role = party.maybe_text("affiliation").lower()
            found.append(
                Recipient(
                    name=name, email=email, role=role if role in ("internal", "external") else "participant"
                )
            )
    return sender, tuple(found)


def _said(content: Walk, duration_s: float) -> str:
    """Gong's own words on the call; without any, how long it was."""
    lines = [content.maybe_text("brief")]
    lines += [
        f"- {point.maybe_text('text')}" for point in content.items("keyPoints") if point.maybe_text("text")
    ]
    for highlight in content.items("highlights"):
        steps = [
            f"- {item.maybe_text('text')}" for item in highlight.items("items") if item.maybe_text("text")
        ]
        if steps:
            lines += [highlight.maybe_text("title") + ":", *steps]
    outcome = content.maybe("callOutcome").maybe_text("name")
    if outcome:
        lines.append(f"Outcome: {outcome}")
    found = "\n".join(line for line in lines if line)
    minutes = round(min(max(duration_s, 0), 86_400 * 7) / 60)
    return found or (f"{minutes} min" if minutes else "")
