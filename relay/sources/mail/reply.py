"""What the writer wrote, apart from what a mail quotes.

A text is searched line by line, a page of HTML by the lines that a reader sees; see `quotation` for what leaves. What
leaves is not lost: it is the event's `quoted`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

from selectolax.lexbor import LexborNode

from relay.sources.mail.attribution import closes_attribution, midline_start, run_on_start
from relay.sources.mail.lines import BLANKS, Line
from relay.sources.mail.marks import mark_of, marked_lines
from relay.sources.mail.quotation import MAX_LINES, quoted_lines
from relay.sources.mail.signed import without_armour
from relay.sources.read.markup import has_tags, html_of_text, is_deep_markup, text_of_html
from relay.sources.read.page import HtmlPage, read_page

#: Nobody reads more of one mail in a conversation; what is beyond is cut before anything looks at it.
MAX_TEXT_CHARS = 1_000_000
#: What is kept of a mail that is nothing but a quote, and of what was quoted.
MAX_QUOTE_CHARS = 100_000

_BLANK_LINES = re.compile(r"\n{4,}")


@dataclass(frozen=True, slots=True)
class OwnWords:
    """`text` is the writer's own, `quoted` what stood around it."""

    text: str
    quoted: str = ""
    #: Whether lines were marked as quoted (`>`), so that what is not marked is the writer's.
    marked: bool = False


@dataclass(frozen=True, slots=True)
class PageReply:
    """`text` is `html` as lines. `html` is either made of the text, or `unclean`: as a parser wrote it out."""

    html: str
    text: str
    quoted: str = ""
    unclean: bool = False


def reply_of(text: str, *, forwarded: bool = False, answers: bool = False, flowed: bool = False) -> OwnWords:
    """Return the text without what it quotes. What would leave nothing (a forwarded mail) is given whole."""
    text = without_armour(text[:MAX_TEXT_CHARS].replace("\r\n", "\n").replace("\r", "\n"))
    if not text.strip():
        return OwnWords("")
    rows = _rows(text)
    lines = _lines(rows, flowed)
    cut = quoted_lines(lines, forwarded=forwarded, answers=answers)
    if not any(cut):
        return OwnWords(_joined(rows))
    kept = _joined([row for row, gone in zip(rows, cut, strict=True) if not gone])
    if not kept:
        return OwnWords(text[:MAX_QUOTE_CHARS].strip())
    quoted = _joined([row for row, gone in zip(rows, cut, strict=True) if gone])
    marked = any(line.quoted and gone for line, gone in zip(lines, cut, strict=True))
    return OwnWords(kept, quoted[:MAX_QUOTE_CHARS], marked)


def reply_of_html(html: str, *, forwarded: bool = False, answers: bool = False) -> PageReply:
    """Return the page without what it quotes; whole where nothing would be left."""
    html = html[:MAX_TEXT_CHARS]
    if not html.strip():
        return PageReply("", "")
    if not has_tags(html) or is_deep_markup(html):
        text = text_of_html(html) if "<" in html else unescape(html)
        reply = reply_of(text, forwarded=forwarded, answers=answers)
        return PageReply(html_of_text(reply.text), reply.text, reply.quoted)
    page = read_page(html, mark_of)
    cut = quoted_lines(marked_lines(page), forwarded=forwarded, answers=answers)
    if not any(cut):
        return PageReply(_inner(page, html), _text(page), unclean=True)
    kept = _joined([line.text for line, gone in zip(page.lines, cut, strict=True) if not gone])
    if not kept:
        return PageReply(_inner(page, html), _text(page), unclean=True)
    quoted = _joined([line.text for line, gone in zip(page.lines, cut, strict=True) if gone])
    if page.shared:
        return PageReply(html_of_text(kept), kept, quoted[:MAX_QUOTE_CHARS])
    return PageReply(_without(page, cut), kept, quoted[:MAX_QUOTE_CHARS], unclean=True)


def _rows(text: str) -> list[str]:
    """The text's lines; one that holds an attribution and the writer's last words, or what is quoted, becomes two."""
    rows: list[str] = []
    # What lies beyond the limit is one long row, which no pattern looks at.
    for row in text.split("\n", MAX_LINES):
        at = midline_start(row.rstrip()) if "On " in row else None
        if at is not None:
            rows.extend((row[:at], row[at:].strip(" -")))
        elif (at := run_on_start(row)) is not None:
            rows.extend((row[:at], row[at:]))
        else:
            rows.append(row)
    return rows


def _lines(rows: list[str], flowed: bool) -> list[Line]:
    lines: list[Line] = []
    for row in rows:
        text = row.strip(BLANKS)
        quoted = text.startswith((">", "&gt;")) or text == "|" or (text.startswith("| ") and text[-1] != "|")
        if flowed and row.startswith(" "):
            quoted = False
        if quoted and lines and not lines[-1].quoted and closes_attribution(lines, text):
            quoted = False
        depth = len(text[:80]) - len(text[:80].lstrip("> ")) if quoted else 0
        lines.append(Line(text, quoted=quoted, depth=depth))
    return lines


def _joined(rows: list[str]) -> str:
    return _BLANK_LINES.sub("\n\n\n", "\n".join(row.rstrip() for row in rows)).strip()


def _text(page: HtmlPage) -> str:
    return _joined([line.text for line in page.lines])


def _inner(page: HtmlPage, html: str) -> str:
    if page.body is None:
        return html
    for node in page.hidden:
        _take_out(node, page.body.mem_id)
    return page.body.inner_html or ""


def _without(page: HtmlPage, cut: list[bool]) -> str:
    """The page's HTML with the nodes of the lines that leave taken out."""
    assert page.body is not None
    body = page.body.mem_id
    for line, gone in zip(page.lines, cut, strict=True):
        for node in line.nodes if gone else ():
            _take_out(node, body)
    return _inner(page, "")


def _take_out(node: LexborNode, body: int) -> None:
    """The node leaves, and the elements that it leaves empty. Each node is taken out once: it is freed by it."""
    parent = node.parent
    node.decompose()
    while parent is not None and parent.mem_id != body and parent.child is None:
        above = parent.parent
        parent.decompose()
        parent = above
