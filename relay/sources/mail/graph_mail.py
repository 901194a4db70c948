"""Microsoft Graph's message: a mail of a mailbox. Source: Microsoft Graph, "message resource type"."""

from __future__ import annotations

from dataclasses import dataclass

from relay.event import Person, Recipient
from relay.sources.foreign_json import Walk
from relay.sources.mail.bodies import bodies_of
from relay.sources.read.moment import moment_us

_MAX_PEOPLE = 200


@dataclass(frozen=True, slots=True)
class GraphMail:
    """`thread` is the conversation in the mailbox, "" where it is not told."""

    thread: str
    version: int | None
    subject: str
    text: str
    html: str
    quoted: str
    sender: Person
    recipients: tuple[Recipient, ...]
    url: str


def read_mail(message: Walk) -> GraphMail:
    """Return a mail, whatever of it is there: without `body`, its preview."""
    body, subject = message.maybe("body"), message.maybe_text("subject")
    content = body.maybe_text("content") or message.maybe_text("bodyPreview")
    is_html = body.maybe_text("contentType").lower() == "html"
    told = bodies_of("" if is_html else content, content if is_html else "", subject=subject)
    author = message.maybe("from").maybe("emailAddress")
    return GraphMail(
        thread=message.maybe_ident("conversationId"),
        version=moment_us(message.maybe_text("receivedDateTime") or message.maybe_text("sentDateTime")),
        subject=subject,
        text=told.text,
        html=told.html,
        quoted=told.quoted,
        sender=Person(name=author.maybe_text("name"), email=author.maybe_text("address")),
        recipients=tuple(
            Recipient(who.maybe_text("name"), who.maybe_text("address"), role)
            for role, key in (("to", "toRecipients"), ("cc", "ccRecipients"))
            for one in message.items(key)[:_MAX_PEOPLE]
            if (who := one.maybe("emailAddress")).value
        ),
        url=message.maybe_text("webLink"),
    )
