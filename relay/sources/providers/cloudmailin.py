"""CloudMailin: one mail as JSON (normalized) or as a multipart form; its proof is the login in the URL.

Source: CloudMailin, "JSON format", "Multipart format", "HTTP status codes". A 4xx bounces the mail to the customer who
wrote it, so even a wrong login (which is a mistake of ours, a customer can't make it) is answered "later".
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson

from relay.errors import PayloadInvalid
from relay.event import Attachment
from relay.sources.base import Answers, Inbound, Parsed, Sample
from relay.sources.foreign_json import Walk, json_object
from relay.sources.large_json import utf8_of
from relay.sources.mail.adapter import MailAdapter
from relay.sources.mail.event import Mail
from relay.sources.mail.headers import MailHeaders, attachment, header_pairs
from relay.sources.mail.mime import read_mime
from relay.sources.mail.sample import MailSample, sample_mails
from relay.sources.proof.login_proof import LoginProof
from relay.sources.read.multipart import Form, parse_form


class CloudMailin(LoginProof, MailAdapter):
    name: ClassVar[str] = "cloudmailin"
    content_types: ClassVar[frozenset[str]] = frozenset({"application/json", "multipart/form-data"})
    answers = Answers(not_authentic=503, malformed=503)

    def parse_mail(self, inbound: Inbound, *, now_s: float) -> Parsed:
        content_type = inbound.headers.get("content-type", "")
        if content_type.lower().startswith("multipart/"):
            payload = _as_json(parse_form(inbound.body, content_type))
        else:
            payload = json_object(inbound.body)
        return self.event(_mail(payload), now_s=now_s)

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        return [
            Sample(orjson.dumps(_sample_payload(mail)), {"content-type": "application/json"})
            for mail in sample_mails(serial=serial, now_s=now_s)
        ]


def _mail(payload: dict[str, Any]) -> Mail:
    body = Walk(payload)
    envelope = body.maybe("envelope")
    headers = _headers(body.maybe("headers").value)
    recipients = envelope.texts("recipients") or [envelope.maybe_text("to")]
    # "Raw" formats carry the mail itself.
    message = payload.get("message")
    raw = read_mime(utf8_of(message)) if isinstance(message, str) else None
    if raw is not None and not body.maybe("headers").value:
        headers = raw.headers
    return Mail(
        headers=headers,
        text=body.maybe_text("plain") or (raw.text if raw else ""),
        html=body.maybe_text("html") or (raw.html if raw else ""),
        flowed=raw.flowed if raw and not body.maybe_text("plain") else False,
        reply=body.maybe_text("reply_plain"),
        envelope_from=envelope.maybe_text("from") if isinstance(envelope.value.get("from"), str) else None,
        envelope_to=[address for address in recipients if address],
        attachments=_attachments(body) or (raw.attachments if raw else ()),
        delivery_id=headers.get("message-id"),
        payload=_without_content(payload),
    )


def _headers(value: dict[str, Any]) -> MailHeaders:
    """Normalized keys are lower_snake, the older format's are as in the mail."""
    return MailHeaders((name.replace("_", "-"), text) for name, text in header_pairs(value))


def _attachments(body: Walk) -> list[Attachment]:
    return [
        attachment(
            item.maybe_text("file_name"),
            item.maybe_text("content_type"),
            item.value.get("size"),
            item.maybe_text("url"),
        )
        for item in body.items("attachments")
    ]


def _without_content(payload: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in payload.items() if key != "message"}
    files = kept.get("attachments")
    if isinstance(files, list):
        kept["attachments"] = [
            {key: value for key, value in file.items() if key != "content"}
            for file in files
            if isinstance(file, dict)
        ]
    return kept


def _as_json(form: Form) -> dict[str, Any]:
    """The multipart format ("headers[subject]", "envelope[recipients][0]") in the JSON format's shape."""
    payload: dict[str, Any] = {"envelope": {}, "headers": {}, "attachments": []}
    for part in form.parts:
        outer, _, rest = part.name.partition("[")
        if outer == "attachments" or part.filename is not None:
            if part.filename is not None:
                payload["attachments"].append(
                    {"file_name": part.filename, "content_type": part.content_type, "size": len(part.content)}
                )
            continue
        text = form.text(part.name)
        inner, _, index = rest.partition("]")
        if outer not in ("envelope", "headers") or not inner:
            if not rest:
                payload.setdefault(outer, text)
        elif index.startswith("["):
            listed = payload[outer].setdefault(inner, [])
            if isinstance(listed, list):
                # Each entry has a name of its own, "headers[received][0]"; with "[]" the part itself counts.
                listed.append(
                    form.text(part.name) if "[]" not in index else part.content.decode("utf-8", "replace")
                )
        else:
            payload[outer].setdefault(inner, text)
    if not form.parts:
        raise PayloadInvalid("an empty form")
    return payload


def _sample_payload(mail: MailSample) -> dict[str, Any]:
    return {
        "envelope": {
            "to": mail.recipient,
            "from": mail.sender[1],
            "recipients": [mail.recipient],
            "tls": True,
        },
        "headers": {key.lower().replace("-", "_"): value for key, value in mail.headers},
        "plain": mail.text,
        "html": mail.html,
        "reply_plain": mail.reply if mail.quotes else None,
        "attachments": [],
    }
