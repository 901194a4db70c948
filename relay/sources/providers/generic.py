"""Any sender: a signature or login as the config describes it, and an event from the names most senders use.

`handshake:` answers senders that ask before they send, `jwt:` takes those that sign with a token.
Presets: `standard_webhooks` and `svix`, `github` (X-Hub-Signature-256), `stripe` (t=,v1=), `gorgias` and
`servicenow` (no signature: a login). `fields: {thread: data.ticket.id}` says where this sender puts what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import orjson

from relay.errors import PayloadInvalid
from relay.event import KINDS, Event, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    Inbound,
    Parked,
    Parsed,
    Sample,
    Skipped,
    content_key,
    iso_from_us,
)
from relay.sources.large_json import LONG_BYTES
from relay.sources.proof.choose import ProofPreset
from relay.sources.proof.kinds import FORM_TYPES
from relay.sources.proof.proven import ProvenAdapter
from relay.sources.read import pick
from relay.sources.read.attached import files_in
from relay.sources.read.bare_object import NOTHING, BareObject, KeyNames, held
from relay.sources.read.charset import decode_bytes, printable
from relay.sources.read.lenient import parse_lenient
from relay.sources.read.markup import clean_html
from relay.sources.read.moment import moment_us
from relay.sources.read.multipart import parse_form
from relay.sources.read.privacy import UNSAID, audience, audience_of, withheld
from relay.sources.read.said import read_said
from relay.sources.read.templated import UNESCAPED
from relay.sources.read.unknown import SAID, is_worded

MAX_BATCH_ITEMS = 1000

_HUB = ProofPreset(
    signature={"header": "x-hub-signature-256", "hash": "sha256", "encoding": "hex", "prefix": "sha256="}
)
_PRESETS: dict[str, ProofPreset] = {
    "github": _HUB,
    "hub_sha256": _HUB,
    "stripe": ProofPreset(signature={"header": "stripe-signature", "style": "stripe"}),
    "standard_webhooks": ProofPreset(standard=("webhook", "svix")),
    "svix": ProofPreset(standard=("svix", "webhook")),
    "body_token": ProofPreset(body_token="token"),  # noqa: S106 - where it stands
}
_HUB_PRESETS = frozenset({"github", "hub_sha256"})
_SCHEMES = frozenset({*_PRESETS, "hmac"})
#: Their bodies come out of an admin's template, where a quote in a subject breaks the JSON: kept.
_TEMPLATED = frozenset({"gorgias", "servicenow"})
#: What people write there is Markdown.
_MARKDOWN = frozenset({"github", "linear"})
#: Words of an event's type that tell of something said, or of its removal.
_SPOKEN = re.compile(
    r"message|comment|reply|note|sms|mail|chat|review|mention|feedback|survey|answer", re.IGNORECASE
)
#: Of GitHub's objects those that begin a thread.
_OPENINGS = KeyNames("issue pullrequest discussion")
_WORDS_OF_JSON = frozenset({b"null", b"true", b"false"})
_REMOVED = re.compile(r"(?:^|[._: -])(?:deleted|removed|destroyed)$", re.IGNORECASE)


class Generic(ProvenAdapter):
    name: ClassVar[str] = "generic"
    content_types: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: SourceOptions) -> None:
        self._preset = options.scheme or options.adapter
        if options.scheme and options.scheme not in _SCHEMES:
            raise ValueError(f"source {options.name!r}: scheme must be one of {', '.join(sorted(_SCHEMES))}")
        super().__init__(options, _PRESETS.get(self._preset, ProofPreset()))
        self._fields = _read_fields(options.raw.get("fields"))

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        inbound = self.opened(inbound)
        try:
            body = _body(inbound)
        except PayloadInvalid as error:
            if self._preset in _TEMPLATED:
                return [Parked(f"{error.message} ({UNESCAPED})", content_key(inbound.body))]
            raise
        kind = pick.header(inbound.headers, "x-github-event")
        if kind == "ping":
            return [Skipped("handshake")]
        for path in self.credentials.paths:
            _hide(body, path)
        delivery = self._proof.delivery(inbound) if self._proof is not None else ""
        if self._preset in _HUB_PRESETS:
            # Nobody signed it: `nonces` holds that it makes no second event of the same body.
            delivery = pick.header(inbound.headers, "x-github-delivery")
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
        if len(items) > MAX_BATCH_ITEMS:
            raise PayloadInvalid(f"more than {MAX_BATCH_ITEMS} events in one request")
        key = delivery or content_key(inbound.body)
        return [
            self.event_of(item, inbound, delivery=f"{key}#{n}", kind=kind, now_s=now_s)
            for n, item in enumerate(items)
        ]

    def event_of(
        self, payload: dict[str, Any], inbound: Inbound, *, delivery: str, kind: str, now_s: float
    ) -> Event | Skipped:
        """Return one event, or why it is not for the customer's eyes. `delivery` is the sender's id of this delivery, or ""
        where it has none."""
        source = self.options.name
        among = pick.places(_journal(payload) if self._preset == "servicenow" else payload)
        flat = pick.flatten(among)
        message = pick.message_in(among)
        listed = NOTHING if message else pick.newest_in(among, self._readers)
        message = message or listed
        readers = audience_of(payload, message)
        if why := withheld(readers, self.options):
            return Skipped(why)
        found = (flat,)
        told = pick.first_text(among[:2], pick.TYPE)
        event_type = kind or told
        delivery = delivery or _delivery_in(among[0], event_type) or content_key(inbound.body)
        opening = NOTHING if message or self._preset != "github" else _opening(among)
        happened_us = pick.first_moment_us((listed, *among, message), pick.TIME)
        version = int(now_s * 1_000_000) if happened_us is None else happened_us
        # A review without words says nothing: the words beside it are those of what it is about.
        beside = NOTHING if message and self._preset == "github" else flat
        said = read_said(pick.worded(message), beside, markdown=self._preset in _MARKDOWN)
        thread = pick.thread_of(among, flat)
        removed = bool(message) and _REMOVED.search(told) is not None
        event = Event(
            id=event_id(source, delivery),
            source=source,
            adapter=self.options.adapter,
            # What a header says of the kind is not signed: it names the event, and decides nothing.
            kind="message.deleted" if removed else told if told in KINDS else "custom",
            time=iso_from_us(version),
            version=version,
            thread=thread or delivery,
            subject=pick.first_text(found, pick.SUBJECT),
            text="" if removed else said.text,
            html="" if removed else said.html,
            sender=pick.author_of(opening or message, among, flat),
            channel=pick.channel_of(among),
            ticket=pick.ticket_of(among, flat),
            # Of several messages the one that is taken may be older than the event: its own id and time count.
            message_id=pick.ident(listed.get("id"))
            or pick.first_ident(found, pick.MESSAGE)
            or pick.ident(message.get("id"))
            or (opening and f"{thread}-description")
            or ("" if message else _described(thread, flat))
            or delivery,
            url=pick.first_text(found, pick.URL),
            attachments=files_in((message, *among)),
            tags=pick.tags_of(payload),
            delivery_id=delivery,
            label=event_type,
            unworded="" if removed or said else _unworded(payload, message, event_type),
            remarks=(UNSAID,) if not readers and message and self._preset in _TEMPLATED else (),
            payload=payload,
        )
        return self._mapped(event, payload) if self._fields else event

    def _readers(self, message: Mapping[str, Any]) -> str:
        """Who may read one of several messages; with `keep: [private]` that is no matter."""
        return "" if "private" in self.options.keep else audience(message)

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
        """Return a ticket's first message and its answer."""
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
    """JSON, or a form's fields, or a plain text. A form whose only field holds JSON (`payload=`, `data=`) is that JSON."""
    content_type = inbound.headers.get("content-type", "")
    if not content_type.lower().startswith(FORM_TYPES):
        if content_type.lower().startswith("text/plain") and (
            text := _plain_text(inbound.body, content_type)
        ):
            return {"text": text}
        return parse_lenient(inbound.body)
    form = parse_form(inbound.body, content_type)
    fields = form.fields()
    if not any(fields):
        raise PayloadInvalid("not a form")
    if len(fields) == 1 and (inner := next(iter(fields.values()))).startswith(("{", "[")):
        whole = form.raw(next(iter(fields)))
        return parse_lenient(whole if len(whole) > LONG_BYTES else inner.encode())
    return fields


def _plain_text(body: bytes, content_type: str) -> str:
    """The words of a body that is meant as a text; "" where it is JSON, or empty: many senders call JSON a plain text."""
    if body.lstrip()[:1] in (b"{", b"[", b'"', b""):
        return ""
    if body.strip() in _WORDS_OF_JSON:
        return ""
    return printable(
        decode_bytes(body, content_type.lower().partition("charset=")[2].partition(";")[0])
    ).strip()


def _journal(payload: dict[str, Any]) -> dict[str, Any]:
    """A row of ServiceNow's journal, the comment in `value` and its record in `element_id`, as the record would tell it."""
    if payload.get("element") != "comments" or "comments" in payload:
        return payload
    record = payload.get("element_id") or payload.get("documentkey")
    said = {"comments": payload.get("value"), "author": payload.get("sys_created_by")}
    return {**payload, **said, "sys_id": record, "message_id": payload.get("sys_id")}


def _described(thread: str, flat: Mapping[str, Any]) -> str:
    """The id of the entry that tells what a record says of itself: it comes along with each change of the record, and the same
    words are the same entry. "" where something else is told."""
    words = flat.get("description")
    if not (thread and words) or pick.first_text((flat,), pick.TEXT) != words:
        return ""
    if pick.first_text((flat,), pick.HTML) not in ("", flat.get("descriptionhtml")):
        return ""
    return f"{thread}:{content_key(words)}"


def _opening(among: Sequence[Mapping[str, Any]]) -> BareObject:
    """The issue, pull request or discussion that an event is about, and whose own words it tells again; {} without any."""
    for place in among:
        for name in held(place, _OPENINGS):
            if isinstance(inner := place.get(name), dict) and inner.get("user"):
                return BareObject(inner)
    return NOTHING


def _unworded(payload: dict[str, Any], message: dict[str, Any], event_type: str) -> str:
    """Why there is no text: it may stand deeper than is looked."""
    spoken = message or _SPOKEN.search(event_type) or is_worded(payload, SAID)
    return "no_text" if spoken else ""


def _delivery_in(payload: Mapping[str, Any], event_type: str) -> str:
    """An id of the event, never of what it is about: `id` alone could be a ticket's, which comes again."""
    if found := pick.first_ident((payload,), pick.DELIVERY_PATHS):
        return found
    own = payload.get("id")
    return own if event_type and isinstance(own, str) and own.startswith(("evt_", "msg_", "ntf_")) else ""


def _hide(body: Any, path: str) -> None:
    """The shared token goes no further than the door."""
    outer, _, last = path.rpartition(".")
    place = pick.follow(body, outer) if outer else body
    if isinstance(place, dict):
        place.pop(last, None)
