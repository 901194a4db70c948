"""Mandrill (Mailchimp Transactional): mails as they were sent, several in one request, in one field of a form; signed over the
URL and the fields.

Source: Mailchimp, "Authenticating webhook requests", "Webhook format", "Set up inbound email processing". A batch that is
not answered with 200 is sent again. Mandrill first asks with HEAD whether the address is there.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit, urlunsplit

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Attachment
from relay.source_options import SourceOptions
from relay.sources.base import Answers, Inbound, Parsed, Reply, Sample, Skipped, hmac_bytes
from relay.sources.foreign_json import Walk, parse_json
from relay.sources.large_json import base64_size, utf8_of, utf8_size
from relay.sources.mail.adapter import MailAdapter, mail_of, mail_view
from relay.sources.mail.event import Mail
from relay.sources.mail.headers import MailHeaders, attachment, header_pairs
from relay.sources.mail.mime import read_mime
from relay.sources.mail.sample import MailSample, sample_mails
from relay.sources.proof.credentials import has_secret, login_headers, matches_base64, require_secret
from relay.sources.proof.public_url import require_public_url, signed_urls
from relay.sources.proof.rule import ProofRule
from relay.sources.read.multipart import parse_form

_SIGNATURE = "x-mandrill-signature"
_FIELD = "mandrill_events"
_FORM = "application/x-www-form-urlencoded"
#: Mandrill sends one field; what has more is none of its requests.
_MAX_FIELDS = 20


class Mandrill(MailAdapter):
    name: ClassVar[str] = "mandrill"
    content_types: ClassVar[frozenset[str]] = frozenset({_FORM})
    answers = Answers(accepted=200, not_authentic=503, malformed=503)

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the webhook's key")
        self._rule = ProofRule(options)
        if has_secret(options):
            require_public_url(options)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_head(head, head.headers.get(_SIGNATURE, ""))

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if not self._rule.secret:
            return
        parameters = _parameters(inbound.body)
        given, found = inbound.headers.get(_SIGNATURE, ""), False
        for url in self._urls(inbound):
            signed = url.encode("utf-8", "surrogatepass") + parameters
            found |= matches_base64(given, self.options.secrets(), signed, "sha1")
        if not found:
            raise NotAuthentic("signature")

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        return self._rule.once(_parameters(inbound.body)) if self._rule.secret else ()

    def timeless(self, inbound: Inbound) -> bool:
        return self._rule.secret

    def handshake(self, inbound: Inbound, *, now_s: float) -> Reply | None:
        return Reply(200) if inbound.method in ("HEAD", "GET") else None

    def parse_mails(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        events = parse_json(_fields(inbound.body).get(_FIELD, b""))
        if not isinstance(events, list):
            raise PayloadInvalid("wanted a list", _FIELD)
        if not events:
            return [Skipped("test")]
        return self.parse_each(inbound, events, _mail, now_s=now_s)

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        return [
            Sample(
                urlencode({_FIELD: orjson.dumps([_sample_event(mail, now_s)]).decode()}).encode(),
                {"content-type": _FORM},
            )
            for mail in sample_mails(serial=serial, now_s=now_s)
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        target = urlsplit(url)
        request = Inbound(sample.body, {}, path_query=urlunsplit(("", "", target.path, target.query, "")))
        signed = self._urls(request)[0].encode("utf-8", "surrogatepass") + _parameters(sample.body)
        proof = {_SIGNATURE: b64encode(hmac_bytes(secret, signed, "sha1")).decode()}
        return Sample(sample.body, {**sample.headers, **proof, **login_headers(self.options)}, sample.method)

    def _urls(self, inbound: Inbound) -> list[str]:
        """What may have been signed: the URL as it was registered, with its login where it has one."""
        found = signed_urls(self.options, inbound)
        for login in self.options.basic_auth():
            found += [
                url.replace("://", f"://{login}@", 1) for url in found if "@" not in urlsplit(url).netloc
            ]
        return found


def _fields(body: bytes) -> dict[str, bytes]:
    """The form's fields. Raises PayloadInvalid."""
    parts = parse_form(body, _FORM).parts
    if len(parts) > _MAX_FIELDS:
        raise PayloadInvalid(f"more than {_MAX_FIELDS} fields")
    return {part.name: part.content for part in parts}


def _parameters(body: bytes) -> bytes:
    """The fields as they are signed: sorted, names and values one behind the other. Raises NotAuthentic."""
    try:
        fields = _fields(body)
    except PayloadInvalid:
        raise NotAuthentic("fields") from None
    return b"".join(name.encode("utf-8", "surrogatepass") + fields[name] for name in sorted(fields))


def _mail(item: Walk) -> Mail | Skipped:
    if item.maybe_text("event") != "inbound":
        # What became of a sent mail, or a change of the allow and deny lists.
        return Skipped("type")
    message = item["msg"]
    sent_at = item.maybe_number("ts")
    kept = {key: value for key, value in message.value.items() if key not in _CONTENTS}
    known: dict[str, Any] = {
        "envelope_to": [message.maybe_text("email")],
        "received": str(int(sent_at)) if sent_at is not None and 0 <= sent_at < 1e11 else "",
        "tags": message.texts("tags"),
    }
    if raw := message.maybe_text("raw_msg"):
        mime = read_mime(utf8_of(raw))
        payload = {**item.value, "msg": {**kept, **mail_view(mime)}}
        return mail_of(mime, **known, delivery_id=mime.headers.get("message-id"), payload=payload)
    headers = MailHeaders(header_pairs(message.value.get("headers")))
    return Mail(
        headers=headers,
        text=message.maybe_text("text"),
        html=message.maybe_text("html"),
        subject=message.maybe_text("subject"),
        sender_pair=(message.maybe_text("from_name"), message.maybe_text("from_email")),
        attachments=_attachments(message),
        delivery_id=headers.get("message-id"),
        payload={**item.value, "msg": kept},
        **known,
    )


#: Not for templates: the mail's bytes, and its files'.
_CONTENTS = frozenset({"raw_msg", "attachments", "images"})


def _attachments(message: Walk) -> list[Attachment]:
    return [
        attachment(file.maybe_text("name"), file.maybe_text("type"), _size(file))
        for key in ("attachments", "images")
        for name in message.maybe(key).value
        if (file := message.maybe(key).maybe(name)).value
    ]


def _size(file: Walk) -> int:
    content = file.maybe_text("content")
    if file.value.get("base64") is True:
        return base64_size(content)
    return utf8_size(content)


def _sample_event(mail: MailSample, now_s: float) -> dict[str, Any]:
    name, email = mail.sender
    return {
        "event": "inbound",
        "ts": int(now_s),
        "msg": {
            "raw_msg": mail.mime().decode("utf-8", "replace"),
            "headers": dict(mail.headers),
            "from_email": email,
            "from_name": name,
            "to": [[mail.recipient, None]],
            "email": mail.recipient,
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "sender": None,
            "tags": [],
        },
    }
