"""Editing one dead letter: what a replay will send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.operations.context import OperatorContext
from relay.operations.dead.edits import add_edits
from relay.operations.dead.look import letter_of, record_of, show_dead
from relay.operations.moments import iso
from relay.operations.remap import read_stored
from relay.outbox.dead_record import encode_amended


def edit_dead(
    context: OperatorContext,
    dead_id: str,
    *,
    payload: Mapping[str, Any] | None = None,
    fields: Mapping[str, Any] | None = None,
    company: str = "",
    by: str,
    now_ms: int = 0,
) -> dict[str, Any]:
    """Keeps the edit with the letter and gives the letter in full. Raises NotFound, InputInvalid."""
    letter = letter_of(context.outbox, dead_id)
    stored = read_stored(context, letter.events[-1:])
    body = stored[0].body if stored and stored[0] else None
    at = iso(now_ms or context.outbox.now_ms()) or ""
    record = add_edits(
        record_of(letter), body, payload=payload or {}, fields=fields or {}, company=company, by=by, at=at
    )
    context.outbox.amend_dead(dead_id, encode_amended(record))
    return show_dead(context, dead_id)
