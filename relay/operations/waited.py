"""When an event waited for delivery, and which batches of its conversation carried it: from its coming to its first end, and again
after each replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.event import event_mark

#: The states in which Planhat has what an event said.
DELIVERED: Final = frozenset({"delivered", "unchanged", "superseded"})
#: What a batch that Planhat took is called in a conversation's history.
_TAKEN: Final = frozenset({"sent", "unchanged", "delivered"})
#: An event is settled in Redis so long after its batch was noted, at most.
_SLACK_MS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Waited:
    """`spans`: (from, to) in ms, `to` 0 while it waits. `ends`: (when, state) of those that a replay ended."""

    spans: tuple[tuple[int, int], ...]
    ends: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of(cls, received_ms: int, notes: Sequence[Mapping[str, Any]], settled_ms: int) -> Waited:
        """Return `notes`: oldest first; those of replays say what state the event was in, and since when. `settled_ms` 0: it waits."""
        spans: list[tuple[int, int]] = []
        ends: list[tuple[int, str]] = []
        begun = received_ms
        for note in notes:
            was_ms, was = int(note.get("was_at_ms") or 0), str(note.get("was") or "")
            # A replay that also archives says it twice.
            if was_ms >= begun and was in DELIVERED:
                spans.append((begun, was_ms))
                ends.append((was_ms, was))
                begun = int(note.get("at_ms") or was_ms)
        spans.append((begun, settled_ms))
        return cls(tuple(spans), tuple(ends))

    def carried_by(self, entry: Mapping[str, Any], event_id: str) -> bool:
        """Tell whether a delivery of the conversation had the event with it. One that does not say what it carried had, where the event
        waited when its call began."""
        of = entry.get("of")
        if of is not None:
            return event_mark(event_id) in of
        at_ms = int(entry.get("at_ms") or 0)
        began_ms = at_ms - int(entry.get("took_ms") or 0)
        return any(start <= began_ms and (not end or at_ms <= end + _SLACK_MS) for start, end in self.spans)

    def ends_without(self, own: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Give ends before a replay of which the conversation's history knows no delivery (any more)."""
        taken = [int(entry.get("at_ms") or 0) for entry in own if entry.get("what") in _TAKEN]
        return [
            {"at_ms": at_ms, "what": state}
            for at_ms, state in self.ends
            if not any(abs(at_ms - other) <= _SLACK_MS for other in taken)
        ]

    def first_delivered_ms(self, settled_ms: int) -> int:
        """Return when Planhat first had it; 0: not yet. `settled_ms`: since when it has it now, 0: it has not."""
        return self.ends[0][0] if self.ends else settled_ms


def told_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a delivery as it is shown: how many events it carried, not which."""
    told = {name: value for name, value in entry.items() if name != "of"}
    return {**told, "events": len(entry["of"])} if entry.get("of") else told


def told_note(note: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a person did, as it is shown."""
    return {name: value for name, value in note.items() if name != "was_at_ms"}
