"""HTML from outside made harmless, and read as text. Everything here takes linear time."""

from __future__ import annotations

import re
from html import escape, unescape
from math import inf

import nh3

from relay.description.depth import MarkupBounds, is_deep
from relay.sources.read.page import read_page

#: Mails nest tables, at most some dozens deep, and hold pictures inside a tag. Deeper than this a page is read as text instead.
_PAGES = MarkupBounds(depth=200, reopened=400_000, tag_chars=inf)

#: The cleaner copies the text so far at every character reference: quadratic, 10 ms for so many.
MAX_REFERENCES = 20_000

#: Pictures are trackers, or parts of a mail that nobody can load from elsewhere.
_CLEANER = nh3.Cleaner(
    tags=nh3.ALLOWED_TAGS - {"area", "img", "map"},
    clean_content_tags={"script", "style", "title", "noembed", "noframes", "template", "xml"},
)
_ANY_TAG = re.compile(r"<[^<>]*>")
_HAS_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_LINE_ENDS = re.compile(r"<br\s?/?>|</(?:p|div|li|tr|td|h[1-6]|blockquote|pre)>", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n{3,}")


def has_tags(html: str) -> bool:
    """Tell whether this is HTML at all, and not a text that stands where HTML is due."""
    return "<" in html and _HAS_TAG.search(html) is not None


def clean_html(html: str) -> str:
    """Return HTML that may go anywhere: no scripts, styles, handlers, pictures or foreign schemes. Plain text, which some
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
    """Return the same of HTML that a parser wrote out, from a page that was not deep."""
    if html.count("&") > MAX_REFERENCES:
        return html_of_text(text_of_html(html))
    return _CLEANER.clean(html).strip()


def text_of_html(html: str) -> str:
    """Return the text that a reader sees, lines broken where paragraphs end, cells apart."""
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
    """Return text as HTML: escaped, with its line breaks."""
    if not text:
        return ""
    return escape(text).replace("\r\n", "\n").replace("\n", "<br>")


def _printable(text: str) -> str:
    text = text.replace("\0", "")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def is_deep_markup(html: str) -> bool:
    """Tell whether a parser may need too long: too many elements open at once, too many tags or references."""
    return html.count("&") > MAX_REFERENCES or is_deep(html, _PAGES)
