"""Mails whose conversation turned out to be part of another move there.

An answer may come before the mail that it answers. Then it stands in a conversation of its own, named after the mail that it
names, until that one comes and says that it answers a third. From then on new mails find the right conversation by
themselves (`relay/outbox/threads.py`); those that came before are mapped again here, as a replay would: each gets its place
in the one conversation, and is taken out of the other, which is archived when nothing is left in it.
"""

from __future__ import annotations

import logging

from relay.errors import MappingFailed
from relay.operations.context import KeyedContext
from relay.operations.remap import Remapper, Stored, read_stored
from relay.operations.tombstones import Tombs, erased_of
from relay.outbox.notes import Note, read_notes, write_notes
from relay.patch import Patch
from relay.telemetry import log

RETHREAD_PART = 100


def rethread_events(context: KeyedContext, *, limit: int = RETHREAD_PART, now_ms: int = 0) -> int:
    """Maps the longest known of them again; how many were looked at. What is done twice changes nothing, so a crash in
    between is none. Raises OutboxUnavailable."""
    outbox = context.outbox
    event_ids = outbox.threads.moved(limit)
    if not event_ids:
        return 0
    at_ms = now_ms or outbox.now_ms()
    remapper, tombs = Remapper(context, at_ms), Tombs(erased_of(context))
    notes, gone = read_notes(outbox, event_ids), tombs.ids(event_ids)
    said: list[Note] = []
    again: list[tuple[str, str, str, bytes]] = []
    for stored in read_stored(context, list(dict.fromkeys(event_ids))):
        if stored is None or stored.event_id in gone or stored.state in ("dead", "discarded"):
            # A dead letter is mapped anew when it is put back.
            continue
        patch = _patch(remapper, tombs, stored)
        named = [note["external_id"] for note in notes.get(stored.event_id, ()) if note.get("external_id")]
        stands = str(named[-1] if named else stored.facts.get("external_id") or "")
        if patch is None or patch.external_id == stands:
            continue
        facts = {"what": "moved to its thread", "by": "relay", "at_ms": at_ms, "from": stands}
        said.append(Note(stored.event_id, facts, patch.external_id))
        again.append((stored.event_id, stored.source, patch.external_id, patch.encode()))
        if stands:
            taken_out = Patch(
                external_id=stands,
                event_id=patch.event_id,
                source=patch.source,
                version=patch.version,
                time=patch.time,
                action="retract",
                message_id=patch.message_id,
                rule=patch.rule,
                revision=at_ms,
            )
            again.append((stored.event_id, stored.source, stands, taken_out.encode()))
    write_notes(outbox, said)
    outbox.replay(again, now_ms=now_ms)
    outbox.threads.done(event_ids)
    if said:
        log("mail.rethreaded", events=len(said))
    return len(event_ids)


def _patch(remapper: Remapper, tombs: Tombs, stored: Stored) -> Patch | None:
    try:
        remapped = remapper.map(stored)
    except MappingFailed as error:
        log("mail.not_rethreaded", level=logging.WARNING, event=stored.event_id, why=error.cause)
        return None
    patch = remapped.patch
    received_ms = int(stored.facts.get("received_ms") or 0)
    if patch is None or tombs.cover(remapped.event, patch.external_id, received_ms):
        return None
    return patch
