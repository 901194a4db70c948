"""The words of a message that nobody described, as text and HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay.sources.read import pick
from relay.sources.read.either import looks_like_html, read_either
from relay.sources.read.markdown import read_markdown
from relay.sources.read.markup import clean_html, text_of_html


@dataclass(frozen=True, slots=True)
class Said:
    text: str = ""
    html: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.html)


def read_said(message: Mapping[str, Any], flat: Mapping[str, Any], *, markdown: bool = False) -> Said:
    """Return the words of `message`, else those of the whole payload (`flat`), both under bare names; a rating that stands
    alone is a line. `html` is "" where the text is plain."""
    for place in (message, flat):
        html = pick.first_text((place,), pick.HTML)
        text = pick.first_text((place,), pick.TEXT)
        if html:
            # What stands under a name for text is taken at its word, unless it is HTML as well.
            plain = text if text and not looks_like_html(text) else text_of_html(html)
            return Said(plain, clean_html(html))
        if text and markdown:
            return Said(*read_markdown(text))
        if text:
            return Said(*read_either(text)) if looks_like_html(text) else Said(text)
    rating = pick.first_ident((message, flat), pick.RATING)
    return Said(f"Rating: {rating}") if rating else Said()
