"""Jira's wiki markup (API 2, automation rules) as text and as simple HTML. Takes linear time.

Source: Atlassian, "Text formatting notation help".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from relay.sources.read.lines import Piece, TextLine, html_of_lines, is_safe, text_of_lines

_BLOCK = re.compile(r"\{(code|noformat|quote|panel|color|expand)(?::([^{}\n]{0,300}))?\}", re.IGNORECASE)
_HEADING = re.compile(r"h[1-6]\.[ \t]+")
_ITEM = re.compile(r"([*#-]{1,8})[ \t]+")
_TITLE = re.compile(r"(?:^|\|)title=([^|]{1,200})")
_DATE = re.compile(r"\{date:([0-9/.-]{6,20})\}")
# Each stops at its own mark and at the line's end: linear, whatever the text.
_INLINE = re.compile(
    r"\[(?P<link>[^\[\]\n]{1,2000})\]"
    r"|!(?P<image>[^!\s][^!\n]{0,500})!"
    r"|\{\{(?P<code>[^{}\n]{1,1000})\}\}"
    # Jira's own editor puts braces around a mark that stands within a word, or beside another mark.
    r"|\{\*\}(?P<bold>[^{}\n]{1,1000})\{\*\}"
    r"|\{_\}(?P<italic>[^{}\n]{1,1000})\{_\}"
    r"|\{-\}(?P<struck>[^{}\n]{1,1000})\{-\}"
    r"|\{(?P<mark>[*_+^~-])\}"
    r"|(?<![\w*])\*(?P<strong>[^\s*](?:[^*\n]{0,1000}[^\s*])?)\*(?![\w*])"
    r"|(?<![\w_])_(?P<em>[^\s_](?:[^_\n]{0,1000}[^\s_])?)_(?![\w_])"
    r"|(?<![\w-])-(?P<s>[^\s-](?:[^-\n]{0,1000}[^\s-])?)-(?![\w-])"
    r"|(?<![\w+])\+(?P<plus>[^\s+](?:[^+\n]{0,1000}[^\s+])?)\+(?![\w+])"
    r"|(?<!\?)\?\?(?P<cite>[^\s?](?:[^?\n]{0,1000}[^\s?])?)\?\?(?!\?)"
    r"|(?P<url>https?://[^\s\[\]|{}]{3,2000})"
    r"|\\(?P<escaped>[\\*_{}\[\]!+|^~?#-])"
)
_TAGS = {"bold": "strong", "italic": "em", "struck": "s"}
_MARKS = ("[", "!", "{", "*", "_", "-", "+", "?", "://", "\\")


def read_wiki(text: str) -> tuple[str, str]:
    """Read wiki markup as text and HTML."""
    lines = list(_lines(text.replace("\r\n", "\n").replace("\x00", "")))
    return text_of_lines(lines), html_of_lines(lines)


def _lines(text: str) -> Iterator[TextLine]:
    quoted = False
    verbatim = ""
    numbers: dict[str, int] = {}
    for raw in text.split("\n"):
        if not verbatim and not raw.strip():
            # A body may hold ten thousand of them.
            numbers.clear()
            yield TextLine([], "", quoted)
            continue
        parts: list[tuple[str, bool]] = []
        place = 0
        for found in _BLOCK.finditer(raw):
            name = found[1].lower()
            if verbatim and name != verbatim:
                continue
            parts.append((raw[place : found.start()], bool(verbatim)))
            place = found.end()
            if name in ("code", "noformat"):
                verbatim = "" if verbatim else name
            elif name == "quote":
                quoted = not quoted
            if title := _TITLE.search(found[2] or ""):
                yield TextLine([Piece(title[1], "strong")], "", quoted)
        marks = bool(parts)
        parts.append((raw[place:], bool(verbatim)))
        whole = "".join(part for part, _ in parts)
        if marks and not whole.strip():
            continue
        if verbatim or any(literal for part, literal in parts if part.strip()):
            yield TextLine([Piece(whole, "code" if whole.strip() else "")], "", quoted)
        else:
            yield _line(_DATE.sub(r"\1", whole), quoted, numbers)


def _line(raw: str, quoted: bool, numbers: dict[str, int]) -> TextLine:
    """One line; `numbers` holds how far each level's numbering is, and is emptied by whatever is no item."""
    line = raw.strip()
    if item := _ITEM.match(line):
        level = item[1]
        mark = "- "
        if level[-1] == "#":
            numbers[level] = numbers.get(level, 0) + 1
            mark = f"{numbers[level]}. "
        for deeper in [one for one in numbers if len(one) > len(level)]:
            del numbers[deeper]
        return TextLine(_pieces(line[item.end() :]), "  " * (len(level) - 1) + mark, quoted)
    numbers.clear()
    if line in ("----", "---", "--"):
        return TextLine([], "", quoted)
    if line.startswith("bq. "):
        return TextLine(_pieces(line[4:]), "", True)
    if heading := _HEADING.match(line):
        return TextLine(_pieces(line[heading.end() :]), "", quoted, heading=True)
    if line.startswith("|") and line.count("|") > 1:
        cells = (
            [cell.strip() for cell in line.strip("|").replace("||", "|").split("|")]
            if "[" not in line
            else []
        )
        return TextLine(_pieces(" | ".join(cells) if cells else line.strip("|").strip()), "", quoted)
    return TextLine(_pieces(line), "", quoted)


def _pieces(line: str) -> list[Piece]:
    line = line.replace("\\\\", "\n")
    if not any(mark in line for mark in _MARKS):
        return [Piece(line)]
    pieces: list[Piece] = []
    place = 0
    for found in _INLINE.finditer(line):
        if found.start() > place:
            pieces.append(Piece(line[place : found.start()]))
        place = found.end()
        pieces += _found(str(found.lastgroup), str(found[str(found.lastgroup)]))
    pieces.append(Piece(line[place:]))
    return [piece for piece in pieces if piece.text or piece.url]


def _found(kind: str, inner: str) -> list[Piece]:
    """The pieces of one mark. A marked text may hold others, but none of its own kind, so that this ends."""
    kind = _TAGS.get(kind, kind)
    if kind == "mark":
        return []
    if kind in ("strong", "em", "s"):
        return [Piece(piece.text, piece.tag or kind, piece.url) for piece in _pieces(inner)]
    return [_piece(kind, inner)]


def _piece(kind: str, inner: str) -> Piece:
    if kind == "link":
        return _link(inner)
    if kind == "image":
        return Piece(inner.partition("|")[0], url=inner.partition("|")[0] if is_safe(inner) else "")
    if kind == "url":
        address = inner.rstrip(".,;:!?)")
        return Piece(inner, url=address) if address == inner else Piece(inner)
    if kind in ("plus", "cite", "escaped"):
        return Piece(inner)
    return Piece(inner, kind)


def _link(inner: str) -> Piece:
    label, _, target = inner.rpartition("|")
    if inner.startswith("~"):
        # A person, by account id or name.
        return Piece("@" + inner[1:].removeprefix("accountid:"))
    if label.count("|") and not is_safe(target):
        label, _, target = label.rpartition("|")  # [text|address|smart-link]
    if is_safe(target):
        return Piece(label or target, url=target)
    if inner.startswith("^"):
        return Piece(inner[1:])
    return Piece(label or f"[{inner}]")
