"""Amazon SES's received mails, as SNS posts them: a signed envelope, in it the notification, in it the mail.

Source: AWS, "Contents of notifications for Amazon SES email receiving", "Amazon SNS message signing". Anyone with an AWS
account can have SNS sign something, so the topic is what tells ours from theirs: it is pinned.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import replace
from typing import Any, ClassVar

import orjson

from relay.errors import NotAuthentic, PayloadInvalid, UserError
from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parsed, Reply, Sample, Skipped, iso_from_us
from relay.sources.foreign_json import Walk, json_object
from relay.sources.large_json import utf8_of
from relay.sources.mail.adapter import MailAdapter
from relay.sources.mail.event import Mail
from relay.sources.mail.headers import MailHeaders
from relay.sources.mail.mime import MimeMail, read_mime
from relay.sources.mail.sample import MailSample, sample_mails
from relay.sources.proof.credentials import has_login, login_headers, verify_login
from relay.sources.proof.freshness import require_moment, window_s
from relay.sources.proof.sns import (
    SIGNED_FIELDS,
    Certificates,
    confirmation_url,
    private_key_of,
    sign_envelope,
)
from relay.sources.read.json_scan import large_text, members, small_value
from relay.sources.read.moment import moment_us

_TYPES = frozenset({"Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"})
#: SNS takes 256 KB; each byte may be written as six characters.
MAX_MESSAGE_BYTES = 2 * 1024 * 1024
#: SNS repeats a message for an hour at most, under the same time.
_WINDOW_S = 6 * 3600.0
_SAMPLE_TOPIC = "arn:aws:sns:eu-central-1:111122223333:inbound-mail"
_SAMPLE_CERTIFICATE = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-sample.pem"


class Ses(MailAdapter):
    name: ClassVar[str] = "ses"
    #: SNS posts JSON as text/plain.
    content_types: ClassVar[frozenset[str]] = frozenset({"text/plain", "application/json"})
    proof_may_fetch: ClassVar[bool] = True

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        if not (options.topics or options.unauthenticated):
            raise ValueError(
                f"source {options.name!r}: ses needs topics: [the ARN of the SNS topic]; Amazon's signature alone does "
                "not say whose topic it is"
            )
        self.certificates = Certificates(options.certificate_files)
        #: A login in the endpoint's URL is asked for beside the signature, from the start and for good.
        self._wants_login = has_login(options)
        self.proof_window_s = window_s(options, _WINDOW_S)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        if self._wants_login:
            verify_login(head, self.options)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        """Take the signed fields out of the envelope and verify them; the message itself only where the others are in order."""
        body = inbound.body
        try:
            spans = members(body, SIGNED_FIELDS)
            envelope = {name: small_value(body, spans.get(name)) for name in SIGNED_FIELDS if name in spans}
            # "Raw message delivery" posts neither envelope nor signature.
            if envelope.get("Type") not in _TYPES:
                raise NotAuthentic("envelope")
            # The topic first: nobody else's messages make us fetch anything.
            if self.options.topics and envelope.get("TopicArn") not in self.options.topics:
                raise NotAuthentic("topic")
            if self.options.unauthenticated and not self.options.topics:
                return
            sent_us = moment_us(envelope.get("Timestamp"))
            require_moment(sent_us, self.options, now_s=now_s, default_s=_WINDOW_S)
            start, end = spans.get("Message", (0, 0))
            if end - start > MAX_MESSAGE_BYTES:
                raise NotAuthentic("envelope")
            envelope["Message"] = large_text(body, (start, end)) if end else None
        except PayloadInvalid:
            raise NotAuthentic("envelope") from None
        self.certificates.verify(envelope)

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        """Confirms a subscription by asking for its SubscribeURL. Raises VerificationUnavailable if Amazon does not
        answer: SNS posts again, and the URL holds for three days."""
        if inbound.method != "POST" or b"SubscriptionConfirmation" not in inbound.body:
            return None
        try:
            envelope = Walk(json_object(inbound.body))
        except PayloadInvalid:
            return None
        if envelope.maybe_text("Type") != "SubscriptionConfirmation":
            return None
        url = envelope.maybe_text("SubscribeURL")
        if not confirmation_url(url):
            raise NotAuthentic("subscribe_url")
        self.certificates.fetch(url)
        return Reply(200, b"subscribed")

    def parse_mail(self, inbound: Inbound, *, now_s: float) -> Parsed:
        envelope = Walk(json_object(inbound.body))
        kind = envelope.text("Type")
        if kind != "Notification":
            # Visiting an UnsubscribeConfirmation's URL would subscribe again.
            return Skipped("handshake" if kind == "SubscriptionConfirmation" else "lifecycle")
        message = envelope.text("Message")
        try:
            notification = Walk(json_object(utf8_of(message)))
        except PayloadInvalid:
            return Skipped("type")  # a notification of something else than SES
        what = notification.maybe_text("notificationType") or notification.maybe_text("eventType")
        if what != "Received":
            return Skipped("bounce" if what == "Bounce" else "type")
        found = self.event(_mail(envelope, notification), now_s=now_s)
        # A mail of more than 150 KB lies in S3: the notification says where.
        return replace(found, unworded="look_up") if isinstance(found, Event) else found

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        topic = next(iter(self.options.topics), _SAMPLE_TOPIC)
        return [
            Sample(
                orjson.dumps(_sample_envelope(mail, topic, now_s)),
                {"content-type": "text/plain; charset=UTF-8"},
            )
            for mail in sample_mails(serial=serial, now_s=now_s)
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        """Sign with the private key that a file of `certificate_files` holds beside its certificate. Raises
        UserError without one: nobody but Amazon can sign as Amazon."""
        headers = {**sample.headers, **login_headers(self.options)}
        private = private_key_of(self.options.certificate_files)
        if private is None:
            if self.options.unauthenticated:
                return Sample(sample.body, headers, sample.method)
            raise UserError(
                f"source {self.options.name!r}: Amazon alone signs for SNS; to send a sample, make a certificate of "
                "your own and name a PEM file with it and its private key under certificate_files"
            )
        try:
            body = orjson.dumps(sign_envelope(json_object(sample.body), private))
        except (PayloadInvalid, NotAuthentic):
            body = sample.body  # no envelope: refused by `verify`, as it should be
        return Sample(body, headers, sample.method)


def _mail(envelope: Walk, notification: Walk) -> Mail:
    about, receipt = notification.maybe("mail"), notification.maybe("receipt")
    common, action = about.maybe("commonHeaders"), receipt.maybe("action")
    raw = _content(notification.maybe_text("content"), action.maybe_text("encoding"))
    headers = (
        raw.headers
        if raw
        else MailHeaders(
            (item.maybe_text("name"), item.maybe_text("value")) for item in about.items("headers")
        )
    )
    bucket, key = action.maybe_text("bucketName"), action.maybe_text("objectKey")
    return Mail(
        headers=headers,
        text=raw.text if raw else "",
        html=raw.html if raw else "",
        flowed=raw.flowed if raw else False,
        subject="" if raw else common.maybe_text("subject"),
        sender="" if raw else ", ".join(common.texts("from")),
        to="" if raw else ", ".join(common.texts("to")),
        cc="" if raw else ", ".join(common.texts("cc")),
        # "" is a bounce's: there is nobody to answer.
        envelope_from=about.maybe_text("source") if isinstance(about.value.get("source"), str) else None,
        envelope_to=receipt.texts("recipients") or about.texts("destination"),
        date="" if raw else common.maybe_text("date"),
        received=about.maybe_text("timestamp") or envelope.maybe_text("Timestamp"),
        message_id="" if raw else common.maybe_text("messageId"),
        id_without_header=about.maybe_text("messageId"),
        attachments=raw.attachments if raw else (),
        tags=_verdicts(receipt),
        url=f"s3://{bucket}/{key}" if bucket and key else "",
        delivery_id=envelope.maybe_text("MessageId"),
        payload={name: value for name, value in notification.value.items() if name != "content"},
    )


def _content(content: str, encoding: str) -> MimeMail | None:
    """The mail itself, inline up to 150 KB; None where it lies in S3."""
    if not content:
        return None
    raw = utf8_of(content)
    if encoding.upper() == "BASE64" or (not encoding and ":" not in content[:200]):
        try:
            raw = b64decode(raw)
        except (binascii.Error, ValueError):
            raise PayloadInvalid("wanted base64", "content") from None
    return read_mime(raw)


def _verdicts(receipt: Walk) -> list[str]:
    """ "spam" and "virus" where SES says so: for rules to drop."""
    return [
        word for word in ("spam", "virus") if receipt.maybe(f"{word}Verdict").maybe_text("status") == "FAIL"
    ]


def _sample_envelope(mail: MailSample, topic: str, now_s: float) -> dict[str, Any]:
    message = {
        "notificationType": "Received",
        "mail": {
            "timestamp": "",
            "source": mail.sender[1],
            "messageId": mail.provider_id,
            "destination": [mail.recipient],
            "headersTruncated": False,
            "headers": [{"name": name, "value": value} for name, value in mail.headers],
            "commonHeaders": {
                "from": [mail.from_line],
                "to": [mail.recipient],
                "date": mail.date,
                "messageId": mail.message_id,
                "subject": mail.subject,
            },
        },
        "receipt": {
            "recipients": [mail.recipient],
            "spamVerdict": {"status": "PASS"},
            "virusVerdict": {"status": "PASS"},
            "action": {"type": "SNS", "topicArn": topic, "encoding": "UTF8"},
        },
        "content": mail.mime().decode("utf-8", "replace"),
    }
    return {
        "Type": "Notification",
        "MessageId": mail.provider_id,
        "TopicArn": topic,
        "Subject": "Amazon SES Email Receipt Notification",
        "Message": orjson.dumps(message).decode(),
        "Timestamp": iso_from_us(int(now_s * 1_000_000)),
        "SigningCertURL": _SAMPLE_CERTIFICATE,
    }
