"""The mail room: a mail, however its provider delivered it, becomes one event here.

Each adapter fills in a `Mail` and calls `mail_event`. The same Message-ID is the same event, whatever id the provider gave
this delivery; which conversation it belongs to is `thread_ids`' matter, who wrote it `people`'s, and whether a program did
`automatic`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from relay.errors import PayloadInvalid
from relay.event import Attachment, Event, Person, Recipient, event_id
from relay.linear_pattern import Pattern, compile_pattern
from relay.source_options import SourceOptions
from relay.sources.base import Parsed, Skipped, content_key, iso_from_us
from relay.sources.mail.automatic import BOUNCE, TAGS, Automatic, classify
from relay.sources.mail.bodies import Bodies, bodies_of, strays_from
from relay.sources.mail.headers import MailHeaders, date_us, unfolded
from relay.sources.mail.people import mail_author, recipients_of, writer_of
from relay.sources.mail.reply import MAX_TEXT_CHARS
from relay.sources.mail.thread_ids import named_ids, own_ids, thread_ids
from relay.sources.read.charset import printable

MAX_ATTACHMENTS = 200
#: A writer's clock may be wrong; a mail from the future would stand above all that follows it.
FUTURE_US = 86_400_000_000


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


def mail_event(
    mail: Mail, options: SourceOptions, adapter: str, *, now_s: float, keep_auto: bool = False
) -> Parsed:
    """Return the event, or why there is none. Raises PayloadInvalid for a mail that holds neither sender nor text."""
    headers = mail.headers
    author = mail_author(headers, mail.sender, mail.sender_pair)
    subject = unfolded(mail.subject).replace("\n", " ") or headers.get("subject")
    automatic = classify(
        headers,
        subject=subject,
        author=mail.sender or headers.raw("from"),
        sender=author.email,
        envelope_from=mail.envelope_from,
    )
    if skipped := _skipped(automatic, options, keep_auto):
        return Skipped(skipped)
    recipients = recipients_of(
        headers, {"to": mail.to, "cc": mail.cc, "bcc": mail.bcc}, mail.people, mail.envelope_to
    )
    sender = writer_of(author, headers, recipients, mail.envelope_from)
    tags = (*mail.tags, *automatic.tags)
    if automatic.reason:
        sender = replace(sender, bot=True)
        tags = (*tags, "bounce" if automatic.reason == BOUNCE else "auto-reply")
    bodies = _bodies(mail, subject)
    mine = own_ids(headers, mail.message_id)
    date = headers.raw("date") or mail.date
    if not (sender.email or bodies.text or subject or mine or mail.attachments):
        raise PayloadInvalid("neither sender nor subject nor text")
    key = mine[0] if mine else _fingerprint(mail, sender, date, subject)
    people = {author.email.lower(), sender.email.lower(), *(person.email.lower() for person in recipients)}
    named = named_ids(headers, people)
    version = _version(mail, date, now_s)
    source = options.name
    return Event(
        id=event_id(source, f"mail:{key}"),
        source=source,
        adapter=adapter,
        kind="email.received",
        time=iso_from_us(version),
        version=version,
        thread=named.first or key,
        subject=subject[:2000],
        text=bodies.text,
        html=bodies.html,
        quoted=bodies.quoted,
        sender=sender,
        recipients=recipients,
        message_id=mine[0] if mine else (printable(mail.id_without_header)[:900] or key),
        url=mail.url,
        attachments=tuple(mail.attachments)[:MAX_ATTACHMENTS],
        tags=tuple(dict.fromkeys(tag for tag in tags if tag)),
        delivery_id=printable(mail.delivery_id)[:900],
        also_seen=tuple(mail.also_seen),
        threading=thread_ids(
            source, mine or [key], named, headers, ticket=_ticket(options.thread_subject, subject)
        ),
        payload=mail.payload,
    )


def _skipped(automatic: Automatic, options: SourceOptions, keep_auto: bool) -> str:
    """Why this source wants no mail of this kind; "" where it wants it."""
    if automatic.reason and not keep_auto:
        return automatic.reason
    return next((word for word, tag in TAGS.items() if tag in automatic.tags and word in options.skip), "")


def _version(mail: Mail, date: str, now_s: float) -> int:
    """When it was written, in microseconds since 1970; when it came where its clock cannot be right."""
    now_us = int(now_s * 1_000_000)
    written_us = date_us(date)
    if written_us is None or written_us > now_us + FUTURE_US:
        written_us = date_us(mail.received)
    return now_us if written_us is None else min(written_us, now_us + FUTURE_US)


def _ticket(pattern: str, subject: str) -> str:
    """What the config's pattern finds in a subject: its first group, or all of it where it has none; "" for nothing."""
    if not pattern:
        return ""
    compiled = _compiled(pattern)
    found = compiled.search(subject[:2000].encode("utf-8", "replace"))
    piece = found.group(min(compiled.groups, 1)) if found else None
    return piece.decode("utf-8", "replace").strip() if piece else ""


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Pattern:
    return compile_pattern(pattern)


def _fingerprint(mail: Mail, sender: Person, date: str, subject: str) -> str:
    """What stands for a Message-ID that is missing: the same for the same mail, however often it is delivered. Only
    where a mail has no text to tell it by, the provider's id counts."""
    files = "".join(f"{file.name}\x1e{file.size}\x1e" for file in mail.attachments)
    own_id = "" if mail.text or mail.html else mail.id_without_header
    return f"<{content_key(sender.email, date, subject, mail.text, mail.html, files, own_id)}@no-message-id>"


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
