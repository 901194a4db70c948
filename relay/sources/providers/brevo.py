"""Brevo's inbound parsing: mails as JSON, several in one request, unsigned; its proof is a login, or a header of the webhook's.

Source: Brevo, "Parse inbound email", "Retry mechanism", "Secure your webhooks". Any 4xx but 429, and any 5xx, makes Brevo
drop what it sent; a 429 is repeated after 10 minutes, one, two and eight hours. So whatever is amiss is answered 429.
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import unquote

import orjson

from relay.errors import PayloadInvalid
from relay.event import Attachment, Recipient
from relay.sources.base import Answers, Inbound, Parsed, Sample, Skipped
from relay.sources.foreign_json import Walk, json_object
from relay.sources.mail.adapter import MailAdapter
from relay.sources.mail.event import Mail
from relay.sources.mail.headers import MailHeaders, attachment, header_pairs
from relay.sources.mail.sample import MailSample, sample_mails
from relay.sources.proof.login_proof import LoginProof

_LATER = 429


class Brevo(LoginProof, MailAdapter):
    name: ClassVar[str] = "brevo"
    answers = Answers(accepted=200, not_authentic=_LATER, malformed=_LATER, try_later=_LATER)

    def parse_mails(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        payload = json_object(inbound.body)
        if "items" not in payload and "event" in payload:
            # What became of a sent mail.
            return [Skipped("type")]
        items = payload.get("items")
        if not isinstance(items, list):
            raise PayloadInvalid("wanted a list", "items")
        return self.parse_each(inbound, items, _mail, now_s=now_s)

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        return [
            Sample(orjson.dumps({"items": [_sample_item(mail)]}), {"content-type": "application/json"})
            for mail in sample_mails(serial=serial, now_s=now_s)
        ]


def _mail(item: Walk) -> Mail:
    pairs = header_pairs(item.value.get("Headers"))
    there = {name.lower() for name, _ in pairs}
    headers = MailHeaders([*pairs, *(pair for pair in _beside(item) if pair[0] not in there)])
    sender, uuids = item.maybe("From"), item.texts("Uuid")
    own_id = uuids[0] if uuids else item.maybe_text("Uuid")
    text, html = item.maybe_text("RawTextBody"), item.maybe_text("RawHtmlBody")
    delivered_to = unquote(headers.raw("delivered-to"))
    return Mail(
        headers=headers,
        # What Brevo took for the answer is Markdown, made without evidence: only where there is nothing else.
        text=text if text or html else item.maybe_text("ExtractedMarkdownMessage"),
        html=html,
        subject=item.maybe_text("Subject"),
        sender_pair=(sender.maybe_text("Name"), sender.maybe_text("Address")),
        people=_people(item),
        envelope_to=(delivered_to,) if delivered_to else item.texts("Recipients"),
        date=item.maybe_text("SentAtDate"),
        message_id=item.maybe_text("MessageId"),
        id_without_header=own_id,
        attachments=_attachments(item),
        delivery_id=own_id,
        payload=item.value,
    )


def _beside(item: Walk) -> list[tuple[str, str]]:
    """What stands beside the headers, where they lack it."""
    person, found = item.maybe("ReplyTo"), []
    if answers := item.maybe_text("InReplyTo"):
        found.append(("in-reply-to", answers))
    if address := person.maybe_text("Address"):
        found.append(("reply-to", f'"{person.maybe_text("Name")}" <{address}>'))
    return found


def _people(item: Walk) -> list[Recipient] | None:
    found = [
        Recipient(person.maybe_text("Name")[:256], person.maybe_text("Address")[:320], key.lower())
        for key in ("To", "Cc", "Bcc")
        for person in item.items(key)
        if person.maybe_text("Address")
    ]
    return found or None


def _attachments(item: Walk) -> list[Attachment]:
    return [
        attachment(file.maybe_text("Name"), file.maybe_text("ContentType"), file.maybe_size("ContentLength"))
        for file in item.items("Attachments")
    ]


def _sample_item(mail: MailSample) -> dict[str, Any]:
    name, email = mail.sender
    headers = dict(mail.headers)
    return {
        "Uuid": [mail.provider_id],
        "MessageId": mail.message_id,
        "InReplyTo": headers.get("In-Reply-To"),
        "From": {"Name": name, "Address": email},
        "To": [{"Name": None, "Address": mail.recipient}],
        "Cc": [],
        "ReplyTo": None,
        "SentAtDate": mail.date,
        "Subject": mail.subject,
        "Attachments": [],
        "Headers": headers,
        "ExtractedMarkdownMessage": mail.reply,
        "RawHtmlBody": mail.html,
        "RawTextBody": mail.text,
    }
