"""Events as they come, and again as their state changes: what `relay events --follow` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from relay.operations.context import KeyedContext
from relay.operations.moments import iso
from relay.operations.search.list_events import list_events

#: Events of a page; where all of a page are new, there may be more behind it.
_PAGE: Final = 200
#: Of a flood, what lies further back is not printed.
_PAGES: Final = 50
#: Events whose state is known, and those that wait, of which changes are told.
_KNOWN: Final = 50_000
_WAITING: Final = 5_000


class FollowedEvents:
    """Those that fit `asked` (see `list_events`). What is there at the beginning is known, and not told. Raises InputInvalid,
    OutboxUnavailable, as `look` does."""

    def __init__(self, context: KeyedContext, asked: Mapping[str, Any]) -> None:
        self._context = context
        self._asked = asked
        self._states = {word.strip() for word in str(asked.get("state") or "").split(",") if word.strip()}
        self._known: dict[str, str] = {}
        self._waiting: dict[str, dict[str, Any]] = {}
        for row in self._page("")["events"]:
            self._note(row)

    def look(self) -> list[dict[str, Any]]:
        """Return rows of `list_events`, oldest first: what came since, and what changed its state."""
        changed = [*self._settled(), *reversed(list(self._new()))]
        for row in changed:
            self._note(row)
        for held, most in ((self._known, _KNOWN), (self._waiting, _WAITING)):
            for event_id in list(held)[: max(0, len(held) - most)]:
                del held[event_id]
        return changed

    def _new(self) -> Iterator[dict[str, Any]]:
        after = ""
        for _ in range(_PAGES):
            page = self._page(after)
            rows = [row for row in page["events"] if self._known.get(row["id"]) != row["state"]]
            yield from rows
            after = page["next"] or ""
            if not after or len(rows) < len(page["events"]) or not rows:
                return

    def _settled(self) -> Iterator[dict[str, Any]]:
        """Of those that waited when they were told, those that do not any more."""
        waiting = list(self._waiting.values())
        heads = self._context.outbox.events.heads([row["id"] for row in waiting])
        for row, head in zip(waiting, heads, strict=True):
            if head is None or head.state == row["state"]:
                continue
            # Told now, so that the list does not tell it once more.
            self._known[row["id"]] = head.state
            if self._states and head.state not in self._states:
                del self._waiting[row["id"]]
                continue
            yield {
                **row,
                "state": head.state,
                "settled_at": iso(head.settled_ms) if head.settled_ms else None,
            }

    def _note(self, row: dict[str, Any]) -> None:
        self._known.pop(row["id"], None)
        self._known[row["id"]] = row["state"]
        if row["state"] == "pending":
            self._waiting[row["id"]] = row
        else:
            self._waiting.pop(row["id"], None)

    def _page(self, after: str) -> dict[str, Any]:
        return list_events(self._context, self._asked, limit=_PAGE, after=after)
