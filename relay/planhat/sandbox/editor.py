"""What Planhat's editor would keep of a description.

Source: public notes of a team that uses Planhat, who formatted fields by hand in the app, read the stored HTML back
and looked at what their own writes became (August to October 2026). The editor is made of ProseMirror and has nodes for
paragraphs, line breaks, rules, quotes, lists and tables, and marks for strong, em and links. One source, and nothing of
it is documented: this is an assumption, to be held against a real tenant by eye.

- a line break in the text vanishes, and joins the words around it; between two blocks it makes an empty paragraph
- a list keeps an item only when list and item have the editor's own classes and the item holds a paragraph
- a table that is not the editor's own gets an empty row after each of its rows
- a `div` with a style leaves a gap before and after
- there are no headings and no images; marks and blocks that it does not know leave their text
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from selectolax.lexbor import LexborHTMLParser, LexborNode

from relay.planhat.sandbox.editor_tree import (
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

MAX_DEPTH: Final = 32
"""Quotes and lists inside of each other; deeper ones are taken out."""
_MAX_TAG_DEPTH: Final = 256
_NOTES_KEPT: Final = 200
_QUOTED_CHARS: Final = 80

Kind = Literal["lost", "mangled", "plain"]
"""lost: words are gone. mangled: the words are there, and look wrong. plain: a formatting that the editor does not have."""

_MARKS: Final = {"strong": "strong", "b": "strong", "em": "em", "i": "em"}
_BLOCKS: Final = frozenset(
    {
        *(
            "address",
            "article",
            "aside",
            "body",
            "center",
            "dd",
            "details",
            "dialog",
            "dir",
            "div",
            "dl",
            "dt",
        ),
        *("fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "legend", "main", "menu"),
        *(
            "nav",
            "optgroup",
            "option",
            "pre",
            "search",
            "section",
            "summary",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
        ),
    }
)
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_TABLE_PARTS: Final = frozenset({"thead", "tbody", "tfoot", "colgroup", "col"})
_SILENT: Final = frozenset({"script", "style", "template", "head", "title", "meta", "link", "base"})
_LEFT_OUT: Final = frozenset(
    {"iframe", "object", "embed", "svg", "math", "video", "audio", "canvas", "select", "textarea"}
)
_SAFE_LINK: Final = re.compile(r"(?:https?:|mailto:|tel:|[^:]*$|[/#?])", re.IGNORECASE)
_TAG: Final = re.compile(r"<(/?)([a-zA-Z][^\s/<>]*)[^<>]*>")
_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_NEWLINES: Final = re.compile(r"[\r\n]+")
_WORD_BREAK: Final = re.compile(r"(\S+)[\r\n]+(?=(\S+))")


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that the editor does not keep. `text`: the words it is about, cut."""

    kind: Kind
    what: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class EditorView:
    """`html`: what the editor would store. `tree`: the same as nodes. `words_lost`: every word that is gone."""

    html: str
    tree: tuple[Node, ...]
    notes: tuple[Note, ...]
    words_lost: tuple[str, ...]

    @property
    def faithful(self) -> bool:
        """Tell whether every word is there and nothing looks wrong; formatting may be missing."""
        return all(note.kind == "plain" for note in self.notes)

    def as_json(self) -> dict[str, Any]:
        """Give all of it for the sandbox's own routes."""
        return {
            "html": self.html,
            "tree": list(self.tree),
            "faithful": self.faithful,
            "notes": [{"kind": note.kind, "what": note.what, "text": note.text} for note in self.notes],
            "words_lost": list(self.words_lost),
        }


@lru_cache(maxsize=32)
def as_edited(description: str) -> EditorView:
    """Render what the editor would keep of a description. Takes time in proportion to its length; never raises."""
    reader = _Reader()
    root = LexborHTMLParser(_shallow(description)).body
    if root is not None:
        reader.read(root)
    return reader.view()


def _shallow(markup: str) -> str:
    """The same without tags that lie deeper than any person's: a parser's time grows with the square of the depth."""
    depth = 0

    def limit(tag: re.Match[str]) -> str:
        nonlocal depth
        if tag[2].lower() in _VOID:
            return tag[0]
        if tag[1]:
            depth = max(0, depth - 1)
            return "" if depth >= _MAX_TAG_DEPTH else tag[0]
        depth += 1
        return "" if depth > _MAX_TAG_DEPTH else tag[0]

    return _TAG.sub(limit, markup)


@dataclass(slots=True)
class _Holder:
    """A block that is open: its children so far, and what it is. `cells`: how many, of a table's row."""

    tag: str
    children: list[Node]
    own: bool = True
    cells: int = 0


class _Reader:
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
        if tag in _MARKS or tag == "a":
            return self._open_mark(tag, node)
        if tag in LIST_CLASSES or tag == "blockquote":
            return self._open_holder(tag, node)
        if tag == "li":
            return self._open_item(node)
        if tag in ("table", "tr", "td", "th", "caption") or tag in _TABLE_PARTS:
            return self._open_table_part(tag, node)
        if tag in _SILENT:
            return None
        if tag == "img" or tag in _LEFT_OUT:
            self._lose(f"{tag}: the editor has none", node.attributes.get("alt") or _words_in(node))
            return None
        if tag in _BLOCKS:
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
            if _NEWLINES.search(text):
                here.children.append(paragraph())
                self._note("mangled", "a line break between blocks makes an empty paragraph", "")
            return
        if _NEWLINES.search(text):
            broken = _WORD_BREAK.search(text)
            joined = f"{broken[1]}{broken[2]}" if broken else ""
            self._note(
                "mangled", "a line break vanishes" + (" and joins two words" if joined else ""), joined
            )
            text = _NEWLINES.sub("", text)
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
        mark = (_MARKS.get(tag, "a"), "")
        if tag == "a":
            href = (node.attributes.get("href") or "").strip()
            if not href or not _SAFE_LINK.match(href):
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
        what = "there are no headings" if tag in _HEADINGS else "not kept, the text becomes a paragraph"
        self._note("plain", f"{tag}: {what}", _words_in(node) if tag in _HEADINGS else "")
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
        if tag in _TABLE_PARTS:
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
