"""Twilio: messages (SMS, WhatsApp), calls that ended, and Twilio Conversations.

Source: Twilio, "Webhooks security" (signature over the URL and the sorted parameters, `bodySHA256` for JSON), its
Python helper 9.13 (SharedKey signatures: a header names the hash), "Incoming message webhook", "Voice status callback",
"Recording status callback", "Conversations webhooks".
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from relay.errors import NotAuthentic, PayloadInvalid
from relay.event import Attachment, Channel, Event, Person, Recipient, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    Answers,
    BaseAdapter,
    Inbound,
    Parsed,
    Sample,
    Skipped,
    hmac_bytes,
    iso_from_us,
    same,
)
from relay.sources.foreign_json import json_object
from relay.sources.proof.credentials import has_secret, login_headers, matches_base64, require_secret
from relay.sources.proof.public_url import require_public_url, signed_urls
from relay.sources.proof.rule import ProofRule
from relay.sources.read.attached import name_in, read_files
from relay.sources.read.form_answers import form_answers
from relay.sources.read.markup import html_of_text
from relay.sources.read.moment import moment_us
from relay.sources.read.multipart import as_list, form_pairs

#: What signed the request: the auth token (no such header), or a SharedKey, whose secret is one of `secrets`.
_SETTINGS_HEADER = "x-twilio-webhooks-signature-settings"
_HASHES = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_FORM = "application/x-www-form-urlencoded"
#: Twilio never sends more; a form is sorted before anyone is known.
_MAX_FIELDS = 500
_MAX_MEDIA = 20
_FINAL_CALL = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
_DEFAULT_PORTS = {"https": 443, "http": 80}


class Twilio(BaseAdapter):
    name: ClassVar[str] = "twilio"
    content_types: ClassVar[frozenset[str]] = frozenset({_FORM, "application/json"})
    #: An empty TwiML document: no reply is sent, and Twilio logs no error 12300 for a foreign content type.
    answers = Answers(
        accepted=200,
        accepted_body=b'<?xml version="1.0" encoding="UTF-8"?><Response/>',
        accepted_type="text/xml; charset=utf-8",
    )

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        require_secret(options, "the account's auth token")
        self._rule = ProofRule(options)
        if has_secret(options):
            require_public_url(options)

    def verify_head(self, head: Inbound, *, now_s: float) -> None:
        self._rule.check_head(head, head.headers.get("x-twilio-signature", ""))

    def verify_body(self, inbound: Inbound, *, now_s: float) -> None:
        if not self._rule.secret:
            return
        given = inbound.headers["x-twilio-signature"]
        hash_name = _HASHES.get(_algorithm(inbound.headers.get(_SETTINGS_HEADER, "")))
        if hash_name is None:
            raise NotAuthentic("algorithm")
        form = _is_form(inbound)
        parameters = _sorted_parameters(inbound.body) if form else ""
        found = False
        for url in signed_urls(self.options, inbound):
            if not form and not _covers_body(url, inbound.body):
                continue
            for variant in _with_and_without_port(url):
                signed = (variant + parameters).encode("utf-8", "surrogatepass")
                found |= matches_base64(given, self.options.secrets(), signed, hash_name)
        if not found:
            raise NotAuthentic("signature")

    def nonces(self, inbound: Inbound) -> tuple[str, ...]:
        """Give dedupe keys of the parameters in their own order, as they are signed: another order of the same ones is the same."""
        return self._rule.once(_sorted_parameters(inbound.body) if _is_form(inbound) else inbound.body)

    def timeless(self, inbound: Inbound) -> bool:
        return self._rule.secret

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        if _is_form(inbound):
            fields: dict[str, Any] = {}
            for key, value in _pairs(inbound.body):
                fields.setdefault(key, value)
        else:
            fields = json_object(inbound.body)
        return [self._event(_Fields(fields), now_s)]

    def _event(self, fields: _Fields, now_s: float) -> Parsed:
        if fields["EventType"]:
            return self._conversation(fields, now_s)
        if fields["MessageSid"] or fields["SmsSid"] or fields["SmsMessageSid"]:
            return self._message(fields, now_s)
        if fields["CallSid"]:
            return self._call(fields, now_s)
        raise PayloadInvalid("wanted a message or a call", "MessageSid")

    def _message(self, fields: _Fields, now_s: float) -> Parsed:
        status = fields["MessageStatus"] or fields["SmsStatus"]
        if status not in ("", "received", "receiving"):
            return Skipped("status")
        sid = fields["MessageSid"] or fields["SmsSid"] or fields["SmsMessageSid"]
        sender, to = fields.wanted("From"), fields.wanted("To")
        time_us = int(now_s * 1_000_000)  # a message carries no time
        text = _said(fields)
        return Event(
            id=event_id(self.options.name, sid),
            source=self.options.name,
            adapter=self.name,
            kind="message.created",
            time=iso_from_us(time_us),
            version=time_us,
            thread=f"{sender}:{to}",
            subject=fields["ProfileName"],
            text=text,
            html=html_of_text(text),
            sender=Person(id=_number(sender), name=fields["ProfileName"]),
            recipients=(Recipient(name=_number(to)),),
            channel=Channel(id=_number(to), name=_network(sender)),
            message_id=sid,
            attachments=_media(fields),
            delivery_id=sid,
            label=_number(sender),
            payload=fields.values,
        )

    def _call(self, fields: _Fields, now_s: float) -> Parsed:
        status, sid = fields["CallStatus"], fields["CallSid"]
        recording = fields["RecordingUrl"]
        told = bool(fields["TranscriptionText"]) or (
            recording and fields["RecordingStatus"] in ("", "completed")
        )
        if status not in _FINAL_CALL and not told:
            return Skipped("status")
        sender, to = fields["From"], fields["To"]
        time_us = moment_us(fields["Timestamp"]) or int(now_s * 1_000_000)
        over = status in _FINAL_CALL
        seconds = fields["CallDuration"] or fields["Duration"] if over else fields["RecordingDuration"]
        lasted = f", {seconds} s" if seconds.isascii() and seconds.isdigit() and len(seconds) < 9 else ""
        text = f"Call {status}{lasted}" if over else f"Recording{lasted}"
        if fields["TranscriptionText"]:
            text += f"\n{fields['TranscriptionText']}"
        # A recording and its transcription come apart from the call's end, and stand as one entry beside it.
        entry = "" if over else f":{fields['RecordingSid'] or 'recording'}"
        key = (
            f"{sid}:{status}"
            if over
            else f"{sid}{entry}:{'words' if fields['TranscriptionText'] else 'file'}"
        )
        return Event(
            id=event_id(self.options.name, key),
            source=self.options.name,
            adapter=self.name,
            kind="call.ended",
            time=iso_from_us(time_us),
            version=time_us,
            thread=sid,
            subject=f"Call from {_number(sender)} to {_number(to)}" if sender and to else "",
            text=text,
            html=html_of_text(text),
            sender=Person(id=_number(sender), name=fields["CallerName"]),
            recipients=(Recipient(name=_number(to)),) if to else (),
            channel=Channel(id=_number(to), name="voice"),
            message_id=f"{sid}{entry}",
            attachments=(Attachment(name="recording", url=recording),) if recording else (),
            delivery_id=key,
            label="Call",
            payload=fields.values,
        )

    def _conversation(self, fields: _Fields, now_s: float) -> Parsed:
        what = fields["EventType"]
        kinds = {
            "onMessageAdded": "message.created",
            "onMessageUpdated": "message.updated",
            "onMessageRemoved": "message.deleted",
            "onConversationRemoved": "message.deleted",
        }
        if what not in kinds:
            return Skipped("type")
        thread = fields.wanted("ConversationSid")
        whole = what == "onConversationRemoved"
        sid = thread if whole else fields.wanted("MessageSid")
        changed = fields["DateUpdated"] or fields["DateRemoved"] or fields["DateCreated"]
        time_us = (
            moment_us(fields["DateCreated"] if what == "onMessageAdded" else changed)
            or moment_us(fields["RetryDate"])
            or int(now_s * 1_000_000)
        )
        deleted = kinds[what] == "message.deleted"
        text = "" if deleted else fields["Body"]
        key = f"{what}:{sid}:{changed}"
        author = fields["Author"]
        return Event(
            id=event_id(self.options.name, key),
            source=self.options.name,
            adapter=self.name,
            kind=kinds[what],
            time=iso_from_us(time_us),
            version=time_us,
            thread=thread,
            subject=fields["FriendlyName"],
            text=text,
            html=html_of_text(text),
            sender=Person(id=_number(author), email=author if "@" in author else ""),
            channel=Channel(id=thread, name=fields["FriendlyName"]),
            message_id=sid,
            attachments=() if deleted else _files(fields["Media"]),
            delivery_id=key,
            payload=fields.values,
        )

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """Return two messages of one customer."""
        return [
            _sample_message(f"{serial:030x}0{n}", serial, text)
            for n, text in enumerate(["Is the shop open tomorrow?", "And on Sunday?"])
        ]

    def sign(self, sample: Sample, *, now_s: float, url: str) -> Sample:
        secret = next((secret for secret in self.options.secrets() if secret), "")
        public = self.options.public_url or url
        form = sample.headers.get("content-type", "").startswith(_FORM)
        signed = public + (_sorted_parameters(sample.body) if form else "")
        digest = b64encode(hmac_bytes(secret, signed.encode(), "sha1")).decode()
        headers = {**sample.headers, "x-twilio-signature": digest, **login_headers(self.options)}
        return Sample(sample.body, headers, sample.method)


class _Fields:
    """The parameters; what is no text reads as "" (a JSON body may hold anything)."""

    __slots__ = ("values",)

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def __getitem__(self, name: str) -> str:
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            return ""
        return str(value)

    def wanted(self, name: str) -> str:
        if not self[name]:
            raise PayloadInvalid("wanted a value", name)
        return self[name]


def _algorithm(settings: str) -> str:
    """The hash that "key=..,algorithm=HMAC_SHA256" names; Twilio's old one where it names none."""
    for part in settings.split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return value.strip().upper()
    return "HMAC_SHA1"


def _is_form(inbound: Inbound) -> bool:
    """A form, unless the request says JSON. A JSON body is only proven where the signed URL names its hash."""
    return not inbound.headers.get("content-type", _FORM).lower().startswith("application/json")


def _pairs(body: bytes) -> list[tuple[str, str]]:
    return form_pairs(body, _MAX_FIELDS)


def _sorted_parameters(body: bytes) -> str:
    """Each name with its values behind it, sorted, the same value once."""
    try:
        return "".join(name + value for name, value in sorted(set(_pairs(body))))
    except PayloadInvalid:
        raise NotAuthentic("form") from None


def _covers_body(url: str, body: bytes) -> bool:
    try:
        listed = parse_qs(urlsplit(url).query, max_num_fields=_MAX_FIELDS).get("bodySHA256", [])
    except ValueError:
        return False
    return len(listed) == 1 and same(listed[0].lower(), hashlib.sha256(body).hexdigest())


def _with_and_without_port(url: str) -> list[str]:
    """Twilio signs some URLs without their port, and some with the default one."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return [url]
    if port is not None:
        return [url, urlunsplit(parts._replace(netloc=parts.netloc.rpartition(":")[0]))]
    default = _DEFAULT_PORTS.get(parts.scheme)
    return [url, urlunsplit(parts._replace(netloc=f"{parts.netloc}:{default}"))] if default else [url]


def _number(address: str) -> str:
    """The number in "whatsapp:+15550100123"."""
    return address.rpartition(":")[2]


def _network(address: str) -> str:
    return address.partition(":")[0] if ":" in address else "sms"


def _media(fields: _Fields) -> tuple[Attachment, ...]:
    count = fields["NumMedia"]
    if not (count.isascii() and count.isdigit() and len(count) < 4):
        return ()
    return tuple(
        Attachment(name=_kind(kind := fields[f"MediaContentType{n}"], url), type=kind, url=url)
        for n in range(min(int(count), _MAX_MEDIA))
        if (url := fields[f"MediaUrl{n}"])
    )


def _kind(content_type: str, url: str) -> str:
    """What to call a file that has no name: "image", "audio", "contact"."""
    if "vcard" in content_type:
        return "contact"
    return name_in(url) or content_type.partition("/")[0]


def _files(media: str) -> tuple[Attachment, ...]:
    """The files of a Conversations message: a list as JSON; their addresses are the account's own."""
    return read_files(
        [{**one, "name": one.get("Filename")} for one in as_list(media.encode()) if isinstance(one, dict)]
    )


def _said(fields: _Fields) -> str:
    """What was written, tapped or shared: a list's entry, a button, a place. WhatsApp's own words for each."""
    lines = [fields["Body"]]
    lines += [fields[name] for name in ("ButtonText", "ListTitle", "ListDescription", "ReactionEmoji")]
    lines += form_answers(fields["InteractiveData"] or fields["FlowData"])
    if fields["Latitude"] and fields["Longitude"]:
        place = ", ".join(word for word in (fields["Label"], fields["Address"]) if word)
        where = f"{fields['Latitude']},{fields['Longitude']}"
        lines.append(f"Location: {place} ({where})" if place else f"Location: {where}")
    return "\n".join(dict.fromkeys(line for line in lines if line.strip()))


def _sample_message(sid: str, serial: int, text: str) -> Sample:
    fields = {
        "MessageSid": f"SM{sid}",
        "SmsSid": f"SM{sid}",
        "AccountSid": "AC" + "0" * 32,
        "From": f"+1555{serial % 10_000_000:07d}",
        "To": "+15550100199",
        "Body": text,
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "FromCity": "",
        "ApiVersion": "2010-04-01",
    }
    return Sample(urlencode(fields).encode(), {"content-type": _FORM})
