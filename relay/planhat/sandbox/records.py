"""Conversations as the sandbox keeps them: what was sent, found by every key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(slots=True)
class Record:
    """One conversation. `sent` is the last value of each property as it was taken, except for `companyId`, which is
    resolved; what Planhat generates is made when somebody reads, so that a bulk upsert stays cheap.

    A ticket has what only tickets have under `sent["ticket"]`.
    """

    id: str
    company_id: str
    created_ms: int
    sent: dict[str, Any]
    changed_ms: int = 0
    writes: int = 1
    #: Which write of the whole store changed it last; what the page sorts by.
    turn: int = field(default=0, compare=False)

    @property
    def date(self) -> str:
        """When the conversation took place, as Planhat writes dates; when it was made, if nothing was sent."""
        return self.sent.get("date") or iso_ms(self.created_ms)

    def as_entry(self) -> dict[str, Any]:
        """Return what the journal keeps of it; `Record(**entry)` is the way back."""
        return {
            "id": self.id,
            "company_id": self.company_id,
            "created_ms": self.created_ms,
            "sent": self.sent,
            "changed_ms": self.changed_ms,
            "writes": self.writes,
        }


def iso_ms(at_ms: int) -> str:
    """Write Unix milliseconds as Planhat writes dates: `2021-07-29T15:29:34.330Z`."""
    stamp = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


class Records:
    """Every conversation by `_id`, by sourceId, by externalId and company, and by date."""

    def __init__(self) -> None:
        self._by_id: dict[str, Record] = {}
        self._by_external: dict[str, dict[str, Record]] = {}
        self._by_source: dict[str, Record] = {}
        self._newest: list[Record] | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Record]:
        """Go through them in the order of arrival."""
        return iter(self._by_id.values())

    def by_id(self, key: str) -> Record | None:
        """Find one by its `_id`."""
        return self._by_id.get(key)

    def by_source(self, source_id: str) -> Record | None:
        """Find one by its sourceId, which is unique among all conversations."""
        return self._by_source.get(source_id)

    def by_external(self, external_id: str) -> dict[str, Record]:
        """Find those that use an externalId, by the company of each: it is unique in a company only."""
        return self._by_external.get(external_id, {})

    def find(self, key: str) -> Record | None:
        """Find one by `_id`, `extid-...` or `srcid-...`; of an externalId that several companies use, one of them."""
        if key.startswith("extid-"):
            return next(iter(self.by_external(key[6:]).values()), None)
        return self.by_source(key[6:]) if key.startswith("srcid-") else self.by_id(key)

    def newest_first(self) -> list[Record]:
        """List all by date, the latest first; of one date, the one that arrived last."""
        if self._newest is None:
            self._newest = sorted(self._by_id.values(), key=lambda record: record.date)
            # Turned round, and not sorted downwards: of one date, the last to arrive comes first.
            self._newest.reverse()
        return self._newest

    def add(self, record: Record) -> None:
        """Take in one that is new, or that was changed after `release`."""
        self._by_id[record.id] = record
        self._newest = None
        external = record.sent.get("externalId")
        if external:
            self._by_external.setdefault(external, {})[record.company_id] = record
        source = record.sent.get("sourceId")
        if source:
            self._by_source[source] = record

    def reorder(self) -> None:
        """Take notice that the date of one has changed."""
        self._newest = None

    def release(self, record: Record) -> None:
        """Forget the keys of one that is about to change them; it stays in its place in the order of arrival."""
        external = record.sent.get("externalId", "")
        homes = self._by_external.get(external, {})
        if homes.get(record.company_id) is record:
            del homes[record.company_id]
            if not homes:
                del self._by_external[external]
        source = record.sent.get("sourceId", "")
        if self._by_source.get(source) is record:
            del self._by_source[source]

    def remove(self, record: Record) -> None:
        """Forget one altogether."""
        self.release(record)
        del self._by_id[record.id]
        self._newest = None
