"""The kinds of proof that a sender itself carries, under one interface: a signature, Standard Webhooks, a shared token (JWTs:
`jwt_proof.py`). A login (`basic_auth`, `bearer`, `api_key`) is asked for beside them: `rule.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.sources.base import Credentials, Inbound, content_key, iso_from_us
from relay.sources.foreign_json import json_object
from relay.sources.proof.rule import TOKEN_HEADER, URL_SECRET_NAMES, ProofRule
from relay.sources.proof.signature import Signature
from relay.sources.proof.standard import (
    look_at_standard_head,
    sign_standard_webhooks,
    verify_standard_webhooks,
)
from relay.sources.read import pick
from relay.sources.read.form_scan import form_fields, only_field
from relay.sources.read.json_scan import scan_path

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")

Secrets = Callable[[], Sequence[str]]


class Proof:
    """`credentials` says what of it is cut out of a verified request; `window_s` how long after it was made it may be
    accepted. What is written here holds for a token that says nothing of the request."""

    credentials = Credentials()
    window_s = 600.0

    def look_at_head(self, head: Inbound, *, now_s: float) -> None:
        """Raise NotAuthentic where headers and URL alone prove the request false."""

    def verify(self, inbound: Inbound, *, now_s: float) -> None:
        """Check the proof in the body. Raises NotAuthentic. Called after `look_at_head`."""

    def once(self, inbound: Inbound) -> tuple[str | bytes, ...]:
        """Return what of a verified request is good for one event only; () where its ids and time are signed."""
        return ()

    def timeless(self, inbound: Inbound) -> bool:
        """Tell whether nothing that is signed says when the request was made."""
        return False

    def delivery(self, inbound: Inbound) -> str:
        """Return the sender's id of this delivery, which a retry repeats; "" where the proof has none."""
        return ""

    def payload(self, inbound: Inbound) -> bytes:
        """Return what the sender tells in the body of a verified request. Raises PayloadInvalid."""
        return inbound.body

    def sign(self, body: bytes, *, now_s: float) -> tuple[bytes, dict[str, str]]:
        """Return the body and the headers that `verify` wants, made with the first secret."""
        raise NotImplementedError


def first_secret(secrets: Secrets) -> str:
    return next((secret for secret in secrets() if secret), "")


class SignatureProof(Proof):
    """A signature as `signature:` describes it."""

    def __init__(self, signature: Signature, secrets: Secrets) -> None:
        self._signature = signature
        self._secrets = secrets
        self.window_s = max(600.0, 2 * signature.tolerance_s)

    def look_at_head(self, head: Inbound, *, now_s: float) -> None:
        self._signature.look_at_head(head, now_s=now_s)

    def verify(self, inbound: Inbound, *, now_s: float) -> None:
        self._signature.verify(inbound, self._secrets(), now_s=now_s)

    def once(self, inbound: Inbound) -> tuple[str | bytes, ...]:
        if self._signature.signs_id and self._signature.signs_time:
            return ()
        return (self._signature.signed_content(inbound),)

    def timeless(self, inbound: Inbound) -> bool:
        return not self._signature.signs_time

    def delivery(self, inbound: Inbound) -> str:
        return self._signature.delivery(inbound)

    def sign(self, body: bytes, *, now_s: float) -> tuple[bytes, dict[str, str]]:
        if path := self._signature.timestamp_field:
            body = _with_moment(body, path, now_s)
        return body, self._signature.sign(body, first_secret(self._secrets), now_s=now_s)


class StandardProof(Proof):
    """Standard Webhooks; `names` are what the three headers may begin with, the usual one first."""

    def __init__(self, names: Sequence[str], secrets: Secrets, public_keys: Secrets) -> None:
        self._names = names
        self._secrets = secrets
        self._public_keys = public_keys

    def look_at_head(self, head: Inbound, *, now_s: float) -> None:
        look_at_standard_head(head, now_s, self._name(head))

    def verify(self, inbound: Inbound, *, now_s: float) -> None:
        verify_standard_webhooks(inbound, self._secrets(), self._public_keys(), now_s, self._name(inbound))

    def delivery(self, inbound: Inbound) -> str:
        return pick.header(inbound.headers, f"{self._name(inbound)}-id")

    def sign(self, body: bytes, *, now_s: float) -> tuple[bytes, dict[str, str]]:
        secret, message_id = first_secret(self._secrets), "msg_" + content_key(body)
        if not secret:
            return body, {}
        return body, sign_standard_webhooks(
            body, secret, message_id=message_id, now_s=now_s, prefix=self._names[0]
        )

    def _name(self, head: Inbound) -> str:
        return next((name for name in self._names if f"{name}-id" in head.headers), self._names[0])


class BodyToken(Proof):
    """A shared token in the body, at a dotted path of JSON or under a form's name."""

    def __init__(self, path: str, rule: ProofRule) -> None:
        self._path = path
        self._rule = rule
        self.credentials = Credentials(paths=(path,))

    def verify(self, inbound: Inbound, *, now_s: float) -> None:
        """Take the token out before anything is parsed, and verify it; out of a broken body none is taken."""
        try:
            given = self._given(inbound)
        except PayloadInvalid:
            raise NotAuthentic("token") from None
        self._rule.check_token(given if isinstance(given, str) else "")

    def _given(self, inbound: Inbound) -> Any:
        content_type = inbound.headers.get("content-type", "")
        if not content_type.lower().startswith(FORM_TYPES):
            return scan_path(inbound.body, self._path)
        inner = only_field(inbound.body, content_type)
        if inner is not None and inner.startswith(("{", "[")):
            return scan_path(inner.encode("utf-8", "surrogatepass"), self._path)
        return form_fields(inbound.body, content_type, (self._path,)).get(self._path)

    def sign(self, body: bytes, *, now_s: float) -> tuple[bytes, dict[str, str]]:
        payload = json_object(body)
        place, last = _place_of(payload, self._path)
        place[last] = first_secret(self._rule.options.secrets)
        return orjson.dumps(payload), {}


def _place_of(payload: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """The object that holds the last step of a dotted path, made where it is missing."""
    *steps, last = path.split(".")
    for step in steps:
        payload = payload.setdefault(step, {})
    return payload, last


def _with_moment(body: bytes, path: str, now_s: float) -> bytes:
    """The body with the time of now where its sender puts it, written as what stands there is."""
    payload = json_object(body)
    place, last = _place_of(payload, path)
    place[last] = (
        iso_from_us(int(now_s * 1_000_000)) if isinstance(place.get(last), str) else int(now_s * 1000)
    )
    return orjson.dumps(payload)


class HeadToken(Proof):
    """A shared token in one of `headers`, in `X-Webhook-Token`, or in the URL (`?token=`)."""

    def __init__(self, rule: ProofRule, headers: Sequence[str] = ()) -> None:
        self._rule = rule
        self._headers = (*headers, TOKEN_HEADER)
        self.credentials = Credentials(headers=frozenset(self._headers), query=frozenset(URL_SECRET_NAMES))

    def look_at_head(self, head: Inbound, *, now_s: float) -> None:
        in_headers = (head.headers.get(name, "").removeprefix("Bearer ") for name in self._headers)
        in_url = (head.query.get(name, "") for name in URL_SECRET_NAMES)
        self._rule.check_token(next(filter(None, (*in_headers, *in_url)), ""))

    def sign(self, body: bytes, *, now_s: float) -> tuple[bytes, dict[str, str]]:
        secret = first_secret(self._rule.options.secrets)
        return body, {self._headers[0]: secret} if secret else {}
