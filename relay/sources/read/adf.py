"""Atlassian's document format: a tree of nodes, as text and as simple HTML.

Links keep their address, tables become a line a row, tasks keep whether they are done.
Source: Atlassian, "Atlassian Document Format".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from relay.sources.base import iso_from_us
from relay.sources.foreign_json import Walk
from relay.sources.read.lines import Piece, TextLine, html_of_lines, text_of_lines
from relay.sources.read.moment import moment_us

_TAGS = {"strong": "strong", "em": "em", "strike": "s", "code": "code"}
_LISTS = frozenset({"bulletList", "orderedList", "taskList", "decisionList"})
_ITEMS = frozenset({"listItem", "taskItem", "decisionItem"})
_CARDS = frozenset({"inlineCard", "blockCard", "embedCard"})
_QUOTES = frozenset({"blockquote"})
#: Inline nodes, beside text, of which the first of these attributes that is there is what they show.
_SHOWN = ("text", "shortName", "title", "alt")
_INLINE = frozenset(
    {
        *("text", "mention", "emoji", "status", "inlineCard", "date", "hardBreak", "mediaInline"),
        "inlineExtension",
    }
)
_TASKS = frozenset({"taskItem", "blockTaskItem"})


def read_adf(document: dict[str, Any]) -> tuple[str, str]:
    """Return a document as text and HTML. The door refuses JSON nested deeper than some dozens of levels."""
    lines = list(_blocks(Walk(document), "", False))
    return text_of_lines(lines), html_of_lines(lines)


def _blocks(node: Walk, indent: str, quoted: bool) -> Iterator[TextLine]:
    kind = node.maybe_text("type")
    children = node.items("content")
    if kind in _LISTS:
        yield from _list(node, indent, quoted)
    elif kind in ("table", "tableRow"):
        for row in children if kind == "table" else [node]:
            yield _row(row, quoted)
    elif kind in _CARDS:
        yield TextLine([_card(node)], indent, quoted)
    elif kind in ("media", "mediaSingle", "mediaGroup"):
        yield from _media(node, indent, quoted)
    elif kind in _INLINE:
        yield TextLine(list(_pieces([node])), indent, quoted)
    elif children and all(child.maybe_text("type") in _INLINE for child in children):
        yield TextLine(list(_pieces(children)), indent, quoted, heading=kind == "heading")
    else:
        title = node.maybe("attrs").maybe_text("title")
        if title:
            yield TextLine([Piece(title, "strong")], indent, quoted)
        for child in children:
            yield from _blocks(child, indent, quoted or kind in _QUOTES)


def _list(node: Walk, indent: str, quoted: bool) -> Iterator[TextLine]:
    ordered = node.maybe_text("type") == "orderedList"
    for number, item in enumerate(node.items("content"), 1):
        kind = item.maybe_text("type")
        if kind in _LISTS:
            yield from _list(item, indent + "  ", quoted)
            continue
        mark = f"{number}. " if ordered else "- "
        if kind in _TASKS:
            mark = "☑ " if item.maybe("attrs").maybe_text("state") == "DONE" else "☐ "
        first = True
        content = item.items("content")
        inline = kind in _ITEMS and content and content[0].maybe_text("type") in _INLINE
        for line in [TextLine(list(_pieces(content)), "", quoted)] if inline else _inner(content, quoted):
            before = mark if first else "  " if not line.mark.strip() else ""
            yield TextLine(line.pieces, f"{indent}{before}{line.mark}", quoted)
            first = False


def _inner(content: list[Walk], quoted: bool) -> Iterator[TextLine]:
    for child in content:
        nested = child.maybe_text("type") in _LISTS
        yield from _blocks(child, "  " if nested else "", quoted)


def _row(row: Walk, quoted: bool) -> TextLine:
    pieces: list[Piece] = []
    for n, cell in enumerate(row.items("content")):
        if n:
            pieces.append(Piece(" | "))
        lines = list(_blocks(cell, "", False))
        for m, line in enumerate(lines):
            mark = line.mark.lstrip()
            pieces += [*([Piece(" ")] if m else []), *([Piece(mark)] if mark else []), *line.pieces]
    return TextLine(pieces, "", quoted)


def _media(node: Walk, indent: str, quoted: bool) -> Iterator[TextLine]:
    attributes = node.maybe("attrs")
    shown = attributes.maybe_text("alt") or attributes.maybe_text("url")
    if shown:
        yield TextLine([Piece(shown, url=attributes.maybe_text("url"))], indent, quoted)
    for child in node.items("content"):
        yield from _blocks(child, indent, quoted)


def _pieces(nodes: list[Walk]) -> Iterator[Piece]:
    for node in nodes:
        kind = node.maybe_text("type")
        if kind == "text":
            yield _marked(node)
        elif kind == "hardBreak":
            yield Piece("\n")
        elif kind in _CARDS:
            yield _card(node)
        else:
            yield Piece(_shown(kind, node.maybe("attrs")))


def _shown(kind: str, attributes: Walk) -> str:
    """What an inline node without text of its own shows: a date as a day, a person without a name as the id."""
    if kind == "date":
        moment = moment_us(attributes.value.get("timestamp"))
        return attributes.maybe_ident("timestamp") if moment is None else iso_from_us(moment)[:10]
    shown = next((found for key in _SHOWN if (found := attributes.maybe_ident(key))), "")
    return f"@{attributes.maybe_ident('id')}" if kind == "mention" and not shown else shown


def _marked(node: Walk) -> Piece:
    tag = url = ""
    for mark in node.items("marks"):
        kind = mark.maybe_text("type")
        tag = tag or _TAGS.get(kind, "")
        if kind == "link":
            url = mark.maybe("attrs").maybe_text("href")
    return Piece(node.maybe_text("text"), tag, url)


def _card(node: Walk) -> Piece:
    attributes = node.maybe("attrs")
    url = attributes.maybe_text("url") or attributes.maybe("data").maybe_text("url")
    return Piece(attributes.maybe("data").maybe_text("name") or url, url=url)
