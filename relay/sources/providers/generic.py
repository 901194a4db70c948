"""Any sender: a signature or login as the config describes it, and an event from the names most senders use.

Presets: `standard_webhooks` and `svix`, `github` (X-Hub-Signature-256), `stripe` (t=,v1=), `gorgias` and
`servicenow` (no signature: a login). `fields: {thread: data.ticket.id}` says where this sender puts what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import KINDS, Event, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    BaseAdapter,
    Credentials,
    Inbound,
    Parked,
    Parsed,
    Sample,
    Skipped,
    content_key,
    iso_from_us,
    json_object,
)
from relay.sources.proof.credentials import has_secret, login_headers
from relay.sources.proof.rule import Rule
from relay.sources.proof.signature import Signature, read_signature
from relay.sources.proof.standard import (
    look_at_standard_head,
    sign_standard_webhooks,
    verify_standard_webhooks,
)
from relay.sources.read import pick
from relay.sources.read.attached import files_in
from relay.sources.read.form_scan import form_fields, only_field
from relay.sources.read.json_scan import follow
from relay.sources.read.lenient import parse_lenient
from relay.sources.read.markup import clean_html
from relay.sources.read.moment import moment_us
from relay.sources.read.multipart import parse_form
from relay.sources.read.privacy import UNSAID, audience, is_private, withheld
from relay.sources.read.said import read_said

MAX_ITEMS = 1000
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

_HUB = {"header": "x-hub-signature-256", "hash": "sha256", "encoding": "hex", "prefix": "sha256="}
_STRIPE = {"header": "stripe-signature", "style": "stripe"}
_SIGNED_PRESETS: dict[str, Mapping[str, Any]] = {"github": _HUB, "hub_sha256": _HUB, "stripe": _STRIPE}
_HUB_PRESETS = frozenset({"github", "hub_sha256"})
_STANDARD = frozenset({"standard_webhooks", "svix"})
_SCHEMES = frozenset({*_SIGNED_PRESETS, *_STANDARD, "body_token", "hmac"})
#: Their bodies come out of an admin's template, where a quote in a subject breaks the JSON: kept.
_TEMPLATED = frozenset({"gorgias", "servicenow"})
#: What people write there is Markdown.
_MARKDOWN = frozenset({"github", "linear"})
#: Words of an event's type that tell of something said, or of its removal.
_SPOKEN = re.compile(
    r"message|comment|reply|note|sms|mail|chat|review|mention|feedback|survey|answer", re.IGNORECASE
)
_REMOVED = re.compile(r"(?:^|[._: -])(?:deleted|removed|destroyed)$", re.IGNORECASE)


class Generic(BaseAdapter):
    name: ClassVar[str] = "generic"
    content_types: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        self._preset = options.scheme or options.adapter
        self._fields = _read_fields(options.raw.get("fields"))
        self._token_path = ""
        self.credentials = Credentials()
        self._signature: Signature | None = None
        self._standard = False
        self._rule = Rule(options)
        keyed = has_secret(options) or any(options.public_keys())
        if keyed:
            self._read_scheme(options)
        elif options.signature and not options.unauthenticated:
            raise ValueError(f"source {options.name!r}: signature needs secrets: [the shared secret]")
        if not keyed and not self._rule.login and not options.unauthenticated:
            raise ValueError(
                f"source {options.name!r}: {options.adapter} needs secrets, basic_auth, bearer or api_key "
                "(or unauthenticated: true, which lets anyone in)"
            )

    def _read_scheme(self, options: SourceOptions) -> None:
        if options.scheme and options.scheme not in _SCHEMES:
            raise ValueError(f"source {options.name!r}: scheme must be one of {', '.join(sorted(_SCHEMES))}")
        token_path = options.signature.get("body_token") or options.raw.get("body_token")
        if token_path or self._preset == "body_token":
            self._token_path = token_path if isinstance(token_path, str) else "token"
            self.credentials = Credentials(paths=(self._token_path,))
        elif self._preset in _SIGNED_PRESETS:
            self._signature = read_signature(options.signature, preset=_SIGNED_PRESETS[self._preset])
        elif options.signature and self._preset not in _STANDARD:
            self._signature = read_signature(options.signature)
        else:
            self._standard = True

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._check_login(head)
        if self._signature is not None:
            self._signature.look_at_head(head, now_s=now_s)
        elif self._standard:
            look_at_standard_head(head, now_s, _prefix(head, self._preset))

    def _check_login(self, head: Inbound) -> None:
        self._rule.check_login(head)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        options = self.options
        if self._signature is not None:
            self._signature.verify(inbound, options.secrets(), now_s=now_s)
        elif self._standard:
            verify_standard_webhooks(
                inbound, options.secrets(), options.public_keys(), now_s, _prefix(inbound, self._preset)
            )
        elif self._token_path:
            self._verify_token(inbound)

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        """Where the id of a delivery is not signed, or nothing says when it was, what is signed counts once."""
        signature = self._signature
        if signature is None or (signature.signs_id and signature.signs_time):
            return ()
        return self._rule.once(signature.signed_content(inbound))

    def timeless(self, inbound: Inbound) -> bool:
        return self._signature is not None and not self._signature.signs_time

    def _verify_token(self, inbound: Inbound) -> None:
        """The proof lies in the body: it is taken out before anything is parsed; out of a broken body none is."""
        try:
            given = _token_in(inbound, self._token_path)
        except PayloadInvalid:
            raise NotAuthentic("token") from None
        self._rule.check_token(given if isinstance(given, str) else "")

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        try:
            body = _body(inbound)
        except PayloadInvalid as error:
            if self._preset in _TEMPLATED:
                return [Parked(error.message, content_key(inbound.body))]
            raise
        kind = pick.header(inbound.headers, "x-github-event")
        if kind == "ping":
            return [Skipped("handshake")]
        if self._token_path:
            _hide(body, self._token_path)
        delivery = ""
        if self._standard or self._preset in _HUB_PRESETS:
            delivery = _delivery_header(inbound, self._preset)
        elif self._signature is not None:
            delivery = self._signature.delivery(inbound)
        if isinstance(body, dict):
            if not body:
                return [Skipped("empty")]
            if items := pick.batch(body):
                return self._batch(items, inbound, delivery, kind, now_s)
            return [self.event_of(body, inbound, delivery=delivery, kind=kind, now_s=now_s)]
        if not isinstance(body, list) or not body:
            raise PayloadInvalid("wanted a JSON object, or a list of objects")
        if not all(isinstance(item, dict) for item in body):
            raise PayloadInvalid("wanted an object", "[]")
        return self._batch(body, inbound, delivery, kind, now_s)

    def _batch(
        self, items: list[dict[str, Any]], inbound: Inbound, delivery: str, kind: str, now_s: float
    ) -> list[Parsed]:
        if len(items) > MAX_ITEMS:
            raise PayloadInvalid(f"more than {MAX_ITEMS} events in one request")
        key = delivery or content_key(inbound.body)
        return [
            self.event_of(item, inbound, delivery=f"{key}#{n}", kind=kind, now_s=now_s)
            for n, item in enumerate(items)
        ]

    def event_of(
        self, payload: dict[str, Any], inbound: Inbound, *, delivery: str, kind: str, now_s: float
    ) -> Event | Skipped:
        """One event, or why it is not for the customer's eyes. `delivery` is the sender's id of this delivery, or ""
        where it has none."""
        source = self.options.name
        among = pick.places(payload)
        flat = pick.flatten(among)
        message = pick.message_in(among)
        readers = "private" if is_private(payload, message) else audience(payload) or audience(message)
        if why := withheld(readers, self.options):
            return Skipped(why)
        found = (flat,)
        told = pick.first_text(among[:2], pick.TYPE)
        event_type = kind or told
        delivery = delivery or _delivery_in(among[0], event_type) or content_key(inbound.body)
        happened_us = pick.first_moment_us((*among, message), pick.TIME)
        version = int(now_s * 1_000_000) if happened_us is None else happened_us
        said = read_said(pick.worded(message), flat, markdown=self._preset in _MARKDOWN)
        removed = bool(message) and _REMOVED.search(told) is not None
        event = Event(
            id=event_id(source, delivery),
            source=source,
            adapter=self.options.adapter,
            # What a header says of the kind is not signed: it names the event, and decides nothing.
            kind="message.deleted" if removed else told if told in KINDS else "custom",
            time=iso_from_us(version),
            version=version,
            thread=pick.thread_of(among, flat) or delivery,
            subject=pick.first_text(found, pick.SUBJECT),
            text="" if removed else said.text,
            html="" if removed else said.html,
            sender=pick.author_of(message, among, flat),
            channel=pick.channel_of(among),
            ticket=pick.ticket_of(among, flat),
            message_id=pick.first_ident(found, pick.MESSAGE) or pick.ident(message.get("id")) or delivery,
            url=pick.first_text(found, pick.URL),
            attachments=files_in((message, *among)),
            tags=pick.tags_of(payload),
            delivery_id=delivery,
            label=event_type,
            unworded="no_text" if message or _SPOKEN.search(event_type) else "",
            remarks=(UNSAID,) if not readers and message and self._preset in _TEMPLATED else (),
            payload=payload,
        )
        return self._mapped(event, payload) if self._fields else event

    def _mapped(self, event: Event, payload: dict[str, Any]) -> Event:
        """The event with what `fields` picks put over it; a path that leads nowhere changes nothing."""
        changes: dict[str, Any] = {}
        parts: dict[str, dict[str, str]] = {"sender": {}, "channel": {}, "ticket": {}}
        for key, path in self._fields.items():
            value = pick.follow(payload, path)
            outer, _, inner = key.partition(".")
            if inner:
                if text := pick.ident(value):
                    parts[outer][inner] = text
            elif key == "tags":
                if isinstance(value, list):
                    changes["tags"] = tuple(item for item in value if isinstance(item, str))
            elif key in ("time", "version"):
                if (moment := moment_us(value)) is not None:
                    changes["version"] = moment
                    changes["time"] = iso_from_us(moment)
            elif text := pick.ident(value):
                if key == "id":
                    changes |= {"id": event_id(event.source, text), "delivery_id": text}
                elif key == "html":
                    changes["html"] = clean_html(text)
                elif key != "kind" or text in KINDS:
                    changes[key] = text
        for name, found in parts.items():
            if found:
                changes[name] = replace(getattr(event, name), **found)
        return replace(event, **changes)

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """A ticket's first message and its answer."""
        moment_us = int(now_s) * 1_000_000 + serial
        return [
            self._sample_message(moment_us, moment_us, "The export fails since this morning."),
            self._sample_message(moment_us, moment_us + 1_000_000, "It works again, thank you!"),
        ]

    def _sample_message(self, ticket_us: int, moment_us: int, text: str) -> Sample:
        body = {
            "type": "ticket.commented",
            "timestamp": iso_from_us(moment_us),
            "data": {
                "ticket": {"id": f"T-{ticket_us:X}", "subject": "Export fails", "status": "open"},
                "message_id": f"M-{moment_us:X}",
                "text": text,
                "sender": {"id": "42", "name": "Ana Example", "email": "ana@example.com"},
            },
        }
        return Sample(orjson.dumps(body), {"content-type": "application/json"})

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        proof: dict[str, str] = {}
        body = sample.body
        if self._signature is not None:
            proof = self._signature.sign(body, secret, now_s=now_s)
        elif self._standard and secret:
            prefix = "svix" if self._preset == "svix" else "webhook"
            message_id = "msg_" + content_key(body)
            proof = sign_standard_webhooks(body, secret, message_id=message_id, now_s=now_s, prefix=prefix)
        elif self._token_path:
            body = _with_token(body, self._token_path, secret)
        return Sample(body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)


def _read_fields(described: Any) -> dict[str, str]:
    if described is None:
        return {}
    if not isinstance(described, Mapping):
        raise ValueError("fields must be a mapping such as {thread: data.ticket.id}")
    for key, path in described.items():
        if key not in pick.FIELD_KEYS:
            raise ValueError(f"fields: unknown key {key!r}; known: {', '.join(sorted(pick.FIELD_KEYS))}")
        if not isinstance(path, str) or not path:
            raise ValueError(f"fields: {key} must be a dotted path such as data.ticket.id")
    return {str(key): str(path) for key, path in described.items()}


def _body(inbound: Inbound) -> Any:
    """JSON, or a form's fields. A form whose only field holds JSON (`payload=`, `data=`) is that JSON."""
    content_type = inbound.headers.get("content-type", "")
    if not content_type.lower().startswith(_FORMS):
        return parse_lenient(inbound.body)
    fields = parse_form(inbound.body, content_type).fields()
    if not any(fields):
        raise PayloadInvalid("not a form")
    if len(fields) == 1 and (inner := next(iter(fields.values()))).startswith(("{", "[")):
        return parse_lenient(inner.encode())
    return fields


def _token_in(inbound: Inbound, path: str) -> Any:
    """What stands at the path in the body, read as `_body` reads it. Raises PayloadInvalid."""
    content_type = inbound.headers.get("content-type", "")
    if not content_type.lower().startswith(_FORMS):
        return follow(inbound.body, path)
    inner = only_field(inbound.body, content_type)
    if inner is not None and inner.startswith(("{", "[")):
        return follow(inner.encode("utf-8", "surrogatepass"), path)
    return form_fields(inbound.body, content_type, (path,)).get(path)


def _prefix(inbound: Inbound, preset: str) -> str:
    """Svix's senders use either spelling of the three headers."""
    first, second = ("svix", "webhook") if preset == "svix" else ("webhook", "svix")
    return second if f"{first}-id" not in inbound.headers and f"{second}-id" in inbound.headers else first


def _delivery_header(inbound: Inbound, preset: str) -> str:
    """The id that a retry repeats. Only where the preset has one: elsewhere nobody signed it."""
    if preset in _HUB_PRESETS:
        return pick.header(inbound.headers, "x-github-delivery")
    return pick.header(inbound.headers, f"{_prefix(inbound, preset)}-id")


def _delivery_in(payload: Mapping[str, Any], event_type: str) -> str:
    """An id of the event, never of what it is about: `id` alone could be a ticket's, which comes again."""
    if found := pick.first_ident((payload,), pick.DELIVERY):
        return found
    own = payload.get("id")
    return own if event_type and isinstance(own, str) and own.startswith(("evt_", "msg_", "ntf_")) else ""


def _hide(body: Any, path: str) -> None:
    """The shared token goes no further than the door."""
    outer, _, last = path.rpartition(".")
    place = pick.follow(body, outer) if outer else body
    if isinstance(place, dict):
        place.pop(last, None)


def _with_token(body: bytes, path: str, token: str) -> bytes:
    payload = json_object(body)
    place = payload
    *steps, last = path.split(".")
    for step in steps:
        place = place.setdefault(step, {})
    place[last] = token
    return orjson.dumps(payload)
