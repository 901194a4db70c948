"""Reads HTML as the editor does, and notes what it leaves out or spoils."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from selectolax.lexbor import LexborNode

from relay.planhat.sandbox.editor.tree import (
    CELL_WIDTH,
    ITEM_CLASS,
    LIST_CLASSES,
    Marks,
    Node,
    Paragraph,
    element,
    paragraph,
    to_html,
)
from relay.planhat.sandbox.editor.view import EditorView, Kind, Note
from relay.planhat.sandbox.editor.vocabulary import (
    BLOCKS,
    HEADINGS,
    LEFT_OUT,
    MARKS,
    NEWLINES,
    SAFE_LINK,
    SILENT,
    TABLE_PARTS,
    WORD_BREAK,
)

MAX_DEPTH: Final = 32
"""Quotes and lists inside of each other; deeper ones are taken out."""
_NOTES_KEPT: Final = 200
_QUOTED_CHARS: Final = 80


@dataclass(slots=True)
class _Holder:
    """A block that is open: its children so far, and what it is. `cells`: how many, of a table's row."""

    tag: str
    children: list[Node]
    own: bool = True
    cells: int = 0


class Reader:
    """Walks what was parsed, node by node, without recursion."""

    def __init__(self) -> None:
        self._top: list[Node] = []
        self._holders = [_Holder("", self._top)]
        self._paragraph: Paragraph | None = None
        self._marks: list[tuple[str, str]] = []
        self._notes: dict[Note, None] = {}
        self._words_lost: list[str] = []

    def read(self, root: LexborNode) -> None:
        """Take in everything below a node."""
        todo: list[Callable[[], None] | LexborNode] = _children(root)
        while todo:
            step = todo.pop()
            if not isinstance(step, LexborNode):
                step()
            elif step.is_text_node:
                self._text(step.text_content or "")
            elif step.is_element_node:
                leave = self._enter(step.tag or "", step)
                if leave is not None:
                    todo.append(leave)
                    todo.extend(_children(step))

    def view(self) -> EditorView:
        """Give what has been taken in."""
        self._close_paragraph()
        return EditorView(to_html(self._top), tuple(self._top), tuple(self._notes), tuple(self._words_lost))

    # ---- one node

    def _enter(self, tag: str, node: LexborNode) -> Callable[[], None] | None:
        """Open what an element stands for. Gives what closes it; None when nothing below it is looked at."""
        if tag == "p":
            return self._open_paragraph()
        if tag == "br":
            self._inline().add_break(self._marks_now())
            return None
        if tag == "hr":
            self._close_paragraph()
            self._here().children.append(element("hr"))
            return None
        if tag in MARKS or tag == "a":
            return self._open_mark(tag, node)
        if tag in LIST_CLASSES or tag == "blockquote":
            return self._open_holder(tag, node)
        if tag == "li":
            return self._open_item(node)
        if tag in ("table", "tr", "td", "th", "caption") or tag in TABLE_PARTS:
            return self._open_table_part(tag, node)
        if tag in SILENT:
            return None
        if tag == "img" or tag in LEFT_OUT:
            self._lose(f"{tag}: the editor has none", node.attributes.get("alt") or _words_in(node))
            return None
        if tag in BLOCKS:
            return self._open_block(tag, node)
        if tag != "span" or node.attributes.get("style"):
            self._note("plain", f"{tag}: not kept, the text is", "")
        return _nothing

    def _text(self, text: str) -> None:
        here = self._here()
        if here.tag in ("ul", "ol", "table", "tr"):
            if text.strip():
                self._lose(f"text directly inside of {here.tag}", text)
            return
        if self._paragraph is None and not text.strip():
            if NEWLINES.search(text):
                here.children.append(paragraph())
                self._note("mangled", "a line break between blocks makes an empty paragraph", "")
            return
        if NEWLINES.search(text):
            broken = WORD_BREAK.search(text)
            joined = f"{broken[1]}{broken[2]}" if broken else ""
            self._note(
                "mangled", "a line break vanishes" + (" and joins two words" if joined else ""), joined
            )
            text = NEWLINES.sub("", text)
        if self._paragraph is None and here.tag == "blockquote":
            self._note("plain", "blockquote: text without a paragraph is given one", text)
        self._inline().add_text(text, self._marks_now())

    # ---- paragraphs and marks

    def _here(self) -> _Holder:
        return self._holders[-1]

    def _inline(self) -> Paragraph:
        if self._paragraph is None:
            self._paragraph = Paragraph()
        return self._paragraph

    def _marks_now(self) -> Marks:
        order = {"a": 0, "strong": 1, "em": 2}
        latest = dict(self._marks)
        return tuple(sorted(latest.items(), key=lambda mark: order[mark[0]]))

    def _open_paragraph(self) -> Callable[[], None]:
        self._close_paragraph()
        self._paragraph = Paragraph()
        return lambda: self._close_paragraph(explicit=True)

    def _close_paragraph(self, *, explicit: bool = False) -> None:
        if self._paragraph is None:
            return
        node = self._paragraph.node()
        self._paragraph = None
        if node[2] or explicit:
            self._here().children.append(node)

    def _open_mark(self, tag: str, node: LexborNode) -> Callable[[], None]:
        mark = (MARKS.get(tag, "a"), "")
        if tag == "a":
            href = (node.attributes.get("href") or "").strip()
            if not href or not SAFE_LINK.match(href):
                self._note("plain", "a: a link that leads nowhere safe is left out", href)
                return _nothing
            mark = ("a", href)
        self._marks.append(mark)
        return self._close_mark

    def _close_mark(self) -> None:
        self._marks.pop()

    # ---- blocks

    def _open_block(self, tag: str, node: LexborNode) -> Callable[[], None]:
        self._close_paragraph()
        if tag == "div" and node.attributes.get("style"):
            self._note("mangled", "div with a style: leaves a gap before and after", _words_in(node))
            self._here().children.append(paragraph())

            def leave() -> None:
                self._close_paragraph()
                self._here().children.append(paragraph())

            return leave
        what = "there are no headings" if tag in HEADINGS else "not kept, the text becomes a paragraph"
        self._note("plain", f"{tag}: {what}", _words_in(node) if tag in HEADINGS else "")
        return self._close_paragraph

    def _open_holder(self, tag: str, node: LexborNode) -> Callable[[], None]:
        self._close_paragraph()
        if len(self._holders) >= MAX_DEPTH:
            self._note("mangled", f"{tag}: deeper than {MAX_DEPTH} levels, taken out", "")
            return self._close_paragraph
        wanted = LIST_CLASSES.get(tag)
        own = wanted is None or wanted in (node.attributes.get("class") or "").split()
        self._holders.append(_Holder(tag, [], own))

        def leave() -> None:
            self._close_paragraph()
            holder = self._holders.pop()
            attributes = {"class": wanted} if wanted else {}
            if holder.children or tag == "blockquote":
                self._here().children.append([tag, attributes, holder.children or [paragraph()]])

        return leave

    def _open_item(self, node: LexborNode) -> Callable[[], None] | None:
        self._close_paragraph()
        here = self._here()
        if here.tag not in LIST_CLASSES:
            self._note("mangled", "li outside of a list: shown as a paragraph", _words_in(node))
            return self._close_paragraph
        classed = ITEM_CLASS in (node.attributes.get("class") or "").split()
        if not (here.own and classed and _has_paragraph(node)):
            why = (
                "li without a paragraph in it"
                if here.own and classed
                else f"{here.tag} or li without the editor's class"
            )
            self._lose(f"{why}: the item stays empty", _words_in(node))
            here.children.append(element("li", paragraph(), **{"class": ITEM_CLASS}))
            return None
        self._holders.append(_Holder("li", []))

        def leave() -> None:
            self._close_paragraph()
            holder = self._holders.pop()
            self._here().children.append(["li", {"class": ITEM_CLASS}, holder.children])

        return leave

    def _open_table_part(self, tag: str, node: LexborNode) -> Callable[[], None] | None:
        if tag in TABLE_PARTS:
            return _nothing
        self._close_paragraph()
        here = self._here()
        if tag == "caption":
            self._lose("caption: the editor's tables have none", _words_in(node))
            return None
        if tag == "table":
            if len(self._holders) >= MAX_DEPTH:
                return self._close_paragraph
            own = all(cell.attributes.get("data-colwidth") for cell in node.css("td, th"))
            if not own:
                self._note("mangled", "table: an empty row appears after each row", _words_in(node))
            self._holders.append(_Holder("table", [], own))
        elif (tag == "tr") != (here.tag == "table"):
            return self._close_paragraph
        else:
            self._holders.append(_Holder("tr" if tag == "tr" else "td", []))
        return lambda: self._close_table_part(tag)

    def _close_table_part(self, tag: str) -> None:
        self._close_paragraph()
        holder = self._holders.pop()
        here = self._here()
        if tag == "table":
            if holder.children:
                here.children.append(element("table", element("tbody", *holder.children)))
        elif tag == "tr":
            here.children.append(element("tr", *holder.children))
            if not here.own:
                empty = [element("td", paragraph(), **{"data-colwidth": CELL_WIDTH}) for _ in holder.children]
                here.children.append(element("tr", *empty))
        else:
            cell = holder.children or [paragraph()]
            here.children.append(["td", {"data-colwidth": CELL_WIDTH}, cell])

    # ---- notes

    def _note(self, kind: Kind, what: str, text: str) -> None:
        if len(self._notes) < _NOTES_KEPT:
            self._notes[Note(kind, what, " ".join(text.split())[:_QUOTED_CHARS])] = None

    def _lose(self, what: str, text: str) -> None:
        words = text.split()
        self._note("lost", what, " ".join(words[:20]))
        self._words_lost.extend(words)


def _children(node: LexborNode) -> list[Any]:
    """The children, the last one first: they are taken from the end."""
    children = []
    child = node.last_child
    while child is not None:
        children.append(child)
        child = child.prev
    return children


def _words_in(node: LexborNode) -> str:
    return node.text(deep=True, separator=" ")


def _has_paragraph(node: LexborNode) -> bool:
    child = node.first_child
    while child is not None:
        if child.tag == "p":
            return True
        child = child.next
    return False


def _nothing() -> None:
    """Nothing is to be closed."""
