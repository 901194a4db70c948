"""SparkPost's relay webhooks (Bird): mails as they were sent, several in one request, with a token in a header.

Source: SparkPost, "Relay Webhooks API" (`auth_token` is sent as `X-MessageSystems-Webhook-Token`; or OAuth 2.0, a bearer
token), "Inbound email relay webhooks".
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any, ClassVar

import orjson

from relay.errors import PayloadInvalid
from relay.source_options import SourceOptions
from relay.sources.base import Answers, Credentials, Inbound, Parsed, Sample, Skipped
from relay.sources.foreign_json import Walk, parse_json
from relay.sources.large_json import utf8_of
from relay.sources.mail.adapter import MailAdapter, mail_of, mail_view
from relay.sources.mail.event import Mail
from relay.sources.mail.headers import MailHeaders, header_pairs
from relay.sources.mail.mime import read_mime
from relay.sources.mail.sample import MailSample, sample_mails
from relay.sources.proof.credentials import login_headers
from relay.sources.proof.rule import ProofRule, require_proof
from relay.sources.read.unknown import skip_unknown

_TOKEN = "x-messagesystems-webhook-token"  # noqa: S105 - a header's name


class SparkPost(MailAdapter):
    name: ClassVar[str] = "sparkpost"
    answers = Answers(accepted=200, not_authentic=503, malformed=503)
    credentials = Credentials(headers=frozenset({_TOKEN}))

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_proof(options, "the relay webhook's auth_token")
        self._rule = ProofRule(options)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)
        self._rule.check_token(head.headers.get(_TOKEN, ""))

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        """Verify nothing more: the token is all there is."""

    def parse_mails(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        batch = parse_json(inbound.body)
        if not isinstance(batch, list):
            raise PayloadInvalid("wanted a list")
        return self.parse_each(inbound, batch, _mail, now_s=now_s)

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        return [
            Sample(orjson.dumps([_sample_item(mail)]), {"content-type": "application/json"})
            for mail in sample_mails(serial=serial, now_s=now_s)
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        token = next((secret for secret in self.options.secrets() if secret), "")
        proof = {_TOKEN: token} if token else {}
        return Sample(sample.body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)


def _mail(item: Walk) -> Mail | Skipped:
    outer = item["msys"]
    if "relay_message" not in outer.value:
        # An empty one asks whether somebody is there; the others are of sent mails ("message_event").
        if all(key.endswith("_event") for key in outer.value):
            return Skipped("type" if outer.value else "test")
        return skip_unknown(outer.value)
    message = outer["relay_message"]
    content = message["content"]
    kept = {key: value for key, value in content.value.items() if key != "email_rfc822"}
    known: dict[str, Any] = {
        "envelope_from": message.maybe_text("msg_from") if "msg_from" in message.value else None,
        "envelope_to": [message.maybe_text("rcpt_to")],
    }
    if text := content.maybe_text("email_rfc822"):
        mime = read_mime(_bytes(text, is_base64=content.value.get("email_rfc822_is_base64") is True))
        payload = {**message.value, "content": {**kept, **mail_view(mime)}}
        return mail_of(mime, **known, delivery_id=mime.headers.get("message-id"), payload=payload)
    headers = MailHeaders(pair for one in content.items("headers") for pair in header_pairs(one.value))
    return Mail(
        headers=headers,
        text=content.maybe_text("text"),
        html=content.maybe_text("html"),
        subject=content.maybe_text("subject"),
        sender="" if "from" in headers else message.maybe_text("friendly_from"),
        delivery_id=headers.get("message-id"),
        payload={**message.value, "content": kept},
        **known,
    )


def _bytes(text: str, *, is_base64: bool) -> bytes:
    if not is_base64:
        return utf8_of(text)
    try:
        return b64decode(utf8_of(text))
    except (binascii.Error, ValueError):
        raise PayloadInvalid("wanted base64", "content.email_rfc822") from None


def _sample_item(mail: MailSample) -> dict[str, Any]:
    message = {
        "protocol": "smtp",
        "webhook_id": "sample",
        "rcpt_to": mail.recipient,
        "msg_from": mail.sender[1],
        "friendly_from": mail.sender[1],
        "content": {
            "email_rfc822_is_base64": False,
            "email_rfc822": mail.mime().decode("utf-8", "replace"),
            "headers": [{name: value} for name, value in mail.headers],
            "subject": mail.subject,
            "to": [mail.recipient],
            "text": mail.text,
            "html": mail.html,
        },
    }
    return {"msys": {"relay_message": message}}
