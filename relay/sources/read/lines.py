"""Formatted text of a sender's own notation as lines of marked pieces, from which text and simple HTML are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_SAFE_SCHEMES = ("http://", "https://", "mailto:", "tel:")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text in one look. `tag` is "strong", "em", "s", "code" or ""; `url` makes it a link."""

    text: str
    tag: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class TextLine:
    """A paragraph, a list's item or a table's row. `mark` stands before it ("- ", "1. ", "☑ ")."""

    pieces: Sequence[Piece]
    mark: str = ""
    quoted: bool = False
    heading: bool = False


def text_of_lines(lines: Iterable[TextLine]) -> str:
    """Write lines as a reader sees them; a link as "label (address)"."""
    return "\n".join(
        f"{'> ' if line.quoted else ''}{line.mark}{''.join(map(_text, line.pieces))}".rstrip()
        for line in lines
    ).strip()


def html_of_lines(lines: Iterable[TextLine]) -> str:
    """Write paragraphs with strong, em, s, code and links; quoted lines in a blockquote. Needs no further cleaning."""
    parts: list[str] = []
    quoted = False
    for line in lines:
        if line.quoted != quoted:
            parts.append("<blockquote>" if line.quoted else "</blockquote>")
            quoted = line.quoted
        inner = "".join(map(_html, line.pieces))
        if not inner.strip():
            continue
        inner = escape(line.mark) + inner
        parts.append(f"<p><strong>{inner}</strong></p>" if line.heading else f"<p>{inner}</p>")
    return "".join(parts) + ("</blockquote>" if quoted else "")


def is_safe(url: str) -> bool:
    return url.lower().startswith(_SAFE_SCHEMES)


def _text(piece: Piece) -> str:
    bare = piece.url.removeprefix("mailto:").removeprefix("tel:")
    if not piece.url or piece.text in (piece.url, bare) or bare.endswith(f"://{piece.text}"):
        return piece.text
    return f"{piece.text} ({bare})" if piece.text else bare


def _html(piece: Piece) -> str:
    shown = escape(piece.text or piece.url).replace("\n", "<br>")
    if piece.tag and shown.strip():
        shown = f"<{piece.tag}>{shown}</{piece.tag}>"
    return f'<a href="{escape(piece.url)}">{shown}</a>' if piece.url and is_safe(piece.url) else shown
