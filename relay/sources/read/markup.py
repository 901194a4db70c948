"""HTML from outside made harmless, and read as text. Everything here takes linear time."""

from __future__ import annotations

import re
from html import escape, unescape

import nh3

from relay.sources.read.page import read_page

#: An HTML parser takes quadratic time over elements that never close: 100,000 open `<div>` need 20 s. Deeper
#: than this (mails nest tables, at most some dozens deep) it is read as text instead.
MAX_DEPTH = 200

#: End tags in comments, attributes and foreign elements close nothing, so that depth can be hidden from a count;
#: with so few elements the quadratic time is 0.3 s at most.
MAX_ELEMENTS = 5000

#: Each costs up to 4 us.
MAX_TAGS = 50_000

#: The cleaner copies the text so far at every character reference: quadratic, 0.1 s for so many.
MAX_REFERENCES = 50_000

_CLEANER = nh3.Cleaner(
    clean_content_tags={"script", "style", "title", "noembed", "noframes", "template", "xml"}
)
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)|<!--")
_COMMENT_END = re.compile(r"--!?>")
_ANY_TAG = re.compile(r"<[^<>]*>")
_HAS_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_LINE_ENDS = re.compile(r"<br\s?/?>|</(?:p|div|li|tr|td|h[1-6]|blockquote|pre)>", re.IGNORECASE)
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
    """The text that a reader sees, lines broken where paragraphs end, cells apart."""
    if "<" not in html and "&" not in html:
        return html.strip()
    html = _printable(html)
    text = _crude_text(html) if is_deep(html) else read_page(html).text
    return _BLANK_LINES.sub("\n\n", text).strip()


def _crude_text(html: str) -> str:
    """The text of what is too deep for a parser: every tag taken out."""
    html = _ANY_TAG.sub(" ", _LINE_ENDS.sub(lambda found: found[0] + "\n", html))
    return "\n".join(" ".join(line.split()) for line in unescape(html).splitlines())


def html_of_text(text: str) -> str:
    """Text as HTML: escaped, with its line breaks."""
    if not text:
        return ""
    return escape(text).replace("\r\n", "\n").replace("\n", "<br>")


def _printable(text: str) -> str:
    text = text.replace("\0", "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def is_deep(html: str) -> bool:
    """Whether a parser may need too long: more than MAX_DEPTH elements open at once, or too many tags or references.

    Counted per name: an end tag whose element never began closes nothing. What stands in comments, as Word's
    settings do, opens nothing, but counts among the elements: a comment that is none could hide the rest.
    """
    tags = html.count("<")
    if tags > MAX_TAGS or html.count("&") > MAX_REFERENCES:
        return True
    if tags <= MAX_DEPTH:
        return False
    depth = elements = 0
    opened: dict[str, int] = {}
    comment_ends = 0
    for found in _TAG.finditer(html):
        if found.start() < comment_ends:
            name = ""
        elif found[2] is None:
            comment_ends = _comment_end(html, found.start())
            continue
        else:
            name = found[2].lower()
            if name in _SHALLOW:
                continue
        if not name:
            elements += 1
            if elements > MAX_ELEMENTS:
                return True
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


def _comment_end(html: str, start: int) -> int:
    """Where the comment that begins at `start` ends: "<!-->" is a whole one."""
    found = _COMMENT_END.search(html, start + 2)
    return found.end() if found else len(html)
