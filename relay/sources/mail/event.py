"""The mail room: a mail, however its provider delivered it, becomes one event here.

Each adapter fills in a `Mail` and calls `mail_event`. Threads go by References, In-Reply-To and Message-ID (RFC 5322,
section 3.6.4); the same Message-ID is the same event, whatever id the provider gave this delivery.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from relay.errors import PayloadInvalid
from relay.event import Attachment, Event, Person, Recipient, event_id
from relay.source_options import SourceOptions
from relay.sources.base import (
    Answers,
    BaseAdapter,
    Inbound,
    Parked,
    Parsed,
    Sample,
    Skipped,
    content_key,
    iso_from_us,
)
from relay.sources.mail.bodies import Bodies, bodies_of, strays_from
from relay.sources.mail.headers import MailHeaders, addresses, date_us, message_ids, unfolded
from relay.sources.mail.reply import MAX_TEXT_CHARS
from relay.sources.read.charset import printable

#: Attachments come inside the body of most providers.
MAX_MAIL_BYTES = 25 * 1024 * 1024
MAX_ATTACHMENTS = 200
#: A writer's clock may be wrong; a mail from the future would stand above all that follows it.
FUTURE_US = 86_400_000_000

_BOUNCE_SENDER = re.compile(r"^(?:mailer-daemon|postmaster)@", re.IGNORECASE)
_REPORT = re.compile(r"^\s*multipart/report\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as its provider gave it. `reply` is the provider's own stripped text; `text` and `html` hold quotes;
    with `flowed` a `>` behind a blank in `text` is the writer's own (RFC 3676).

    `date` is the header's, where the provider gives it apart; `received` is when the provider got the mail.
    `envelope_to` and `envelope_from` are SMTP's: who really got it, and where a bounce goes; an empty
    `envelope_from` is that of a bounce, None is not known.
    `delivery_id` is the provider's id of this delivery, `id_without_header` what identifies the mail if it has no
    Message-ID. `payload` is what templates see; attachments' content must be gone from it.
    """

    headers: MailHeaders
    text: str = ""
    html: str = ""
    flowed: bool = False
    reply: str = ""
    reply_html: str = ""
    subject: str = ""
    sender: str = ""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    sender_pair: tuple[str, str] | None = None
    people: Sequence[Recipient] | None = None
    envelope_from: str | None = None
    envelope_to: Sequence[str] = ()
    date: str = ""
    received: str = ""
    message_id: str = ""
    id_without_header: str = ""
    attachments: Sequence[Attachment] = ()
    tags: Sequence[str] = ()
    url: str = ""
    delivery_id: str = ""
    also_seen: Sequence[str] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)


class MailAdapter(BaseAdapter):
    """What the inbound-mail adapters share: their size limit, and that a genuine mail is never refused."""

    max_body_bytes: ClassVar[int] = MAX_MAIL_BYTES
    #: Looking for quotes takes up to a microsecond a byte.
    inline_bytes: ClassVar[int] = 32 * 1024
    #: `malformed` is hardly ever used: what is genuine but unreadable is parked.
    answers: Answers = Answers()

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        self._keep_auto = "auto_replies" in options.keep

    def parse(self, inbound: Inbound, *, now_s: float) -> list[Parsed]:
        try:
            return [self.parse_mail(inbound, now_s=now_s)]
        except PayloadInvalid as error:
            # A 4xx would make the provider drop the mail, or bounce it to the customer.
            return [Parked(f"mail not readable: {error}", content_key(inbound.body))]

    def parse_mail(self, inbound: Inbound, *, now_s: float) -> Parsed:
        """The mail of this request. Raises PayloadInvalid for what cannot be read as one."""
        raise NotImplementedError

    def sample(self, *, serial: int, now_s: float) -> Sample:
        return self.sample_thread(serial=serial, now_s=now_s)[0]

    def sample_thread(self, *, serial: int, now_s: float) -> list[Sample]:
        """A mail and the answer to it."""
        raise NotImplementedError

    def event(self, mail: Mail, *, now_s: float) -> Parsed:
        return mail_event(mail, self.options, self.name, now_s=now_s, keep_auto=self._keep_auto)


def mail_event(
    mail: Mail, options: SourceOptions, adapter: str, *, now_s: float, keep_auto: bool = False
) -> Parsed:
    """The event, or why there is none. Raises PayloadInvalid for a mail that holds neither sender nor text."""
    sender = _sender(mail)
    auto = automatic(mail, sender)
    if auto and not keep_auto:
        return Skipped(auto)
    if auto:
        sender = replace(sender, bot=True)
    recipients = _recipients(mail)
    subject = unfolded(mail.subject).replace("\n", " ") or mail.headers.get("subject")
    bodies = _bodies(mail, subject)
    own_ids = message_ids(mail.message_id) or message_ids(mail.headers.raw("message-id"))
    date = mail.headers.raw("date") or mail.date
    if not (sender.email or bodies.text or subject or own_ids or mail.attachments):
        raise PayloadInvalid("neither sender nor subject nor text")
    key = own_ids[0] if own_ids else _fingerprint(mail, sender, date, subject)
    now_us = int(now_s * 1_000_000)
    written_us = date_us(date)
    if written_us is None or written_us > now_us + FUTURE_US:
        written_us = date_us(mail.received)
    version = now_us if written_us is None else min(written_us, now_us + FUTURE_US)
    source = options.name
    return Event(
        id=event_id(source, f"mail:{key}"),
        source=source,
        adapter=adapter,
        kind="email.received",
        time=iso_from_us(version),
        version=version,
        thread=_thread_of(mail.headers) or key,
        subject=subject[:2000],
        text=bodies.text,
        html=bodies.html,
        quoted=bodies.quoted,
        sender=sender,
        recipients=recipients,
        message_id=own_ids[0] if own_ids else (printable(mail.id_without_header)[:900] or key),
        url=mail.url,
        attachments=tuple(mail.attachments)[:MAX_ATTACHMENTS],
        tags=tuple(tag for tag in mail.tags if tag),
        delivery_id=printable(mail.delivery_id)[:900],
        also_seen=tuple(mail.also_seen),
        payload=mail.payload,
    )


def _fingerprint(mail: Mail, sender: Person, date: str, subject: str) -> str:
    """What stands for a Message-ID that is missing: the same for the same mail, however often it is delivered. Only
    where a mail has no text to tell it by, the provider's id counts."""
    files = "".join(f"{file.name}\x1e{file.size}\x1e" for file in mail.attachments)
    own_id = "" if mail.text or mail.html else mail.id_without_header
    return f"<{content_key(sender.email, date, subject, mail.text, mail.html, files, own_id)}@no-message-id>"


def _thread_of(headers: MailHeaders) -> str:
    """The mail that began the thread, as far as this one says: the first of References, else In-Reply-To."""
    for name in ("references", "in-reply-to"):
        found = message_ids(headers.raw(name))
        if found:
            return found[0]
    return ""


def automatic(mail: Mail, sender: Person) -> str:
    """ "bounce", "auto_reply" or "list" where a program wrote the mail, else "". Source: RFC 3834, RFC 3464, RFC 2919."""
    headers = mail.headers
    if _REPORT.match(headers.raw("content-type")) or _BOUNCE_SENDER.match(sender.email):
        return "bounce"
    if headers.raw("return-path").replace(" ", "") == "<>" or mail.envelope_from in ("", "<>"):
        return "bounce"
    precedence = headers.raw("precedence").lower()
    submitted = headers.raw("auto-submitted").lower().partition(";")[0].strip()
    if submitted not in ("", "no") or precedence == "auto_reply":
        return "auto_reply"
    if "x-autoreply" in headers or "x-autorespond" in headers:
        return "auto_reply"
    if "list-id" in headers or precedence in ("bulk", "list", "junk"):
        return "list"
    return ""


def _sender(mail: Mail) -> Person:
    if mail.sender_pair is not None and mail.sender_pair[1]:
        name, email = mail.sender_pair
        return Person(name=printable(name)[:256], email=printable(email)[:320])
    headers = mail.headers
    for value in (mail.sender, headers.raw("from"), headers.raw("sender"), mail.envelope_from or ""):
        for name, email in addresses(value):
            return Person(name=name, email=email)
    return Person()


def _recipients(mail: Mail) -> tuple[Recipient, ...]:
    """Each address once per role, in the order to, cc, bcc, envelope."""
    found: dict[tuple[str, str], Recipient] = {}
    if mail.people is not None:
        for person in mail.people:
            found.setdefault((person.role, person.email.lower()), person)
    else:
        for role in ("to", "cc", "bcc"):
            given = {"to": mail.to, "cc": mail.cc, "bcc": mail.bcc}[role]
            values = [given] if given else mail.headers.all(role)
            for value in values:
                for name, email in addresses(value):
                    found.setdefault((role, email.lower()), Recipient(name, email, role))
    for value in mail.envelope_to:
        for _, email in addresses(value):
            found.setdefault(("envelope", email.lower()), Recipient("", email, "envelope"))
    return tuple(found.values())[:1000]


def _bodies(mail: Mail, subject: str) -> Bodies:
    """The mail's bodies without quotes. A provider's own stripped text cuts without evidence, so it only counts where
    its text says something else, or is missing."""
    text = printable((mail.text or mail.reply)[:MAX_TEXT_CHARS])
    html = printable((mail.html or mail.reply_html)[:MAX_TEXT_CHARS])
    answers = "in-reply-to" in mail.headers or "references" in mail.headers
    bodies = bodies_of(text, html, subject=subject, answers=answers, flowed=mail.flowed)
    if mail.reply and mail.text and strays_from(mail.reply, mail.text):
        return replace(bodies, text=printable(mail.reply[:MAX_TEXT_CHARS]).strip())
    return bodies
