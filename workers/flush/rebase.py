"""A conversation whose document is forgotten, or older than what was delivered: what Planhat has becomes the base, before
anything is sent. Pure.

Nothing that a person can still see there is overwritten by what is not newer. Of the events that may have been delivered
already (`before`), Planhat's record knows the end; those that come now (`coming`) go on top of it:

- `replace`: what stands there counts as just newer than everything from before;
- `first`: what stands there is the first, where it is no stand-in of ours;
- `union`: who stands there is among them;
- `fallback`, `placeholder`: what stands there is one where it is one of ours; else it is a value, and the first;
- `append`: entries that are found in the text stay entries, in their places, so that an edit or a deletion still finds them;
  what stands between them (entries that were forgotten, a person's words) stays where it is, as pieces that no event owns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import unescape
from typing import Any, Final

from relay.description import block_of, edges, safe_html
from relay.patch import DESCRIPTION, ENTRY_SEPARATOR, Document, Patch, fold
from relay.registers import STAND_INS, Way, member_key

#: Owns what stands in Planhat and no known event said. Wins a tie against every event's id.
STANDING: Final = "~planhat"
_TAG: Final = re.compile(r"<[^<>]*>")


def rebase(
    document: Document,
    before: Sequence[Patch],
    coming: Sequence[Patch],
    record: Mapping[str, Any] | None,
    *,
    perhaps: Sequence[Patch] = (),
) -> Document:
    """`document` (as it was stored, or empty; it is changed) with `before` taken in and `record` as its base. `record` None:
    Planhat has no such conversation, and it begins anew. `coming` is to be absorbed by whoever asks; `perhaps`: those of it
    that a call which was cut off, or a server that is no more, may have brought there already."""
    stored = {name: dict(ways.get("append", {})) for name, ways in document.registers.items()}
    fold(document, before)
    if record is not None:
        # Looked for in the text as well: it is not to stand there twice.
        fold(document, [_appended(patch) for patch in perhaps if patch.action == "upsert"])
    document.sent_hash = ""
    if record is None:
        document.planhat_id = ""
        return document
    document.planhat_id = str(record.get("_id") or document.planhat_id)
    document.company_id = document.company_id or str(record.get("companyId") or "")
    stands = _fields(record)
    stand_ins = _stand_ins(document, coming)
    for name, way in _touched(document, coming):
        standing = stands.get(name)
        if way == "append":
            # Also where nothing stands: what was delivered and is gone was taken out since.
            entries = document.registers.setdefault(name, {}).setdefault(way, {})
            text = Blocks(str(standing or "")) if name == DESCRIPTION else Lines(str(standing or ""))
            _align(document, entries, stored.get(name, {}), _words(name, coming), text)
            continue
        if standing in (None, "", []):
            continue
        ways = document.registers.setdefault(name, {})
        if way == "replace":
            version, revision = (ways[way][0], ways[way][2]) if way in ways else (0, 0)
            ways[way] = [version, STANDING, revision, standing]
        elif way == "first":
            if not any(standing in stand_ins.get((name, other), ()) for other in STAND_INS):
                ways[way] = [0, "", 0, standing]
        elif way in STAND_INS:
            if standing in stand_ins[name, way]:
                ways[way] = [0, "", 0, standing]
            elif not any(standing in stand_ins.get((name, other), ()) for other in STAND_INS):
                # Whatever it was: it stands there, and a real value that comes later is none that was first.
                ways["first"] = [0, "", 0, standing]
        else:
            _unite(ways.setdefault(way, {}), standing)
    return document


def _appended(patch: Patch) -> Patch:
    """What `patch` appends, and nothing else of it."""
    fields = {name: (way, value) for name, (way, value) in patch.fields.items() if way == "append"}
    return replace(patch, fields=fields, company_id="", company={})


def _words(name: str, patches: Sequence[Patch]) -> dict[str, list[Any]]:
    """What each message was to append to `name`, one after the other: an earlier version may be what was delivered."""
    said: dict[str, list[Any]] = {}
    for patch in patches:
        way, value = patch.fields.get(name, ("", None))
        if way == "append":
            said.setdefault(patch.message_id, []).append(value)
    return said


def _fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """What stands there by the names that patches use."""
    custom = record.get("custom")
    named = {f"custom.{name}": value for name, value in custom.items()} if isinstance(custom, Mapping) else {}
    return {**record, **named}


def _touched(document: Document, coming: Sequence[Patch]) -> list[tuple[str, Way]]:
    """Each field that is, or will be, ours, with each way it is merged in."""
    touched: dict[tuple[str, Way], None] = {}
    for name, ways in document.registers.items():
        touched.update(dict.fromkeys((name, way) for way in ways))  # type: ignore[misc]
    for patch in coming:
        touched.update(dict.fromkeys((name, way) for name, (way, _) in patch.fields.items()))
    return list(touched)


def _stand_ins(document: Document, coming: Sequence[Patch]) -> dict[tuple[str, str], list[Any]]:
    """By field and way, each value that we know to have stood in for a better one."""
    known: dict[tuple[str, str], list[Any]] = {}
    for name, ways in document.registers.items():
        for way in STAND_INS:
            if way in ways:
                known.setdefault((name, way), []).append(ways[way][3])
    for patch in coming:
        for name, (way, value) in patch.fields.items():
            if way in STAND_INS:
                known.setdefault((name, way), []).append(value)
    return known


def _unite(members: dict[str, Any], standing: Any) -> None:
    for value in standing if isinstance(standing, list) else [standing]:
        # Planhat adds names and roles that it makes itself; who it is, is the id.
        who = {"id": value["id"]} if isinstance(value, Mapping) and value.get("id") else value
        members.setdefault(member_key(who), [0, "", 0, who])


# -- appended texts ---------------------------------------------------------------------------------------------------


class Lines:
    """A text that stands in Planhat, its entries lines."""

    def __init__(self, text: str) -> None:
        self.text = text

    def find(self, words: str, at: int) -> tuple[int, int] | None:
        """Where an entry stands, not before `at`."""
        start = self.text.find(words, at)
        return (start, start + len(words)) if start >= 0 else None

    def piece(self, start: int, end: int) -> str:
        """What stands between two entries, "" for nothing."""
        text, separator = self.text[start:end].strip(), ENTRY_SEPARATOR.strip()
        while separator and text.startswith(separator):
            text = text.removeprefix(separator).strip()
        while separator and text.endswith(separator):
            text = text.removesuffix(separator).strip()
        return text


class Blocks(Lines):
    """A description that stands in Planhat: its entries are whole blocks, also where its editor has written them anew."""

    def __init__(self, text: str) -> None:
        super().__init__(block_of(safe_html(text)))
        self._edges = edges(self.text)

    def find(self, words: str, at: int) -> tuple[int, int] | None:
        block = block_of(words)
        start = self.text.find(block, at)
        while start >= 0:
            if start in self._edges and start + len(block) in self._edges:
                return start, start + len(block)
            start = self.text.find(block, start + 1)
        return None

    def piece(self, start: int, end: int) -> str:
        return self.text[start:end].strip()


def _align(
    document: Document,
    entries: dict[str, Any],
    stored: Mapping[str, Any],
    words: Mapping[str, Sequence[Any]],
    text: Lines,
) -> None:
    """Finds `entries` in `text`, in order, by what they say now or said in `words`; what is between them becomes pieces. An entry that was `stored`, hence delivered, and
    is not found was taken out since: what stands speaks. One that may not have been delivered yet stays."""
    live = sorted(
        (
            (entry[4], message, entry)
            for message, entry in entries.items()
            if message not in document.retracted and entry[3] not in (None, "")
        ),
        key=lambda one: one[:2],
    )
    found: dict[str, tuple[int, int]] = {}
    at = 0
    for _, message, entry in live:
        was = stored[message][3] if message in stored else None
        place = _find(text, at, [entry[3], was, *words.get(message, ())])
        if place is not None:
            found[message] = place
            at = place[1]
    whole = plain_document(text.text)
    for _, message, entry in live:
        if message in found:
            continue
        # Neither its old words nor its new ones: taken out since. One that nobody had delivered yet must not be lost; where
        # the text was rewritten it may be there in other spelling.
        said = plain_document(str(entry[3]))
        if message in stored or (not found and said and said in whole):
            del entries[message]
    at, key, number = 0, ("", ""), 0
    for time, message, _ in [one for one in live if one[1] in found]:
        start, end = found[message]
        number += _piece(document, entries, text.piece(at, start), key, number)
        at, key = end, (time, message)
    _piece(document, entries, text.piece(at, len(text.text)), key, number)


def _find(text: Lines, at: int, said: Sequence[Any]) -> tuple[int, int] | None:
    """Where an entry stands, in the first of its words that are there: the newest, or what may have been delivered before."""
    for words in said:
        if words not in (None, ""):
            place = text.find(str(words), at)
            if place is not None:
                return place
    return None


def _piece(
    document: Document, entries: dict[str, Any], text: str, after: tuple[str, str], number: int
) -> int:
    """1 where there was anything: it goes right behind the entry `after`, (time, message)."""
    if not text:
        return 0
    time, message = after
    name = f"{message}{STANDING}{number}"
    entries[name] = [0, STANDING, 0, text, time]
    # Something is left of the conversation, whatever is retracted.
    document.messages[name] = 1
    return 1


def plain_document(text: str) -> str:
    """`text` without tags and needless blanks: what is left when Planhat's editor has written it in its own way."""
    return " ".join(unescape(_TAG.sub(" ", text)).split())
