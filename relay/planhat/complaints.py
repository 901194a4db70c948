"""Complaints that name no item: which of them say the same, and what a letter is told of several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from relay.planhat.answers import ItemError

_SHOWN_MESSAGES: Final = 3
#: What differs between two complaints of one kind: quotations, and words with a digit or an @ in them.
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`")
_VARIABLE: Final = re.compile(r"[\d@]")

#: Where it would cost too many calls to find out whose complaint is whose.
UNSORTED: Final = "refused for one of several reasons; Planhat does not say whose is which"


def complaint_kind(message: str) -> str:
    """Return `message` without what differs from item to item."""
    words = _QUOTED.sub("…", message).casefold().split()
    return " ".join("…" if _VARIABLE.search(word) else word for word in words)


def kinds_of(errors: Sequence[ItemError]) -> list[str]:
    """Return the different kinds, in their order."""
    return list(dict.fromkeys(complaint_kind(error.message) for error in errors))


def in_order(errors: Sequence[ItemError], some: Sequence[ItemError]) -> list[ItemError]:
    """Return `some` of the errors, as the answer lists them."""
    wanted = set(map(id, some))
    return [error for error in errors if id(error) in wanted]


def sort_out(rest: Sequence[int], errors: Sequence[ItemError]) -> list[tuple[int, ...]]:
    """Return `rest` in two parts or more, each to be sent alone so that its complaints are told apart. Where each item has one
    complaint, they are supposed to come in the items' order, which sending the parts proves or not; else halves."""
    if len(errors) == len(rest):
        parts: dict[str, list[int]] = {}
        for position, error in zip(rest, errors, strict=True):
            parts.setdefault(complaint_kind(error.message), []).append(position)
        if len(parts) > 1:
            return [tuple(part) for part in parts.values()]
    middle = (len(rest) + 1) // 2
    return [tuple(rest[:middle]), tuple(rest[middle:])]


def say(errors: Sequence[ItemError]) -> tuple[str, str]:
    """Return (message, raw text) for items that share these complaints: of one kind, the first; of several, the first few."""
    messages = list(dict.fromkeys(error.message for error in errors if error.message))
    raws = list(dict.fromkeys(error.raw_excerpt for error in errors if error.raw_excerpt))
    if len(kinds_of(errors)) == 1:
        messages = messages[:1]
    message = " | ".join(messages[:_SHOWN_MESSAGES]) or "refused without a reason"
    return message, " | ".join(raws[:_SHOWN_MESSAGES])
