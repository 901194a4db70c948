"""A page of HTML as the lines that a reader sees, each with the nodes that show it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

#: More nodes than this are read no further: each costs about a microsecond.
_MAX_NODES = 200_000

_BLOCKS = frozenset(
    [
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "caption",
            "center",
            "dd",
            "details",
            "dialog",
            "dir",
        ),
        *(
            "div",
            "dl",
            "dt",
            "fieldset",
            "figcaption",
            "figure",
            "footer",
            "form",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
        ),
        *(
            "header",
            "hr",
            "legend",
            "li",
            "listing",
            "main",
            "menu",
            "nav",
            "ol",
            "option",
            "p",
            "pre",
            "section",
        ),
        *("summary", "table", "tbody", "tfoot", "thead", "tr", "ul", "xmp"),
    ]
)
#: Their content is no text of the mail's.
_UNSEEN = frozenset(
    [
        *(
            "-comment",
            "head",
            "iframe",
            "noembed",
            "noframes",
            "object",
            "script",
            "style",
            "svg",
            "template",
            "title",
        ),
        *("xml", "w:worddocument", "o:officedocumentsettings"),
    ]
)
#: Not `mso-hide`: Word writes both, and what is hidden from Outlook alone is a button that everybody else sees.
_HIDDEN = re.compile(r"(?:^|;)\s{0,9}display\s{0,9}:\s{0,9}none\b", re.IGNORECASE)
#: Where the letters of two cells would run into one word.
_CELLS = frozenset(["td", "th"])
_RULE = "________________"
#: A smiley may be made of a dozen characters.
_MAX_SYMBOLS = 24


def symbols_of(alt: str | None) -> str:
    """Return the text that stands for a picture where that is a smiley ("👍"): many programs set those as pictures. "" for
    others, whose text names a file or says what is to be seen."""
    if not alt or len(alt) > _MAX_SYMBOLS or alt.isascii() or any(map(str.isalnum, alt)):
        return ""
    return alt if any(char >= "\u2190" for char in alt) else ""


@dataclass(slots=True)
class PageLine:
    """`nodes` are the text nodes, breaks and rules that make up the line; `notes` what was said of the elements it lies in. `broken`:
    a break ends it, within its block."""

    text: str
    nodes: list[LexborNode]
    notes: tuple[str, ...]
    broken: bool = False


@dataclass(slots=True)
class HtmlPage:
    """`hidden` are elements that are not shown; `shared` says that several lines come from one node, so that none of
    them can be taken out alone."""

    body: LexborNode | None
    lines: list[PageLine] = field(default_factory=list)
    hidden: list[LexborNode] = field(default_factory=list)
    shared: bool = False

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines).strip("\n")


def read_page(html: str, note: Callable[[LexborNode], str] | None = None) -> HtmlPage:
    """Return the page's lines. `note` says of an element what it means for the lines inside it; "" for nothing.

    Linear in the page's length as long as few elements are open at once (see `markup.is_deep`).
    """
    body = LexborHTMLParser(html).body
    reader = _Reader(HtmlPage(body), note, may_hide="none" in html)
    if body is not None:
        reader.read(body)
    return reader.page


class _Reader:
    def __init__(self, page: HtmlPage, note: Callable[[LexborNode], str] | None, may_hide: bool) -> None:
        self.page = page
        self.may_hide = may_hide
        self.note = note
        self.pieces: list[str] = []
        self.nodes: list[LexborNode] = []
        self.notes: list[str] = []
        self.preformatted = 0

    def read(self, body: LexborNode) -> None:
        node, depth, seen = body, 0, 0
        #: Whether the element at this depth left a note.
        noted = [False]
        while seen < _MAX_NODES:
            seen += 1
            inner = self._open(node, noted)
            if inner is not None:
                node = inner
                depth += 1
                noted.append(False)
                continue
            while True:
                self._close(node, noted)
                if depth == 0:
                    self._end_line()
                    return
                below = node.next
                if below is not None:
                    node = below
                    break
                parent = node.parent
                assert parent is not None
                node = parent
                depth -= 1
                noted.pop()
        self._end_line()

    def _open(self, node: LexborNode, noted: list[bool]) -> LexborNode | None:
        """Takes the node; its first child, where it is to be read."""
        noted[-1] = False
        tag = node.tag
        if tag == "-text":
            self._text(node)
            return None
        if tag == "br":
            self.nodes.append(node)
            self._end_line(empty_too=True)
            return None
        if tag == "img":
            self.nodes.append(node)
            self.pieces.append(symbols_of(node.attributes.get("alt")))
            return None
        if tag in _UNSEEN or tag is None:
            return None
        if self.may_hide and self._is_hidden(node):
            self.page.hidden.append(node)
            return None
        if tag in _BLOCKS:
            self._end_line()
            if tag == "hr":
                self.pieces.append(_RULE)
                self.nodes.append(node)
            elif tag == "pre":
                self.preformatted += 1
        elif tag in _CELLS:
            self.pieces.append(" ")
        if self.note is not None and (found := self.note(node)):
            self.notes.append(found)
            noted[-1] = True
        return node.child

    def _close(self, node: LexborNode, noted: list[bool]) -> None:
        tag = node.tag
        if tag in _BLOCKS:
            self._end_line()
            if tag == "pre":
                self.preformatted -= 1
        if noted[-1]:
            # A line that an inline element's note is about must not take in what follows.
            self._end_line()
            self.notes.pop()
            noted[-1] = False

    @staticmethod
    def _is_hidden(node: LexborNode) -> bool:
        style = node.attributes.get("style") if node.child is not None else None
        return style is not None and _HIDDEN.search(style) is not None

    def _text(self, node: LexborNode) -> None:
        text = node.text_content or ""
        self.nodes.append(node)
        if not self.preformatted or "\n" not in text:
            self.pieces.append(text)
            return
        first, *others = text.split("\n")
        self.pieces.append(first)
        for other in others:
            self._end_line(empty_too=True)
            self.page.shared = True
            self.pieces.append(other)
            self.nodes.append(node)

    def _end_line(self, *, empty_too: bool = False) -> None:
        joined = "".join(self.pieces)
        text = joined.replace("\xa0", " ").rstrip() if self.preformatted else " ".join(joined.split())
        if text or empty_too:
            self.page.lines.append(PageLine(text, self.nodes, tuple(self.notes), empty_too))
            self.nodes = []
        elif self.page.lines and self.nodes:
            # Blanks between blocks leave with the line above them.
            self.page.lines[-1].nodes.extend(self.nodes)
            self.nodes = []
        self.pieces = []
