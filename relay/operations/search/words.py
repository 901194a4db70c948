"""Texts as the words that can be searched for. What is stored and what is asked for go through the same.

A word is a run of letters and digits, without regard to case and accents. Scripts that are written without blanks (Chinese,
Japanese, Korean, Thai and others) are cut into pairs of neighbours. Addresses are words as a whole, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Final

#: Of a text, so much is looked at; of an event, so many different words are.
MOST_CHARS: Final = 200_000
MOST_WORDS: Final = 2_000
_LONGEST: Final = 64
_WORD: Final = re.compile(r"[^\W_]+")
_ASCII_WORD: Final = re.compile(r"[a-z0-9]+")
_ADDRESS: Final = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)+")
_ACCENTS: Final = re.compile("[\u0300-\u036f]+")
#: Thai to Khmer, kana, ideographs, Hangul: their words have no blanks between them, or bear endings.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]+"
)


def text_as_compared(text: str) -> str:
    """Return `text` without case and accents."""
    if text.isascii():
        return text.lower()
    decomposed = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFKC", decomposed).casefold()


def search_words(text: str) -> Iterator[str]:
    """Return the words of a text, as often as they stand there."""
    text = text_as_compared(text[:MOST_CHARS])
    if "@" in text:
        for address in _ADDRESS.findall(text):
            yield address.strip(".-+")[:_LONGEST]
    if text.isascii():
        yield from (word if len(word) <= _LONGEST else word[:_LONGEST] for word in _ASCII_WORD.findall(text))
        return
    for word in _WORD.findall(text):
        if word.isascii():
            yield word[:_LONGEST]
        else:
            yield from _pieces(word)


def _pieces(word: str) -> Iterator[str]:
    at = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > at:
            yield word[at : run.start()][:_LONGEST]
        part = run[0]
        yield from (part[n : n + 2] for n in range(max(1, len(part) - 1)))
        at = run.end()
    if at < len(word):
        yield word[at:][:_LONGEST]


def distinct_words(*texts: str) -> list[str]:
    """Return each word once, in the order in which they stand there; no more than `MOST_WORDS`."""
    return list(islice(dict.fromkeys(word for text in texts for word in search_words(text)), MOST_WORDS))
