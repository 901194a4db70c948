"""CloudEvents over HTTP: structured, binary and batched, with the abuse protection of the webhook binding.

Source: CloudEvents 1.0, "HTTP Protocol Binding", "JSON Event Format", "HTTP 1.1 Web Hooks for Event
Delivery".
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import unquote

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import KINDS, Event, event_id
from relay.sources.base import (
    Inbound,
    Parked,
    Parsed,
    Reply,
    Sample,
    Skipped,
    any_same,
    content_key,
    iso_from_us,
)
from relay.sources.foreign_json import parse_json
from relay.sources.proof.kinds import SignatureProof
from relay.sources.providers.generic import MAX_BATCH_ITEMS, Generic
from relay.sources.read import pick
from relay.sources.read.either import read_either

_REQUIRED = ("specversion", "id", "source", "type")
_BATCH = "application/cloudevents-batch+json"


class CloudEvents(Generic):
    name: ClassVar[str] = "cloudevents"

    def _check_login(self, head: Inbound) -> None:
        """A bearer token may stand in the header or, as the binding allows, in the query."""
        given = head.query.get("access_token", "")
        tokens = [token for token in self.options.bearer() if token]
        if not (given and tokens):
            super()._check_login(head)
        elif not any_same(given, tokens):
            raise NotAuthentic("bearer")

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        """Give dedupe keys of what is signed: in binary mode the id stands in a header that no signature covers."""
        if "ce-specversion" in inbound.headers:
            sent = (
                inbound.headers.get(f"{prefix}-{name}", "")
                for prefix in ("webhook", "svix")
                for name in ("id", "timestamp")
            )
            if not isinstance(self._proof, SignatureProof):
                return self._rule.once(*sent, inbound.body)
        return super().nonces(inbound)

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        """Return the abuse protection's validation request: we allow the origin and the rate that are asked for."""
        origin = inbound.headers.get("webhook-request-origin", "")
        if inbound.method != "OPTIONS" or not origin:
            return super().handshake(inbound, now_s=now_s)
        headers = {"allow": "POST", "webhook-allowed-rate": "*"}
        rate = inbound.headers.get("webhook-request-rate", "")
        if rate.isascii() and rate.isdigit():
            headers["webhook-allowed-rate"] = rate
        if origin.isascii() and origin.isprintable():
            headers["webhook-allowed-origin"] = origin
        return Reply(200, headers=headers)

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        content_type = inbound.headers.get("content-type", "").lower().partition(";")[0].strip()
        if "ce-specversion" in inbound.headers:
            # A signature covers the body, and none of these headers.
            unsigned = self._rule.secret
            return [self._event(_of_headers(inbound, content_type), inbound, now_s, unsigned=unsigned)]
        items = parse_json(inbound.body)
        if isinstance(items, dict) and content_type != _BATCH:
            return [self._event(items, inbound, now_s)]
        if not isinstance(items, list) or len(items) > MAX_BATCH_ITEMS:
            raise PayloadInvalid("wanted an event, or a list of events")
        return [self._item(item, n, inbound, now_s) for n, item in enumerate(items)]

    def _item(self, item: Any, number: int, inbound: Inbound, now_s: float) -> Parsed:
        """One bad event of a batch is parked: the others go on."""
        try:
            if not isinstance(item, dict):
                raise PayloadInvalid("wanted an object")
            return self._event(item, inbound, now_s)
        except PayloadInvalid as error:
            return Parked(str(error), f"{content_key(inbound.body)}#{number}")

    def _event(
        self, envelope: dict[str, Any], inbound: Inbound, now_s: float, *, unsigned: bool = False
    ) -> Event | Skipped:
        for key in _REQUIRED:
            if not isinstance(envelope.get(key), str) or not envelope[key]:
                raise PayloadInvalid("wanted a string", key)
        if not envelope["specversion"].startswith("1."):
            raise PayloadInvalid("wanted CloudEvents 1.x", "specversion")
        own_id, origin, event_type = envelope["id"], envelope["source"], envelope["type"]
        data = _data(envelope)
        if data is not None:
            envelope = {**envelope, "data": data}
        event = self.event_of(envelope, inbound, delivery=own_id, kind=event_type, now_s=now_s)
        if isinstance(event, Skipped):
            return event
        among = pick.places(data) if isinstance(data, dict) else []
        flat = pick.flatten(among)
        about = pick.ident(envelope.get("subject"))
        sent_us = pick.first_moment_us((envelope,), ("time",))
        if sent_us is None:
            sent_us = event.version
        suffix = ".".join(event_type.split(".")[-2:])
        text, html = read_either(data) if isinstance(data, str) else (event.text, event.html)
        own = replace(
            event,
            id=event_id(event.source, f"{origin}\x1f{own_id}"),
            kind="custom" if unsigned else suffix if suffix in KINDS else event.kind,
            time=iso_from_us(sent_us),
            version=sent_us,
            thread=(pick.thread_of(among, flat) if among else "") or about or own_id,
            # The envelope's subject may be a title, and is mostly a path or an id.
            subject=pick.first_text((flat,), pick.SUBJECT) or (about if " " in about else ""),
            text=text,
            html=html,
            message_id=pick.first_ident((flat,), pick.MESSAGE) or own_id,
            label=about or event_type,
        )
        return self._mapped(own, envelope) if self._fields else own

    def _sample_message(self, ticket_us: int, moment_us: int, text: str) -> Sample:
        body = {
            "specversion": "1.0",
            "id": f"E-{moment_us:X}",
            "source": "/helpdesk/sample",
            "type": "com.example.ticket.commented",
            "time": iso_from_us(moment_us),
            "subject": f"ticket/{ticket_us:X}",
            "datacontenttype": "application/json",
            "data": {
                "ticket": {"id": f"T-{ticket_us:X}", "subject": "Export fails", "status": "open"},
                "text": text,
                "requester": {"name": "Ana Example", "email": "ana@example.com"},
            },
        }
        return Sample(orjson.dumps(body), {"content-type": "application/cloudevents+json; charset=utf-8"})


def _data(envelope: dict[str, Any]) -> Any:
    """The event's data; where it came as bytes (`data_base64`), what they hold: JSON by its content type, or text."""
    data, encoded = envelope.get("data"), envelope.get("data_base64")
    if data is not None or not isinstance(encoded, str):
        return data
    try:
        raw = b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise PayloadInvalid("wanted base64", "data_base64") from None
    kind = envelope.get("datacontenttype")
    # Without a content type the data of a JSON envelope is JSON.
    if not isinstance(kind, str) or kind.partition(";")[0].strip().lower().endswith(("/json", "+json")):
        try:
            return parse_json(raw)
        except PayloadInvalid:
            if isinstance(kind, str):
                raise
    elif not kind.lower().startswith("text/"):
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _of_headers(inbound: Inbound, content_type: str) -> dict[str, Any]:
    """Binary mode: the attributes are percent-encoded `ce-` headers, the body is the data alone."""
    envelope: dict[str, Any] = {
        key[3:]: unquote(pick.header(inbound.headers, key), errors="replace")
        for key in inbound.headers
        if key.startswith("ce-")
    }
    body = inbound.body
    if content_type.endswith(("/json", "+json")):
        envelope["data"] = parse_json(body) if body else None
    else:
        try:
            envelope["data"] = body.decode()
        except UnicodeDecodeError:
            envelope["data_base64"] = b64encode(body).decode()
    return envelope
