"""Today's rules against new ones over the same events: which conversations would be new, different or gone.

Pure: events in, a diff out; nothing is sent. Patches are laid down in a temporary file and only the conversations that
some event maps differently are folded, so that memory stays small however many events there are.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any

from relay.errors import MappingFailed
from relay.event import Event
from relay.patch import Document, Patch
from relay.rules.rule import Filtered, RuleBook

MAX_SAMPLES = 5
_MAX_SHOWN_CHARS = 300
_MISSING = object()
_KINDS = ("same", "new", "changed", "dropped")

#: An event as old and new adapters read it; either may be None where it cannot be read (any more).
Pair = tuple[Event | None, Event | None]


@dataclass(slots=True)
class ChangesPage:
    """The patches of some events. `rows` are (conversation, side, offset, length), side 1 for today's rules, 2 for
    new ones, 3 for both alike; `touched` the conversations that some event maps differently. Pages add up."""

    file: IO[bytes]
    rows: list[tuple[str, int, int, int]] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    source_of: dict[str, str] = field(default_factory=dict)
    moves: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    size: int = 0

    def lay_down(self, patch: Patch, side: int) -> None:
        data = patch.encode()
        self.file.write(data)
        self.rows.append((patch.external_id, side, self.size, len(data)))
        self.source_of.setdefault(patch.external_id, patch.source)
        self.size += len(data)


def map_both(pairs: Iterable[Pair], old: RuleBook, new: RuleBook, file: IO[bytes]) -> ChangesPage:
    """Maps each event by both books onto a page."""
    page = ChangesPage(file)
    for before, after in pairs:
        if before is None and after is None:
            page.unreadable += 1
            continue
        source = (before or after).source  # type: ignore[union-attr]
        page.events[source] += 1
        was, left = _verdict(old, before, None)
        became, right = _verdict(new, after, page.failures)
        if was != became:
            page.moves[source, was, became] += 1
        if left is not None and right is not None and _alike(left, right):
            page.lay_down(left, 3)
            continue
        for patch, side in ((left, 1), (right, 2)):
            if patch is not None:
                page.lay_down(patch, side)
                page.touched.add(patch.external_id)
    return page


def _verdict(book: RuleBook, event: Event | None, failures: Counter[str] | None) -> tuple[str, Patch | None]:
    if event is None:
        return "is not read", None
    try:
        verdict = book.map(event)
    except MappingFailed as error:
        if failures is not None:
            failures[error.cause] += 1
        return f"fails in rule {error.rule}" if error.rule else "fails", None
    if isinstance(verdict, Filtered):
        return f"dropped by {verdict.rule}" if verdict.rule else verdict.reason, None
    return f"rule {verdict.rule}", verdict.patch


def _alike(left: Patch, right: Patch) -> bool:
    return (
        left.external_id == right.external_id
        and left.fields == right.fields
        and left.action == right.action
        and left.message_id == right.message_id
        and left.company_id == right.company_id
        and left.company == right.company
    )


def compare_rules(pairs: Iterable[Pair], old: RuleBook, new: RuleBook) -> dict[str, Any]:
    """Return the diff of `summarise` over one run of events."""
    with TemporaryFile() as file:
        return summarise([map_both(pairs, old, new, file)])


def summarise(
    pages: list[ChangesPage],
    *,
    limit: int = MAX_SAMPLES,
    listed: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Return `{"events", "unreadable", "conversations": {"same", "new", "changed", "dropped"}, "by_source", "by_rule",
    "fields", "moves", "failures", "samples"}`. A conversation whose externalId differs is one dropped, one new.
    `samples`: the first `limit` of each kind; `listed` hears of each, with its `kind`."""
    touched: set[str] = set().union(*(page.touched for page in pages))
    source_of: dict[str, str] = {}
    for page in pages:
        source_of = {**page.source_of, **source_of}
    told = _Told(limit, listed)
    for external_id, source in source_of.items():
        if external_id not in touched:
            told.count("same", source, None)
    for external_id, left, right in _documents(pages, touched):
        told.conversation(external_id, source_of[external_id], left, right)
    moves: Counter[tuple[str, str, str]] = sum((page.moves for page in pages), Counter())
    failures: Counter[str] = sum((page.failures for page in pages), Counter())
    events: Counter[str] = sum((page.events for page in pages), Counter())
    return {
        "events": events.total(),
        "unreadable": sum(page.unreadable for page in pages),
        "conversations": told.totals,
        "by_source": {s: {"events": n, **told.by_source.get(s, _zeros())} for s, n in sorted(events.items())},
        "by_rule": told.by_rule,
        "fields": dict(told.fields.most_common()),
        "moves": [
            {"source": source, "from": was, "to": became, "events": n}
            for (source, was, became), n in moves.most_common()
        ],
        "failures": [{"cause": cause, "count": n} for cause, n in failures.most_common(20)],
        "samples": told.samples,
    }


def _documents(pages: list[ChangesPage], touched: set[str]) -> Iterator[tuple[str, Document, Document]]:
    """Each touched conversation as today's and as the new rules would have it."""
    where: dict[str, list[tuple[int, int, int, int]]] = {external_id: [] for external_id in touched}
    for number, page in enumerate(pages):
        for external_id, side, offset, length in page.rows:
            if external_id in where:
                where[external_id].append((number, side, offset, length))
    for external_id, rows in where.items():
        left, right = Document(external_id), Document(external_id)
        for number, side, offset, length in rows:
            file = pages[number].file
            file.seek(offset)
            patch = Patch.decode(file.read(length))
            if side & 1:
                left.absorb(patch)
            if side & 2:
                right.absorb(patch)
        yield external_id, left, right


def _zeros() -> dict[str, int]:
    return dict.fromkeys(_KINDS, 0)


@dataclass(slots=True)
class _Told:
    limit: int
    listed: Callable[[dict[str, Any]], None] | None
    totals: dict[str, int] = field(default_factory=_zeros)
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)
    by_rule: dict[str, dict[str, int]] = field(default_factory=dict)
    fields: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {kind: [] for kind in _KINDS[1:]}
    )

    def count(self, kind: str, source: str, rule: str | None) -> None:
        self.totals[kind] += 1
        self.by_source.setdefault(source, _zeros())[kind] += 1
        if rule:
            self.by_rule.setdefault(rule, _zeros())[kind] += 1

    def conversation(self, external_id: str, source: str, left: Document, right: Document) -> None:
        before, after = document_view(left), document_view(right)
        if not before and not after:
            return
        kind = "new" if not before else "dropped" if not after else "changed"
        changes = _differences(before, after)
        if not changes:
            kind = "same"
        rule = left.rule if kind == "dropped" else right.rule
        self.count(kind, source, rule)
        if kind == "same":
            return
        if kind == "changed":
            self.fields.update(changes.keys())
        samples = self.samples[kind]
        if self.listed is None and len(samples) >= self.limit:
            return
        told = {
            **{"externalId": external_id, "source": source, "rule": rule},
            "changes": {name: _short(change) for name, change in changes.items()},
        }
        if self.listed is not None:
            self.listed({"kind": kind, **told})
        if len(samples) < self.limit:
            samples.append(told)


def document_view(document: Document) -> dict[str, Any]:
    """Return what Planhat would have of it, flat: "custom.Name", and what its company is asked with. {} for nothing."""
    fields = document.render()
    if not fields or not document.registers:
        return {}
    flat = {name: value for name, value in fields.items() if name != "custom"}
    flat.update({f"custom.{name}": value for name, value in fields.get("custom", {}).items()})
    if document.asks:
        first = document.asks[0]
        flat["companyId"] = first[2] or {"asked with": first[3]}
    return flat


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Field -> {"old", "new"}; a side that lacks the field lacks the key."""
    changes: dict[str, dict[str, Any]] = {}
    for name in (*before, *(name for name in after if name not in before)):
        old, new = before.get(name, _MISSING), after.get(name, _MISSING)
        if old != new:
            sides = {"old": old, "new": new}
            changes[name] = {side: value for side, value in sides.items() if value is not _MISSING}
    return changes


def _short(change: Mapping[str, Any]) -> dict[str, Any]:
    return {
        side: value[:_MAX_SHOWN_CHARS] + "…"
        if isinstance(value, str) and len(value) > _MAX_SHOWN_CHARS
        else value
        for side, value in change.items()
    }


_ROW = struct.Struct(">BQI")


def pack_rows(page: ChangesPage) -> bytes:
    """Return the page's rows for another process: small, and quick to read back."""
    parts = []
    for external_id, side, offset, length in page.rows:
        name = external_id.encode()
        parts.append(bytes((len(name),)) + name + _ROW.pack(side, offset, length))
    return b"".join(parts)


def unpack_rows(data: bytes) -> list[tuple[str, int, int, int]]:
    rows, place = [], 0
    while place < len(data):
        start = place + 1
        end = start + data[place]
        side, offset, length = _ROW.unpack_from(data, end)
        rows.append((data[start:end].decode(), side, offset, length))
        place = end + _ROW.size
    return rows
