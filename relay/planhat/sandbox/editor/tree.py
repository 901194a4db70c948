"""What Planhat's editor has on its page, as a tree: blocks that hold blocks, and paragraphs that hold marked text.

A node is `[tag, attributes, children]` or a string, so that it can be sent as JSON and drawn without ever being parsed.
"""

from __future__ import annotations

import html
import re
from typing import Any, Final

Node = list[Any]
Marks = tuple[tuple[str, str], ...]
"""The marks of a piece of text, outermost first: `("a", href)`, `("strong", "")`, `("em", "")`."""

_BLANKS: Final = re.compile(r"[ \t\f\n\r]+")
_VOID: Final = frozenset({"br", "hr"})
_ATTRIBUTES: Final = {"a": "href", "ul": "class", "ol": "class", "li": "class", "td": "data-colwidth"}
LIST_CLASSES: Final = {"ul": "ph-editor__bullet-list", "ol": "ph-editor__ordered-list"}
ITEM_CLASS: Final = "ph-editor__list-item"
CELL_WIDTH: Final = "100"


def element(tag: str, *children: Any, **attributes: str) -> Node:
    """Make a node."""
    return [tag, attributes, list(children)]


def paragraph(*children: Any) -> Node:
    """Make a paragraph, empty by default: the editor's blank line."""
    return element("p", *children)


class Paragraph:
    """One paragraph under way: text with marks, blanks collapsed as HTML does it."""

    def __init__(self) -> None:
        self._pieces: list[tuple[Marks, list[Any]]] = []
        self._ends_open = True

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add_text(self, text: str, marks: Marks) -> None:
        """Add text; a blank at the beginning, or after another blank or a line break, is none."""
        text = _BLANKS.sub(" ", text)
        if self._ends_open:
            text = text.lstrip(" ")
        if text:
            self._ends_open = text.endswith(" ")
            self._add(text, marks)

    def add_break(self, marks: Marks) -> None:
        """Add a line break."""
        self._add(element("br"), marks)
        self._ends_open = True

    def node(self) -> Node:
        """Give the paragraph as a node, without the blank at its end."""
        self._trim()
        children: list[Any] = []
        for marks, content in self._pieces:
            inner = _joined(content)
            for tag, href in reversed(marks):
                inner = [[tag, {"href": href} if tag == "a" else {}, inner]]
            children.extend(inner)
        return paragraph(*children)

    def _add(self, content: Any, marks: Marks) -> None:
        if self._pieces and self._pieces[-1][0] == marks:
            self._pieces[-1][1].append(content)
        else:
            self._pieces.append((marks, [content]))

    def _trim(self) -> None:
        while self._pieces:
            content = self._pieces[-1][1]
            while content and isinstance(content[-1], str):
                content[-1] = content[-1].rstrip(" ")
                if content[-1]:
                    return
                content.pop()
            if content:
                return
            self._pieces.pop()


def _joined(content: list[Any]) -> list[Any]:
    joined: list[Any] = []
    texts: list[str] = []
    for one in (*content, None):
        if isinstance(one, str):
            texts.append(one)
            continue
        if texts:
            joined.append("".join(texts))
            texts = []
        if one is not None:
            joined.append(one)
    return joined


def to_html(nodes: list[Node]) -> str:
    """Write nodes as the editor stores them: HTML on one line."""
    parts: list[str] = []
    _write(nodes, parts)
    return "".join(parts)


def _write(nodes: list[Any], parts: list[str]) -> None:
    for node in nodes:
        if isinstance(node, str):
            parts.append(html.escape(node, quote=False))
            continue
        tag, attributes, children = node
        name = _ATTRIBUTES.get(tag, "")
        value = attributes.get(name)
        shown = f' {name}="{html.escape(value)}"' if value is not None else ""
        parts.append(f"<{tag}{shown}>")
        if tag not in _VOID:
            _write(children, parts)
            parts.append(f"</{tag}>")
