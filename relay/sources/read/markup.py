"""HTML from outside made harmless, and read as text. Everything here takes linear time."""

from __future__ import annotations

import re
from html import escape, unescape

import nh3

from relay.sources.read.page import read_page

#: An HTML parser takes quadratic time over elements that never close: 100,000 open `<div>` need 20 s. Deeper
#: than this (mails nest tables, at most some dozens deep) it is read as text instead.
_MAX_DEPTH = 200

#: End tags in comments, attributes and foreign elements close nothing, so that depth can be hidden from a count;
#: with so few elements the quadratic time is 0.3 s at most.
_MAX_ELEMENTS = 5000

#: Each costs up to 4 us.
_MAX_TAGS = 30_000

#: An open `<font>` is opened again in every paragraph that follows: paragraphs times open ones.
_MAX_REOPENED = 400_000

#: The cleaner copies the text so far at every character reference: quadratic, 10 ms for so many.
MAX_REFERENCES = 20_000

#: Pictures are trackers, or parts of a mail that nobody can load from elsewhere.
_CLEANER = nh3.Cleaner(
    tags=nh3.ALLOWED_TAGS - {"area", "img", "map"},
    clean_content_tags={"script", "style", "title", "noembed", "noframes", "template", "xml"},
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
_FORMATS = frozenset(
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"]
)


def has_tags(html: str) -> bool:
    """Whether this is HTML at all, and not a text that stands where HTML is due."""
    return "<" in html and _HAS_TAG.search(html) is not None


def clean_html(html: str) -> str:
    """HTML that may go anywhere: no scripts, styles, handlers, pictures or foreign schemes. Plain text, which some
    senders put where HTML is due, comes out as `html_of_text` of it."""
    if "<" not in html and "&" not in html:
        return html_of_text(html)
    html = _printable(html)
    if not has_tags(html):
        return html_of_text(unescape(html))
    if is_deep_markup(html):
        return html_of_text(text_of_html(html))
    return clean_shallow_html(html)


def clean_shallow_html(html: str) -> str:
    """The same of HTML that a parser wrote out, from a page that was not deep."""
    if html.count("&") > MAX_REFERENCES:
        return html_of_text(text_of_html(html))
    return _CLEANER.clean(html).strip()


def text_of_html(html: str) -> str:
    """The text that a reader sees, lines broken where paragraphs end, cells apart."""
    if "<" not in html and "&" not in html:
        return html.strip()
    html = _printable(html)
    text = _crude_text(html) if is_deep_markup(html) else read_page(html).text
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


def is_deep_markup(html: str) -> bool:
    """Whether a parser may need too long: too many elements open at once, too many tags or references.

    Counted per name: an end tag whose element never began closes nothing. What stands in comments, as Word's
    settings do, opens nothing, but counts among the elements: a comment that is none could hide the rest.
    """
    tags = html.count("<")
    if tags > _MAX_TAGS or html.count("&") > MAX_REFERENCES:
        return True
    if tags <= _MAX_DEPTH:
        return False
    depth = elements = comment_ends = 0
    formats = reopened = 0
    opened: dict[str, int] = {}
    for found in _TAG.finditer(html):
        reopened += formats
        name = found[2]
        if found.start() < comment_ends:
            elements += 1
        elif name is None:
            comment_ends = _comment_end(html, found.start())
        elif (name := name.lower()) not in _SHALLOW:
            step = 0
            if not found[1]:
                step = 1
                elements += 1
            elif opened.get(name):
                step = -1
            opened[name] = opened.get(name, 0) + step
            depth += step
            formats += step if name in _FORMATS else 0
        if depth > _MAX_DEPTH or elements > _MAX_ELEMENTS or reopened > _MAX_REOPENED:
            return True
    return False


def _comment_end(html: str, start: int) -> int:
    """Where the comment that begins at `start` ends: "<!-->" is a whole one."""
    found = _COMMENT_END.search(html, start + 2)
    return found.end() if found else len(html)
