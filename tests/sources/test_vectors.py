"""Known answers of every signature scheme, published by the senders or computed from their documents.

The vectors are not part of this repository: where they are not beside it, these tests are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from relay.errors import NotAuthentic, VerificationUnavailable
from relay.source_options import SourceOptions
from relay.sources.base import Adapter, Inbound
from relay.sources.registry import build_adapter
from tests.places import FIXTURES

FOLDER = FIXTURES
VECTORS: list[dict[str, Any]] = (
    json.loads((FOLDER / "vectors.json").read_text())["vectors"] if (FOLDER / "vectors.json").exists() else []
)

Key = dict[str, Any]


def secret(adapter: str, **more: Any) -> Callable[[Key], tuple[str, dict[str, Any]]]:
    return lambda key: (adapter, {"secrets": _many(key["secret"]), **more})


def _many(*values: str) -> Callable[[], tuple[str, ...]]:
    return lambda: values


def _standard(key: Key) -> tuple[str, dict[str, Any]]:
    if "public_key" in key:
        return "standard_webhooks", {"public_keys": _many(key["public_key"])}
    return "standard_webhooks", {"secrets": _many(key["secret"])}


def _described(key: Key) -> tuple[str, dict[str, Any]]:
    described = {name: key[name] for name in ("header", "hash", "encoding")}
    return "generic", {"secrets": _many(key["secret"]), "signature": described}


def _stripe(key: Key) -> tuple[str, dict[str, Any]]:
    described = {"header": key["header"], "tolerance": key.get("tolerance_s", 300)}
    adapter = "calendly" if key["header"].startswith("Calendly") else "stripe"
    return adapter, {"secrets": _many(key["secret"]), "signature": described}


def _mailgun(key: Key) -> tuple[str, dict[str, Any]]:
    described = {"tolerance": key["tolerance_s"]} if "tolerance_s" in key else {}
    return "mailgun", {"secrets": _many(key["secret"]), "signature": described}


#: How an operator would set up the sender of each scheme.
SCHEMES: dict[str, Callable[[Key], tuple[str, dict[str, Any]]]] = {
    "slack_v0": secret("slack"),
    "zoom_v0": secret("zoom"),
    "standard_webhooks": _standard,
    "hub_sha256": secret("github"),
    "hub_sha256_short": secret("jira"),
    "hub_sha1": secret("intercom"),
    "hmac_generic": _described,
    "basic": lambda key: ("postmark", {"basic_auth": _many(f"{key['username']}:{key['password']}")}),
    "stripe_t_v1": _stripe,
    "zendesk": secret("zendesk"),
    "hubspot_v3": secret("hubspot"),
    "hubspot_v2": secret("hubspot", versions=("v2",)),
    "hubspot_v1": secret("hubspot", versions=("v1",)),
    "mailgun": _mailgun,
    "sendgrid_ecdsa": lambda key: ("sendgrid", {"public_keys": _many(key["public_key"])}),
    "sns": lambda key: ("ses", {"topics": (key["topic_arn"],)}),
    "twilio": secret("twilio"),
    "front_app": secret("front", scheme="application"),
    "front_rule": secret("front", scheme="rule"),
    "helpscout": secret("helpscout"),
    "crisp": secret("crisp"),
    "teams_hmac": secret("teams"),
    "body_token": lambda key: ("aircall", {"secrets": _many(key["token"])}),
    "msgraph_client_state": lambda key: ("graph", {"secrets": _many(key["client_state"])}),
    "gong_jwt": lambda key: ("gong", {"public_keys": _many(key["public_key_pem"])}),
}


def adapter_of(vector: dict[str, Any], folder: Path) -> Adapter:
    name, options = SCHEMES[vector["scheme"]](vector["key"])
    if "cert_pem" in vector["key"]:
        certificate = folder / "certificate.pem"
        certificate.write_text(vector["key"]["cert_pem"])
        options["certificate_files"] = (str(certificate),)
    if vector["now"] is None and vector["scheme"] in ("zendesk", "sns"):
        # The time stands in what is signed, in a form of its own.
        options["signature"] = {"tolerance": 0}
    request = vector["request"]
    public_url = request.get("public_url") or request.get("url") or "https://hooks.example.com/hooks/it"
    return build_adapter(SourceOptions(name="it", adapter=name, public_url=public_url, **options))


def inbound_of(request: dict[str, Any]) -> Inbound:
    headers = {key.lower(): value for key, value in request["headers"].items()}
    if "body_file" in request:
        body = (FOLDER / request["body_file"]).read_bytes()
    elif "body" in request:
        body = request["body"].encode()
    else:
        pairs = request.get("form_list") or request["form"].items()
        body = urlencode([(key, value) for key, value in pairs]).encode()
        headers.setdefault("content-type", "application/x-www-form-urlencoded")
    headers.setdefault("content-type", "application/json")
    parts = urlsplit(request.get("url", "https://hooks.example.com/hooks/it"))
    path_query = parts.path + (f"?{parts.query}" if parts.query else "")
    return Inbound(body, headers, request["method"], path_query, dict(parse_qsl(parts.query)))


def clock_s(vector: dict[str, Any]) -> float:
    """`now: null` asks for no check of the time: then the sender's own time is now."""
    if vector["now"] is not None:
        return float(vector["now"])
    sent_at = next(
        (value for name, value in vector["request"]["headers"].items() if name.lower().endswith("timestamp")),
        "",
    )
    if "form" in vector["request"]:
        sent_at = vector["request"]["form"].get("timestamp", "")
    if sent_at.isdigit() and len(sent_at) >= 10:
        return int(sent_at[:10])
    return 1_757_000_000.0


@pytest.mark.skipif(not VECTORS, reason="the vectors are not beside this repository")
@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["id"]) for vector in VECTORS])
def test_a_known_answer_is_answered_as_it_says(vector: dict[str, Any], tmp_path: Path) -> None:
    adapter = adapter_of(vector, tmp_path)
    request, now_s = inbound_of(vector["request"]), clock_s(vector)
    if vector["expect"] == "invalid":
        with pytest.raises(NotAuthentic):
            adapter.verify(request, now_s=now_s)
        return
    try:
        adapter.verify(request, now_s=now_s)
    except VerificationUnavailable:
        pytest.fail("nothing had to be fetched")
    if expected := vector["request"].get("expected_response"):
        reply = adapter.handshake(request, now_s=now_s)
        assert reply is not None
        assert json.loads(reply.body) == expected
