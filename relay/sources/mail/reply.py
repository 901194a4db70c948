"""What the writer wrote, apart from what was quoted under it.

`mail-parser-reply` knows the attribution lines of many languages and mail programs, but its patterns take more than
linear time. So lines are scanned here first: quoted lines leave, long lines are hidden behind a mark, and the library
sees at most `HEAD_CHARS` of what remains.
"""

from __future__ import annotations

import re
from functools import cache

from mailparser_reply.parser import EmailMessage

#: Nobody reads more of one mail in a conversation; what is beyond is cut before anything looks at it.
MAX_TEXT_CHARS = 1_000_000
#: What is kept of a mail that is nothing but a quote.
MAX_QUOTE_CHARS = 100_000
#: What the library sees at most, of lines no longer than `LONG_LINE_CHARS`: no attribution line is longer.
HEAD_CHARS = 12_000
LONG_LINE_CHARS = 300
#: Attributions above quotes that are looked for in one mail; a mail answered paragraph by paragraph has few.
MAX_ATTRIBUTIONS = 20

_QUOTED = "\ue000"
_LONG = "\ue001"
_SEPARATOR = re.compile(
    r"^\s{0,8}[-_]{2,40} ?(?:original message|original appointment|forwarded message|reply message|"
    r"urspr\u00fcngliche nachricht|weitergeleitete nachricht|message d'origine|message original|mensaje original|"
    r"messaggio originale|oorspronkelijk bericht|ursprungligt meddelande|oprindelig meddelelse|"
    r"mensagem original|\u539f\u59cb\u90ae\u4ef6|\u5143\u306e\u30e1\u30c3\u30bb\u30fc\u30b8) ?[-_]{2,40}\s*$",
    re.IGNORECASE,
)
_FIELD = re.compile(
    r"^[*\s]{0,8}(?:from|sent|to|cc|subject|date|von|gesendet|an|betreff|datum|de|envoy\u00e9|\u00e0|objet|enviado|"
    r"para|asunto|da|inviato|a|oggetto|van|verzonden|aan|onderwerp)\s?:[*\s]",
    re.IGNORECASE,
)
_RULE = re.compile(r"^\s{0,8}[_-]{20,200}\s*$")
_WHEN_OR_WHO = re.compile(r"\d[:.]\d\d|\d{4}|@")
#: Words that make a language's patterns worth asking; each costs time on every mail.
_LANGUAGES = {
    "de": ("schrieb", "Gesendet:", "Von:"),
    "fr": ("a \u00e9crit", "Envoy\u00e9"),
    "es": ("escribi\u00f3", "Enviado"),
    "it": ("ha scritto", "Inviato"),
    "nl": ("schreef", "Verzonden"),
    "sv": ("skrev", "Skickat"),
    "da": ("skrev", "Sendt:"),
    "cs": ("napsal", "Odesl\u00e1no"),
    "pl": ("napisa\u0142", "Wys\u0142ano"),
    "ja": ("\u5e74",),
    "ko": ("\ub144",),
    "zh": ("\u5199\u9053", "\u53d1\u4ef6\u4eba", "\u5199\u9053\uff1a"),
}


def reply_of(text: str) -> str:
    """The text without what it quotes. What would leave nothing (a forwarded mail) is given whole."""
    text = text[:MAX_TEXT_CHARS].replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        return ""
    reply = _without_quotes(text)
    return reply or text[:MAX_QUOTE_CHARS].strip()


def _without_quotes(text: str) -> str:
    lines: list[str] = []
    hidden: list[str] = []
    for line in text.split("\n"):
        bare = line.lstrip(" \t")
        if bare.startswith((">", "&gt;")):
            if not lines or lines[-1] != _QUOTED:
                lines.append(_QUOTED)
        elif bare.startswith((_QUOTED, _LONG)):
            continue  # private characters nobody sends but to confuse
        elif len(line) > LONG_LINE_CHARS:
            lines.append(f"{_LONG}{len(hidden)}")
            hidden.append(line)
        else:
            lines.append(line.rstrip())
    lines = lines[: _first_header_block(lines)]
    kept = _without_attributions("\n".join(lines))
    written: list[str] = []
    for line in kept.split("\n"):
        if line == _QUOTED:
            _drop_attribution(written)
        else:
            written.append(hidden[int(line[1:])] if line.startswith(_LONG) else line)
    return "\n".join(written).strip()


def _drop_attribution(lines: list[str]) -> None:
    """What the library does not know: the line right above a quote that names a time or an address and ends in a
    colon, in whatever language."""
    for place in range(len(lines) - 1, max(-1, len(lines) - 3), -1):
        line = lines[place]
        if line:
            if line.endswith(":") and _WHEN_OR_WHO.search(line):
                lines[place] = ""
            return


def _first_header_block(lines: list[str]) -> int:
    """Where a copied header ("From: ... Sent: ... Subject: ...") or a separator line begins, else the end."""
    for place, line in enumerate(lines):
        if _SEPARATOR.match(line):
            return place
        if _RULE.match(line) and _is_block(lines, place + 1):
            return place
        if _is_block(lines, place):
            return place
    return len(lines)


def _is_block(lines: list[str], place: int) -> bool:
    """Three header fields in a row; two could be somebody's list."""
    if place < len(lines) and lines[place] and not _FIELD.match(lines[place]):
        return False
    near = [line for line in lines[place : place + 6] if line][:3]
    return len(near) == 3 and all(_FIELD.match(line) for line in near)


def _without_attributions(text: str) -> str:
    """Attribution lines above a quote leave; at one without a quote mark under it all the rest leaves."""
    head, rest = text[:HEAD_CHARS], text[HEAD_CHARS:]
    pattern = _header_pattern(
        tuple(code for code, words in _LANGUAGES.items() if any(w in head for w in words))
    )
    at = 0
    for _ in range(MAX_ATTRIBUTIONS):
        found = pattern.search(head, at)
        if found is None:
            break
        if not found[0].strip() or found[0].strip() == _QUOTED:
            at = found.end() + (found.end() == at)
            continue
        after = head[found.end() :].lstrip("\n ")
        if not after.startswith(_QUOTED):
            return head[: found.start()]
        head = head[: found.start()] + "\n" + head[found.end() :]
        at = found.start()
    return head + rest


@cache
def _header_pattern(languages: tuple[str, ...]) -> re.Pattern[str]:
    pattern = EmailMessage(text="", languages=[*languages]).HEADER_REGEX
    assert isinstance(pattern, re.Pattern)
    return pattern


#: Where mail programs begin the quoted part of an HTML body.
_HTML_QUOTE = re.compile(
    r"<(?:div|blockquote|hr|table|span|section)\b[^<>]{0,200}?(?:gmail_quote|gmail_attr|yahoo_quoted|moz-cite-prefix|divRplyFwdMsg|"
    r"appendonsend|stopSpelling|type=[\"']?cite|protonmail_quote|OLK_SRC_BODY_SECTION|mail-editor-reference-message|"
    r"zmail_extra|ms-outlook-mobile-reference-message)",
    re.IGNORECASE,
)


def reply_of_html(html: str) -> str:
    """HTML up to where a mail program began its quote; unclean still. Whole where nothing would be left."""
    html = html[:MAX_TEXT_CHARS]
    found = _HTML_QUOTE.search(html)
    if found is None:
        return html
    kept = html[: found.start()]
    return kept if _TEXT.search(kept) else html


_TEXT = re.compile(r">[^<>]*[^\s<>&][^<>]*<|\A[^<>]*[^\s<>&]")
