"""The HTML that Teams writes, as HTML that may go anywhere."""

from __future__ import annotations

import re
from html import unescape

import nh3

from relay.sources.read.markup import clean_html, is_deep_markup, text_of_html

#: What a message needs; its boxes (div, span) go, their content stays.
_TAGS = nh3.ALLOWED_TAGS - {"div", "span"}
_EMOJI_TAG = re.compile(
    r"<emoji\b[^<>]{0,1000}>|<img\b[^<>]{0,2000}schema\.skype\.com/Emoji[^<>]{0,2000}>", re.IGNORECASE
)
_ALT = re.compile(r"""\balt\s*=\s*["']([^"'<>]{1,40})["']""", re.IGNORECASE)
_BREAK = re.compile(r"<(?:br|/p|/div)[^<>]*>", re.IGNORECASE)


def teams_html(html: str) -> str:
    """Return a message's HTML without scripts, boxes and pictures of emoji."""
    told = with_emoji(html)
    if is_deep_markup(told):
        return clean_html(told)
    return nh3.clean(told, tags=_TAGS).removeprefix("&nbsp;").strip()


def teams_text(html: str) -> str:
    """Return the text that a reader sees, a line each where Teams breaks one."""
    return text_of_html(_BREAK.sub("\n", with_emoji(html)))


def with_emoji(html: str) -> str:
    """Return the HTML with each emoji as its character: Teams writes it as a picture, or as an element of its own."""
    if "moji" not in html:
        return html
    return _EMOJI_TAG.sub(
        lambda found: unescape(alt[1]) if (alt := _ALT.search(found[0])) else found[0], html
    ).replace("</emoji>", "")
