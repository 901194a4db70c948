"""Crisp: messages of chat sessions. Plugin hooks are signed; website hooks carry `?key=`.

Source: Crisp, "Web Hooks (v1)", "Signing secret".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import orjson

from relay.event import Attachment, Event, Person, event_id
from relay.source_options import SourceOptions
from relay.sources.base import BaseAdapter, Inbound, Parsed, Sample, Skipped, iso_from_us
from relay.sources.foreign_json import Walk, json_object
from relay.sources.proof.credentials import login_headers, require_secret
from relay.sources.proof.rule import ProofRule
from relay.sources.proof.signature import read_signature
from relay.sources.read.attached import read_file
from relay.sources.read.moment import moment_us
from relay.sources.read.privacy import is_private
from relay.value import AS_BEFORE

_SIGNATURE = {
    "header": "x-crisp-signature",
    "timestamp_header": "x-crisp-request-timestamp",
    "signed": "[{timestamp};{body}]",
    "unit": "ms",
}
_FILES = frozenset({"file", "animation", "audio", "image", "video"})
_KINDS = {
    "message:send": "message.created",
    "message:received": "message.created",
    "message:updated": "message.updated",
    "message:removed": "message.deleted",
    "session:removed": "message.deleted",
}


class Crisp(BaseAdapter):
    name: ClassVar[str] = "crisp"

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the hook's signing secret or key")
        self._rule = ProofRule(options)
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
        if what == "session:removed":
            return [self._removed(payload, body, now_s)]
        return [self._message(payload, body, body["data"], what, now_s)]

    def _removed(self, payload: dict[str, Any], body: Walk, now_s: float) -> Event:
        """The whole conversation: no message of it is named."""
        data = body["data"]
        session = data.text("session_id")
        found = moment_us(body.value.get("timestamp")) or moment_us(data.value.get("timestamp"))
        version = int(now_s * 1_000_000) if found is None else found
        delivery = f"session:removed:{session}"
        return Event(
            id=event_id(self.options.name, delivery),
            source=self.options.name,
            adapter=self.name,
            kind="message.deleted",
            time=iso_from_us(version),
            version=version,
            thread=session,
            message_id=session,
            delivery_id=delivery,
            payload=payload,
        )

    def _message(self, payload: dict[str, Any], body: Walk, data: Walk, what: str, now_s: float) -> Parsed:
        form = data.maybe_text("type")
        bot = data.value.get("automated") is True
        for word, reason, skipped in (
            ("private", "private", form == "note" or is_private(data.value)),
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
        sender = Person(
            id=user.maybe_text("user_id") or data.maybe_text("from"),
            name=user.maybe_text("nickname"),
            email=user.maybe_text("email"),
            bot=bot,
        )
        if what == "message:updated" and not (sender.name or sender.email):
            # An edit tells the new content alone: who wrote it stands with the message.
            sender = Person(name=AS_BEFORE)
        return Event(
            id=event_id(source, delivery),
            source=source,
            adapter=self.name,
            kind=_KINDS[what],
            time=iso_from_us(version),
            version=version,
            thread=session,
            text="" if what == "message:removed" else _text(data),
            sender=sender,
            message_id=fingerprint,
            attachments=_attachments(data),
            delivery_id=delivery,
            keeps_author=what != "message:updated",
            payload=payload,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return a visitor's message and an operator's answer."""
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
    lines = [content.maybe_text("text") or content.maybe_text("explain")]
    if data.maybe_text("type") not in _FILES:
        lines[0] = lines[0] or content.maybe_text("name")
    lines += [_choice(choice) for choice in content.items("choices")]
    for card in content.items("targets"):
        lines += [card.maybe_text("title"), card.maybe_text("description")]
    if value := content.maybe_text("value"):
        lines.append(value)
    return "\n".join(line for line in lines if line)


def _choice(choice: Walk) -> str:
    """An entry of a list; the one that was taken has a tick."""
    label = choice.maybe_text("label") or choice.maybe_text("value")
    return f"{'☑' if choice.value.get('selected') is True else '-'} {label}" if label else ""


def _attachments(data: Walk) -> tuple[Attachment, ...]:
    kind = data.maybe_text("type")
    if kind not in _FILES:
        return ()
    file = read_file({**data.maybe("content").value, "length": None})
    if file is None:
        return ()
    return (replace(file, name=file.name if data.maybe("content").maybe_text("name") else kind),)


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
