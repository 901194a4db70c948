"""Discarding dead letters: their events count as discarded and are never sent."""

from __future__ import annotations

from typing import Any

from relay.operations.dead.look import letters_in_parts, record_of, require_known
from relay.operations.progress import Operation
from relay.operations.rq_jobs import forget_failed_jobs
from relay.operations.selection import Selection, cause_of, select
from relay.outbox.notes import Note, write_notes
from relay.outbox.outbox import Outbox

#: How often a long run says how far it is.
_STEP_EVERY = 20


def discard_dead(
    outbox: Outbox,
    selection: Selection,
    *,
    by: str,
    reason: str = "",
    dry_run: bool = False,
    operation: Operation | None = None,
) -> dict[str, Any]:
    """`{"count", "discarded", "skipped"}`. Raises NotFound where ids are named and none of them exists."""
    ids = select(outbox, selection)
    require_known(outbox, selection, ids)
    if dry_run:
        return {"count": sum(letter is not None for letter in letters_in_parts(outbox, ids)), "dry_run": True}
    if operation:
        operation.step(total=len(ids))
    discarded = skipped = 0
    cancelled = False
    for number, letter in enumerate(letters_in_parts(outbox, ids)):
        if operation and number % _STEP_EVERY == 0:
            operation.step(done=discarded, skipped=skipped)
            if operation.cancelled():
                cancelled = True
                break
        if letter is None:
            skipped += 1
            continue
        record = record_of(letter)
        said = {
            "what": "discarded",
            "by": by,
            "reason": reason or None,
            "at_ms": outbox.now_ms(),
            "dead_id": letter.dead_id,
            "cause": cause_of(record),
        }
        write_notes(outbox, [Note(event_id, said) for event_id in letter.events])
        if outbox.discard(letter.dead_id) < 0:
            skipped += 1
            continue
        discarded += 1
        forget_failed_jobs(outbox.redis, [letter.dead_id])
    if operation:
        operation.end("cancelled" if cancelled else "done", done=discarded, skipped=skipped)
    return {
        "count": len(ids),
        "discarded": discarded,
        "skipped": skipped,
        "cancelled": cancelled,
        "dry_run": False,
    }
