"""The entries of a thread as one description, and what to do where Planhat has no room for all of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

MAX_CHARS: Final = 524_288
"""Longer texts came back cut from one list client (UTF-16 units). One source."""

_ROOM_FOR_NOTE: Final = 300
_TAG: Final = re.compile(r"<(/?)([a-z]+)[^<>]*>")
_VOID: Final = frozenset(["br", "hr"])
_TAG_END: Final = re.compile(r"<([a-z]+)[^<>]*>$")
_EMPTY_END: Final = re.compile(r"<([a-z]+)[^<>]*></\1>((?:</[a-z]+>)*)$")
#: More of them stay: they hold nothing.
_MOST_EMPTY: Final = 1_000
_NAME: Final = re.compile("[a-z]+")
_WHOLE_END: Final = re.compile(r"&[^;\s]{0,31}$")


def block_of(entry: str) -> str:
    """Give safe HTML as blocks: a bare line becomes a paragraph."""
    return entry if not entry or entry.isspace() or entry[:1] == "<" else f"<p>{entry}</p>"


def edges(text: str) -> frozenset[int]:
    """Give the places in blocks of safe HTML where one of them ends and the next begins."""
    found, depth = {0}, 0
    for tag in _TAG.finditer(text):
        if tag[2] in _VOID:
            if depth == 0 and tag[2] == "hr":
                found |= {tag.start(), tag.end()}
        elif tag[1]:
            depth -= 1
            if depth == 0:
                found.add(tag.end())
        else:
            depth += 1
    return frozenset(found)


def join(entries: Sequence[str], *, limit: int = MAX_CHARS) -> str:
    """Give entries of safe HTML as one: each is blocks of its own, the oldest first, as many of the newest as fit."""
    if len(entries) == 1:
        return fit_to_planhat(entries[0], limit=limit)
    text = "".join(
        [
            entry if entry[:1] == "<" else f"<p>{entry}</p>"
            for entry in entries
            if entry and not entry.isspace()
        ]
    )
    return text if _short(text, limit) else _newest(entries, limit)


def fit_to_planhat(text: str, *, limit: int = MAX_CHARS) -> str:
    """Give safe HTML that Planhat has room for: cut at its end where it is longer, with a note."""
    if _short(text, limit):
        return text
    note = f"<p><em>The rest is left out here: it has {len(text):,} characters, and Planhat keeps {limit:,}.</em></p>"
    return _cut(text, limit - _ROOM_FOR_NOTE) + note


def _newest(entries: Sequence[str], limit: int) -> str:
    kept: list[str] = []
    room = limit - _ROOM_FOR_NOTE
    for entry in reversed(entries):
        block = block_of(entry)
        room -= _units(block)
        if room < 0 and kept:
            break
        kept.append(block)
    left_out = len(entries) - len(kept)
    note = f"<p><em>{left_out:,} earlier {'entry is' if left_out == 1 else 'entries are'} left out here: Planhat keeps {limit:,} characters.</em></p>"
    kept.append(note)
    kept.reverse()
    return fit_to_planhat("".join(kept), limit=limit)


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _short(text: str, limit: int) -> bool:
    # A character takes two units at most: most texts need not be counted.
    return 2 * len(text) <= limit or _units(text) <= limit


def _cut(text: str, room: int) -> str:
    """The beginning of safe HTML, in at most so many UTF-16 units, with every element closed."""
    open_: list[str] = []
    place, closing = 0, 0
    for found in _TAG.finditer(text):
        between = _units(text[place : found.start()])
        if between + closing > room:
            break
        if found[2] in _VOID:
            change = 0
        else:
            change = -len(f"</{found[2]}>") if found[1] else len(f"</{found[2]}>")
        if between + _units(found[0]) + closing + max(change, 0) > room:
            break
        room -= between + _units(found[0])
        closing += change
        place = found.end()
        if found[1]:
            open_.pop()
        elif found[2] not in _VOID:
            open_.append(found[2])
    else:
        found = None
    rest = text[place : found.start()] if found else text[place:]
    piece = rest.encode("utf-16-le", "surrogatepass")[: 2 * max(0, room - closing)].decode(
        "utf-16-le", "ignore"
    )
    if len(piece) < len(rest):
        piece = _WHOLE_END.sub("", piece)
    kept = text[:place] + piece
    return kept[: _end_without_empty(kept, open_)] + "".join(f"</{tag}>" for tag in reversed(open_))


def _end_without_empty(text: str, open_: list[str]) -> int:
    """Where the text ends without the elements at its end that hold nothing; `open_` is then what is open there."""
    end = len(text)
    for _ in range(_MOST_EMPTY):
        near = max(0, end - _ROOM_FOR_NOTE)
        if open_ and (last := _TAG_END.search(text, near, end)) and last[1] == open_[-1]:
            open_.pop()
            end = last.start()
        elif empty := _EMPTY_END.search(text, near, end):
            end = empty.start()
            # What closed behind it is open again.
            open_ += reversed(_NAME.findall(empty[2]))
        else:
            break
    return end
