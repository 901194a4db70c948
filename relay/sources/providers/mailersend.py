"""MailerSend's inbound routes: one mail as JSON, parsed and as it was sent; signed with the route's own secret.

Source: MailerSend, "Inbound routing" and "Webhooks" (the header `Signature`). What it does after an answer other than 2xx is
not documented: whatever is amiss is answered "later", which no sender takes for a refusal.
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic
from relay.event import Attachment
from relay.source_options import SourceOptions
from relay.sources.base import Answers, Inbound, Parsed, Sample, Skipped
from relay.sources.foreign_json import Walk, json_object
from relay.sources.large_json import utf8_of
from relay.sources.mail.adapter import MailAdapter, mail_of, mail_view
from relay.sources.mail.event import Mail
from relay.sources.mail.headers import MailHeaders, attachment, header_pairs
from relay.sources.mail.mime import read_mime
from relay.sources.mail.sample import MailSample, sample_mails
from relay.sources.proof.credentials import keyed_digest, login_headers, matches_hex, require_secret
from relay.sources.proof.rule import ProofRule


class MailerSend(MailAdapter):
    name: ClassVar[str] = "mailersend"
    answers = Answers(accepted=200, not_authentic=503, malformed=503)

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the secret of the inbound route")
        self._rule = ProofRule(options)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_head(head, head.headers.get("signature", ""))

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if self._rule.secret and not matches_hex(
            inbound.headers.get("signature", ""), self.options.secrets(), inbound.body
        ):
            raise NotAuthentic("signature")

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        return self._rule.once(inbound.body)

    def timeless(self, inbound: Inbound) -> bool:
        return self._rule.secret

    def parse_mail(self, inbound: Inbound, *, now_s: float) -> Parsed:
        payload = json_object(inbound.body)
        body = Walk(payload)
        if body.text("type") != "inbound.message":
            # Activity of sent mails (delivered, opened), or the test of a webhook.
            return Skipped("type")
        return self.event(_mail(body, payload), now_s=now_s)

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        return [
            Sample(orjson.dumps(_sample_payload(mail)), {"content-type": "application/json"})
            for mail in sample_mails(serial=serial, now_s=now_s)
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        proof = {"signature": keyed_digest(secret.encode(), sample.body).hex()}
        return Sample(sample.body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)


def _mail(body: Walk, payload: dict[str, Any]) -> Mail:
    data = body["data"]
    recipients = data.maybe("recipients")
    kept = _without_content({key: value for key, value in data.value.items() if key != "raw"})
    known: dict[str, Any] = {
        "envelope_from": _envelope_from(data),
        "envelope_to": [one.maybe_text("email") for one in recipients.items("rcptTo")],
        "received": data.maybe_text("created_at") or body.maybe_text("created_at"),
        "id_without_header": data.maybe_ident("id"),
        "delivery_id": data.maybe_ident("id"),
    }
    if raw := data.maybe_text("raw"):
        mime = read_mime(utf8_of(raw))
        return mail_of(mime, **known, payload={**payload, "data": {**kept, **mail_view(mime)}})
    return Mail(
        headers=MailHeaders(header_pairs(data.value.get("headers"))),
        text=data.maybe_text("text"),
        html=data.maybe_text("html"),
        subject=data.maybe_text("subject"),
        sender=data.maybe("from").maybe_text("raw"),
        to=recipients.maybe("to").maybe_text("raw"),
        cc=recipients.maybe("cc").maybe_text("raw"),
        date=data.maybe_text("date"),
        attachments=_attachments(data),
        payload={**payload, "data": kept},
        **known,
    )


def _envelope_from(data: Walk) -> str | None:
    given = data.maybe("sender").value.get("email")
    return given if isinstance(given, str) else None


def _attachments(data: Walk) -> list[Attachment]:
    return [
        attachment(item.maybe_text("file_name"), item.maybe_text("content_type"), item.maybe_size("size"))
        for item in data.items("attachments")
    ]


def _without_content(data: dict[str, Any]) -> dict[str, Any]:
    files = data.get("attachments")
    if not isinstance(files, list):
        return data
    listed = [
        {key: value for key, value in file.items() if key != "content"}
        for file in files
        if isinstance(file, dict)
    ]
    return {**data, "attachments": listed}


def _sample_payload(mail: MailSample) -> dict[str, Any]:
    return {
        "type": "inbound.message",
        "inbound_id": "sample",
        "data": {
            "object": "message",
            "id": mail.provider_id,
            "recipients": {"rcptTo": [{"email": mail.recipient}], "to": {"raw": mail.recipient}},
            "from": {"email": mail.sender[1], "name": mail.sender[0], "raw": mail.from_line},
            "sender": {"email": mail.sender[1]},
            "subject": mail.subject,
            "date": mail.date,
            "headers": dict(mail.headers),
            "text": mail.text,
            "html": mail.html,
            "raw": mail.mime().decode("utf-8", "replace"),
            "attachments": [],
        },
    }
