"""A raw mail (RFC 5322, MIME) as headers, text, HTML and the names of what is attached.

The standard library's `email` does the reading, under a policy that leaves header values as they are: its structured
header parser is quadratic, and raises over what real mails hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import EmailPolicy
from typing import Any

from relay.errors import PayloadInvalid
from relay.event import Attachment
from relay.sources.mail.headers import MailHeaders, attachment, decoded
from relay.sources.mail.reply import MAX_TEXT_CHARS
from relay.sources.read.charset import decode_bytes, printable

MAX_PARTS = 1000
#: 25 MB of base64 are 350,000 lines; each costs the parser up to 4 us.
MAX_LINES = 500_000
#: Lines that may begin a part, at 20 us each.
MAX_DELIMITERS = 20_000
#: Lines times multiparts: each line is compared with the boundary of every multipart that is open around it.
MAX_COMPARISONS = 10_000_000
_STRUCTURED_CHARS = 4096
_FOLD = re.compile(r"\r?\n[ \t]*")


class _AsTheyAre(EmailPolicy):
    """Header values are plain strings, cut where only an attack is longer."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return _FOLD.sub(" ", str(value)[:_STRUCTURED_CHARS]).strip()


_PARSER = BytesParser(EmailMessage, policy=_AsTheyAre(message_factory=EmailMessage))


@dataclass(frozen=True, slots=True)
class MimeMail:
    headers: MailHeaders
    text: str
    html: str
    attachments: tuple[Attachment, ...]


def read_mime(raw: bytes) -> MimeMail:
    """The mail. Any bytes give a mail, if an empty one; PayloadInvalid for what would take too long to read."""
    raw = raw.lstrip(b"\r\n")
    lines = raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n")
    if lines > MAX_LINES or raw.count(b"\n--") > MAX_DELIMITERS:
        raise PayloadInvalid("too many lines or parts")
    if raw.lower().count(b"multipart/") * lines > MAX_COMPARISONS:
        raise PayloadInvalid("too many nested parts")
    try:
        message = _PARSER.parsebytes(raw)
        return _read(message)
    except RecursionError:
        raise PayloadInvalid("parts nested too deeply") from None
    except Exception as error:
        # `email` promises to report defects and not to raise, and does not always keep it.
        raise PayloadInvalid(f"unreadable MIME ({type(error).__name__})") from None


def headers_of(message: Message[Any, Any]) -> MailHeaders:
    return MailHeaders((name, str(value)) for name, value in message.raw_items())


def _read(message: Message[Any, Any]) -> MimeMail:
    texts: list[str] = []
    pages: list[str] = []
    files: list[Attachment] = []
    stack: list[Message[Any, Any]] = [message]
    seen = 0
    while stack and seen < MAX_PARTS:
        part = stack.pop()
        seen += 1
        kind = part.get_content_type()
        if kind.startswith("multipart/") and part.is_multipart():
            stack.extend(reversed(_children(part)))
            continue
        if _is_file(part, kind):
            files.append(_attachment(part, kind))
            continue
        room = MAX_TEXT_CHARS - sum(map(len, pages if kind == "text/html" else texts))
        if room > 0:
            (pages if kind == "text/html" else texts).append(_text(part)[:room])
    return MimeMail(headers_of(message), "\n".join(filter(None, texts)), "\n".join(pages), tuple(files))


def _is_file(part: Message[Any, Any], kind: str) -> bool:
    if part.get_content_disposition() == "attachment" or part.get_filename():
        return True
    # A multipart without parts is a text that lost its boundary.
    return kind not in ("text/plain", "text/html") and not kind.startswith("multipart/")


def _children(part: Message[Any, Any]) -> list[Message[Any, Any]]:
    payload: Any = part.get_payload() if part.is_multipart() else []
    return [child for child in payload if isinstance(child, Message)]


def _attachment(part: Message[Any, Any], kind: str) -> Attachment:
    name = decoded(part.get_filename() or "")
    if part.is_multipart():
        # A mail in the mail: known by its subject.
        inner = _children(part)
        subject = decoded(str(inner[0]["subject"] or "")) if inner and kind == "message/rfc822" else ""
        return attachment(name or (f"{subject}.eml" if subject else ""), kind, None)
    return attachment(name, kind, len(_content(part)))


def _content(part: Message[Any, Any]) -> bytes:
    # Without `decode=True` the library decodes by whatever charset the mail names, "punycode" too.
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(part: Message[Any, Any]) -> str:
    charset = part.get_param("charset", "")
    name = charset if isinstance(charset, str) else charset[2]
    return printable(decode_bytes(_content(part)[: 4 * MAX_TEXT_CHARS], name)).strip("\r\n")
