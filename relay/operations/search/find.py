"""Stored events that fit, newest first, a page at a time.

Which events may fit comes from the index, and for what is not in it yet from the events themselves; what is asked of an event's
state is looked at in the event. A page has a time: what could not be looked through within it is the next page's.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from math import ceil
from typing import Final

import orjson

from relay.errors import ConfigInvalid, MappingFailed
from relay.operations.context import OperatorContext
from relay.operations.remap import EventReader, read_stored
from relay.operations.search.build import companies_of
from relay.operations.search.candidates import Candidates, Run
from relay.operations.search.terms import Terms
from relay.operations.search.wanted import EventQuery
from relay.outbox.events import EventHead
from relay.outbox.notes import read_notes
from relay.outbox.outbox import Outbox

#: Events looked at together. The first ones are fewer: most pages are full then.
_FIRST_WINDOW: Final = 64
_WINDOW: Final = 512
#: What is read and parsed of events that the index does not have yet.
_PARSED_AT_ONCE: Final = 50
#: How long a page may take. What nobody waits for (a program that asks for all) takes page after page.
PAGE_S: Final = 1.2


@dataclass(frozen=True, slots=True)
class Hit:
    """An event that fits. `home` is its conversation as it stands now, "" where it has none."""

    head: EventHead
    source: str
    minute: int
    position: int
    home: str = ""

    @property
    def received_ms(self) -> int:
        return int(self.head.facts.get("received_ms") or 0)


@dataclass(frozen=True, slots=True)
class EventPage:
    """`following` is the cursor of what comes next, "" where there is nothing. `searched_to_ms`: from then on it was looked through, 0:
    all of it was."""

    hits: list[Hit]
    following: str = ""
    searched_to_ms: int = 0


@dataclass(slots=True)
class _Window:
    """Some places of one minute: source -> positions, newest first. `unsure`: those that the index does not vouch for."""

    minute: int
    places: dict[str, list[int]] = field(default_factory=dict)
    unsure: set[tuple[str, int]] = field(default_factory=set)


class Search:
    """One question. `terms` None: nothing is asked that the index would know."""

    def __init__(
        self,
        context: OperatorContext,
        wanted: EventQuery,
        terms: Terms | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context = context
        self._outbox: Outbox = context.outbox
        self._wanted = wanted
        self._clock = clock
        self._candidates = Candidates(context.outbox, wanted, terms)
        self._terms = terms
        self._reader = EventReader(context)
        #: How many places were looked at, and how many of them were in the wanted state.
        self._looked = self._fitting = 0

    def page(self, limit: int, after: str = "", *, seconds: float = PAGE_S) -> EventPage:
        """Return one page of what fits. Raises ValueError where `after` is no cursor of such a page, OutboxUnavailable."""
        until = self._clock() + seconds
        hits: list[Hit] = []
        begin = _Cursor.read(after) if after else None
        for window in self._windows(begin):
            left = {source: positions[0] + 1 for source, positions in window.places.items() if positions}
            if self._clock() > until:
                return EventPage(
                    self._homes(hits), _Cursor(window.minute, left).write(), window.minute * 60_000
                )
            for hit in self._hits(window):
                if len(hits) == limit:
                    return EventPage(self._homes(hits), _Cursor(window.minute, left).write())
                hits.append(hit)
                left[hit.source] = hit.position
        return EventPage(self._homes(hits))

    # -- where to look --------------------------------------------------------------------------------------------

    def _windows(self, begin: _Cursor | None) -> Iterator[_Window]:
        """Parts of minutes, newest first, each with what of every source lies next to each other in time."""
        size = _FIRST_WINDOW
        runs = self._candidates.runs(begin.minute if begin else None)
        for minute, group in groupby(runs, key=lambda run: run.minute):
            places, unsure = _places(group)
            if begin and minute == begin.minute:
                places = {
                    source: [position for position in places.get(source, ()) if position < end]
                    for source, end in begin.left.items()
                }
            places = {
                source: self._in_state(source, minute, found) for source, found in places.items() if found
            }
            total = sum(map(len, places.values()))
            if not total:
                # Nothing is there, and yet looking for it took its time.
                yield _Window(minute)
            done = 0
            while done < total:
                share = min(1.0, size / (total - done))
                window = _Window(minute, unsure=unsure)
                for source, positions in places.items():
                    number = ceil(len(positions) * share)
                    window.places[source], places[source] = positions[:number], positions[number:]
                done += sum(map(len, window.places.values()))
                size = _WINDOW
                yield window

    def _in_state(self, source: str, minute: int, positions: Sequence[int]) -> list[int]:
        """Those that are in a wanted state, where few are: else it is seen when they are looked at."""
        if not self._wanted.states or self._looked < _WINDOW or self._fitting * 10 > self._looked:
            return list(positions)
        fits = set(
            self._outbox.events.in_state(source, minute, positions[-1], positions[0], self._wanted.states)
        )
        return [position for position in positions if position in fits]

    # -- what fits ------------------------------------------------------------------------------------------------

    def _hits(self, window: _Window) -> Iterator[Hit]:
        asked = [(source, positions) for source, positions in window.places.items() if positions]
        rows = self._outbox.events.at(
            [(source, window.minute, position) for source, positions in asked for position in positions]
        )
        ids = iter(rows)
        named = [(source, position, next(ids)) for source, positions in asked for position in positions]
        heads = iter(self._outbox.events.heads([event_id for _, _, event_id in named]))
        by_source: dict[str, list[Hit]] = {}
        for source, position, _ in named:
            head = next(heads)
            if head is not None:
                by_source.setdefault(source, []).append(Hit(head, source, window.minute, position))
        self._looked += len(named)
        fitting = {source: self._fitting_of(found, window.unsure) for source, found in by_source.items()}
        yield from merge(*fitting.values(), key=lambda hit: -hit.received_ms)

    def _fitting_of(self, hits: list[Hit], unsure: set[tuple[str, int]]) -> list[Hit]:
        in_state = [hit for hit in hits if self._wanted.fits_state(hit.head)]
        self._fitting += len(in_state)
        found = [hit for hit in in_state if self._wanted.fits_head(hit.head)]
        if self._terms is not None:
            doubted = [hit for hit in found if (hit.source, hit.position) in unsure]
            fits = self._holding(doubted) if doubted else set()
            found = [
                hit for hit in found if (hit.source, hit.position) not in unsure or hit.head.event_id in fits
            ]
        return self._of_company(found) if self._wanted.company else found

    def _holding(self, hits: Sequence[Hit]) -> set[str]:
        """Of events that are not in the index yet, those that hold what is asked for."""
        assert self._terms is not None
        asked = set(self._candidates.asked)
        found = set()
        for start in range(0, len(hits), _PARSED_AT_ONCE):
            part = hits[start : start + _PARSED_AT_ONCE]
            for hit, stored in zip(
                part, read_stored(self._context, [hit.head.event_id for hit in part]), strict=True
            ):
                if stored is None:
                    continue
                try:
                    held = self._terms.of_event(
                        self._reader.event_as_sent(stored), str(stored.facts.get("rule") or "")
                    )
                except (MappingFailed, ConfigInvalid):
                    held = self._terms.of_facts(stored.facts)
                if asked.issubset(held):
                    found.add(hit.head.event_id)
        return found

    def _of_company(self, hits: Sequence[Hit]) -> list[Hit]:
        homes = {hit.head.event_id: str(hit.head.facts.get("external_id") or "") for hit in hits}
        companies = companies_of(self._outbox, list(homes.values()))
        return [hit for hit in hits if companies.get(homes[hit.head.event_id]) == self._wanted.company]

    def _homes(self, hits: Sequence[Hit]) -> list[Hit]:
        """With the conversation that each belongs to: a replay by other rules may have moved it."""
        notes = read_notes(self._outbox, [hit.head.event_id for hit in hits])
        found = []
        for hit in hits:
            moved = [str(n["external_id"]) for n in notes.get(hit.head.event_id, ()) if n.get("external_id")]
            home = moved[-1] if moved else str(hit.head.facts.get("external_id") or "")
            found.append(Hit(hit.head, hit.source, hit.minute, hit.position, home))
        return found


def _places(runs: Iterator[Run]) -> tuple[dict[str, list[int]], set[tuple[str, int]]]:
    """(source -> positions, newest first; those that the index does not vouch for)."""
    places: dict[str, list[int]] = {}
    unsure: set[tuple[str, int]] = set()
    for run in runs:
        places.setdefault(run.source, []).extend(run.positions)
        if run.unsure:
            unsure.update((run.source, position) for position in run.positions)
    return {source: sorted(set(found), reverse=True) for source, found in places.items()}, unsure


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Of `minute`, what stands before `left` (source -> position) is still to come, and all minutes before it."""

    minute: int
    left: Mapping[str, int]

    def write(self) -> str:
        packed = orjson.dumps([self.minute, {source: end for source, end in self.left.items() if end}])
        return urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> _Cursor:
        """Raises ValueError."""
        try:
            minute, left = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            if isinstance(minute, int) and all(isinstance(end, int) for end in left.values()):
                return cls(minute, left)
        except (ValueError, AttributeError, TypeError):
            pass
        raise ValueError("not a cursor of this list")
