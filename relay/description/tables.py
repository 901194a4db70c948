"""A table of data as lines "Name: value". A table that only lays out a page has none: its cells are blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from selectolax.lexbor import LexborNode

from relay.description.vocabulary import names

_MOST_LINES: Final = 4
_MOST_CHARS: Final = 500
#: Nodes that may be looked at in all tables of one page: those in each other are looked at again and again.
_MOST_LOOKED: Final = 50_000
_GROUPS: Final = frozenset(["thead", "tbody", "tfoot"])
_CELLS: Final = frozenset(["td", "th"])
_LINES: Final = frozenset(["br", "p", "div"])
#: What no value holds: the table is a page's lay-out.
_BLOCKS: Final = names(
    "table ul ol blockquote hr pre h1 h2 h3 h4 h5 h6 center section article header footer form dl li"
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; `text` without its markup, to decide by."""

    node: LexborNode
    text: str
    header: bool


@dataclass(frozen=True, slots=True)
class _Line:
    """A line: texts, and cells whose content stands there. `paragraph`: it begins a new paragraph."""

    parts: list[str | LexborNode]
    paragraph: bool = False


@dataclass(slots=True)
class HtmlTable:
    """Rows of cells, those without a word left out."""

    rows: list[list[Cell]] = field(default_factory=list)
    caption: LexborNode | None = None

    def lines(self) -> Iterator[_Line]:
        """Give the table line by line.

        Under a row of headings each cell is a line "Heading: value", each row a paragraph. A row of two cells is one line
        "Name: value". Any other row is one line, with bars between its cells.
        """
        if self.caption is not None:
            yield _Line([self.caption])
        first = True
        headings = self._headings()
        for row in self.rows[1:] if headings else self.rows:
            cells = row if headings else [cell for cell in row if cell.text]
            for number, cell in enumerate(cells):
                heading = headings[number] if number < len(headings) else None
                new = (first and self.caption is not None) or (bool(headings) and number == 0 and not first)
                if headings:
                    yield _Line(_named(heading, cell), new)
                elif number == 0:
                    yield _Line(_joined(cells), new)
                first = False

    def _headings(self) -> list[Cell]:
        wide = len(self.rows) > 1 and len(self.rows[0]) > 1
        return self.rows[0] if wide and all(cell.header for cell in self.rows[0]) else []


def _named(name: Cell | None, value: Cell) -> list[str | LexborNode]:
    if name is None or not name.text:
        return [value.node]
    return [name.node, " " if name.text.endswith(":") else ": ", value.node]


def _joined(cells: list[Cell]) -> list[str | LexborNode]:
    if len(cells) == 2:
        return _named(*cells)
    parts: list[str | LexborNode] = []
    for cell in cells:
        parts += [" | ", cell.node] if parts else [cell.node]
    return parts


def table_of(node: LexborNode, looked: int) -> tuple[HtmlTable | None, int]:
    """Read a table of data; None where it is none. `looked`: how many nodes were looked at so far, and are with it."""
    table = HtmlTable()
    if node.attributes.get("role") == "presentation":
        return None, looked
    for row in _rows(node, table):
        cells = []
        for cell in _elements(row):
            if cell.tag not in _CELLS:
                continue
            text, looked = _text_of(cell, looked)
            if text is None:
                return None, looked
            cells.append(Cell(cell, text, cell.tag == "th"))
        if any(cell.text for cell in cells):
            table.rows.append(cells)
    return (table if max(map(len, table.rows), default=0) > 1 else None), looked


def _rows(node: LexborNode, table: HtmlTable) -> Iterator[LexborNode]:
    for child in _elements(node):
        if child.tag == "tr":
            yield child
        elif child.tag in _GROUPS:
            yield from (row for row in _elements(child) if row.tag == "tr")
        elif child.tag == "caption" and table.caption is None:
            table.caption = child


def _text_of(cell: LexborNode, looked: int) -> tuple[str | None, int]:
    """A cell's words; None for more than a value would hold."""
    lines = chars = 0
    texts: list[str] = []
    todo = [cell]
    while todo:
        node = todo.pop()
        looked += 1
        tag = node.tag
        if tag == "-text":
            text = node.text_content or ""
            texts.append(text)
            chars += len(text)
        elif tag in _LINES:
            lines += 1
        if tag in _BLOCKS or lines > _MOST_LINES or chars > _MOST_CHARS or looked > _MOST_LOOKED:
            return None, looked
        child = node.last_child
        while child is not None:
            todo.append(child)
            child = child.prev
    return " ".join(" ".join(texts).split()), looked


def _elements(node: LexborNode) -> Iterator[LexborNode]:
    child = node.first_child
    while child is not None:
        yield child
        child = child.next
