"""Postmark's inbound webhook: one mail as JSON, unsigned; its proof is the login in the URL.

Source: Postmark, "Inbound webhook" and "Parse an email". Retried ten times over 10.5 hours unless answered 403,
so nothing here ever answers 403.
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from relay.event import Attachment, Recipient
from relay.sources.base import Inbound, Parsed, Sample, Skipped
from relay.sources.foreign_json import Walk, json_object
from relay.sources.large_json import utf8_of
from relay.sources.mail.adapter import MailAdapter
from relay.sources.mail.event import Mail
from relay.sources.mail.headers import MailHeaders, attachment
from relay.sources.mail.mime import read_mime
from relay.sources.mail.sample import MailSample, sample_mails
from relay.sources.proof.login_proof import LoginProof

#: What the "Check" button of Postmark's settings posts.
_CHECK_ID = "00000000-0000-0000-0000-000000000000"


class Postmark(LoginProof, MailAdapter):
    name: ClassVar[str] = "postmark"

    def parse_mail(self, inbound: Inbound, *, now_s: float) -> Parsed:
        payload = json_object(inbound.body)
        body = Walk(payload)
        own_id = body.maybe_text("MessageID")
        if own_id == _CHECK_ID:
            return Skipped("test")
        if "RecordType" in payload and "FromFull" not in payload and "From" not in payload:
            # An outbound webhook (delivery, bounce, open) pointed at the inbound address.
            return Skipped("type")
        headers = MailHeaders(
            (item.maybe_text("Name"), item.maybe_text("Value")) for item in body.items("Headers")
        )
        raw, text, html = (
            body.maybe_text("RawEmail"),
            body.maybe_text("TextBody"),
            body.maybe_text("HtmlBody"),
        )
        attachments = _attachments(body)
        if raw and ("message-id" not in headers or not (text or html)):
            # "Include raw email": the mail itself may say what the parsed fields leave out.
            mime = read_mime(utf8_of(raw))
            headers = headers if "message-id" in headers else mime.headers
            if not (text or html):
                text, html, attachments = mime.text, mime.html, attachments or list(mime.attachments)
        sender = body.maybe("FromFull")
        envelope_to = body.maybe_text("OriginalRecipient")
        mail = Mail(
            headers=headers,
            text=text,
            html=html,
            reply=body.maybe_text("StrippedTextReply"),
            subject=body.maybe_text("Subject"),
            sender=body.maybe_text("From"),
            sender_pair=(sender.maybe_text("Name"), sender.maybe_text("Email")),
            to=body.maybe_text("To"),
            cc=body.maybe_text("Cc"),
            bcc=body.maybe_text("Bcc"),
            people=_people(body),
            envelope_to=(envelope_to,) if envelope_to else (),
            date=body.maybe_text("Date"),
            id_without_header=own_id,
            attachments=attachments,
            tags=(body.maybe_text("Tag"),),
            delivery_id=own_id,
            payload=_without_content(payload),
        )
        return self.event(mail, now_s=now_s)

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        return [
            Sample(orjson.dumps(_as_postmark(mail)), {"content-type": "application/json"})
            for mail in sample_mails(serial=serial, now_s=now_s)
        ]


def _people(body: Walk) -> list[Recipient] | None:
    found = [
        Recipient(person.maybe_text("Name")[:256], person.maybe_text("Email")[:320], role)
        for key, role in (("ToFull", "to"), ("CcFull", "cc"), ("BccFull", "bcc"))
        for person in body.items(key)
        if person.maybe_text("Email")
    ]
    return found or None


def _attachments(body: Walk) -> list[Attachment]:
    return [
        attachment(item.maybe_text("Name"), item.maybe_text("ContentType"), item.value.get("ContentLength"))
        for item in body.items("Attachments")
    ]


def _without_content(payload: dict[str, Any]) -> dict[str, Any]:
    """The payload for templates: without what is attached, and without the raw mail that repeats it."""
    kept = {key: value for key, value in payload.items() if key != "RawEmail"}
    files = kept.get("Attachments")
    if isinstance(files, list):
        kept["Attachments"] = [
            {key: value for key, value in file.items() if key not in ("Content", "Data")}
            for file in files
            if isinstance(file, dict)
        ]
    return kept


def _as_postmark(mail: MailSample) -> dict[str, Any]:
    name, email = mail.sender
    return {
        "FromName": name,
        "MessageStream": "inbound",
        "From": email,
        "FromFull": {"Email": email, "Name": name, "MailboxHash": ""},
        "To": mail.recipient,
        "ToFull": [{"Email": mail.recipient, "Name": "", "MailboxHash": ""}],
        "CcFull": [],
        "BccFull": [],
        "OriginalRecipient": mail.recipient,
        "Subject": mail.subject,
        "MessageID": mail.provider_id,
        "Date": mail.date,
        "TextBody": mail.text,
        "HtmlBody": mail.html,
        "StrippedTextReply": mail.reply if mail.quotes else "",
        "Tag": "",
        "Headers": [{"Name": key, "Value": value} for key, value in mail.thread_headers],
        "Attachments": [],
    }
