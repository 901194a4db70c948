"""Slack's blocks as Slack's own markup, so that one reader (`slack_markup`) makes text and HTML of both.

Programs put their words into blocks or attachments alone; a person's `text` already holds all that the blocks do.
Source: Slack, "Block Kit: blocks", "Rich text", "Legacy attachments".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from relay.sources.foreign_json import Walk

#: No message has more blocks (Slack allows 50) or deeper ones; lists nest up to nine times.
_MAX_PARTS = 2000
_MAX_LEVELS = 16
_WORD = re.compile(r"\w+")
TABLES = frozenset({"table", "data_table"})
#: What is shown to be clicked, and says nothing.
_CONTROLS = frozenset({"actions", "context_actions"})
#: Where cards, tasks and containers have their words, and the blocks within them.
_WORDS = ("title", "subtitle", "text", "body", "description", "caption")
_INNER = ("elements", "blocks", "child_blocks", "tasks")
_INNER_RICH = ("details", "output")
_MD_LINK = re.compile(r"\[([^\[\]\n|<>]{1,300})\]\((https?://[^\s()<>|]{1,2000})\)")
_MD_BOLD = re.compile(r"\*\*(?=\S)([^*\n]{1,1000})(?<=\S)\*\*|__(?=\S)([^_\n]{1,1000})(?<=\S)__")
_MD_HEADING = re.compile(r"^#{1,6} +([^\n#*]{1,300})$", re.MULTILINE)


def blocks_markup(blocks: list[Walk]) -> str:
    """Return the words of the blocks, a line each, as mrkdwn."""
    lines: list[str] = []
    for block in blocks[:_MAX_PARTS]:
        lines += [line for line in _block(block) if line.strip()]
    return "\n".join(lines)


def attachment_markup(part: Walk) -> str:
    """Return the words of a program's attachment: pretext, author, title, text, fields, blocks; its fallback without any."""
    title, link = part.maybe_text("title"), part.maybe_text("title_link")
    lines = [
        part.maybe_text("pretext"),
        part.maybe_text("author_name"),
        f"<{link}|{title}>" if title and link.startswith("http") and ">" not in link + title else title,
        part.maybe_text("text"),
    ]
    lines += [
        ": ".join(word for word in (field.maybe_text("title"), field.maybe_text("value")) if word)
        for field in part.items("fields")
    ]
    blocks = blocks_markup(part.items("blocks"))
    if blocks and not says(blocks, "\n".join(lines)):
        lines.append(blocks)
    found = [line for line in lines if line.strip()]
    return "\n".join(found or [part.maybe_text("fallback")])


def says(what: str, where: str) -> bool:
    """Tell whether every word of `what` is in `where` as well."""
    return set(_WORD.findall(what)) <= set(_WORD.findall(where))


def _block(block: Walk) -> Iterator[str]:
    kind = block.maybe_text("type")
    if kind == "rich_text":
        yield from (_rich(element, 0) for element in block.items("elements"))
    elif kind == "context":
        yield " ".join(word for element in block.items("elements") if (word := _object(element)))
    elif kind == "markdown":
        yield _of_markdown(block.maybe_text("text"))
    elif kind in TABLES:
        yield block.maybe_text("caption")
        yield from _rows(block)
    elif kind in ("image", "video", "file"):
        yield _object(block.maybe("title")) or block.maybe_text("title") or block.maybe_text("alt_text")
        yield _object(block.maybe("description"))
    elif kind not in _CONTROLS:
        yield from (block.maybe_text(key) or _object(block.maybe(key)) for key in _WORDS)
        yield from (_object(field) for field in block.items("fields"))
        yield _object(block.maybe("label"))
        inside = [one for key in _INNER for one in block.items(key)]
        inside += [one for key in _INNER_RICH if (one := block.maybe(key)).value]
        for inner in inside[:_MAX_PARTS]:
            yield from _block(inner)


def _of_markdown(text: str) -> str:
    """A markdown block, which writes bold, headings and links in another way, as mrkdwn."""
    text = _MD_LINK.sub(r"<\2|\1>", text)
    return _MD_HEADING.sub(r"*\1*", _MD_BOLD.sub(lambda found: f"*{found[1] or found[2]}*", text))


def _object(part: Walk) -> str:
    """A text object, or an image's alternative text."""
    return part.maybe_text("text") or part.maybe_text("alt_text")


def _rows(block: Walk) -> Iterator[str]:
    rows: Any = block.value.get("rows")
    for row in rows if isinstance(rows, list) else ():
        cells = [Walk(cell) for cell in row if isinstance(cell, dict)] if isinstance(row, list) else []
        yield " | ".join(_cell(cell) for cell in cells)


def _cell(cell: Walk) -> str:
    """A text, a number or a rich text."""
    number = cell.value.get("value")
    return (
        _object(cell)
        or " ".join(_rich(element, 0) for element in cell.items("elements"))
        or (f"{number:g}" if isinstance(number, float) else cell.maybe_ident("value"))
    )


def _rich(element: Walk, level: int) -> str:
    if level > _MAX_LEVELS:
        return ""
    kind = element.maybe_text("type")
    inside = element.items("elements")
    if kind == "rich_text_list":
        indent = element.value.get("indent")
        space = "    " * (indent if isinstance(indent, int) and 0 < indent < 9 else 0)
        ordered = element.maybe_text("style") == "ordered"
        return "\n".join(
            f"{space}{f'{n}.' if ordered else '•'} {_rich(item, level + 1)}"
            for n, item in enumerate(inside, 1)
        )
    text = "".join(_rich(item, level + 1) if item.value.get("elements") else _leaf(item) for item in inside)
    if kind == "rich_text_quote":
        return "\n".join(f"&gt; {line}" for line in text.split("\n"))
    return f"```{text}```" if kind == "rich_text_preformatted" else text


def _leaf(item: Walk) -> str:
    kind = item.maybe_text("type")
    if kind == "text":
        return _marked(_escaped(item.maybe_text("text")), item.maybe("style"))
    if kind == "link":
        url, text = item.maybe_text("url"), item.maybe_text("text")
        return f"<{_escaped(url)}|{_escaped(text)}>" if text and text != url else f"<{_escaped(url)}>"
    for named, key, mark in (
        ("user", "user_id", "@"),
        ("channel", "channel_id", "#"),
        ("usergroup", "usergroup_id", "!subteam^"),
        ("broadcast", "range", "!"),
    ):
        if kind == named:
            return f"<{mark}{_escaped(item.maybe_ident(key))}>"
    if kind == "emoji":
        return f":{item.maybe_text('name')}:"
    return _escaped(item.maybe_text("text") or item.maybe_text("fallback") or item.maybe_text("value"))


def _marked(text: str, style: Walk) -> str:
    if not text.strip() or not style.value:
        return text
    bare = text.strip()
    marked = bare
    for name, mark in (("code", "`"), ("strike", "~"), ("italic", "_"), ("bold", "*")):
        if style.value.get(name) is True and "\n" not in bare:
            marked = f"{mark}{marked}{mark}"
    return text.replace(bare, marked, 1)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
