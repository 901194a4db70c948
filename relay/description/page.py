"""What is written: blocks in blocks, and in the innermost one a paragraph of marked text."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Final

from relay.description.quick import ODD

_CLASSES: Final = {
    "ul": ' class="ph-editor__bullet-list"',
    "ol": ' class="ph-editor__ordered-list"',
    "li": ' class="ph-editor__list-item"',
}
_SPACES: Final = re.compile("[ \t\n\r\x0b\x0c\x1c-\x1f\x85\u2028\u2029]+")
_ODD: Final = re.compile(f"[{ODD}]")
_UNEVEN: Final = re.compile(f"[{ODD}]|  ")
#: Lists and quotes in each other; what lies deeper joins the last of them.
MAX_NESTED: Final = 12

Marks = tuple[tuple[str, str], ...]
"""Marks of a text, outermost first: `("a", address)`, `("strong", "")`, `("em", "")`."""


@dataclass(slots=True)
class _Holder:
    """An open block. `implied`: nobody opened it, it holds what stands loose in a list."""

    tag: str
    blocks: list[str] = field(default_factory=list)
    implied: bool = False


class Page:
    """Takes text, marks and blocks in reading order. `html()` closes what is open."""

    def __init__(self) -> None:
        self._holders = [_Holder("")]
        self._pieces: list[tuple[Marks, str]] = []
        self._breaks = 0
        #: The text so far ends where a blank would be none: at a paragraph's begin, after a blank or a break.
        self._open_end = True
        #: What stands between two lines of a table's cell, where a break has no place.
        self.between_lines = ""
        self._cell_from = 0

    def html(self) -> str:
        """Give everything that was taken in."""
        self.end_paragraph()
        while len(self._holders) > 1:
            self.close()
        return "".join(self._holders[0].blocks)

    # ---- text

    def text(self, text: str, marks: Marks) -> None:
        """Add text as a browser shows it: white space is one blank, and none at a line's end."""
        if _UNEVEN.search(text):
            text = _ODD.sub("", _SPACES.sub(" ", text))
        if self._open_end:
            if not text.strip(" "):
                return
            if self._breaks:
                self._settle_breaks()
            text = text.lstrip(" ")
        if not self._pieces and self._holders[-1].tag in ("ul", "ol"):
            self._holders.append(_Holder("li", implied=True))
        self._open_end = text.endswith(" ")
        self._pieces.append((marks, html.escape(text, quote=False)))

    def line_break(self) -> None:
        """End a line. Two make a new paragraph, those at a paragraph's ends are none."""
        self._breaks += 1
        self._open_end = True

    def _settle_breaks(self) -> None:
        breaks, self._breaks = self._breaks, 0
        if not breaks or not self._pieces:
            return
        if self.between_lines:
            if len(self._pieces) > self._cell_from:
                self._trim()
                self._pieces.append(((), self.between_lines))
        elif breaks == 1:
            self._trim()
            self._pieces.append(((), "<br>"))
        else:
            self.end_paragraph()

    def enter_cell(self) -> None:
        """Begin what stands in one line of a paragraph, whatever blocks it is made of."""
        self._settle_breaks()
        self._cell_from = len(self._pieces)
        self.between_lines = ", "

    def leave_cell(self) -> None:
        """End it."""
        self.between_lines = ""
        self._breaks = 0
        self._trim()
        self._open_end = not self._pieces or self._pieces[-1][1] == "<br>"

    def _trim(self) -> None:
        """Take away blanks at the end."""
        while self._pieces:
            marks, text = self._pieces[-1]
            text = text.rstrip(" ")
            if text:
                self._pieces[-1] = (marks, text)
                return
            self._pieces.pop()

    def end_paragraph(self) -> None:
        """End the paragraph; one without a word is none. Within a table's cell it ends a line."""
        if self.between_lines:
            self.line_break()
            return
        self._breaks = 0
        self._open_end = True
        if not self._pieces:
            return
        self._trim()
        if any(text != "<br>" and text.strip() for _, text in self._pieces):
            self._holders[-1].blocks.append(f"<p>{_inline(self._pieces)}</p>")
        self._pieces = []

    # ---- blocks

    def rule(self) -> None:
        """Add a horizontal rule."""
        self.end_paragraph()
        self._leave_list()
        self._holders[-1].blocks.append("<hr>")

    def open(self, tag: str) -> bool:
        """Open a list, an item or a quote. False: too deep, or an item of no list; nothing was opened."""
        self.end_paragraph()
        if tag == "li":
            if self._holders[-1].implied:
                self.close()
            if self._holders[-1].tag not in ("ul", "ol"):
                return False
        elif len(self._holders) > 2 * MAX_NESTED:
            return False
        else:
            self._leave_list()
        self._holders.append(_Holder(tag))
        return True

    def _leave_list(self) -> None:
        """A block that is no item, directly in a list: it gets an item of its own."""
        if self._holders[-1].tag in ("ul", "ol"):
            self._holders.append(_Holder("li", implied=True))

    def close(self, *, tag: str = "") -> None:
        """Close the innermost block, or (`tag`) the innermost of that kind with what is left open in it."""
        self.end_paragraph()
        while True:
            holder = self._holders.pop()
            blocks = holder.blocks
            if holder.tag == "li" and blocks and not blocks[0].startswith("<p>"):
                # The editor drops an item without a paragraph.
                blocks.insert(0, "<p></p>")
            if blocks:
                inner = "".join(blocks)
                self._holders[-1].blocks.append(
                    f"<{holder.tag}{_CLASSES.get(holder.tag, '')}>{inner}</{holder.tag}>"
                )
            if not tag or holder.tag == tag:
                return


def _inline(pieces: list[tuple[Marks, str]]) -> str:
    parts: list[str] = []
    texts: list[str] = []
    now: Marks = ()
    for marks, text in pieces:
        if marks != now:
            parts.append(_marked("".join(texts), now))
            texts, now = [], marks
        texts.append(text)
    parts.append(_marked("".join(texts), now))
    return "".join(parts)


def _marked(text: str, marks: Marks) -> str:
    for tag, address in reversed(marks) if text else ():
        text = f'<a href="{html.escape(address)}">{text}</a>' if tag == "a" else f"<{tag}>{text}</{tag}>"
    return text
