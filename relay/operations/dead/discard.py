"""Discarding dead letters: their events count as discarded and are never sent."""

from __future__ import annotations

from typing import Any

from relay.operations.dead.look import letters_in_parts, parts_of, record_of, require_known
from relay.operations.dead.select import select
from relay.operations.progress import Operation
from relay.operations.rq_jobs import forget_failed_jobs
from relay.operations.selection import Selection, cause_group
from relay.outbox.notes import Note, write_notes
from relay.outbox.outbox import Outbox


def discard_dead(
    outbox: Outbox,
    selection: Selection,
    *,
    by: str,
    reason: str = "",
    dry_run: bool = False,
    operation: Operation | None = None,
) -> dict[str, Any]:
    """Return `{"count", "discarded", "skipped"}`. Raises NotFound where ids are named and none of them exists."""
    ids = select(outbox, selection)
    require_known(outbox, selection, ids)
    if dry_run:
        return {"count": sum(letter is not None for letter in letters_in_parts(outbox, ids)), "dry_run": True}
    if operation:
        operation.step(total=len(ids))
    discarded = skipped = 0
    cancelled = False
    for _, part in parts_of(ids):
        if operation:
            operation.step(done=discarded, skipped=skipped)
            if operation.cancelled():
                cancelled = True
                break
        letters = outbox.dead.get_many(part)
        now_ms = outbox.now_ms()
        notes: list[Note] = []
        for letter in letters:
            said = {
                "what": "discarded",
                "by": by,
                "reason": reason or None,
                "at_ms": now_ms,
                "dead_id": letter.dead_id,
                "cause": cause_group(record_of(letter)),
            }
            notes += [Note(event_id, said, known_as=letter.dead_id) for event_id in letter.events]
        write_notes(outbox, notes)
        moved = outbox.dead.discard_many([letter.dead_id for letter in letters])
        gone = [letter.dead_id for letter, number in zip(letters, moved, strict=True) if number >= 0]
        discarded += len(gone)
        skipped += len(part) - len(gone)
        forget_failed_jobs(outbox.redis, outbox.lane_name, gone)
    if operation:
        operation.end("cancelled" if cancelled else "done", done=discarded, skipped=skipped)
    return {
        "count": len(ids),
        "discarded": discarded,
        "skipped": skipped,
        "cancelled": cancelled,
        "dry_run": False,
    }
