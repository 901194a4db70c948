"""Gong: a call that was processed, as an automation rule's webhook sends it.

Proven by a signed JWT (RS256; its claims cover the URL and the body), or by a secret in the URL.
Source: Gong, "Understanding webhooks: URL includes key, signed JWT header".
"""

from __future__ import annotations

from typing import ClassVar

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Event, Person, Recipient, event_id
from relay.source_options import SourceOptions
from relay.sources.base import BaseAdapter, Inbound, Parsed, Sample, Skipped, any_same, iso_from_us
from relay.sources.foreign_json import Walk, json_object
from relay.sources.proof.credentials import has_login, has_secret, login_headers
from relay.sources.proof.jwt import JwtRules, verify_jwt
from relay.sources.proof.jwt_proof import HeaderJwt
from relay.sources.proof.public_url import require_public_url, signed_urls
from relay.sources.proof.rule import TOKEN_HEADER, ProofRule, require_free_authorization, token_of
from relay.sources.read.markup import html_of_text
from relay.sources.read.moment import moment_us

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
        self._rule = ProofRule(options)
        self._rules = JwtRules(("RS256",), options.public_keys, body_claim="body_sha256")
        self._jwt: HeaderJwt | None = None
        if keys:
            require_free_authorization(options)
            require_public_url(options)
            if self._rules.problem():
                raise ValueError(f"source {options.name!r}: public_keys: wanted RSA keys as PEM or base64")
            self._jwt = HeaderJwt("authorization", self._rules)
            self.proof_window_s = self._jwt.window_s

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)
        if self._jwt is not None and (token := self._jwt.token(head)):
            claims = verify_jwt(token.encode(), self._rules, now_s=now_s)
            url = claims.get("webhook_url")
            if not isinstance(url, str) or not any_same(url, signed_urls(self.options, head)):
                raise NotAuthentic("claims")
        elif self._rule.secret:
            # The keys are no tokens: without `secrets` nothing but a JWT will do.
            self._rule.check_token(token_of(head))

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if self._jwt is not None and self._jwt.token(inbound):
            self._jwt.verify(inbound, now_s=now_s)

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
        """Sign with the URL's secret, or a login: the private key of the JWT is Gong's alone."""
        headers = {**sample.headers, **login_headers(self.options)}
        secret = next((secret for secret in self.options.secrets() if secret), "")
        if secret:
            headers[TOKEN_HEADER] = secret
        return Sample(sample.body, headers, sample.method)


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
    for part in content.items("outline"):
        told = [f"- {item.maybe_text('text')}" for item in part.items("items") if item.maybe_text("text")]
        if told:
            lines += [f"{part.maybe_text('section') or 'Outline'}:", *told]
    outcome = content.maybe("callOutcome").maybe_text("name")
    if outcome:
        lines.append(f"Outcome: {outcome}")
    found = "\n".join(line for line in lines if line)
    minutes = round(min(max(duration_s, 0), 86_400 * 7) / 60)
    return found or (f"{minutes} min" if minutes else "")
