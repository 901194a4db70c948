"""Crisp: messages of chat sessions. Plugin hooks are signed; website hooks carry `?key=`.

Source: Crisp, "Web Hooks (v1)", "Signing secret".
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from relay.event import Attachment, Event, Person, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    BaseAdapter,
    Inbound,
    Parsed,
    Sample,
    Skipped,
    Walk,
    iso_from_us,
    json_object,
)
from relay.sources.proof.credentials import login_headers, require_secret
from relay.sources.proof.rule import Rule
from relay.sources.proof.signature import read_signature
from relay.sources.read.moment import moment_us

_SIGNATURE = {
    "header": "x-crisp-signature",
    "timestamp_header": "x-crisp-request-timestamp",
    "signed": "[{timestamp};{body}]",
    "unit": "ms",
}
_KINDS = {
    "message:send": "message.created",
    "message:received": "message.created",
    "message:updated": "message.updated",
    "message:removed": "message.deleted",
}


class Crisp(BaseAdapter):
    name: ClassVar[str] = "crisp"

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the hook's signing secret or key")
        self._rule = Rule(options)
        self._signature = read_signature(options.signature, preset=_SIGNATURE)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        key, given = head.query.get("key", ""), head.headers.get(self._signature.header, "")
        if key and not given:
            self._rule.check_login(head)
            self._rule.check_token(key)
        elif self._rule.check_head(head, given):
            self._signature.look_at_head(head, now_s=now_s)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if self._rule.secret and self._signature.header in inbound.headers:
            self._signature.verify(inbound, self.options.secrets(), now_s=now_s)

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        payload = json_object(inbound.body)
        body = Walk(payload)
        what = body.text("event")
        if what not in _KINDS:
            return [Skipped("type")]
        return [self._message(payload, body, body["data"], what, now_s)]

    def _message(self, payload: dict[str, Any], body: Walk, data: Walk, what: str, now_s: float) -> Parsed:
        form = data.maybe_text("type")
        bot = data.value.get("automated") is True
        for word, reason, skipped in (
            ("private", "private", form == "note"),
            ("bots", "bot", bot),
            ("", "type", form == "event"),
        ):
            if skipped and word not in self.options.keep:
                return Skipped(reason)
        session, fingerprint = data.text("session_id"), data.ident("fingerprint")
        stamp = data.value.get("timestamp") if what in ("message:send", "message:received") else None
        found = moment_us(stamp) or moment_us(body.value.get("timestamp"))
        version = int(now_s * 1_000_000) if found is None else found
        delivery = f"{what}:{session}:{fingerprint}"
        if what == "message:updated":
            delivery += f":{body.maybe_ident('timestamp')}"
        user, source = data.maybe("user"), self.options.name
        return Event(
            id=event_id(source, delivery),
            source=source,
            adapter=self.name,
            kind=_KINDS[what],
            time=iso_from_us(version),
            version=version,
            thread=session,
            text="" if what == "message:removed" else _text(data),
            sender=Person(
                id=user.maybe_text("user_id") or data.maybe_text("from"),
                name=user.maybe_text("nickname"),
                email=user.maybe_text("email"),
                bot=bot,
            ),
            message_id=fingerprint,
            attachments=_attachments(data),
            delivery_id=delivery,
            payload=payload,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """A visitor's message and an operator's answer."""
        moment_ms = int(now_s) * 1000
        session = f"session_{moment_ms:x}-{serial}"
        return [
            _sample_message("message:send", session, moment_ms, serial, "user", "Hi, the export fails"),
            _sample_message(
                "message:received", session, moment_ms + 1000, serial + 1, "operator", "We look at it"
            ),
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        proof = self._signature.sign(sample.body, secret, now_s=now_s)
        return Sample(sample.body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)


def _text(data: Walk) -> str:
    """`content` is a string, or an object whose text has another name for each type of message."""
    if text := data.maybe_text("content"):
        return text
    content = data.maybe("content")
    return content.maybe_text("text") or content.maybe_text("explain") or content.maybe_text("name")


def _attachments(data: Walk) -> tuple[Attachment, ...]:
    if data.maybe_text("type") not in ("file", "animation", "audio"):
        return ()
    content = data.maybe("content")
    return (
        Attachment(
            name=content.maybe_text("name"), type=content.maybe_text("type"), url=content.maybe_text("url")
        ),
    )


def _sample_message(what: str, session: str, moment_ms: int, serial: int, author: str, text: str) -> Sample:
    body = {
        "website_id": "00000000-0000-4000-8000-000000000001",
        "event": what,
        "data": {
            "website_id": "00000000-0000-4000-8000-000000000001",
            "session_id": session,
            "type": "text",
            "content": text,
            "from": author,
            "origin": "chat",
            "stamped": True,
            "timestamp": moment_ms,
            "fingerprint": moment_ms * 100 + serial,
            "user": {"nickname": "Ana Example", "user_id": session},
        },
        "timestamp": moment_ms,
    }
    return Sample(orjson.dumps(body), {"content-type": "application/json"})
