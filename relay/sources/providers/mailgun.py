"""Mailgun's routes: one mail as a form, parsed or (where the URL ends in "mime") raw.

Source: Mailgun, "Receive, forward and store messages", "Securing webhooks". The signature covers timestamp and token
alone, not the mail: the token is remembered, so one that was seen can carry no second mail. 406 would stop Mailgun's
retries (eight hours of them): nothing here answers it.
"""

from __future__ import annotations

import secrets as randomness
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Attachment, event_id
from relay.source_options import SourceOptions
from relay.sources.base import Inbound, Parsed, Sample, Skipped, hmac_bytes
from relay.sources.foreign_json import Walk, json_object
from relay.sources.mail.adapter import MailAdapter
from relay.sources.mail.event import Mail
from relay.sources.mail.headers import MailHeaders, attachment
from relay.sources.mail.mime import read_mime
from relay.sources.mail.sample import MailSample, sample_mails
from relay.sources.proof.credentials import login_headers, matches_hex, require_secret
from relay.sources.proof.freshness import require_window, window_s
from relay.sources.proof.rule import ProofRule
from relay.sources.read import pick
from relay.sources.read.charset import printable
from relay.sources.read.form_scan import form_fields
from relay.sources.read.json_scan import members, small_value
from relay.sources.read.multipart import Form, as_list, encode_multipart, parse_form, parse_parameters
from relay.sources.read.unknown import skip_unknown

#: Retries go on for eight hours, and nobody says whether they are signed anew.
_WINDOW_S = 9 * 3600
_FORM = "application/x-www-form-urlencoded"


class Mailgun(MailAdapter):
    name: ClassVar[str] = "mailgun"
    content_types: ClassVar[frozenset[str]] = frozenset({_FORM, "multipart/form-data", "application/json"})

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "Mailgun's HTTP webhook signing key")
        self._rule = ProofRule(options)
        self.proof_window_s = window_s(options, _WINDOW_S)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_login(head)

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if not self._rule.secret:
            return
        try:
            sent_at_s, token, given = _proof(inbound)
        except PayloadInvalid:
            raise NotAuthentic("missing") from None
        if not (sent_at_s and token and given):
            raise NotAuthentic("missing")
        require_window(sent_at_s, self.options, now_s=now_s, default_s=_WINDOW_S)
        signed = (sent_at_s + token).encode("utf-8", "replace")
        if not matches_hex(given, self.options.secrets(), signed):
            raise NotAuthentic("signature")

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        """Return the token: what carried it once, whatever it was, is the last that did."""
        if not self._rule.secret:
            return ()
        return (event_id(self.options.name, f"token:{_proof(inbound)[1]}"),)

    def parse_mail(self, inbound: Inbound, *, now_s: float) -> Parsed:
        if _is_json(inbound):
            payload = json_object(inbound.body)
            # An event webhook of sent mail.
            return Skipped("type") if "event-data" in payload or "event" in payload else skip_unknown(payload)
        form = parse_form(inbound.body, inbound.headers.get("content-type", ""))
        if "event" in form and not any(key in form for key in ("body-plain", "body-mime", "message-url")):
            return Skipped("type")  # the same in its older form
        return self.event(self._mail(form), now_s=now_s)

    def _mail(self, form: Form) -> Mail:
        raw = read_mime(form.raw("body-mime")) if "body-mime" in form else None
        headers = raw.headers if raw else _headers(form)
        payload: dict[str, Any] = {key: value for key, value in form.fields().items() if key not in _HIDDEN}
        if raw:
            payload |= {"body-plain": raw.text, "body-html": raw.html, "message-headers": headers.pairs()}
        token, url = form.text("token"), form.text("message-url")
        return Mail(
            headers=headers,
            text=raw.text if raw else form.text("body-plain"),
            html=raw.html if raw else form.text("body-html"),
            flowed=raw.flowed if raw else False,
            reply=form.text("stripped-text"),
            reply_html=form.text("stripped-html") if form.text("stripped-text") else "",
            subject=form.text("subject") or form.text("Subject"),
            sender=form.text("from") or form.text("From"),
            envelope_from=form.text("sender") if "sender" in form else None,
            envelope_to=[form.text("recipient")],
            date=form.text("Date"),
            received=form.text("timestamp"),
            attachments=raw.attachments if raw else _attachments(form),
            url=url if url.startswith("https://") else "",
            delivery_id=token,
            payload=payload,
        )

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        return [
            Sample(urlencode(_sample_fields(mail)).encode(), {"content-type": _FORM})
            for mail in sample_mails(serial=serial, now_s=now_s)
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        """Return the proof is three more fields, put before what is there."""
        sent_at_s, token = str(int(now_s)), randomness.token_hex(25)
        secret = next((secret for secret in self.options.secrets() if secret), "")
        signature = hmac_bytes(secret, (sent_at_s + token).encode()).hex()
        fields = [("timestamp", sent_at_s), ("token", token), ("signature", signature)]
        headers = {**sample.headers, **login_headers(self.options)}
        kind, parameters = parse_parameters(sample.headers.get("content-type", _FORM))
        if kind == "multipart/form-data":
            opened = (
                encode_multipart(fields, parameters.get("boundary", ""))
                .rpartition(b"--")[0]
                .rpartition(b"--")[0]
            )
            return Sample(opened + sample.body, headers, sample.method)
        body = urlencode(fields).encode() + (b"&" if sample.body else b"") + sample.body
        return Sample(body, headers, sample.method)


_PROOF = ("timestamp", "token", "signature")
#: Not for templates: the raw mail, and the proof.
_HIDDEN = frozenset({"body-mime", "token", "timestamp", "signature"})


def _is_json(inbound: Inbound) -> bool:
    return inbound.headers.get("content-type", "").lower().startswith("application/json")


def _proof(inbound: Inbound) -> tuple[str, str, str]:
    """Timestamp, token, signature, taken out of the body. A JSON event has them in an object of their own. Raises
    PayloadInvalid."""
    if not _is_json(inbound):
        found = form_fields(inbound.body, inbound.headers.get("content-type", ""), _PROOF)
        return tuple(found.get(name, "") for name in _PROOF)  # type: ignore[return-value]
    body = inbound.body
    nested = members(body, ("signature",)).get("signature")
    if nested is None:
        return "", "", ""
    spans = members(body, _PROOF, nested)
    sent_at, token, given = (small_value(body, spans.get(name)) for name in _PROOF)
    return (
        pick.ident(sent_at),
        token if isinstance(token, str) else "",
        given if isinstance(given, str) else "",
    )


def _headers(form: Form) -> MailHeaders:
    """`message-headers` is a JSON list of pairs; without it the headers stand among the fields."""
    listed = [
        (pair[0], pair[1])
        for pair in as_list(form.raw("message-headers"))
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair)
    ]
    return MailHeaders(listed or [(key, value) for key, value in form.fields().items() if key[:1].isupper()])


def _attachments(form: Form) -> list[Attachment]:
    found = [attachment(part.filename or "", part.content_type, len(part.content)) for part in form.files()]
    for item in as_list(form.raw("attachments")):
        if isinstance(item, dict):
            entry = Walk(item)
            url = entry.maybe_text("url")
            found.append(
                attachment(
                    entry.maybe_text("name"),
                    entry.maybe_text("content-type"),
                    item.get("size"),
                    printable(url) if url.startswith("https://") else "",
                )
            )
    return found


def _sample_fields(mail: MailSample) -> list[tuple[str, str]]:
    headers = [[name, value] for name, value in mail.headers]
    fields = [
        ("recipient", mail.recipient),
        ("sender", mail.sender[1]),
        ("from", mail.from_line),
        ("subject", mail.subject),
        ("body-plain", mail.text),
        ("stripped-text", mail.reply),
        ("body-html", mail.html),
        ("message-headers", orjson.dumps(headers).decode()),
    ]
    return fields + [(name, value) for name, value in mail.headers]
