"""Reads parsed HTML in the order of a reader, and writes it as a page of what the editor keeps."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from selectolax.lexbor import LexborNode

from relay.description.links import image_name, link_of
from relay.description.page import Marks, Page
from relay.description.tables import HtmlTable, table_of
from relay.description.vocabulary import BLOCKS, HEADINGS, LISTS, MARKS, MEDIA, UNSEEN

_MAX_NODES: Final = 100_000
_HIDDEN: Final = re.compile(
    r"(?:^|;)\s{0,9}(?:display\s{0,9}:\s{0,9}none|mso-hide\s{0,9}:\s{0,9}all)\b", re.IGNORECASE
)
_ORDER: Final = {"a": 0, "strong": 1, "em": 2}

_Step = Callable[[], None] | LexborNode


class TooLong(Exception):
    """More nodes than are read."""


class Reader:
    """Walks without recursion: what is left to do is a stack of nodes and of ends. `hides`: some element may be hidden."""

    def __init__(self, *, hides: bool = True) -> None:
        self._hides = hides
        self._page = Page()
        self._marks: list[tuple[str, str]] = []
        self._pre = 0
        self._seen = 0
        self._looked = 0

    def read(self, root: LexborNode) -> str:
        """Give everything below a node as safe HTML. Raises TooLong."""
        todo: list[_Step] = _children(root)
        while todo:
            step = todo.pop()
            if not isinstance(step, LexborNode):
                step()
                continue
            self._seen += 1
            if self._seen > _MAX_NODES:
                raise TooLong
            tag = step.tag
            if tag == "-text":
                self._text(step.text_content or "")
            elif tag and tag not in UNSEEN:
                todo.extend(self._enter(tag, step))
        return self._page.html()

    # ---- one node

    def _enter(self, tag: str, node: LexborNode) -> list[_Step]:
        """Take in an element; what is left to do for it, the last first."""
        page = self._page
        if tag == "br":
            page.line_break()
            return []
        if tag in MEDIA:
            return self._media(tag, node)
        if self._hides and _is_hidden(node):
            return []
        if tag == "a" or tag in MARKS:
            mark = ("a", link_of(node.attributes.get("href"))) if tag == "a" else (MARKS[tag], "")
            return self._marked(mark, node) if tag != "a" or mark[1] else _children(node)
        if page.between_lines or tag not in BLOCKS:
            if tag in BLOCKS:
                page.end_paragraph()
                return [page.end_paragraph, *_children(node)]
            return _children(node)
        return self._block(tag, node)

    def _block(self, tag: str, node: LexborNode) -> list[_Step]:
        page = self._page
        if tag == "hr":
            page.rule()
            return []
        if tag == "table":
            table, self._looked = table_of(node, self._looked)
            if table is not None:
                page.end_paragraph()
                return self._table(table)
        if tag in LISTS or tag in ("li", "blockquote"):
            kind = LISTS.get(tag, tag)
            if page.open(kind):
                return [lambda: page.close(tag=kind), *_children(node)]
            return [page.end_paragraph, *_children(node)]
        page.end_paragraph()
        if tag in HEADINGS:
            return [page.end_paragraph, *self._marked(("strong", ""), node)]
        if tag in ("pre", "listing", "xmp"):
            self._pre += 1
            return [self._end_pre, *_children(node)]
        return [page.end_paragraph, *_children(node)]

    def _end_pre(self) -> None:
        self._pre -= 1
        self._page.end_paragraph()

    def _text(self, text: str) -> None:
        if not self._pre:
            self._page.text(text, self._marks_now())
            return
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n")):
            if number:
                self._page.line_break()
            bare = line.lstrip(" \t")
            indent = line[: len(line) - len(bare)].replace("\t", "    ")
            # A blank that holds its place: the editor joins others.
            self._page.text("\xa0" * len(indent) + bare if bare else "", self._marks_now())

    def _marked(self, mark: tuple[str, str], node: LexborNode) -> list[_Step]:
        self._marks.append(mark)
        return [self._end_mark, *_children(node)]

    def _end_mark(self) -> None:
        self._marks.pop()

    def _marks_now(self) -> Marks:
        if not self._marks:
            return ()
        return tuple(sorted(dict(self._marks).items(), key=lambda mark: _ORDER[mark[0]]))

    def _media(self, tag: str, node: LexborNode) -> list[_Step]:
        """An image is a link to it, called by its own words; a film or a frame is a link too. Nothing is embedded."""
        attributes = node.attributes
        words = image_name(tag, attributes)
        if words:
            marks = self._marks_now()
            address = link_of(attributes.get("src"))
            if address and not any(kind == "a" for kind, _ in marks):
                marks = (("a", address), *marks)
            self._page.text(" ", ())
            self._page.text(words, marks)
            self._page.text(" ", ())
        # What else a film holds is for a browser that cannot show it.
        return _children(node) if tag in ("video", "audio") and not words else []

    # ---- tables

    def _table(self, table: HtmlTable) -> list[_Step]:
        """The steps that write a table as lines, the last first."""
        steps: list[_Step] = []
        for number, line in enumerate(table.lines()):
            if number and line.paragraph:
                steps.append(self._page.end_paragraph)
            elif number:
                steps.append(self._page.line_break)
            for part in line.parts:
                if isinstance(part, str):
                    steps.append(lambda text=part: self._page.text(text, ()))  # type: ignore[misc]
                else:
                    steps.append(self._page.enter_cell)
                    steps.extend(reversed(_children(part)))
                    steps.append(self._page.leave_cell)
        steps.append(self._page.end_paragraph)
        steps.reverse()
        return steps


def _is_hidden(node: LexborNode) -> bool:
    style = node.attributes.get("style") if node.child is not None else None
    return style is not None and _HIDDEN.search(style) is not None


def _children(node: LexborNode) -> list[Any]:
    """The children, the last one first: they are taken from the end."""
    children = []
    child = node.last_child
    while child is not None:
        children.append(child)
        child = child.prev
    return children
