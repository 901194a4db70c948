"""Resend's inbound mail: signed as Svix signs, and thin: who, to whom and what about, but no text.

Source: Resend, "Receiving emails" and "Verify webhooks". The text would need a look-up by the workers (`enrich`);
without one the event is relayed with what it has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import orjson

from relay.event import Attachment, Event
from relay.source_options import SourceOptions
from relay.sources.base import Answers, Inbound, Parsed, Sample, Skipped
from relay.sources.foreign_json import Walk, json_object
from relay.sources.mail.adapter import MailAdapter
from relay.sources.mail.event import Mail
from relay.sources.mail.headers import MailHeaders, attachment, header_pairs
from relay.sources.mail.sample import sample_mails
from relay.sources.proof.credentials import login_headers, require_secret
from relay.sources.proof.rule import ProofRule
from relay.sources.proof.standard import (
    look_at_standard_head,
    sign_standard_webhooks,
    verify_standard_webhooks,
)


class Resend(MailAdapter):
    name: ClassVar[str] = "resend"
    answers = Answers(malformed=503)

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the webhook's signing secret, whsec_...")
        self._rule = ProofRule(options)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        if self._rule.check_head(head, head.headers.get("svix-signature", "")):
            look_at_standard_head(head, now_s, "svix")

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if self._rule.secret:
            secrets = [secret for secret in self.options.secrets() if secret]
            verify_standard_webhooks(inbound, secrets, (), now_s, prefix="svix")

    def parse_mail(self, inbound: Inbound, *, now_s: float) -> Parsed:
        payload = json_object(inbound.body)
        body = Walk(payload)
        if body.text("type") != "email.received":
            # Events of sent mails (delivered, opened, bounced) of the same account.
            return Skipped("type")
        data = body["data"]
        mail = Mail(
            headers=MailHeaders(header_pairs(data.value.get("headers"))),
            text=data.maybe_text("text"),
            html=data.maybe_text("html"),
            subject=data.maybe_text("subject"),
            sender=data.maybe_text("from"),
            to=_joined(data, "to"),
            cc=_joined(data, "cc"),
            bcc=_joined(data, "bcc"),
            envelope_to=data.texts("received_for"),
            date=data.maybe_text("created_at") or body.maybe_text("created_at"),
            message_id=data.maybe_text("message_id"),
            id_without_header=data.maybe_text("email_id"),
            attachments=_attachments(data),
            delivery_id=inbound.headers.get("svix-id", ""),
            payload=payload,
        )
        found = self.event(mail, now_s=now_s)
        # Resend's webhook tells what a mail is about; its words are fetched by the workers (`enrich`).
        return replace(found, unworded="look_up") if isinstance(found, Event) else found

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        found = []
        for mail in sample_mails(serial=serial, now_s=now_s):
            data = {
                "email_id": mail.provider_id,
                "from": mail.from_line,
                "to": [mail.recipient],
                "cc": [],
                "bcc": [],
                "subject": mail.subject,
                "message_id": mail.message_id,
                "attachments": [],
                "headers": dict(mail.thread_headers) | {"Date": mail.date},
            }
            found.append(
                Sample(
                    orjson.dumps({"type": "email.received", "data": data}),
                    {"content-type": "application/json"},
                )
            )
        return found

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        data = Walk(json_object(sample.body)).maybe("data")
        message_id = f"msg_{data.maybe_text('email_id') or 'sample'}"
        proof = sign_standard_webhooks(sample.body, secret, message_id=message_id, now_s=now_s, prefix="svix")
        return Sample(sample.body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)


def _joined(data: Walk, key: str) -> str:
    return ", ".join(data.texts(key)) or data.maybe_text(key)


def _attachments(data: Walk) -> list[Attachment]:
    return [
        attachment(item.maybe_text("filename"), item.maybe_text("content_type"), item.value.get("size"))
        for item in data.items("attachments")
    ]
