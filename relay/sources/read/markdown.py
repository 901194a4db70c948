"""Markdown (summaries that programs write, issues of trackers) as HTML and as text."""

from __future__ import annotations

import re
from functools import lru_cache

from markdown_it import MarkdownIt

from relay.sources.read.markup import clean_html, html_of_text, text_of_html

#: A longer text stays as it is: a parser's worst case grows faster than its input.
_MAX_CHARS = 100_000
#: And so does one with more lines and marks: each takes the parser up to 35 µs, and a request is read within 50 ms.
_MAX_MARKS = 1_500
_MARKS = "\n*_`[|~<&!\\"
#: A table's row becomes a line, a heading a strong one.
_PLAINER = (
    (re.compile(r"</t[hd]>\s*<t[hd][^<>]*>"), " | "),
    (re.compile(r"</?(?:table|thead|tbody|t[hd])\b[^<>]*>\s*"), ""),
    (re.compile(r"<tr>\s*"), "<p>"),
    (re.compile(r"\s*</tr>"), "</p>"),
    (re.compile(r"<h[1-6]>"), "<p><strong>"),
    (re.compile(r"</h[1-6]>"), "</strong></p>"),
    (re.compile(r"(?<=>)\n+(?=<)"), ""),
)


def read_markdown(text: str) -> tuple[str, str]:
    """Read Markdown as text and as safe HTML; tags in it are text."""
    if len(text) > _MAX_CHARS or sum(text.count(mark) for mark in _MARKS) > _MAX_MARKS:
        return text.strip(), html_of_text(text.strip())
    html = clean_html(_parser().render(text))
    for pattern, instead in _PLAINER:
        html = pattern.sub(instead, html)
    return text_of_html(html), html


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # A single line break of a chat or a comment is meant as one.
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
