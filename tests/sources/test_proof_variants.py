"""Signatures in every awkward but valid variant that a provider makes."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from urllib.parse import urlencode

import pytest

from relay.errors import NotAuthentic
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound, hmac_bytes
from relay.sources.registry import build_adapter

NOW_S = 1_790_000_000.25
SECRET, OTHER = "the-accounts-auth-token-of-32-chars", "the-shared-key-secret-of-32-letters"
URL = "https://hooks.example.com/hooks/it"


def source(adapter: str, *secrets: str, public_url: str = URL) -> Adapter:
    options = SourceOptions(name="it", adapter=adapter, secrets=lambda: secrets, public_url=public_url)
    return build_adapter(options)


# ---- Twilio ------------------------------------------------------------------------------------------------

FORM = {"MessageSid": "SM1", "From": "+15550100123", "To": "+15550100199", "Body": "Grüße & 1+1"}


def twilio_form(secret: str, hash_name: str, settings: str | None) -> Inbound:
    signed = URL + "".join(name + FORM[name] for name in sorted(FORM))
    signature = b64encode(hmac_bytes(secret, signed.encode(), hash_name)).decode()
    return _twilio(urlencode(FORM).encode(), signature, settings, "application/x-www-form-urlencoded")


def twilio_json(secret: str, hash_name: str, settings: str | None) -> Inbound:
    body = b'{"EventType": "onMessageAdded"}'
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = b64encode(hmac_bytes(secret, f"{URL}?{query}".encode(), hash_name)).decode()
    return _twilio(body, signature, settings, "application/json", query)


def _twilio(body: bytes, signature: str, settings: str | None, content_type: str, query: str = "") -> Inbound:
    headers = {"x-twilio-signature": signature, "content-type": content_type}
    if settings is not None:
        headers["x-twilio-webhooks-signature-settings"] = settings
    return Inbound(body, headers, "POST", f"/hooks/it{'?' + query if query else ''}", {})


@pytest.mark.parametrize("request_of", [twilio_form, twilio_json])
@pytest.mark.parametrize(
    ("settings", "hash_name"),
    [
        (None, "sha1"),
        ("", "sha1"),
        ("key=webhooks_sharedkey_1", "sha1"),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA1", "sha1"),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", "sha256"),
        ("algorithm=hmac_sha256 , key=webhooks_sharedkey_1", "sha256"),
    ],
)
def test_twilios_header_names_the_hash_and_any_secret_may_have_signed(
    request_of: object, settings: str | None, hash_name: str
) -> None:
    made = request_of(OTHER, hash_name, settings)  # type: ignore[operator]
    source("twilio", SECRET, OTHER).verify(made, now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        source("twilio", SECRET).verify(made, now_s=NOW_S)


@pytest.mark.parametrize("settings", ["algorithm=HMAC_MD5", "algorithm=none", "key=x,algorithm=HMAC_SHA512"])
def test_twilios_other_algorithms_are_refused(settings: str) -> None:
    for hash_name in ("sha1", "sha256"):
        with pytest.raises(NotAuthentic):
            source("twilio", SECRET).verify(twilio_form(SECRET, hash_name, settings), now_s=NOW_S)


def test_a_hash_that_the_header_does_not_name_is_refused() -> None:
    with pytest.raises(NotAuthentic):
        source("twilio", SECRET).verify(twilio_form(SECRET, "sha256", None), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        source("twilio", SECRET).verify(twilio_form(SECRET, "sha1", "algorithm=HMAC_SHA256"), now_s=NOW_S)


# ---- HubSpot -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "signed_uri",
    [
        f"{URL}?team=a%2Fb&when=10%3A30&name=%C3%A9",
        f"{URL}?team=a/b&when=10:30&name=%C3%A9",
    ],
    ids=["raw", "decoded"],
)
def test_hubspots_uri_may_be_signed_raw_or_decoded(signed_uri: str) -> None:
    body, stamp = b"[]", str(int(NOW_S * 1000))
    digest = hmac_bytes(SECRET, f"POST{signed_uri}".encode() + body + stamp.encode())
    headers = {
        "x-hubspot-signature-v3": b64encode(digest).decode(),
        "x-hubspot-request-timestamp": stamp,
        "content-type": "application/json",
    }
    made = Inbound(body, headers, "POST", "/hooks/it?team=a%2Fb&when=10%3A30&name=%C3%A9", {})
    source("hubspot", SECRET).verify(made, now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        source("hubspot", OTHER).verify(made, now_s=NOW_S)


# ---- a slash at the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("registered", [URL, f"{URL}/", "https://hooks.example.com"])
@pytest.mark.parametrize("signed_with", ["", "/"])
def test_the_signed_address_may_end_with_a_slash(registered: str, signed_with: str) -> None:
    signed = URL + signed_with + "".join(name + FORM[name] for name in sorted(FORM))
    signature = b64encode(hmac_bytes(SECRET, signed.encode(), "sha1")).decode()
    headers = {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded"}
    made = Inbound(urlencode(FORM).encode(), headers, "POST", f"/hooks/it{signed_with}", {})
    source("twilio", SECRET, public_url=registered).verify(made, now_s=NOW_S)
