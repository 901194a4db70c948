"""Mailjet's Parse API: one mail as JSON, headers and parts apart, unsigned; its proof is the login in the URL.

Source: Mailjet, "Parse API: inbound emails". An answer other than 200 makes Mailjet try again.
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from relay.event import Attachment
from relay.sources.base import Answers, Inbound, Parsed, Sample, Skipped
from relay.sources.foreign_json import Walk, json_object
from relay.sources.large_json import base64_size
from relay.sources.mail.adapter import MailAdapter
from relay.sources.mail.event import Mail
from relay.sources.mail.flowed import unflowed
from relay.sources.mail.headers import MailHeaders, attachment, decoded, header_pairs
from relay.sources.mail.sample import MailSample, sample_mails
from relay.sources.proof.login_proof import LoginProof
from relay.sources.read.multipart import parse_parameters

_TEXT, _HTML = "Text-part", "Html-part"


class Mailjet(LoginProof, MailAdapter):
    name: ClassVar[str] = "mailjet"
    answers = Answers(accepted=200, not_authentic=503, malformed=503)

    def parse_mail(self, inbound: Inbound, *, now_s: float) -> Parsed:
        payload = json_object(inbound.body)
        if "event" in payload and "Headers" not in payload:
            # What became of a sent mail.
            return Skipped("type")
        return self.event(_mail(Walk(payload)), now_s=now_s)

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        return [
            Sample(orjson.dumps(_sample_payload(mail)), {"content-type": "application/json"})
            for mail in sample_mails(serial=serial, now_s=now_s)
        ]


def _mail(body: Walk) -> Mail:
    headers = MailHeaders(header_pairs(body.value.get("Headers")))
    parts = [_Part(part) for part in body.items("Parts")]
    text, flowed = body.maybe_text(_TEXT), False
    for part in parts:
        if part.place == _TEXT and part.kind_parameters.get("format", "").lower() == "flowed":
            flowed = True
            text = unflowed(text, delete_space=part.kind_parameters.get("delsp", "").lower() == "yes")
    sender = body.value.get("Sender")
    return Mail(
        headers=headers,
        text=text,
        html=body.maybe_text(_HTML),
        flowed=flowed,
        subject=body.maybe_text("Subject"),
        sender=body.maybe_text("From"),
        envelope_from=sender if isinstance(sender, str) else None,
        envelope_to=[body.maybe_text("Recipient")],
        attachments=[part.attachment(body) for part in parts if "Attachment" in part.place],
        delivery_id=headers.get("message-id"),
        payload={key: value for key, value in body.value.items() if "Attachment" not in key},
    )


class _Part:
    """One entry of `Parts`; `place` is the key under which its content stands."""

    def __init__(self, part: Walk) -> None:
        self.place = part.maybe_text("ContentRef")
        headers = MailHeaders(header_pairs(part.value.get("Headers")))
        self.kind, self.kind_parameters = parse_parameters(headers.raw("content-type"))
        _, disposition = parse_parameters(headers.raw("content-disposition"))
        self.name = decoded(disposition.get("filename") or self.kind_parameters.get("name", ""))

    def attachment(self, body: Walk) -> Attachment:
        content = body.maybe_text(self.place)
        return attachment(self.name, self.kind, base64_size(content))


def _sample_payload(mail: MailSample) -> dict[str, Any]:
    return {
        "Sender": mail.sender[1],
        "Recipient": mail.recipient,
        "From": mail.from_line,
        "Subject": mail.subject,
        "Headers": {name: [value] for name, value in mail.headers},
        "Parts": [
            {"Headers": {"Content-Type": ['text/plain; charset="UTF-8"']}, "ContentRef": _TEXT},
            {"Headers": {"Content-Type": ['text/html; charset="UTF-8"']}, "ContentRef": _HTML},
        ],
        _TEXT: mail.text,
        _HTML: mail.html,
        "SpamAssassinScore": "0",
    }
