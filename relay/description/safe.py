"""Any text or HTML as safe HTML: the quick ways first, a parser for the rest, no parser where it would take too long."""

from __future__ import annotations

import html
import re
from typing import Final

from selectolax.lexbor import LexborHTMLParser

from relay.description.depth import is_deep
from relay.description.plain import without_tags
from relay.description.quick import ODD, is_bare, quick_html
from relay.description.reader import Reader, TooLong
from relay.description.vocabulary import TAG_NAMES

_NAME: Final = re.compile(r"</?([a-zA-Z][^\s/>]*)")
#: Word's own elements, as in `<o:p>`; longer prefixes are addresses, as in `<mailto:ann@example.com>`.
_OFFICE_NAME: Final = re.compile(r"[a-z]{1,2}\d?:[a-z]", re.IGNORECASE)
#: What a parser takes for a comment that it is not.
_NO_COMMENT: Final = re.compile(r"<(?=[/?!])(?!/[a-z]|!--|!\[|!doctype|\?xml)", re.IGNORECASE)
_MARKUP: Final = re.compile(r"<(?:/?([a-zA-Z][^\s/>]*)|!)[^<>]*>")
_REFERENCE: Final = re.compile(r"&(?:[a-zA-Z][a-zA-Z0-9]{1,30}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")
_LOOSE_AMPERSAND: Final = re.compile(rf"&(?!{_REFERENCE.pattern[1:]})")
_LINE_END: Final = re.compile("\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_HIDES: Final = re.compile("display|mso-hide", re.IGNORECASE)
_ODD: Final = re.compile(f"[{ODD}]")
_BLANK_RUN: Final = re.compile(r"[ \t\x1f]+")


def safe_html(markup: str) -> str:
    """Give any text or HTML as safe HTML on one line, with every word that a reader would see.

    A line without markup stays bare; anything else becomes blocks. Doing it twice is doing it once. Takes time in
    proportion to the length. Never raises.
    """
    if is_bare(markup):
        return markup
    if "<" in markup:
        found = quick_html(markup)
        if found is not None:
            return found
        if any(not found[1] or _is_tag(found[1]) for found in _MARKUP.finditer(markup)):
            return _parsed(markup)
    return _html_of_text(_decoded(markup))


def _parsed(markup: str) -> str:
    markup = markup.replace("\0", "").encode("utf-8", "replace").decode()
    if not all(map(_is_tag, set(_NAME.findall(markup)))):
        markup = _NAME.sub(lambda found: found[0] if _is_tag(found[1]) else f"&lt;{found[0][1:]}", markup)
    if _NO_COMMENT.search(markup):
        markup = _NO_COMMENT.sub("&lt;", markup)
    if "&" in markup:
        # `?a=1&copy=2` is an address and no sign of copyright, also outside of a link.
        markup = _LOOSE_AMPERSAND.sub("&amp;", markup)
    # A tag that never ends is none: a parser would drop all that follows.
    last = markup.rfind("<")
    if last > markup.rfind(">"):
        markup = f"{markup[:last]}&lt;{markup[last + 1 :]}"
    if not is_deep(markup):
        body = LexborHTMLParser(markup).body
        try:
            return "" if body is None else Reader(hides=_HIDES.search(markup) is not None).read(body)
        except TooLong:
            pass
    return _html_of_text(html.unescape(without_tags(markup)))


def _is_tag(name: str) -> bool:
    """Tell an element from a text in angle brackets, such as `List<String>` or `<ann@example.com>`."""
    return name.lower() in TAG_NAMES or _OFFICE_NAME.match(name) is not None


def _decoded(text: str) -> str:
    """A text without tags, its character references read: complete ones alone, since `?a=1&copy=2` is an address."""
    return _REFERENCE.sub(lambda found: html.unescape(found[0]), text) if "&" in text else text


def _html_of_text(text: str) -> str:
    """A text as HTML: bare if it is one line, else paragraphs where it has blank lines."""
    paragraphs: list[list[str]] = [[]]
    for line in _LINE_END.split(text):
        words = _ODD.sub("", _BLANK_RUN.sub(" ", line)).strip(" ")
        # A line of hard blanks alone shows nothing: it parts paragraphs as an empty one does.
        if words.strip():
            paragraphs[-1].append(html.escape(words, quote=False))
        elif paragraphs[-1]:
            paragraphs.append([])
    full = [lines for lines in paragraphs if lines]
    if len(full) == 1 and len(full[0]) == 1:
        return full[0][0]
    return "".join(f"<p>{'<br>'.join(lines)}</p>" for lines in full)
