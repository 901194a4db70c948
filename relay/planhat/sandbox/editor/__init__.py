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
from functools import lru_cache
from typing import Final

from selectolax.lexbor import LexborHTMLParser

from relay.planhat.sandbox.editor.reader import Reader
from relay.planhat.sandbox.editor.view import EditorView, Note
from relay.planhat.sandbox.editor.vocabulary import TAG, VOID

__all__ = ["EditorView", "Note", "as_edited"]

_MAX_TAG_DEPTH: Final = 256


@lru_cache(maxsize=32)
def as_edited(description: str) -> EditorView:
    """Render what the editor would keep of a description. Takes time in proportion to its length; never raises."""
    reader = Reader()
    root = LexborHTMLParser(_shallow(description)).body
    if root is not None:
        reader.read(root)
    return reader.view()


def _shallow(markup: str) -> str:
    """The same without tags that lie deeper than any person's: a parser's time grows with the square of the depth."""
    depth = 0

    def limit(tag: re.Match[str]) -> str:
        nonlocal depth
        if tag[2].lower() in VOID:
            return tag[0]
        if tag[1]:
            depth = max(0, depth - 1)
            return "" if depth >= _MAX_TAG_DEPTH else tag[0]
        depth += 1
        return "" if depth > _MAX_TAG_DEPTH else tag[0]

    return TAG.sub(limit, markup)
