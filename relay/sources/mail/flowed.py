"""Texts in `format=flowed`, whose lines the sender wrapped with a blank at their end. Source: RFC 3676."""

from __future__ import annotations

import re

_QUOTES = re.compile(r">*")
SIGNATURE = "-- "


def unflowed(text: str, *, delete_space: bool) -> str:
    """Return the paragraphs whole again. `delete_space` is DelSp=yes: the blank at a line's end is no part of the text.

    A line of the writer's that begins with `>`, and so was sent with a blank before it, keeps that blank: without it
    stands what is quoted.
    """
    found: list[str] = []
    pieces: list[str] = []
    depth_before = 0
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        match = _QUOTES.match(line)
        depth = match.end() if match else 0
        content = line[depth:]
        if content.startswith(" "):
            content = content[1:]
        signature = content == SIGNATURE
        if pieces and (depth != depth_before or signature):
            found.append(_line(depth_before, "".join(pieces)))
            pieces = []
        depth_before = depth
        if signature:
            found.append(_line(depth, SIGNATURE))
        elif content.endswith(" "):
            pieces.append(content[:-1] if delete_space else content)
        else:
            pieces.append(content)
            found.append(_line(depth, "".join(pieces)))
            pieces = []
    if pieces:
        found.append(_line(depth_before, "".join(pieces)))
    return "\n".join(found)


def _line(depth: int, content: str) -> str:
    if depth:
        return f"{'>' * depth} {content}"
    return f" {content}" if content.startswith(">") else content
