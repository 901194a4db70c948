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
from relay.sources.mail_headers import MailHeaders, decode_bytes, decoded, printable, unfolded
from relay.sources.mail_reply import MAX_TEXT_CHARS

MAX_PARTS = 1000
#: Lines times multiparts: each line is compared with the boundary of every multipart that is open around it.
MAX_COMPARISONS = 20_000_000
_STRUCTURED_CHARS = 4096
_MULTIPART = re.compile(rb"content-type:[ \t\r\n]*multipart/", re.IGNORECASE)


class _AsTheyAre(EmailPolicy):
    """Header values are plain strings, cut where only an attack is longer."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return unfolded(str(value)[:_STRUCTURED_CHARS])


_PARSER = BytesParser(EmailMessage, policy=_AsTheyAre(message_factory=EmailMessage))


@dataclass(frozen=True, slots=True)
class MimeMail:
    headers: MailHeaders
    text: str
    html: str
    attachments: tuple[Attachment, ...]


def read_mime(raw: bytes) -> MimeMail:
    """The mail. Any bytes give a mail, if an empty one; PayloadInvalid where the nesting is an attack."""
    raw = raw.lstrip(b"\r\n")
    if (len(_MULTIPART.findall(raw)) + 1) * raw.count(b"\n") > MAX_COMPARISONS:
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
        payload = part.get_payload()
        if kind.startswith("multipart/") and isinstance(payload, list):
            stack.extend(child for child in reversed(payload) if isinstance(child, Message))
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


def _attachment(part: Message[Any, Any], kind: str) -> Attachment:
    from relay.sources.mail import attachment

    name = part.get_filename() or ""
    payload = part.get_payload()
    if isinstance(payload, list):
        inner = payload[0] if payload and isinstance(payload[0], Message) else None
        subject = (
            decoded(str(inner["subject"] or "")) if inner is not None and kind == "message/rfc822" else ""
        )
        return attachment(decoded(name) or (f"{subject}.eml" if subject else ""), kind, None)
    return attachment(decoded(name), kind, _size_bytes(part, payload))


def _size_bytes(part: Message[Any, Any], payload: Any) -> int | None:
    """The decoded size without decoding, which for 25 MB of base64 would cost more than all the rest."""
    if not isinstance(payload, str):
        return None
    if "base64" not in str(part.get("content-transfer-encoding", "")).lower():
        return len(payload)
    ends = payload[-4:].count("=") if payload.rstrip().endswith("=") else 0
    ends = len(payload.rstrip()) - len(payload.rstrip().rstrip("=")) if ends else 0
    return max(0, (len(payload) - sum(payload.count(char) for char in "\r\n ")) * 3 // 4 - ends)


def _text(part: Message[Any, Any]) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    charset = part.get_param("charset", "")
    name = charset if isinstance(charset, str) else charset[2]
    return printable(decode_bytes(content[: 4 * MAX_TEXT_CHARS], name)).strip("\r\n")
