"""Standard Webhooks: `v1` (HMAC-SHA256) and `v1a` (Ed25519) over "{id}.{timestamp}.{body}".

Source: the Standard Webhooks specification; Svix's documentation for its older header names.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from relay.errors import NotAuthentic
from relay.sources.base import Inbound, require_recent, same
from relay.sources.proof.credentials import keyed_digest

#: A sender never lists more signatures; each Ed25519 check costs.
_MAX_SIGNATURES = 16


def verify_standard_webhooks(
    inbound: Inbound,
    secrets: Sequence[str],
    public_keys: Sequence[str],
    now_s: float,
    prefix: str = "webhook",
    tolerance_s: float = 300,
) -> None:
    """Verify that one of the listed signatures holds under one of `secrets` (`whsec_`) or `public_keys` (`whpk_`).

    With prefix "svix" the headers are `svix-id`, `svix-timestamp`, `svix-signature`.
    """
    message_id, sent_at_s, listed = look_at_standard_head(inbound, now_s, prefix, tolerance_s)
    signed = f"{message_id}.{sent_at_s}.".encode("utf-8", "surrogatepass") + inbound.body
    wanted = [b64encode(keyed_digest(key, signed)) for secret in secrets if (key := secret_key(secret))]
    found = False
    for part in listed.split(" ", _MAX_SIGNATURES)[:_MAX_SIGNATURES]:
        version, _, given = part.partition(",")
        if version == "v1":
            for digest in wanted:
                found |= same(given, digest)
        elif version == "v1a":
            for public in public_keys:
                found |= _signed_by(public, given, signed)
    if not found:
        raise NotAuthentic("signature")


def look_at_standard_head(
    head: Inbound, now_s: float, prefix: str = "webhook", tolerance_s: float = 300
) -> tuple[str, str, str]:
    """Take id, timestamp and signatures out of the headers. Raises NotAuthentic where one is missing, or all of it is old."""
    headers = head.headers
    message_id = headers.get(f"{prefix}-id", "")
    sent_at_s = headers.get(f"{prefix}-timestamp", "")
    listed = headers.get(f"{prefix}-signature", "")
    if not (message_id and sent_at_s and listed):
        raise NotAuthentic("missing")
    require_recent(sent_at_s, now_s=now_s, tolerance_s=tolerance_s)
    return message_id, sent_at_s, listed


def sign_standard_webhooks(
    body: bytes, secret: str, *, message_id: str, now_s: float, prefix: str = "webhook"
) -> dict[str, str]:
    """Return the three headers, under a `whsec_` or a `whsk_` (Ed25519 private) key."""
    sent_at_s = str(int(now_s))
    signed = f"{message_id}.{sent_at_s}.".encode() + body
    if secret.startswith("whsk_"):
        private = Ed25519PrivateKey.from_private_bytes(b64decode(secret.removeprefix("whsk_"))[:32])
        signature = "v1a," + b64encode(private.sign(signed)).decode()
    else:
        signature = "v1," + b64encode(keyed_digest(secret_key(secret), signed)).decode()
    return {f"{prefix}-id": message_id, f"{prefix}-timestamp": sent_at_s, f"{prefix}-signature": signature}


@lru_cache(maxsize=64)
def secret_key(secret: str) -> bytes:
    """Return the key's bytes: base64 after `whsec_`. What is no base64 is taken verbatim, as some senders do."""
    encoded = secret.removeprefix("whsec_")
    try:
        return b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()


@lru_cache(maxsize=64)
def _public_key(public: str) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix("whpk_"), validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return None


def _signed_by(public: str, given: str, signed: bytes) -> bool:
    key = _public_key(public)
    if key is None:
        return False
    try:
        key.verify(b64decode(given.encode("ascii"), validate=True), signed)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
