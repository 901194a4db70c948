"""What a person did with an event: replayed, edited, discarded.

A note is written before the act: a crash in between leaves a note too many, never an act without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from relay.outbox import keys
from relay.outbox.event_ids import ID_BYTES, pack_id
from relay.outbox.events import EVENTS_KEPT
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis, run_commands

#: Notes kept of one event.
NOTES_KEPT = 20

_COMMANDS_AT_ONCE = 600


@dataclass(frozen=True, slots=True)
class Note:
    """`facts` is JSON: `at_ms`, `what`, `by`, and what else is to be told. `external_id`, where given, is the
    conversation the event belongs to from now on; `known_as` another id that leads to it, as that of a dead letter which is gone."""

    event_id: str
    facts: dict[str, Any]
    external_id: str = ""
    known_as: str = ""


def write_notes(outbox: Outbox, notes: Sequence[Note]) -> None:
    """Write notes, which live as long as events do, from the last note on."""
    if not notes:
        return
    commands: list[tuple[Any, ...]] = []
    stories: list[Any] = []
    for note in notes:
        key = keys.notes(note.event_id)
        facts = note.facts | ({"external_id": note.external_id} if note.external_id else {})
        commands += (
            ("RPUSH", key, outbox.vault.seal(orjson.dumps(facts))),
            ("LTRIM", key, -NOTES_KEPT, -1),
            ("EXPIRE", key, outbox.retention.events_s),
        )
        if note.known_as:
            commands.append(
                ("SET", keys.known("", note.known_as), note.event_id, "EX", outbox.retention.events_s)
            )
        if not note.external_id:
            continue
        if packed := pack_id(note.event_id):
            stories += (note.external_id, packed)
        else:
            of = keys.events_of(note.external_id)
            commands += (
                ("RPUSH", of, note.event_id),
                ("LTRIM", of, -EVENTS_KEPT, -1),
                ("EXPIRE", of, outbox.retention.events_s),
            )
    for start in range(0, len(commands), _COMMANDS_AT_ONCE):
        run_commands(outbox.redis, outbox.prefix, *commands[start : start + _COMMANDS_AT_ONCE])
    for start in range(0, len(stories), _COMMANDS_AT_ONCE):
        part = stories[start : start + _COMMANDS_AT_ONCE]
        outbox.run("story", [outbox.retention.events_s, EVENTS_KEPT * ID_BYTES, *part])


def read_notes(outbox: Outbox, event_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Read event id -> its notes, oldest first; ids without one are left out."""
    if not event_ids:
        return {}
    with reaching_redis():
        pipe = outbox.redis.pipeline(transaction=False)
        for event_id in event_ids:
            pipe.lrange(outbox.prefix + keys.notes(event_id), 0, -1)
        rows = pipe.execute()
    return {
        event_id: [_note(outbox, value) for value in row]
        for event_id, row in zip(event_ids, rows, strict=True)
        if row
    }


def _note(outbox: Outbox, sealed: bytes) -> dict[str, Any]:
    try:
        facts = orjson.loads(outbox.vault.open(sealed))
    except ValueError:
        # Its key is gone; that somebody did something is still to be seen.
        return {"what": "cannot be read", "at_ms": 0}
    return facts if isinstance(facts, dict) else {}
