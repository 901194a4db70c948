"""A raw mail (RFC 5322, MIME) as headers, text, HTML and the names of what is attached.

The standard library's `email` does the reading, under a policy that leaves header values as they are: its structured
header parser is quadratic, and raises over what real mails hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy
from typing import Any

from relay.errors import PayloadInvalid
from relay.event import Attachment
from relay.sources.mail.calendar import calendar_text
from relay.sources.mail.flowed import unflowed
from relay.sources.mail.headers import MailHeaders, attachment, decoded
from relay.sources.mail.nesting import is_too_nested
from relay.sources.mail.parts import Part, Structure, children, structure_of
from relay.sources.mail.repair import mended
from relay.sources.mail.reply import MAX_TEXT_CHARS
from relay.sources.mail.winmail import Winmail, read_winmail
from relay.sources.mail.words import FORWARDED_SUBJECT
from relay.sources.read.charset import decode_bytes, encodable, printable
from relay.sources.read.markup import html_of_text, text_of_html

#: 25 MB of base64 are 350,000 lines; each costs the parser up to 4 us.
MAX_LINES = 500_000
#: Lines that may begin a part, at 20 us each.
MAX_DELIMITERS = 20_000
_STRUCTURED_CHARS = 4096
_FOLD = re.compile(r"\r?\n[ \t]*")
_WINMAIL = re.compile(r"(?:winmail\.dat|win\.dat|noname\.tnef)$", re.IGNORECASE)


class _AsTheyAre(EmailPolicy):
    """Header values are plain strings, cut where only an attack is longer."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return _FOLD.sub(" ", str(value)[:_STRUCTURED_CHARS]).strip()


_PARSER = BytesParser(EmailMessage, policy=_AsTheyAre(message_factory=EmailMessage))


@dataclass(frozen=True, slots=True)
class MimeMail:
    """`flowed` says that in `text` a `>` behind a blank is the writer's own (RFC 3676)."""

    headers: MailHeaders
    text: str
    html: str
    attachments: tuple[Attachment, ...]
    flowed: bool = False


def read_mime(raw: bytes) -> MimeMail:
    """The mail. Any bytes give a mail, if an empty one; PayloadInvalid for what would take too long to read."""
    raw = mended(raw)
    lines = raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n")
    if lines > MAX_LINES or raw.count(b"\n--") > MAX_DELIMITERS:
        raise PayloadInvalid("too many lines or parts")
    if is_too_nested(raw):
        raise PayloadInvalid("too many nested parts")
    try:
        message = _PARSER.parsebytes(raw)
        return _read(message)
    except RecursionError:
        raise PayloadInvalid("parts nested too deeply") from None
    except Exception as error:
        # `email` promises to report defects and not to raise, and does not always keep it.
        raise PayloadInvalid(f"unreadable MIME ({type(error).__name__})") from None


def _read(message: Part) -> MimeMail:
    found = structure_of(message)
    headers = _headers(message, _charset(found.text[0]) if found.text else "")
    files = [_attachment(part) for part in found.files]
    files += [
        _attachment(part)
        for part in found.text
        if part.get_filename() and part.get_content_type() == "text/plain"
    ]
    text, html, flowed = _bodies(found)
    winmail = next((opened for part in found.files if (opened := _winmail(part))), None)
    if winmail is not None:
        files += winmail.files
        text, html = text or winmail.text, html or winmail.html
    forwarded = FORWARDED_SUBJECT.match(headers.get("subject")[:200]) is not None
    empty = not text.strip() and not (html and text_of_html(html))
    if empty or forwarded:
        enclosed = _enclosed(found, mails_only=not empty)
        if enclosed:
            text = f"{text}\n\n{enclosed}".strip()
            html = html and f"{html}<br><br>{html_of_text(enclosed)}"
    return MimeMail(headers, text[:MAX_TEXT_CHARS], html[:MAX_TEXT_CHARS], tuple(files), flowed)


def _headers(message: Part, charset: str) -> MailHeaders:
    """Raw eight-bit values are read in the body's charset, where they are not UTF-8."""
    return MailHeaders((name, encodable(str(value), charset)) for name, value in message.raw_items())


def _bodies(found: Structure) -> tuple[str, str, bool]:
    """The text and the HTML; each is "" where the mail has no part of its own type for it."""
    has_text = any(part.get_content_type() != "text/html" for part in found.text)
    has_html = any(part.get_content_type() == "text/html" for part in found.html)
    texts: list[str] = []
    pages: list[str] = []
    flowed = False
    for part in found.text if has_text else ():
        if part.get_content_type() == "text/html":
            texts.append(text_of_html(_text(part)))
            continue
        text = _text(part)
        if str(part.get_param("format", "")).lower() == "flowed":
            flowed = True
            text = unflowed(text, delete_space=str(part.get_param("delsp", "")).lower() == "yes")
        texts.append(text)
    for part in found.html if has_html else ():
        text = _text(part)
        pages.append(text if part.get_content_type() == "text/html" else html_of_text(text.strip()))
    # A page may end inside an element; a break keeps the words of two parts apart.
    return "\n".join(filter(None, texts)), "<br>\n".join(filter(None, pages)), flowed


def _enclosed(found: Structure, *, mails_only: bool) -> str:
    """What a mail holds that has no text of its own, or that is passed on: the mails and invitations inside it."""
    shown: list[str] = []
    for part in found.files:
        kind = part.get_content_type()
        if kind == "message/rfc822":
            shown.extend(_inner_mail(inner) for inner in children(part)[:1])
        elif kind == "text/calendar" and not mails_only and not shown:
            shown.append(calendar_text(_text(part)))
    return "\n\n".join(filter(None, shown))[:MAX_TEXT_CHARS]


def _inner_mail(message: Part) -> str:
    inner = structure_of(message)
    headers = _headers(message, _charset(inner.text[0]) if inner.text else "")
    lines = [
        f"{name}: {value}" for name in ("From", "Date", "Subject") if (value := headers.get(name.lower()))
    ]
    text, html, _ = _bodies(inner)
    return "\n".join(lines) + "\n\n" + (text.strip() or text_of_html(html))


def _winmail(part: Part) -> Winmail | None:
    kind = part.get_content_type()
    if kind in ("application/ms-tnef", "application/vnd.ms-tnef") or _WINMAIL.search(
        part.get_filename() or ""
    ):
        return read_winmail(_content(part))
    return None


def _attachment(part: Part) -> Attachment:
    name = decoded(part.get_filename() or "")
    kind = part.get_content_type()
    if part.is_multipart():
        # A mail in the mail: known by its subject.
        inner = children(part)
        subject = decoded(str(inner[0]["subject"] or "")) if inner and kind == "message/rfc822" else ""
        return attachment(name or (f"{subject}.eml" if subject else ""), kind, None)
    return attachment(name, kind, len(_content(part)))


def _content(part: Part) -> bytes:
    # Without `decode=True` the library decodes by whatever charset the mail names, "punycode" too.
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _charset(part: Part) -> str:
    charset = part.get_param("charset", "")
    return charset if isinstance(charset, str) else charset[2]


def _text(part: Part) -> str:
    content = _content(part)
    cut = len(content) > 4 * MAX_TEXT_CHARS
    return printable(decode_bytes(content[: 4 * MAX_TEXT_CHARS], _charset(part), cut=cut)).strip("\r\n")
