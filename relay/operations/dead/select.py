"""The letters that a selection means."""

from __future__ import annotations

from collections.abc import Iterator

from relay.operations.dead.causes import FoundCauses, require_causes
from relay.operations.selection import Selection
from relay.outbox.dead import DeadHead
from relay.outbox.outbox import Outbox


def select(outbox: Outbox, selection: Selection) -> list[str]:
    """Return the ids of the letters, newest first; named ids in their order, whether or not they exist. Raises NotFound for a cause
    that no letter has."""
    if selection.ids:
        return list(selection.ids)
    causes = require_causes(outbox, selection.cause) if selection.cause else None
    return [head.dead_id for head in heads_of(outbox, selection, causes)]


def heads_of(
    outbox: Outbox, selection: Selection, causes: FoundCauses | None, *, after: str = ""
) -> Iterator[DeadHead]:
    """Return those that fit, newest first; `causes` is what `selection.cause` was found to mean. Raises ValueError where `after` is no
    cursor."""
    for head in outbox.dead.scan(since_ms=selection.since_ms, until_ms=selection.until_ms, after=after):
        if fits(head, selection, causes):
            yield head


def fits(head: DeadHead, selection: Selection, causes: FoundCauses | None) -> bool:
    return (causes is None or causes.fits(head)) and (not selection.source or selection.source == head.source)
