"""Appended texts of a conversation as they stand in Planhat: which entry stands where, and what stands between them. Pure.

An entry is found by its words, whole and in order. What is deleted and still stands there is found likewise, and taken out.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from html import unescape
from typing import Any, Final

from relay.patch import DESCRIPTION, Document, Patch
from workers.flush.standing_text import Blocks, Lines, RunningText

#: Owns what stands in Planhat and no known event said. Wins a tie against every event's id.
STANDING: Final = "~planhat"
#: Later than any entry.
_END: Final = ("~", "")
_TAG: Final = re.compile(r"<[^<>]*>")
#: ((time, message), the words in which it may stand there).
_Spoken = tuple[tuple[str, str], Sequence[str]]


def align_appended(
    document: Document,
    name: str,
    standing: Any,
    stored: Mapping[str, Any],
    retracted: set[str],
    coming: Sequence[Patch],
    *,
    overtaken: bool = False,
) -> None:
    """Brings the entries of `document`'s text `name` in line with `standing`, what Planhat has of it; also where that is nothing:
    what was delivered and is gone was taken out since. `stored`: its entries as they were stored; `retracted`: messages that
    are deleted, also by what comes; `overtaken`: what is not there may have been taken out by an older call of ours."""
    entries = document.registers.setdefault(name, {}).setdefault("append", {})
    for piece in [message for message in entries if STANDING in message]:
        # Found anew: one of them may be what an event says again.
        del entries[piece]
        document.messages.pop(piece, None)
    text = Blocks(str(standing or "")) if name == DESCRIPTION else Lines(str(standing or ""))
    said = _said(name, coming)
    waiting = {message: [patch.fields[name][1] for patch in patches] for message, patches in said.items()}
    deleted = _deleted(name, retracted, stored, said)
    _align(document, entries, stored, text, deleted, waiting, overtaken=overtaken)


def has_pieces(document: Document) -> bool:
    """Tell whether it holds words that stood in Planhat and that no event owns."""
    return any(STANDING in message for message in document.messages)


def _said(name: str, patches: Sequence[Patch]) -> dict[str, list[Patch]]:
    """message -> what is appended to `name` of it."""
    said: dict[str, list[Patch]] = {}
    for patch in patches:
        if patch.fields.get(name, ("", ""))[0] == "append":
            said.setdefault(patch.message_id, []).append(patch)
    return said


def _deleted(
    name: str, retracted: set[str], stored: Mapping[str, Any], said: Mapping[str, Sequence[Patch]]
) -> list[_Spoken]:
    """What is no longer to stand in the text `name`, in the words that are known."""
    found: list[_Spoken] = []
    for message in sorted(retracted & {*stored, *said}):
        patches = said.get(message, ())
        times = [patch.time for patch in patches]
        words = [patch.fields[name][1] for patch in patches]
        if message in stored:
            times.append(stored[message][4])
            words.append(stored[message][3])
        found.append(((min(times), message), _words(*words)))
    return found


def _align(
    document: Document,
    entries: dict[str, Any],
    stored: Mapping[str, Any],
    text: Lines,
    deleted: Sequence[_Spoken],
    waiting: Mapping[str, Sequence[Any]],
    *,
    overtaken: bool,
) -> None:
    """Finds `entries` in `text`, in order; what is between them becomes pieces, but for what is `deleted`. An entry that was
    `stored`, hence delivered, and is not found was taken out since: what stands speaks. One that may not have been delivered
    yet stays."""
    gone = {message for (_, message), _ in deleted}
    deleted = [(one, _spelt(document, one[1], *words)) for one, words in deleted]
    live = [
        # In its newest words or in those that were delivered before, be it since Redis was set back.
        (
            (entry[4], message),
            _spelt(
                document,
                message,
                entry[3],
                stored[message][3] if message in stored else "",
                *waiting.get(message, ()),
            ),
        )
        for message, entry in entries.items()
        if message not in document.retracted and message not in gone and entry[3] not in (None, "")
    ]
    ordered = _places(text, live, deleted)
    more = _elsewhere(text, [*live, *deleted], ordered)
    found = {*ordered, *(message for _, _, message in more)}
    nothing = not any(one in found for (_, one), _ in live)
    rewritten = RunningText(plain_document(text.text)) if nothing else None
    for (_, message), words in live:
        if message in found:
            continue
        # Neither its old words nor its new ones: taken out since. One that nobody had delivered yet must not be lost; where
        # the text was rewritten it may be there in other spelling.
        said = plain_document(words[0])
        if (message in stored and not overtaken) or (rewritten and said and rewritten.has(said)):
            del entries[message]
    number, at, key = 0, 0, ("", "")
    behind = {message: (time, message) for (time, message), _ in live}
    spans = [*((start, end, message) for message, (start, end) in ordered.items()), *more]
    for start, end, message in sorted(spans):
        number += _piece(document, entries, text.piece(at, start), key, number)
        at = end
        # What is deleted is no place to stand behind, nor is what goes back to its own.
        if message in behind and ordered.get(message) == (start, end):
            key = behind[message]
    _piece(document, entries, text.piece(at, len(text.text)), key, number)


def _places(text: Lines, live: Sequence[_Spoken], deleted: Sequence[_Spoken]) -> dict[str, tuple[int, int]]:
    """message -> where it stands. What is deleted takes no place of what is not: the same words may be both's."""
    alone = _in_order(text, live)
    if not deleted:
        return alone
    both = _in_order(text, [*live, *deleted])
    if alone.keys() <= both.keys():
        return both
    # Between those that stay, then.
    ordered = sorted(one for one, _ in live if one[1] in alone)
    waiting = sorted(deleted)
    keys = [one for one, _ in waiting]
    for number in range(len(ordered) + 1):
        after = ordered[number - 1] if number else ("", "")
        before = ordered[number] if number < len(ordered) else _END
        at = alone[after[1]][1] if number else 0
        end = alone[before[1]][0] if before is not _END else len(text.text)
        between = waiting[bisect_right(keys, after) : bisect_left(keys, before)]
        alone |= {m: place for m, place in _in_order(text, between, at).items() if place[1] <= end}
    return alone


def _in_order(text: Lines, said: Sequence[_Spoken], at: int = 0) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for (_, message), words in sorted(said):
        place = next((place for one in words if (place := text.find(one, at)) is not None), None)
        if place is not None:
            found[message] = place
            at = place[1]
    return found


def _elsewhere(
    text: Lines, said: Sequence[_Spoken], found: Mapping[str, tuple[int, int]]
) -> list[tuple[int, int, str]]:
    """Where words of a message stand that were not found in order, (start, end, message). A piece stands whole, behind the entry
    before it: what belongs between its words, and came later, stands behind them. And of a message that was edited, its words
    from before may stand there beside those from after."""
    taken, more = sorted(found.values()), []
    begins: dict[str, int] = {}
    for (_, message), words in sorted(said):
        for one in words:
            if message in found and text.find(one, found[message][0]) == found[message]:
                continue
            if place := _find_free(text, one, taken, begins):
                more.append((*place, message))
                insort(taken, place)
    return more


def _find_free(
    text: Lines, words: str, taken: Sequence[tuple[int, int]], begins: dict[str, int]
) -> tuple[int, int] | None:
    """Return where `words` stand and no other entry does; `taken` is in order. `begins`: up to where they are known to have no free
    place, which none becomes again."""
    place = text.find(words, begins.get(words, 0))
    while place is not None:
        number = bisect_left(taken, (place[1], 0))
        if not number or taken[number - 1][1] <= place[0]:
            begins[words] = place[0]
            return place
        begins[words] = taken[number - 1][1]
        place = text.find(words, begins[words])
    begins[words] = len(text.text) + 1
    return None


def _spelt(document: Document, message: str, *texts: Any) -> list[str]:
    """In which words a message's entry may stand there."""
    return [spelling for text in _words(*texts) for spelling in document.spellings(message, text)]


def _words(*texts: Any) -> list[str]:
    return list(dict.fromkeys(str(text) for text in texts if text not in (None, "")))


def _piece(
    document: Document, entries: dict[str, Any], text: str, after: tuple[str, str], number: int
) -> int:
    """1 where there was anything: it goes right behind the entry `after`, (time, message)."""
    if not text:
        return 0
    time, message = after
    name = f"{message}{STANDING}{number:04d}"
    entries[name] = [0, STANDING, 0, text, time]
    # Something is left of the conversation, whatever is retracted.
    document.messages[name] = 1
    return 1


def plain_document(text: str) -> str:
    """Return `text` without tags and needless blanks: what is left when Planhat's editor has written it in its own way."""
    return " ".join(unescape(_TAG.sub(" ", text)).split())
