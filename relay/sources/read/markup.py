"""HTML from outside made harmless, and read as text. Everything here takes linear time."""

from __future__ import annotations

import re
from html import escape, unescape

import nh3

#: An HTML parser takes quadratic time over elements that never close: 100,000 open `<div>` need 20 s. Deeper
#: than this (mails nest tables, at most some dozens deep) it is read as text instead.
MAX_DEPTH = 200

#: End tags in comments, attributes and foreign elements close nothing, so that depth can be hidden from a count;
#: with so few elements the quadratic time is 0.3 s at most.
MAX_ELEMENTS = 5000

_CLEANER = nh3.Cleaner()
_STRIPPER = nh3.Cleaner(tags=set())
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_ANY_TAG = re.compile(r"<[^<>]*>")
_HAS_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_LINE_ENDS = re.compile(r"<br\s?/?>|</(?:p|div|li|tr|h[1-6]|blockquote|pre)>", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n{3,}")
#: These hold nothing, or close by themselves when the next one begins.
_SHALLOW = frozenset(
    [
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track"),
        *("wbr", "p", "li", "dt", "dd", "tr", "td", "th", "option"),
    ]
)


def clean_html(html: str) -> str:
    """HTML that may go anywhere: no scripts, styles, handlers or foreign schemes. Plain text, which some
    senders put where HTML is due, comes out as `html_of_text` of it."""
    if "<" not in html and "&" not in html:
        return html_of_text(html)
    html = _printable(html)
    if not _HAS_TAG.search(html):
        return html_of_text(unescape(html))
    if is_deep(html):
        return html_of_text(text_of_html(html))
    return _CLEANER.clean(html).strip()


def text_of_html(html: str) -> str:
    """The text that a reader sees, lines broken where paragraphs end."""
    if "<" not in html and "&" not in html:
        return html.strip()
    html = _LINE_ENDS.sub(lambda found: found[0] + "\n", _printable(html))
    stripped = _ANY_TAG.sub("", html) if is_deep(html) else _STRIPPER.clean(html)
    lines = "\n".join(line.strip() for line in unescape(stripped).replace("\xa0", " ").splitlines())
    return _BLANK_LINES.sub("\n\n", lines).strip()


def html_of_text(text: str) -> str:
    """Text as HTML: escaped, with its line breaks."""
    if not text:
        return ""
    return escape(text).replace("\r\n", "\n").replace("\n", "<br>")


def _printable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def is_deep(html: str) -> bool:
    """Whether more than MAX_DEPTH elements may be open at once. Counted per name: an end tag whose element
    never began closes nothing."""
    if html.count("<") <= MAX_DEPTH:
        return False
    depth = elements = 0
    opened: dict[str, int] = {}
    for found in _TAG.finditer(html):
        name = found[2].lower()
        if name in _SHALLOW:
            continue
        count = opened.get(name, 0)
        if not found[1]:
            opened[name] = count + 1
            depth += 1
            elements += 1
            if depth > MAX_DEPTH or elements > MAX_ELEMENTS:
                return True
        elif count:
            opened[name] = count - 1
            depth -= 1
    return False
