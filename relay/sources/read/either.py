"""Text that may be HTML: senders put either under the same name."""

from __future__ import annotations

import re

from relay.sources.read.markup import clean_html, html_of_text, text_of_html

#: Tags that a message's HTML has; `<two>` or `<you@example.com>` in a plain text is none of them.
_TAGS = re.compile(
    r"</?(?:p|br|div|span|a|b|strong|em|i|u|s|ul|ol|li|table|tr|td|th|h[1-6]|img|blockquote|pre|code|font|hr|html|body)"
    r"(?:\s[^<>]{0,2000})?/?>",
    re.IGNORECASE,
)


def looks_like_html(text: str) -> bool:
    return "<" in text and _TAGS.search(text) is not None


def read_either(value: str) -> tuple[str, str]:
    """Return the text that a reader sees, and safe HTML of it."""
    if looks_like_html(value):
        return text_of_html(value), clean_html(value)
    return value.strip(), html_of_text(value.strip())
