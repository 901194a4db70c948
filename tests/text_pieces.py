"""The short pieces that the worst inputs of a text function repeat, and a row of the table of such functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
#: Short pieces; what a function chokes on, it chokes on repeated.
PLAIN = [
    "a",
    " ",
    "\n",
    "é",
    "\ud800",
    "&",
    "&amp;",
    "<",
    "<a>",
    "<a",
    '"',
    "\\",
    "%",
    "a@b.c,",
    "(",
    "=?utf-8?q?a?= ",
    ":",
    "-",
]
RAW = [
    b"a",
    b" ",
    b"\n",
    b"\xff",
    b"\x1b$B",
    b"%",
    b"%41",
    b"+",
    b"&",
    b"=",
    b"a=b&",
    b";",
    b"\x00",
    b"\xe2\x98\x83",
]
JSON = [
    b"[",
    b"{",
    b"{}",
    b"[],",
    b"{},",
    b'"',
    b'"",',
    b"\\",
    b'\\"',
    b"\\n",
    b"1,",
    b'"a":1,',
    b'{"a":',
    b" ",
    b'"\\u0061":1,',
    b"x",
]
PARTS = [
    *(b"--x\r\n", b"\r\n--x\r\n", b"\n--x", b"\n--xy", b"--", b"-", b"\r\n", b"\n", b"x"),
    b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n",
    b'--x\r\nContent-Disposition: form-data; name="\\"',
    b"Content-Type: a\r\n",
]
HEADS = [";", "=", '"', '\\"', "a=b;", 'name="', "filename*=UTF-8''%41;", "%22", "a", '="\\"']
MARKUP = [
    b"<a>",
    b"<a/>",
    b"</a>",
    b"<a b='c'>",
    b"&lt;",
    b"&",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<a",
    b" x='y'",
    b"a",
    b"\n",
]
SLACK = [
    "<",
    ">",
    "<a>",
    "<@U1>",
    "<http://x|y>",
    "*a* ",
    "*",
    "_a_ ",
    "~",
    "`",
    "```",
    "`a` ",
    "&amp;",
    "\n",
    "<a|",
    "a",
]
MARKDOWN = [
    "> a\n",
    "- a\n",
    "*a* ",
    "**",
    "_",
    "`",
    "[a](b)",
    "[",
    "| a | b |\n",
    "# a\n",
    "    ",
    "~~a~~",
    "![",
    "<a@b>",
]


@dataclass(frozen=True)
class Row:
    """`work` with each of `pieces` repeated; `before` and `after` stand around them, so that what is read is deep in
    something."""

    work: Callable[[Any], object]
    pieces: Sequence[Any]
    around: Sequence[tuple[Any, Any]] = field(default=())


def rows(module: ModuleType, **of: Row) -> dict[str, Row]:
    return {f"{module.__name__}:{name}": row for name, row in of.items()}


def text(work: Callable[[str], object], *more: str) -> Row:
    return Row(work, [*PLAIN, *more])


def raw(work: Callable[[bytes], object], pieces: Sequence[bytes] = RAW, *around: tuple[bytes, bytes]) -> Row:
    return Row(work, pieces, around)
