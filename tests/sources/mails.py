"""Mails of our own making, by their headers, and what the mail room makes of them."""

from __future__ import annotations

from typing import Any

from relay.event import Event
from relay.source_options import SourceOptions
from relay.sources.base import Parsed
from relay.sources.mail.event import Mail, mail_event
from relay.sources.mail.headers import MailHeaders

NOW_S = 1_772_600_000.0
OPTIONS = SourceOptions(name="support-mail", adapter="postmark")
FROM = ("From", "Nora Lind <nora@acme.example>")


def parsed(
    *headers: tuple[str, str],
    keep_auto: bool = False,
    now_s: float = NOW_S,
    options: SourceOptions = OPTIONS,
    **fields: Any,
) -> Parsed:
    """What becomes of a mail with these headers; it is from Nora unless one of them is From."""
    fields.setdefault("text", "hello")
    named = {name.lower() for name, _ in headers}
    mail = Mail(headers=MailHeaders([*([] if "from" in named else [FROM]), *headers]), **fields)
    return mail_event(mail, options, "postmark", now_s=now_s, keep_auto=keep_auto)


def event(*headers: tuple[str, str], **fields: Any) -> Event:
    found = parsed(*headers, **fields)
    assert isinstance(found, Event)
    return found
