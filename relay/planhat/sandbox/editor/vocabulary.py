"""The editor's words for HTML: what is a mark, a block, nothing at all."""

from __future__ import annotations

import re
from typing import Final

MARKS: Final = {"strong": "strong", "b": "strong", "em": "em", "i": "em"}
BLOCKS: Final = frozenset(
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
HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
TABLE_PARTS: Final = frozenset({"thead", "tbody", "tfoot", "colgroup", "col"})
SILENT: Final = frozenset({"script", "style", "template", "head", "title", "meta", "link", "base"})
LEFT_OUT: Final = frozenset(
    {"iframe", "object", "embed", "svg", "math", "video", "audio", "canvas", "select", "textarea"}
)
SAFE_LINK: Final = re.compile(r"(?:https?:|mailto:|tel:|[^:]*$|[/#?])", re.IGNORECASE)
TAG: Final = re.compile(r"<(/?)([a-zA-Z][^\s/<>]*)[^<>]*>")
VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
NEWLINES: Final = re.compile(r"[\r\n]+")
WORD_BREAK: Final = re.compile(r"(\S{1,40})[\r\n]+(?=(\S{1,40}))")
