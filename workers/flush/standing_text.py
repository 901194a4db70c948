"""A text that stands in Planhat, and where words stand in it: found by an index of its pieces, since there may be thousands of both."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from relay.description import block_of, edges, safe_html
from relay.patch import ENTRY_SEPARATOR


class _Pieces:
    """A text as a row of pieces, and where each stands."""

    def __init__(self, pieces: Sequence[str], starts: Sequence[int]) -> None:
        self._pieces = pieces
        self._starts = starts
        self._numbers: dict[str, list[int]] = {}
        for number, piece in enumerate(pieces):
            self._numbers.setdefault(piece, []).append(number)

    def find(self, wanted: Sequence[str], at: int) -> int | None:
        """Return where these stand, one behind the other, not before `at`."""
        # Of what is looked for, the piece that there are fewest of.
        rarest = min(range(len(wanted)), key=lambda n: len(self._numbers.get(wanted[n], ())))
        numbers = self._numbers.get(wanted[rarest], [])
        first = bisect_left(self._starts, at) + rarest
        for place in range(bisect_left(numbers, first), len(numbers)):
            begin = numbers[place] - rarest
            if self._pieces[begin : begin + len(wanted)] == wanted:
                return self._starts[begin]
        return None


class Lines:
    """A text that stands in Planhat, its entries lines."""

    def __init__(self, text: str) -> None:
        self.text = text
        lines, starts, at = text.split("\n"), [], 0
        for line in lines:
            starts.append(at)
            at += len(line) + 1
        self._pieces = _Pieces(lines, starts)

    def find(self, words: str, at: int) -> tuple[int, int] | None:
        """Return where an entry stands, whole lines, not before `at`."""
        start = self._pieces.find(words.split("\n"), at)
        return None if start is None else (start, start + len(words))

    def piece(self, start: int, end: int) -> str:
        """Return what stands between two entries, "" for nothing."""
        text, separator = self.text[start:end].strip(), ENTRY_SEPARATOR.strip()
        while separator and text.startswith(separator):
            text = text.removeprefix(separator).strip()
        while separator and text.endswith(separator):
            text = text.removesuffix(separator).strip()
        return text


class Blocks(Lines):
    """A description that stands in Planhat: its entries are whole blocks, also where its editor has written them anew."""

    def __init__(self, text: str) -> None:
        self.text = block_of(safe_html(text))
        self._edges = sorted(edges(self.text))
        self._pieces = _Pieces(_cut(self.text, self._edges), self._edges[:-1])

    def find(self, words: str, at: int) -> tuple[int, int] | None:
        """Return where an entry stands, whole blocks, not before `at`."""
        block = block_of(words)
        if not block:
            number = bisect_left(self._edges, at)
            return (self._edges[number],) * 2 if number < len(self._edges) else None
        # Where it ends is an edge where it is followed by one.
        start = self._pieces.find(_cut(block, sorted(edges(block) | {len(block)})), at)
        return None if start is None else (start, start + len(block))

    def piece(self, start: int, end: int) -> str:
        """Return what stands between two entries, "" for nothing."""
        return self.text[start:end].strip()


def _cut(text: str, places: Sequence[int]) -> list[str]:
    return [text[start:end] for start, end in pairwise(places)]


class RunningText:
    """A text of words with one blank between them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: dict[str, list[int]] = {}
        at = 0
        for word in text.split(" "):
            self._starts.setdefault(word, []).append(at)
            at += len(word) + 1

    def has(self, said: str) -> bool:
        """Tell whether it holds this, which may begin and end within a word."""
        inner = said.split(" ")[1:-1]
        if not inner:
            return said in self._text
        rarest = min(range(len(inner)), key=lambda n: len(self._starts.get(inner[n], ())))
        before = said.index(" ") + 1 + sum(len(word) + 1 for word in inner[:rarest])
        return any(
            start >= before and self._text.startswith(said, start - before)
            for start in self._starts.get(inner[rarest], ())
        )
