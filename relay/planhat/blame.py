"""Whose each error of a bulk answer is. Nothing is guessed: who is not named stays unnamed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from relay.planhat.answers import ItemError, Key

_TOKEN: Final = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_TELLING_ID: Final = re.compile(r"[0-9._-]", re.ASCII)
_TELLING_CHARS: Final = 4
_ODD_COMPARISONS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Blame:
    """Whose each error is, by position in the request. `certain`: the error names the item's id. `hinted`: it gives
    only an index, whose base nobody documents: a suspect to be sent alone, not a verdict. `unnamed`: nobody's."""

    certain: Mapping[int, ItemError]
    hinted: Mapping[int, ItemError]
    unnamed: tuple[ItemError, ...]


def blame(errors: Iterable[ItemError], sent: Sequence[Key]) -> Blame:
    """Match errors with the items that were sent (`sent[i]` holds the keys of item i).

    An id inside of a message counts when it stands there whole and looks like one (four characters, one of them a
    digit or punctuation); a message that names two of the items names none. What is left unnamed is found by halving.
    """
    by_id: dict[str, int] = {}
    odd: list[tuple[str, int]] = []
    for position, key in enumerate(sent):
        for text in key:
            if text:
                by_id.setdefault(text, position)
                if not _TOKEN.fullmatch(text):
                    odd.append((text, position))
    certain: dict[int, ItemError] = {}
    hinted: dict[int, ItemError] = {}
    unnamed: list[ItemError] = []
    budget = _ODD_COMPARISONS
    for error in errors:
        suspects = _named(error, by_id)
        if not suspects:
            suspects = _mentioned(error, by_id)
            if odd and budget > 0:
                budget -= len(odd)
                suspects |= {position for text, position in odd if _stands_whole(text, error.raw_excerpt)}
        if len(suspects) == 1:
            certain.setdefault(next(iter(suspects)), error)
        elif not suspects and error.index is not None and error.index < len(sent):
            hinted.setdefault(error.index, error)
        else:
            unnamed.append(error)
    return Blame(certain, hinted, tuple(unnamed))


def _named(error: ItemError, by_id: Mapping[str, int]) -> set[int]:
    ids = (error.external_id, error.planhat_id, error.source_id)
    return {by_id[text] for text in ids if text is not None and text in by_id}


def _mentioned(error: ItemError, by_id: Mapping[str, int]) -> set[int]:
    found: set[int] = set()
    for token in _TOKEN.findall(error.raw_excerpt):
        # "slack-1.2." at the end of a sentence: the full stop may or may not be part of the id.
        for text in (token, token.rstrip("."), token.rstrip("._-")):
            if text in by_id and _TELLING_ID.search(text) and len(text) >= _TELLING_CHARS:
                found.add(by_id[text])
                break
    return found


def _stands_whole(text: str, within: str) -> bool:
    if len(text) < _TELLING_CHARS:
        return False
    at = within.find(text)
    if at < 0:
        return False
    before, after = within[at - 1 : at] if at else "", within[at + len(text) : at + len(text) + 1]
    return not (before.isalnum() or after.isalnum() or before in ("-", "_") or after in ("-", "_"))
