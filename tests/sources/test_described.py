"""Senders that a table describes: how each is proven. The proofs are made here as the providers' documents say, not by the
code that checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import jwt
import orjson
import pytest

from relay.errors import NotAuthentic
from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound
from relay.sources.described.shape import holds, text_at
from relay.sources.described.table import PRESETS
from relay.sources.registry import build_adapter
from tests.places import PAYLOADS
from tests.sources.test_jwt import jwks, rsa_key

NOW_S = 1_772_600_800.0
SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def source(name: str, **more: Any) -> Adapter:
    proof = more or {"secrets": lambda: [SECRET]}
    return build_adapter(SourceOptions(name="it", adapter=name, **proof))


def payload(place: str) -> bytes:
    return (PAYLOADS / f"{place}.json").read_bytes()


# ---- proofs, as the documents have them --------------------------------------------------------------------


def hex_mac(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def stamped(body: bytes) -> dict[str, str]:
    at = str(int(NOW_S))
    digest = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {
        "pylon-webhook-timestamp": at,
        "pylon-webhook-signature": f"hs256={digest}",
        "pylon-webhook-version": "1",
    }


def standard(body: bytes) -> dict[str, str]:
    at, key = str(int(NOW_S)), base64.b64decode(SECRET)
    digest = hmac.new(key, f"msg_1.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": at,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def base64_mac(body: bytes) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()


SIGNED: dict[str, tuple[str, Callable[[bytes], dict[str, str]]]] = {
    "pylon": ("message", stamped),
    "fathom": ("meeting", standard),
    "unthread": ("message", lambda body: {"x-unthread-signature": hex_mac(body)}),
    "fireflies": ("transcribed", lambda body: {"x-hub-signature": f"sha256={hex_mac(body)}"}),
    "whatsapp": ("text", lambda body: {"x-hub-signature-256": f"sha256={hex_mac(body)}"}),
    "typeform": ("answers", lambda body: {"typeform-signature": f"sha256={base64_mac(body)}"}),
    "delighted": ("response", lambda body: {"x-delighted-webhook-signature": f"sha256={hex_mac(body)}"}),
    "missive": ("message", lambda body: {"x-hook-signature": f"sha256={hex_mac(body)}"}),
    "discourse": ("post", lambda body: {"x-discourse-event-signature": f"sha256={hex_mac(body)}"}),
    "kustomer": ("message_in", lambda body: {"x-kustomer-webhook-signature": hex_mac(body)}),
}


@pytest.mark.parametrize("name", sorted(SIGNED))
def test_a_signature_made_by_the_documents_is_accepted(name: str) -> None:
    file, sign = SIGNED[name]
    body = payload(f"{name}/{file}")
    request = Inbound(body, {"content-type": "application/json", **sign(body)})
    adapter = source(name)
    adapter.verify_head(request, now_s=NOW_S)
    adapter.verify(request, now_s=NOW_S)
    for broken in (
        Inbound(body + b" ", request.headers),
        Inbound(body, {key: value[:-2] for key, value in request.headers.items()}),
        Inbound(body, {"content-type": "application/json"}),
    ):
        with pytest.raises(NotAuthentic):
            adapter.verify(broken, now_s=NOW_S)


@pytest.mark.parametrize(
    ("name", "file", "header", "place"),
    [
        ("linear", "comment", "linear-signature", "webhookTimestamp"),
        ("plain", "chat_sent", "plain-request-signature", "webhookMetadata.webhookDeliveryAttemptTimestamp"),
    ],
)
def test_the_time_that_stands_in_the_signed_body_must_be_recent(
    name: str, file: str, header: str, place: str
) -> None:
    def at(value: Any) -> Inbound:
        held = orjson.loads(payload(f"{name}/{file}"))
        *steps, last = place.split(".")
        inner = held
        for step in steps:
            inner = inner[step]
        inner[last] = value
        body = orjson.dumps(held)
        return Inbound(body, {header: hex_mac(body)})

    adapter = source(name)
    now_ms = int(NOW_S * 1000)
    for good in (now_ms, now_ms - 299_000, "2026-03-04T05:06:40.000Z"):
        adapter.verify(at(good), now_s=NOW_S)
        assert not adapter.timeless(at(good))
    stale = (now_ms - 301_000, now_ms + 301_000, "2026-03-03T05:06:40.000Z")
    for bad in (*stale, None, "soon", True, [1]):
        with pytest.raises(NotAuthentic):
            adapter.verify(at(bad), now_s=NOW_S)


def test_what_nothing_dates_counts_once() -> None:
    for name in (
        "unthread",
        "fireflies",
        "typeform",
        "delighted",
        "missive",
        "discourse",
        "kustomer",
        "whatsapp",
    ):
        file, sign = SIGNED[name]
        body = payload(f"{name}/{file}")
        request = Inbound(body, sign(body))
        assert source(name).timeless(request), name
        assert source(name).nonces(request), name


def test_zoho_signs_with_a_key_of_its_own() -> None:
    rules = {
        "jwks_file": lambda: jwks(z=rsa_key()),
        "issuer": ("orgId:700000001",),
        "audience": ("webhookId:9",),
    }
    adapter = source("zoho_desk", jwt=rules)

    def request(**claims: Any) -> Inbound:
        held = {"iss": "orgId:700000001", "aud": "webhookId:9", "iat": NOW_S, "exp": NOW_S + 300, **claims}
        token = jwt.encode(held, rsa_key(), algorithm="RS256", headers={"kid": "z"})
        return Inbound(payload("zoho_desk/thread"), {"x-zdesk-jwt": token})

    adapter.verify(request(), now_s=NOW_S)
    for bad in {"iss": "orgId:1"}, {"aud": "webhookId:8"}, {"exp": NOW_S - 3600}:
        with pytest.raises(NotAuthentic):
            adapter.verify(request(**bad), now_s=NOW_S)
    reply = adapter.handshake(Inbound(b"", {}, "GET"), now_s=NOW_S)
    assert reply is not None
    assert reply.status == 200
    assert adapter.answers.accepted == 200


def test_google_believes_its_own_chat_alone() -> None:
    rules = {"jwks_file": lambda: jwks(g=rsa_key()), "audience": ("1234567890",)}
    adapter = source("google_chat", jwt=rules)
    mail = "chat@system.gserviceaccount.com"

    def request(**claims: Any) -> Inbound:
        held = {"iss": mail, "aud": "1234567890", "iat": NOW_S, "exp": NOW_S + 3600, **claims}
        token = jwt.encode(held, rsa_key(), algorithm="RS256")
        return Inbound(payload("google_chat/message"), {"authorization": f"Bearer {token}"})

    adapter.verify(request(), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(request(iss="https://accounts.google.com"), now_s=NOW_S)
    with pytest.raises(ValueError, match="audience"):
        source("google_chat", jwt={"jwks_file": rules["jwks_file"]})
    anybody = {**rules, "issuer": ("https://accounts.google.com",)}
    with pytest.raises(ValueError, match="for everybody"):
        source("google_chat", jwt=anybody)
    named = source("google_chat", jwt={**anybody, "claims": {"email": mail}})
    named.verify(request(iss="https://accounts.google.com", email=mail), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        named.verify(request(iss="https://accounts.google.com", email="eve@example.com"), now_s=NOW_S)
    assert adapter.answers.accepted_body == b"{}"


def test_dialpads_body_is_the_token() -> None:
    body = jwt.encode(orjson.loads(payload("dialpad/hangup")), SECRET, algorithm="HS256").encode()
    adapter, request = source("dialpad"), Inbound(body, {"content-type": "application/jwt"})
    adapter.verify(request, now_s=NOW_S)
    (event,) = adapter.parse(request, now_s=NOW_S)
    assert isinstance(event, Event)
    assert event.text == "Inbound call with Ana Example and Sam Support (5 min)"
    assert adapter.nonces(request)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(payload("dialpad/hangup"), {}), now_s=NOW_S)
    # What somebody gives to be explained is the object itself.
    assert adapter.parse(Inbound(payload("dialpad/hangup"), {}), now_s=NOW_S) == [event]


def test_ringcentral_asks_with_one_header_and_proves_with_another() -> None:
    adapter = source("ringcentral")
    asked = Inbound(b"", {"validation-token": "v-1"})
    adapter.verify_head(asked, now_s=NOW_S)
    reply = adapter.handshake(asked, now_s=NOW_S)
    assert reply is not None
    assert dict(reply.headers)["validation-token"] == "v-1"
    for header in ("verification-token", "validation-token"):
        request = Inbound(payload("ringcentral/sms"), {header: SECRET})
        assert adapter.handshake(request, now_s=NOW_S) is None
        adapter.verify_head(request, now_s=NOW_S)
        adapter.verify(request, now_s=NOW_S)
    for headers in ({}, {"verification-token": "x"}, {"validation-token": "x"}):
        with pytest.raises(NotAuthentic):
            adapter.verify(Inbound(payload("ringcentral/sms"), headers), now_s=NOW_S)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("whatsapp", {"hub.mode": "subscribe", "hub.verify_token": "x", "hub.challenge": "1158201444"}),
        ("productboard", {"validationToken": "1158201444"}),
    ],
)
def test_a_subscription_is_confirmed(name: str, query: dict[str, str]) -> None:
    reply = source(name).handshake(Inbound(b"", {}, "GET", f"/hooks/{name}", query), now_s=NOW_S)
    assert reply is not None
    assert (reply.status, reply.body) == (200, b"1158201444")
    assert source(name).handshake(Inbound(b"", {}, "GET"), now_s=NOW_S) is None


@pytest.mark.parametrize("name", ["groove", "zoho_desk", "google_chat", "pipedrive", "productboard"])
def test_a_secret_in_the_url_stands_for_a_signature(name: str) -> None:
    adapter, body = source(name), payload(f"{name}/{sorted((PAYLOADS / name).glob('*.json'))[0].stem}")
    adapter.verify(Inbound(body, {}, "POST", f"/hooks/{name}?token={SECRET}", {"token": SECRET}), now_s=NOW_S)
    with pytest.raises(NotAuthentic):
        adapter.verify(Inbound(body, {}, "POST", "/", {"token": "x"}), now_s=NOW_S)
    assert "token" in adapter.credentials.query


def test_livechats_key_in_the_body_goes_no_further() -> None:
    held = {**orjson.loads(payload("livechat/message")), "secret_key": SECRET}
    source("livechat").verify(Inbound(orjson.dumps(held), {}), now_s=NOW_S)
    assert source("livechat").credentials.paths == ("secret_key",)
    with pytest.raises(NotAuthentic):
        source("livechat").verify(Inbound(payload("livechat/message"), {}), now_s=NOW_S)


def test_each_preset_says_what_to_configure() -> None:
    for name, preset in PRESETS.items():
        with pytest.raises(ValueError, match=r"needs (secrets|jwt|basic_auth)") as refused:
            build_adapter(SourceOptions(name="it", adapter=name))
        assert preset.proof.wants in str(refused.value)


# ---- the notation ------------------------------------------------------------------------------------------

HELD = {"a": {"b": [{"c": "x"}], "n": 0, "t": True, "url": "https://x/y%40z/"}, "m": "me", "f": 1.5, "e": ""}


@pytest.mark.parametrize(
    ("places", "wanted"),
    [
        ("a.b.0.c", "x"),
        ("missing a.b.0.c", "x"),
        ("e a.b.0.c", "x"),
        ("a.n", "0"),
        ("a.t", ""),
        ("f", "1.5"),
        ("m+a.b.0.c", "me x"),
        ("m+missing", "me"),
        ("a.url~tail", "y@z"),
        ("deal-{a.b.0.c}", "deal-x"),
        ("deal-{missing m}-{a.n}", "deal-me-0"),
        ("deal-{missing}", ""),
        ("missing | {m}!", "me!"),
        ("", ""),
    ],
)
def test_places_lead_to_texts(places: str, wanted: str) -> None:
    assert text_at(HELD, places) == wanted


@pytest.mark.parametrize(
    ("conditions", "wanted"),
    [
        ("m=me", True),
        ("m=you|me", True),
        ("m=you", False),
        ("a.t=true", True),
        ("a.t", True),
        ("a.n", False),
        ("e", False),
        ("e?", True),
        ("a.n?", True),
        ("a.x?", False),
        ("x?", False),
        ("m=you a.t", True),
        ("", False),
    ],
)
def test_conditions_hold_or_not(conditions: str, wanted: bool) -> None:
    assert holds(HELD, conditions) is wanted


def test_samples_hold_no_place_that_was_not_filled_in() -> None:
    for name in PRESETS:
        for sample in source(name).sample_thread(serial=1, now_s=NOW_S):
            assert "{" not in "".join(_strings(orjson.loads(sample.body))), name


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _strings(inner)]
    return [value] if isinstance(value, str) else []
