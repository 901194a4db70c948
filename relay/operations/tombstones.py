"""What was erased stays erased: whatever sends something again asks here first."""

from __future__ import annotations

from collections.abc import Sequence

from relay.event import Event
from relay.operations.context import KeyedContext
from relay.outbox.erased import Erased
from relay.outbox.veil_key import VeilKey

WAS_ERASED = "it was erased: `relay erase` took this person or conversation away"


def erased_of(context: KeyedContext) -> Erased:
    """Return what was erased from this context's outbox."""
    return Erased(context.outbox, VeilKey(context.outbox, context.settings.redaction_key))


class Tombs:
    """What must not come back, as it stands at the beginning of a run."""

    def __init__(self, erased: Erased) -> None:
        self._erased = erased
        self._names = erased.tombstones()

    def ids(self, event_ids: Sequence[str]) -> frozenset[str]:
        """Return those of `event_ids` that were erased."""
        return self._erased.ids(event_ids)

    def cover_any(self, events: Sequence[Event], external_ids: Sequence[str], received_s: float) -> bool:
        """Tell whether one of a request's events must not come back."""
        received_ms = int(received_s * 1000)
        return any(self.cover(event, "", received_ms) for event in events) or any(
            self._names.cover(emails=(), external_id=external_id, received_ms=received_ms)
            for external_id in external_ids
        )

    def cover(self, event: Event, external_id: str, received_ms: int) -> bool:
        """Tell whether an event that came in at `received_ms` concerns whom, or which conversation, was erased later."""
        emails = (event.sender.email, *(recipient.email for recipient in event.recipients))
        return self._names.cover(emails=emails, external_id=external_id, received_ms=received_ms)
