"""Conversations that no event makes any more: a rule gave another externalId once, or sent what it drops today. They stand in Planhat
beside what the events make now, and nothing but this tells of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from relay.errors import MappingFailed
from relay.operations.context import OperatorContext
from relay.operations.remap import Remapped, Remapper, Stored, read_stored
from relay.outbox.events import EVENTS_KEPT
from relay.outbox.notes import Note, read_notes, write_notes
from relay.patch import Document, Patch
from relay.planhat.address import record_link

_PART: Final = 100


@dataclass(frozen=True, slots=True)
class LeftBy:
    """An event that made a conversation once: its id and source, its place among others, and how it stood."""

    event_id: str
    source: str
    version: int
    time: str
    state: str
    settled_ms: int


@dataclass(frozen=True, slots=True)
class Orphan:
    """`events`: how many made it once. `sure`: each of them makes something else today; where one has expired or cannot be mapped, or
    more came than are remembered, nobody knows. `left_by`: the last event that was seen to leave it."""

    external_id: str
    planhat_id: str
    events: int
    sure: bool
    left_by: LeftBy
    archived: bool = False

    def told(self, tenant: str) -> dict[str, Any]:
        return {
            "externalId": self.external_id,
            "source": self.left_by.source,
            "planhat_id": self.planhat_id or None,
            "planhat_link": record_link(tenant, self.planhat_id) or None,
            "events": self.events,
            "sure": self.sure,
            "archived": self.archived,
        }


class Orphans:
    """Those of one run. Events are shown to it part by part: `made` each, then `note`."""

    def __init__(self, context: OperatorContext, remapper: Remapper) -> None:
        self._outbox = context.outbox
        self._context = context
        self._remapper = remapper
        self._left: dict[str, LeftBy] = {}
        self._part: list[tuple[Stored, Remapped]] = []

    def made(self, stored: Stored, remapped: Remapped) -> None:
        """Take in what today's rules make of an event (a conversation, or nothing)."""
        self._part.append((stored, remapped))

    def note(self) -> None:
        """Remembers which conversations the events shown last have left. Raises OutboxUnavailable."""
        notes = read_notes(self._outbox, [stored.event_id for stored, _ in self._part])
        for stored, remapped in self._part:
            home = remapped.patch.external_id if remapped.patch else ""
            event = remapped.event
            stood = (
                [str(stored.facts.get("external_id") or "")]
                if stored.facts.get("verdict") != "filtered"
                else []
            )
            stood += [str(note.get("external_id") or "") for note in notes.get(stored.event_id, ())]
            for name in stood:
                if name and name != home:
                    self._left[name] = LeftBy(
                        stored.event_id,
                        stored.source,
                        event.version,
                        event.time,
                        stored.state,
                        stored.settled_ms,
                    )
        self._part.clear()

    def find(self) -> list[Orphan]:
        """Find them among the events seen so far. Raises OutboxUnavailable."""
        return [orphan for orphan in map(self._orphan, sorted(self._left)) if orphan is not None]

    def _orphan(self, external_id: str) -> Orphan | None:
        stored = self._outbox.document(external_id)
        try:
            document = Document.decode(stored) if stored else None
        except (ValueError, KeyError):
            document = None
        # What Planhat never had, or has archived already, is nothing to be seen to.
        if document is None or not document.planhat_id or document.render().get("archived") is True:
            return None
        ids = self._outbox.events.of(external_id, EVENTS_KEPT)
        sure = 0 < len(ids) < EVENTS_KEPT
        for home in self._homes(ids):
            if home == external_id:
                return None
            sure = sure and home is not None
        return Orphan(external_id, document.planhat_id, len(ids), sure, self._left[external_id])

    def _homes(self, event_ids: Sequence[str]) -> Iterator[str | None]:
        """Where each event belongs today, "" for nowhere; None: nobody knows."""
        for start in range(0, len(event_ids), _PART):
            for stored in read_stored(self._context, event_ids[start : start + _PART]):
                if stored is None or stored.body is None:
                    yield None
                    continue
                try:
                    patch = self._remapper.map(stored).patch
                    yield patch.external_id if patch else ""
                except MappingFailed:
                    yield None

    def archive(self, orphans: list[Orphan], *, by: str, now_ms: int) -> None:
        """Archives those of `orphans` that are sure, and marks them so in the list. They wait for delivery like anything else."""
        notes: list[Note] = []
        again: list[tuple[str, str, str, bytes]] = []
        for place, orphan in enumerate(orphans):
            if not orphan.sure:
                continue
            event = orphan.left_by
            patch = Patch(
                orphan.external_id,
                event.event_id,
                event.source,
                event.version,
                event.time,
                action="archive",
                revision=now_ms,
            )
            said: dict[str, Any] = {
                "what": "archived what it left", "by": by, "at_ms": now_ms, "externalId": orphan.external_id,
            }  # fmt: skip
            if event.state != "pending":
                said |= {"was": event.state, "was_at_ms": event.settled_ms}
            notes.append(Note(event.event_id, said))
            again.append((event.event_id, event.source, orphan.external_id, patch.encode()))
            orphans[place] = replace(orphan, archived=True)
        write_notes(self._outbox, notes)
        self._outbox.replay(again)
