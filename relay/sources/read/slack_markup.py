"""Slack's markup as readable text and as safe HTML.

Slack escapes `&`, `<` and `>` in what people type, so every `<...>` is its own: a mention, a channel, a link,
a date.
Source: Slack, "Formatting text for app surfaces".
"""

from __future__ import annotations

import re
from html import escape

_SAFE_SCHEMES = ("http://", "https://", "mailto:", "tel:")
# Each pattern stops at its own mark and at a line's end, so a search is linear whatever the text.
_CODE = re.compile(r"```([^`]+)```|`([^`\n]+)`")
_MARKS = (
    (re.compile(r"(?<![\w*])\*([^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])"), "strong", "*"),
    (re.compile(r"(?<![\w_])_([^\s_](?:[^_\n]*[^\s_])?)_(?![\w_])"), "em", "_"),
    (re.compile(r"(?<![\w~])~([^\s~](?:[^~\n]*[^\s~])?)~(?![\w~])"), "s", "~"),
)
#: Mentions, links and dates of one message; a message has 40,000 characters at most.
MAX_MARKED = 4000
_HELD = re.compile("\x00(\\d+)\x00")


def render_text(raw: str) -> str:
    """Give readable text: `<url|label>` becomes "label (url)", `<#C1|sales>` "#sales", `<!here>` "@here". A person
    named by id only (`<@U1>`) stays as Slack wrote it, so that a rule can put a name there."""
    if "<" not in raw:
        return _unescape(raw)
    return "".join(
        _unescape(piece) if n % 2 == 0 else _text_of(piece) for n, piece in enumerate(_pieces(raw))
    )


def render_html(raw: str) -> str:
    """Return HTML that needs no further cleaning: everything is escaped, links are http(s), mailto or tel."""
    if not ("<" in raw or "*" in raw or "_" in raw or "~" in raw or "`" in raw):
        return escape(_unescape(raw)).replace("\n", "<br>")
    held: list[str] = []

    def hold(html: str) -> str:
        held.append(html)
        return f"\x00{len(held) - 1}\x00"

    parts = [
        escape(_unescape(piece)) if n % 2 == 0 else hold(_html_of(piece))
        for n, piece in enumerate(_pieces(raw.replace("\x00", "")))
    ]
    html = "".join(parts) if len(parts) > 1 else parts[0]
    if "`" in html:
        html = _CODE.sub(lambda m: hold(f"<pre>{m[1]}</pre>" if m[1] else f"<code>{m[2]}</code>"), html)
    for pattern, tag, mark in _MARKS:
        if mark in html:
            html = pattern.sub(rf"<{tag}>\1</{tag}>", html)
    html = html.replace("\n", "<br>")
    for _ in range(2 if held else 0):  # code may hold a link, a link holds nothing
        html = _HELD.sub(lambda m: held[int(m[1])], html)
    return html


def _unescape(text: str) -> str:
    if "&" not in text:
        return text
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _pieces(raw: str) -> list[str]:
    """Plain text and the insides of `<...>`, in turn, plain first. A "<" that never closes is plain, and so is all that follows
    more of them than any message has."""
    found: list[str] = []
    plain_from = place = 0
    while (
        len(found) < 2 * MAX_MARKED
        and (start := raw.find("<", place)) >= 0
        and (end := raw.find(">", start)) >= 0
    ):
        found += (raw[plain_from:start], raw[start + 1 : end])
        plain_from = place = end + 1
    found.append(raw[plain_from:])
    return found


def _text_of(inside: str) -> str:
    target, _, label = inside.partition("|")
    label = _unescape(label)
    head = target[:1]
    if head == "@":
        return f"@{label}" if label else f"<{target}>"
    if head == "#":
        return f"#{label}" if label else f"<{target}>"
    if head == "!":
        what, _, which = target[1:].partition("^")
        # A group is known by its id here; a rule can put a name there.
        return label or "@" + (which if what == "subteam" and which else what)
    url = _unescape(target)
    bare = url.removeprefix("mailto:").removeprefix("tel:")
    if not label or label in (url, bare) or url.endswith(f"://{label}"):
        return bare
    return f"{label} ({bare})"


def _html_of(inside: str) -> str:
    target, _, label = inside.partition("|")
    if target[:1] in ("@", "#", "!"):
        return escape(_text_of(inside).strip("<>"))
    url = _unescape(target)
    shown = escape(_unescape(label) or url.removeprefix("mailto:"))
    if not url.lower().startswith(_SAFE_SCHEMES):
        return shown
    return f'<a href="{escape(url)}" rel="noopener noreferrer nofollow">{shown}</a>'
