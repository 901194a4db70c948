"""A raw mail (RFC 5322, MIME) as headers, text, HTML and the names of what is attached.

The standard library's `email` does the reading, under a policy that leaves header values as they are: its structured
header parser is quadratic, and raises over what real mails hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.feedparser import BytesFeedParser
from email.message import EmailMessage
from email.policy import EmailPolicy
from functools import partial
from typing import Any

from relay.errors import PayloadInvalid
from relay.event import Attachment
from relay.sources.mail.calendar import calendar_text
from relay.sources.mail.flowed import unflowed
from relay.sources.mail.headers import MailHeaders, attachment, decoded
from relay.sources.mail.nesting import is_too_nested
from relay.sources.mail.parts import Leaf, MailPart, Structure, children, structure_of
from relay.sources.mail.repair import mended
from relay.sources.mail.reply import MAX_TEXT_CHARS
from relay.sources.mail.rtf import text_of_rtf
from relay.sources.mail.signed import signed_content
from relay.sources.mail.slim import Slim, SlimPart, slim
from relay.sources.mail.winmail import Winmail, read_winmail
from relay.sources.mail.words import FORWARDED_SUBJECT
from relay.sources.read.charset import charset_of_page, decode_bytes, encodable, printable
from relay.sources.read.markup import html_of_text, text_of_html

#: 25 MB of base64 are 350,000 lines; each costs the parser up to 4 us.
_MAX_LINES = 500_000
#: Without what is attached; each is an object of some sixty bytes meanwhile.
_MAX_LEAN_LINES = 300_000
#: Lines that may begin a part, at 20 us each.
MAX_DELIMITERS = 20_000
_STRUCTURED_CHARS = 4096
_FOLD = re.compile(r"\r?\n[ \t]*")
_TNEF = ("application/ms-tnef", "application/vnd.ms-tnef")
_SIGNED, _UNKNOWN = ("application/pkcs7-mime", "application/x-pkcs7-mime"), "application/octet-stream"
_P7M = re.compile(r"\.p7m$", re.IGNORECASE)
#: A gateway may sign what its user signed.
_MAX_SIGNATURES = 3
_ENCODING = "content-transfer-encoding"
_ENCLOSED = ("message/rfc822", "text/calendar")
#: Formats in which some mails have their only body.
_RARE = (
    *("text/markdown", "text/x-markdown", "text/enriched", "text/rtf", "application/rtf"),
    *("text/text", "text/x-plain", "application/xhtml+xml"),
)
_ENRICHED = re.compile(r"(?<!<)</?[a-zA-Z0-9-]{1,60}>")
_WINMAIL = re.compile(r"(?:winmail\.dat|win\.dat|noname\.tnef)$", re.IGNORECASE)


class _AsTheyAre(EmailPolicy):
    """Header values are plain strings, cut where only an attack is longer."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        text = str(value)[:_STRUCTURED_CHARS]
        return (_FOLD.sub(" ", text) if "\n" in text else text).strip()


_POLICY = _AsTheyAre(message_factory=EmailMessage)
_FED_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class MimeMail:
    """`flowed` says that in `text` a `>` behind a blank is the writer's own (RFC 3676)."""

    headers: MailHeaders
    text: str
    html: str
    attachments: tuple[Attachment, ...]
    flowed: bool = False


def read_mime(raw: bytes) -> MimeMail:
    """Return the mail. Any bytes give a mail, if an empty one; PayloadInvalid for what would take too long to read."""
    try:
        return _read(_parsed(_bounded(raw)))
    except RecursionError:
        raise PayloadInvalid("parts nested too deeply") from None
    except PayloadInvalid:
        raise
    except Exception as error:
        # `email` promises to report defects and not to raise, and does not always keep it.
        raise PayloadInvalid(f"unreadable MIME ({type(error).__name__})") from None


def _bounded(raw: bytes) -> Slim:
    """What is parsed of a mail. PayloadInvalid for what would take too long."""
    raw = mended(raw)
    lines = raw.count(b"\n") + raw.count(b"\r") - raw.count(b"\r\n")
    if lines > _MAX_LINES or raw.count(b"\n--") > MAX_DELIMITERS:
        raise PayloadInvalid("too many lines or parts")
    if is_too_nested(raw):
        raise PayloadInvalid("too many nested parts")
    lean = slim(raw)
    if lean.lean.count(b"\n") > _MAX_LEAN_LINES:
        raise PayloadInvalid("too many lines")
    return lean


def _parsed(slim: Slim) -> MailPart:
    """The mail, given to the parser piece by piece: it makes five of what it is given at once."""
    parser = BytesFeedParser(partial(SlimPart, slim=slim), policy=_POLICY)
    for at in range(0, len(slim.lean), _FED_BYTES):
        parser.feed(slim.lean[at : at + _FED_BYTES])
    return parser.close()


def _read(message: MailPart) -> MimeMail:
    found = structure_of(_unsigned(message))
    headers = _headers(message, found)
    files = [_attachment(leaf) for leaf in found.files]
    files += [_attachment(leaf) for leaf in found.text if leaf.may_be_named and leaf.part.get_filename()]
    text, html, flowed = _bodies(found)
    for leaf in found.files:
        opened = _winmail(leaf)
        if opened is not None:
            files += opened.files
            text, html = text or opened.text, html or opened.html
    text = text if text.strip() or html else _other_text(found)
    if any(leaf.kind in _ENCLOSED for leaf in found.files):
        empty = not text.strip() and not (html and text_of_html(html))
        if empty or FORWARDED_SUBJECT.match(headers.get("subject")[:200]):
            enclosed = _enclosed(found, mails_only=not empty)
            text = f"{text}\n\n{enclosed}".strip()
            html = html and f"{html}<br><br>{html_of_text(enclosed)}"
    return MimeMail(headers, text[:MAX_TEXT_CHARS], html[:MAX_TEXT_CHARS], tuple(files), flowed)


def _unsigned(message: MailPart) -> MailPart:
    """The mail inside of a signature that holds it; a mail that is signed otherwise, or not, as it is."""
    for _ in range(_MAX_SIGNATURES):
        kind = message.get_content_type()
        if kind not in _SIGNED and not (kind == _UNKNOWN and _P7M.search(message.get_filename() or "")):
            break
        inner = signed_content(_content(message))
        if not inner:
            break
        try:
            message = _parsed(_bounded(inner))
        except PayloadInvalid:
            break
    return message


def _headers(message: MailPart, found: Structure) -> MailHeaders:
    """Raw eight-bit values are read in the body's charset, where they are not UTF-8."""
    values = [(name, str(value)) for name, value in message.raw_items()]
    if all(value.isascii() for _, value in values):
        return MailHeaders(values)
    charset = found.text[0].parameter("charset") if found.text else ""
    return MailHeaders((name, encodable(value, charset)) for name, value in values)


def _bodies(found: Structure) -> tuple[str, str, bool]:
    """The text and the HTML; each is "" where the mail has no part of its own type for it."""
    texts: list[str] = []
    pages: list[str] = []
    flowed = False
    for leaf in found.text if any(not leaf.is_page for leaf in found.text) else ():
        text = _text(leaf)
        if leaf.is_page:
            texts.append(text_of_html(text))
            continue
        if leaf.parameter("format").lower() == "flowed":
            flowed = True
            text = unflowed(text, delete_space=leaf.parameter("delsp").lower() == "yes")
        texts.append(text)
    for leaf in found.html if any(leaf.is_page for leaf in found.html) else ():
        text = _text(leaf)
        pages.append(text if leaf.is_page else html_of_text(text.strip()))
    # A page may end inside an element; a break keeps the words of two parts apart.
    return "\n".join(filter(None, texts)), "<br>\n".join(filter(None, pages)), flowed


def _other_text(found: Structure) -> str:
    """The body of a mail that has one in no common format: Markdown, rich or enriched text (RFC 1896)."""
    for leaf in found.files:
        if leaf.kind in _RARE and not (leaf.may_be_named and leaf.part.get_filename()):
            if leaf.kind.endswith("rtf"):
                return text_of_rtf(_content(leaf.part)[:MAX_TEXT_CHARS])
            text = _text(leaf)[:MAX_TEXT_CHARS]
            if leaf.kind.endswith("xml"):
                return text_of_html(text)
            return _ENRICHED.sub("", text).replace("<<", "<") if leaf.kind == "text/enriched" else text
    return ""


def _enclosed(found: Structure, *, mails_only: bool) -> str:
    """What a mail holds that has no text of its own, or that is passed on: the mails and invitations inside it."""
    shown: list[str] = []
    for leaf in found.files:
        if leaf.kind == "message/rfc822":
            inner = _mail_in(leaf.part)
            shown.append(_inner_mail(inner) if inner is not None else "")
        elif leaf.kind == "text/calendar" and not mails_only and not shown:
            shown.append(calendar_text(_text(leaf)))
    return "\n\n".join(filter(None, shown))[:MAX_TEXT_CHARS]


def _mail_in(part: MailPart) -> MailPart | None:
    """The mail in a part; None where there is none, or one that would take too long to read."""
    inner = next(iter(children(part)), None)
    encoding = str(part.get(_ENCODING, "")).strip().lower()
    if inner is None or encoding != "base64" or {name.lower() for name in inner} - {_ENCODING}:
        return inner
    # Against RFC 2046 (5.2.1), as PHPMailer attaches an .eml: the parser took the letters for the text of a mail without headers.
    if _ENCODING not in inner:
        inner[_ENCODING] = encoding
    try:
        return _parsed(_bounded(_content(inner)))
    except PayloadInvalid:
        return None


def _inner_mail(message: MailPart) -> str:
    inner = structure_of(message)
    headers = _headers(message, inner)
    lines = [
        f"{name}: {value}" for name in ("From", "Date", "Subject") if (value := headers.get(name.lower()))
    ]
    text, html, _ = _bodies(inner)
    return "\n".join(lines) + "\n\n" + (text.strip() or text_of_html(html))


def _winmail(leaf: Leaf) -> Winmail | None:
    if leaf.kind in _TNEF or (
        leaf.kind.startswith("application/") and _WINMAIL.search(leaf.part.get_filename() or "")
    ):
        return read_winmail(_content(leaf.part))
    return None


def _attachment(leaf: Leaf) -> Attachment:
    part, kind = leaf.part, leaf.kind
    name = decoded(part.get_filename() or "")
    if part.is_multipart():
        # A mail in the mail: known by its subject.
        inner = _mail_in(part) if kind == "message/rfc822" else None
        subject = decoded(str(inner["subject"] or "")) if inner is not None else ""
        return attachment(name or (f"{subject}.eml" if subject else ""), kind, None)
    size = part.content_size() if isinstance(part, SlimPart) else None
    return attachment(name, kind, len(_content(part)) if size is None else size)


def _content(part: MailPart) -> bytes:
    # Without `decode=True` the library decodes by whatever charset the mail names, "punycode" too.
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(leaf: Leaf) -> str:
    content = _content(leaf.part)
    cut = len(content) > 4 * MAX_TEXT_CHARS
    content = content[: 4 * MAX_TEXT_CHARS]
    charset = leaf.parameter("charset")
    if leaf.is_page:
        charset = charset_of_page(content, charset)
    return printable(decode_bytes(content, charset, cut=cut)).strip("\r\n")
