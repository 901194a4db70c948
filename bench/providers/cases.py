"""What is tried: awkward but valid requests that a package signs, and such that must not be taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from bench.providers.door import PUBLIC, STANDARD, Keys, Request
from relay.source_options import SourceOptions
from relay.sources.registry import build_adapter

#: package (without its registry) -> the sources that it speaks for.
SOURCES: dict[str, tuple[str, ...]] = {
    "slack-sdk": ("slack",),
    "slack-bolt": ("slack",),
    "@slack/bolt": ("slack",),
    "twilio": ("twilio",),
    "svix": ("svix",),
    "standardwebhooks": ("standard_webhooks",),
    "stripe": ("stripe",),
    "hubspot-api-client": ("hubspot", "hubspot_v2", "hubspot_v1"),
    "@hubspot/api-client": ("hubspot", "hubspot_v2", "hubspot_v1"),
    "cloudevents": ("cloudevents",),
    "sendgrid": ("sendgrid",),
    "@sendgrid/eventwebhook": ("sendgrid",),
    "resend": ("resend",),
    "fathom-python": ("fathom",),
    "fathom-typescript": ("fathom",),
    "google-auth": ("google_chat",),
    "@octokit/webhooks-methods": ("github",),
    "sns-validator": ("ses",),
    "@linear/sdk": ("linear",),
    "@team-plain/typescript-sdk": ("plain",),
    "crisp-api": ("crisp",),
    "@zoom/rivet": ("zoom",),
}
_WORDS = frozenset({"text", "body", "content", "title", "subject", "description"})
_TIMED = frozenset({"slack", "stripe", "hubspot", "google_chat", *STANDARD})
_OLD_S = 7 * 3600
#: What of a captured body is changed to spoil it, where a blank at its end would spoil nothing that is signed.
SPOILT = {
    "crisp": (b'"website_id":"', b'"website_id":"x'),
    "ses": (b'"Message":"', b'"Message":" '),
    "zoom": (b'"event":"', b'"event":"x'),
}
_FORM = {"SmsMessageSid": "SM1", "MessageSid": "SM1", "From": "+15550101", "To": "+15550100", "Body": "hello"}


@dataclass(frozen=True, slots=True)
class Case:
    """One request that a package signs. `how` is for its driver; `change` comes after signing; `url` is what the
    sender knows, `path` what is asked for at the door. `taken`: a 2xx is wanted, else a refusal."""

    source: str
    name: str
    body: bytes
    how: str = ""
    which: str = "own"
    url: str = ""
    path: str = ""
    age_s: int = 0
    change: Callable[[Request], Request] | None = None
    taken: bool = True

    def task(self, keys: Keys) -> dict[str, Any]:
        """What the driver is told."""
        return {
            "do": "sign",
            "secret": keys.secret(self.source, self.which),
            "url": self.url or f"{PUBLIC}/hooks/{self.source}",
            "headers": {},
            "body": self.body,
            "how": self.how,
            "now": int(time.time()) - self.age_s,
        }


def cases_of(package: str) -> Iterator[Case]:
    """Everything that is tried with what a package signs."""
    for source in SOURCES[package]:
        if source == "twilio":
            yield from _twilio(shared_key=package == "twilio")
        elif source == "cloudevents":
            yield from _cloudevents()
        elif source.startswith("hubspot"):
            yield from _hubspot(source)
        else:
            yield from _json(source)


def _sample(source: str) -> Any:
    adapter = source.partition("_v")[0] if source.startswith("hubspot") else source
    options = SourceOptions(name=source, adapter=adapter, unauthenticated=True)
    return orjson.loads(build_adapter(options).sample(serial=1, now_s=time.time()).body)


def _worded(value: Any) -> Any:
    """The payload with letters, signs and pictures that JSON writes in more than one way."""
    if isinstance(value, list):
        return [_worded(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: f"{one} Grüße \U0001f44b </b>\u2028\"'"
        if key in _WORDS and isinstance(one, str)
        else _worded(one)
        for key, one in value.items()
    }


def _bodies(source: str) -> Iterator[tuple[str, bytes]]:
    """Several spellings of one sample: what is signed are the bytes."""
    import json

    worded = _worded(_sample(source))
    yield "plain", orjson.dumps(_sample(source))
    yield "unicode", orjson.dumps(worded)
    yield "escaped", json.dumps(worded).encode()
    yield "spaced", json.dumps(worded, indent=2, ensure_ascii=False).encode() + b"\r\n"


def _spoil(request: Request) -> Request:
    return Request(request.headers, request.body + b" ", request.path)


def _json(source: str) -> Iterator[Case]:
    first = b""
    for name, body in _bodies(source):
        first = first or body
        yield Case(source, name, body)
    yield Case(source, "a slash behind", first, path=f"/hooks/{source}/")
    if source == "google_chat":
        yield Case(source, "another audience", first, how="9876543210")
        yield Case(source, "an audience of nobody's", first, how="5550000000", taken=False)
    else:
        # Its key id belongs to the first key.
        yield Case(source, "the next secret", first, which="next")
        yield Case(source, "changed", first, change=_spoil, taken=False)
    if source in ("stripe", *STANDARD):
        yield Case(source, "several signatures", first, how="several")
    if source == "svix":
        yield Case(source, "unbranded names", first, how="unbranded")
    if source in _TIMED:
        yield Case(source, "four minutes old", first, age_s=240)
        yield Case(source, "too old", first, age_s=_OLD_S, taken=False)
    yield Case(source, "another's secret", first, which="other", taken=False)


def _twilio(*, shared_key: bool) -> Iterator[Case]:
    own = f"{PUBLIC}/hooks/twilio"
    form = urlencode(_FORM).encode()
    yield Case("twilio", "form", form)
    yield Case("twilio", "unicode", urlencode({**_FORM, "Body": "Grüße \U0001f44b & +1"}).encode())
    yield Case("twilio", "empty values", urlencode({**_FORM, "Body": "", "MediaUrl0": ""}).encode())
    yield Case("twilio", "several values", form + b"&Tag=b&Tag=a&Tag=b")
    yield Case("twilio", "a port in the URL", form, url=f"{PUBLIC}:443/hooks/twilio")
    yield Case("twilio", "a slash behind", form, url=f"{own}/", path="/hooks/twilio/")
    yield Case("twilio", "a query", form, url=f"{own}?tenant=a%20b", path="/hooks/twilio?tenant=a%20b")
    yield Case("twilio", "the next token", form, which="next")
    body = orjson.dumps({**_FORM, "Body": "Grüße \U0001f44b"})
    yield Case("twilio", "JSON with its hash in the URL", body, how="json")
    if shared_key:
        yield Case("twilio", "a SharedKey", form, how="form shared_key")
        yield Case("twilio", "JSON by a SharedKey", body, how="json shared_key")
    yield Case("twilio", "changed", form, change=_spoil, taken=False)
    yield Case("twilio", "another URL", form, url=f"{PUBLIC}/hooks/slack", taken=False)
    yield Case("twilio", "another's token", form, which="other", taken=False)


def _cloudevents() -> Iterator[Case]:
    body = orjson.dumps({"ticket_id": 7, "text": "Grüße \U0001f44b"})
    for how in (
        *("structured", "binary", "structured bytes", "binary bytes", "structured without data"),
        *("binary without data", "batch"),
    ):
        yield Case("cloudevents", how, body, how=how)
    yield Case("cloudevents", "the next token", body, how="structured", which="next")
    yield Case("cloudevents", "a slash behind", body, how="structured", path="/hooks/cloudevents/")
    yield Case("cloudevents", "another's token", body, how="structured", which="other", taken=False)


def _hubspot(source: str) -> Iterator[Case]:
    version = source.partition("_")[2] or "v3"
    own = f"{PUBLIC}/hooks/{source}"
    first = b""
    for name, body in _bodies(source):
        first = first or body
        yield Case(source, f"{version} {name}", body, how=version)
    yield Case(source, f"{version} the next secret", first, how=version, which="next")
    if version != "v1":
        query = "?a=%3A%2F%40%20%C3%A9"
        path = f"/hooks/{source}{query}"
        yield Case(source, f"{version} escapes in the URL", first, how=version, url=own + query, path=path)
        slash = f"/hooks/{source}/"
        yield Case(source, f"{version} a slash behind", first, how=version, url=f"{own}/", path=slash)
        yield Case(
            source, f"{version} another URL", first, how=version, url=f"{PUBLIC}/hooks/slack", taken=False
        )
    if version == "v3":
        yield Case(source, "v3 four minutes old", first, how=version, age_s=240)
        yield Case(source, "v3 too old", first, how=version, age_s=_OLD_S, taken=False)
    yield Case(source, f"{version} changed", first, how=version, change=_spoil, taken=False)
    yield Case(source, f"{version} another's secret", first, how=version, which="other", taken=False)
