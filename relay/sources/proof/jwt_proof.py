"""A JWT as the proof of a source: in a header, or as the body."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from relay.errors import NotAuthentic, PayloadInvalid
from relay.source_options import SourceOptions
from relay.sources.base import Credentials, Inbound
from relay.sources.foreign_json import json_object
from relay.sources.proof.jwt import (
    DEFAULT_AGE_S,
    LEEWAY_S,
    MAX_LIFE_S,
    MAX_TOKEN_CHARS,
    JwtRules,
    bearer_token,
    is_timeless,
    read_claims,
    read_payload,
    sign_shared,
    verify_body_claim,
    verify_jwt,
)
from relay.sources.proof.kinds import Proof, first_secret

_KEYS = frozenset(
    {
        *("header", "algorithms", "keys", "jwks_file", "secrets", "issuer", "audience"),
        *("claims", "body_claim", "tolerance"),
    }
)
_LIFE_S = 60.0


class JwtProof(Proof):
    """What both have."""

    def __init__(self, rules: JwtRules) -> None:
        self._rules = rules
        self.window_s = MAX_LIFE_S + LEEWAY_S

    @property
    def is_shared(self) -> bool:
        return self._rules.is_shared

    @property
    def algorithms(self) -> tuple[str, ...]:
        return self._rules.algorithms


class HeaderJwt(JwtProof):
    """A token in a header. One that says nothing of the body is a login with an end: good for any body until then."""

    def __init__(self, header: str, rules: JwtRules) -> None:
        super().__init__(rules)
        self._header = header.lower()
        self.credentials = Credentials(headers=frozenset({self._header}))

    def token(self, head: Inbound) -> str:
        """Return the token that the request carries, "" where it has none."""
        given = head.headers.get(self._header, "")
        return bearer_token(given) if len(given) <= MAX_TOKEN_CHARS else ""

    def look_at_head(self, head: Inbound, *, now_s: float) -> None:
        token = self.token(head)
        if not token:
            raise NotAuthentic("missing")
        verify_jwt(token.encode(), self._rules, now_s=now_s, bound=bool(self._rules.body_claim))

    def verify(self, inbound: Inbound, *, now_s: float) -> None:
        if self._rules.body_claim:
            claims = read_claims(self.token(inbound).encode())
            verify_body_claim(claims, self._rules.body_claim, inbound.body)

    def once(self, inbound: Inbound) -> tuple[str | bytes, ...]:
        return (inbound.body,) if self.timeless(inbound) else ()

    def timeless(self, inbound: Inbound) -> bool:
        return bool(self._rules.body_claim) and is_timeless(read_claims(self.token(inbound).encode()))

    def sign(self, body: bytes, *, now_s: float) -> tuple[bytes, dict[str, str]]:
        claims = {**_names(self._rules), "iat": int(now_s), "exp": int(now_s + _LIFE_S)}
        if self._rules.body_claim:
            claims[self._rules.body_claim] = hashlib.sha256(body).hexdigest()
        return body, {self._header: "Bearer " + _signed(self._rules, claims)}


class BodyJwt(JwtProof):
    """The body is the token: its claims are what the sender tells."""

    def verify(self, inbound: Inbound, *, now_s: float) -> None:
        verify_jwt(inbound.body.strip(), self._rules, now_s=now_s, bound=True)

    def once(self, inbound: Inbound) -> tuple[str | bytes, ...]:
        return (inbound.body.strip(),) if self.timeless(inbound) else ()

    def timeless(self, inbound: Inbound) -> bool:
        return is_timeless(read_claims(inbound.body.strip()))

    def payload(self, inbound: Inbound) -> bytes:
        """Return the claims. An object is none that was verified: it is what somebody gave to be explained, or has mended."""
        body = inbound.body.strip()
        if body.startswith(b"{"):
            return body
        try:
            return read_payload(body)
        except NotAuthentic:
            raise PayloadInvalid("not a JSON Web Token") from None

    def sign(self, body: bytes, *, now_s: float) -> tuple[bytes, dict[str, str]]:
        return _signed(self._rules, {**json_object(body), **_names(self._rules)}).encode(), {}


def read_jwt(options: SourceOptions, preset: Mapping[str, Any] | None = None) -> JwtProof:
    """Return the proof of the config's `jwt:` over a preset's values. Raises ValueError with a sentence."""
    values = {**(preset or {}), **options.jwt}
    rules, header = read_rules(options, preset), str(values.get("header") or "")
    return HeaderJwt(header, rules) if header else BodyJwt(rules)


def read_rules(options: SourceOptions, preset: Mapping[str, Any] | None = None) -> JwtRules:
    """Return the rules of the config's `jwt:` over a preset's values. HS256 takes the source's own `secrets` where `jwt:` has none.
    Raises ValueError with a sentence."""
    unknown = sorted(set(options.jwt) - _KEYS)
    if unknown:
        raise ValueError(
            f"source {options.name!r}: jwt: unknown key {unknown[0]!r}; known: {', '.join(sorted(_KEYS))}"
        )
    values: dict[str, Any] = {**(preset or {}), **options.jwt}
    rules = JwtRules(
        algorithms=_texts(values.get("algorithms")),
        public_keys=_reader(values.get("keys")),
        jwks=values.get("jwks_file"),
        secrets=_reader(values["secrets"]) if values.get("secrets") else options.secrets,
        issuers=_texts(values.get("issuer")),
        audiences=_texts(values.get("audience")),
        claims=values.get("claims") or {},
        body_claim=str(values.get("body_claim") or ""),
        age_s=float(values.get("tolerance") or DEFAULT_AGE_S),
    )
    if problem := rules.problem():
        raise ValueError(f"source {options.name!r}: jwt: {problem}")
    return rules


def _texts(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) and value else tuple(value or ())


def _reader(value: Any) -> Callable[[], Sequence[str]]:
    return value if callable(value) else lambda: _texts(value)


def _names(rules: JwtRules) -> dict[str, Any]:
    named: dict[str, Any] = dict(rules.claims)
    for claim, allowed in (("iss", rules.issuers), ("aud", rules.audiences)):
        if allowed:
            named[claim] = allowed[0]
    return named


def _signed(rules: JwtRules, claims: Mapping[str, Any]) -> str:
    secret = first_secret(rules.secrets)
    if not rules.is_shared:
        raise ValueError("the private key of this sender's JWT is its own: nothing here can sign with it")
    return sign_shared(claims, secret)
