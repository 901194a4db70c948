"""Editing one dead letter: what a replay will send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.errors import MappingFailed
from relay.operations.context import OperatorContext
from relay.operations.dead.edits import add_edits, read_edits
from relay.operations.dead.look import letter_of, record_of, show_dead
from relay.operations.moments import iso
from relay.operations.remap import Remapper, Stored, read_stored
from relay.operations.selection import InputInvalid
from relay.outbox.dead_record import encode_amended


def edit_dead(
    context: OperatorContext,
    dead_id: str,
    *,
    payload: Mapping[str, Any] | None = None,
    fields: Mapping[str, Any] | None = None,
    company: str = "",
    raw: str | None = None,
    by: str,
    now_ms: int = 0,
) -> dict[str, Any]:
    """Keeps the edit with the letter and gives the letter in full. Raises NotFound, InputInvalid; also where the edit
    cannot help, since the source's adapter would still find no event in the raw request."""
    at = iso(now_ms or context.outbox.now_ms()) or ""
    while not _edit_once(context, dead_id, payload or {}, fields or {}, company, raw, by, at):
        # Somebody else changed the letter in between: the edit is made in what stands now.
        continue
    return show_dead(context, dead_id)


def _edit_once(
    context: OperatorContext,
    dead_id: str,
    payload: Mapping[str, Any],
    fields: Mapping[str, Any],
    company: str,
    raw: str | None,
    by: str,
    at: str,
) -> bool:
    letter = letter_of(context.outbox, dead_id)
    stored = read_stored(context, letter.events[-1:])
    newest = stored[0] if stored else None
    record = add_edits(
        record_of(letter),
        newest.body if newest else None,
        payload=payload,
        fields=fields,
        company=company,
        raw=raw,
        by=by,
        at=at,
        types=context.config.for_lane(context.outbox.lane_name).planhat.types,
    )
    if newest is not None and newest.event_id not in {pending.event_id for pending in letter.patches}:
        _require_help(context, newest, record, whole=raw is not None)
    return context.outbox.dead.amend(letter, encode_amended(record))


def _require_help(
    context: OperatorContext, stored: Stored, record: Mapping[str, Any], *, whole: bool
) -> None:
    """Raises InputInvalid where no rule would ever see the event: its raw request can still not be read."""
    if stored.body is None or stored.source not in context.config.sources:
        return
    try:
        Remapper(context, 0).event(stored, read_edits(record).mender())
    except MappingFailed as error:
        how = "" if whole else "; edit the raw request (raw)"
        raise InputInvalid(f"this would not help: {error.cause}{how}", "raw" if whole else "") from error
