"""HTML as readable text. Not a parser on purpose: one pass, however deep and broken the HTML is."""

from __future__ import annotations

import html
import re
from typing import Final

_TAG: Final = re.compile(r"<!--|<(/?)([a-zA-Z][a-zA-Z0-9:-]{0,30})[^<>]*>|<[!?][^<>]*>")
_ENDS_LINE: Final = frozenset(
    {"br", "hr", "/p", "/div", "/li", "/tr", "/table", "/blockquote", *(f"/h{n}" for n in range(1, 7))}
)
_HIDDEN: Final = {
    name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "title", "template")
}
_LOOKS_LIKE_HTML: Final = re.compile(r"<[a-zA-Z/!][^<>]{0,2000}>|&(?:[a-zA-Z]{2,8}|#\d{1,6});")
_BLANK_LINES: Final = re.compile(r"\n[ \t]{0,20}(?:\n[ \t]{0,20}){2,}")


def plain_text(text: str) -> str:
    """Give HTML as text: tags go, paragraphs and breaks become lines, entities their characters. A text that holds no
    HTML stays as it is."""
    if not _LOOKS_LIKE_HTML.search(text):
        return text
    lines = (line.strip() for line in html.unescape(without_tags(text)).replace("\xa0", " ").splitlines())
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def words_of_html(markup: str) -> list[str]:
    """Give the words that a reader of this HTML sees, in their order."""
    return html.unescape(without_tags(markup)).split()


def without_tags(text: str) -> str:
    """Take every tag out, and what stands in scripts and styles; a block's end leaves a line's end."""
    kept: list[str] = []
    place = 0
    while (found := _TAG.search(text, place)) is not None:
        kept.append(text[place : found.start()])
        place = found.end()
        name = (found[2] or "").lower()
        if found[0] == "<!--":
            end = text.find("-->", place)
            place = len(text) if end < 0 else end + 3
        elif f"{found[1]}{name}" in _ENDS_LINE:
            kept.append("\n")
        elif name in _HIDDEN and not found[1]:
            closing = _HIDDEN[name].search(text, place)
            place = len(text) if closing is None else closing.start()
    kept.append(text[place:])
    return "".join(kept)
