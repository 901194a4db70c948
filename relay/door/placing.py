"""Mails find their conversation before the rules see them.

What a mail names is asked of the map of threads in one round trip, and never for anything but mails. Between that answer and
the write another process may have learned more: then the write refuses the event and says where it belongs, and it is mapped
again for that thread. No answer is no obstacle: the mail is mapped for the thread that it names itself, and the write looks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from relay.errors import OutboxUnavailable
from relay.event import Event
from relay.outbox.items import Entry, Recorded
from relay.sources.base import Parsed
from relay.thread_ids import ThreadIds

#: Asks the map of a lane: the thread of each mail, "" where nothing is known.
FindThreads = Callable[[Sequence[ThreadIds], str], Awaitable[Sequence[str]]]
#: Maps the request again, these events for other threads: event id -> thread.
MapAgain = Callable[[Mapping[str, str]], Awaitable[Sequence[Entry]]]
#: A thread is joined to another at most so often while one mail is written.
MAX_MOVES = 8


def asking(found: Iterable[Parsed]) -> dict[str, ThreadIds] | None:
    """Return what is to be asked for which event, by its id: only what names others. None: there is no mail among them."""
    mails = [one for one in found if isinstance(one, Event) and one.threading is not None]
    if not mails:
        return None
    return {one.id: one.threading for one in mails if one.threading is not None and one.threading.named}


def asking_again(entries: Iterable[Entry]) -> dict[str, ThreadIds]:
    """Do as `asking` does for entries."""
    return {
        entry.event_id: entry.threading
        for entry in entries
        if entry.threading is not None and entry.threading.named
    }


async def answers(asked: Mapping[str, ThreadIds], find: FindThreads | None, lane: str) -> dict[str, str]:
    """Give event id -> thread, where one is known. `lane`: the source's; where a rule takes a mail to another, the write looks there."""
    if find is None or not asked:
        return {}
    names = await find(list(asked.values()), lane)
    return {event_id: name for event_id, name in zip(asked, names, strict=True) if name}


def moved(entries: Iterable[Entry], threads: Mapping[str, str]) -> dict[str, str]:
    """Return the threads of those entries that were mapped for another."""
    return {
        entry.event_id: threads[entry.event_id]
        for entry in entries
        if threads.get(entry.event_id, entry.thread) != entry.thread
    }


async def record_placed(
    record: Callable[[Sequence[tuple[Entry, float]]], Awaitable[list[Recorded]]],
    entries: Sequence[Entry],
    rate_per_s: float,
    again: MapAgain,
) -> tuple[list[Entry], list[Recorded]]:
    """Return the entries as they were written, and what became of each. Raises OutboxUnavailable, OverRate."""
    written = list(entries)
    recorded = await record([(entry, rate_per_s) for entry in written])
    for _ in range(MAX_MOVES):
        threads = {one.event_id: one.thread for one in recorded if one.thread}
        if not threads:
            return written, recorded
        mapped = {entry.event_id: entry for entry in await again(threads)}
        places = [n for n, one in enumerate(recorded) if one.thread]
        if any(written[n].event_id not in mapped for n in places):
            raise OutboxUnavailable("a mail could not be mapped again for its thread")
        for n in places:
            written[n] = mapped[written[n].event_id]
        outcomes = await record([(written[n], rate_per_s) for n in places])
        for n, outcome in zip(places, outcomes, strict=True):
            recorded[n] = outcome
    raise OutboxUnavailable("the thread of a mail moved again and again")
