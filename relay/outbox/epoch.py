"""Noticing that Redis was flushed, replaced, or set back to an older state (a restore, a failover to a lagging replica).

A process remembers what names the store (`epoch`), what only grows in it (`accepted`, which moves with every accepted event,
`claims`, `generation`), and the number of its own last look. Where Redis knows less, it is another store or an older state,
and a new *life* of the lane begins: events that were acknowledged may be gone, which is said, counted and alerted; and
what Planhat has of a conversation is read before anything of it is sent (see `workers/flush/recall.py`).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from relay.errors import OutboxUnavailable
from relay.outbox import keys
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.outbox.reading import Reading, read_alone
from relay.outbox.scripts import run_script
from relay.telemetry import log

FLUSHED: Final = "flushed or replaced"
SET_BACK: Final = "restored to an older state"


@dataclass(frozen=True, slots=True)
class Change:
    """`lost`: accepted events that this process knew of and Redis does not (0: not known). `first`: nobody noticed before.
    `more_lost`: so many more than whoever noticed before knew of."""

    what: str
    lost: int
    first: bool
    more_lost: int = 0


@dataclass(frozen=True, slots=True)
class Life:
    """How often the lane's Redis was set back; `unsure`: conversations that nobody knows here may stand in Planhat.
    `clock_back`: how often its clock went back, and by how much the last time."""

    number: int = 0
    what: str = ""
    at_ms: int = 0
    unsure: bool = False
    #: How far Planhat's list has been read since, and how many conversations with an externalId it held.
    offset: int = 0
    found: int = 0
    clock_back: int = 0
    clock_back_ms: int = 0


class Counts(Protocol):
    """Where a change is counted: `SharedMetrics`."""

    def add(self, name: str, labels: Mapping[str, str], number: float = 1) -> None: ...


def tell(change: Change | None, metrics: Counts) -> None:
    """Logs what happened, and counts it once for all processes that notice."""
    if change is None:
        return
    log("redis.restored", level=logging.ERROR, what=change.what, lost=change.lost)
    if change.first:
        metrics.add("relay_redis_epoch_changes_total", {})
    if change.first or change.more_lost:
        metrics.add("relay_redis_lost_events_total", {}, change.more_lost)


class Epoch:
    """One process's memory. `look` compares Redis with it; `set_back` is told by whoever got a number that is too small."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._who = secrets.token_hex(8)
        self._looks = 0
        self._epoch = b""
        self._grown: tuple[int, int, int] = (0, 0, 0)
        self._number = 0
        self._good_ms = 0
        self._told_set_back = False
        self._told_lost = 0
        #: What was told to `look` when it noticed last: it is accounted for.
        self._accounted = 0

    def set_back(self, seen_ms: int = 0, lost: int = 0) -> None:
        """Note that somebody knows more than Redis does; the next look says so. `seen_ms`: all was well until then; `lost`:
        so many accepted events are gone."""
        self._told_set_back = True
        self._good_ms = max(self._good_ms, seen_ms)
        self._told_lost = max(self._told_lost, lost)

    def look(self, accepted: int = 0) -> Change | None:
        """Return what happened since the last look; None: all is as it was. `accepted`: so many this process knows to have been
        accepted, by now. Raises OutboxUnavailable."""
        return self._heard(self._run("look", ""), accepted)

    def _heard(self, stored: Any, accepted: int) -> Change | None:
        # A look whose answer was lost has left its number all the same.
        before, good_ms = self._number, self._good_ms
        grown = (int(stored[1]), int(stored[2]), int(stored[3]))
        told, accepted = accepted, max(accepted if accepted != self._accounted else 0, self._grown[0])
        what, lost = "", 0
        if self._epoch and stored[0] != self._epoch:
            what, lost = FLUSHED, accepted
        elif (
            self._told_set_back
            or grown[0] < accepted
            or self._outbox.lane.set_back
            or any(now < then for now, then in zip(grown, self._grown, strict=True))
            or (self._looks and stored[4] and int(stored[4]) not in (self._looks, self._looks + 1))
        ):
            what, lost = SET_BACK, max(0, accepted - grown[0], self._told_lost)
        self._looks += 1
        self._epoch, self._grown, self._number, self._good_ms = (
            stored[0],
            grown,
            int(stored[5]),
            int(stored[6]),
        )
        self._told_set_back, self._told_lost = False, 0
        if not what:
            return None
        self._accounted = told
        self._outbox.lane.forget_claims()
        noted = self._run("changed", what, number=before, good_ms=good_ms or int(stored[6]), lost=lost)
        self._number = int(noted[5])
        return Change(what, lost, first=int(stored[5]) <= before, more_lost=int(noted[7]))

    def adopt(self) -> None:
        """Note that what was delivered so far went to another Planhat: none of it is known there."""
        stored = self._run("adopted", "adopted by another Planhat", number=self._number)
        self._number = int(stored[5])

    def _run(self, mode: str, what: str, *, number: int = 0, good_ms: int = 0, lost: int = 0) -> Any:
        args = self._args(mode, what, number=number, good_ms=good_ms, lost=lost)
        return run_script(self._outbox.redis, "life", self._outbox.prefix, args)

    def _args(self, mode: str, what: str, *, number: int = 0, good_ms: int = 0, lost: int = 0) -> list[Any]:
        return [0, mode, secrets.token_hex(8), self._who, self._looks + 1, number, good_ms, what, lost]


def look_together(
    servers: LaneServers, epochs: Sequence[Epoch], accepted: Sequence[int] = ()
) -> list[Change | OutboxUnavailable | None]:
    """Return `look` of several lanes, one round trip for each server; of one that did not answer the error. `accepted`: of each lane."""
    answers = servers.ask(
        "life", [epoch._outbox for epoch in epochs], lambda place: epochs[place]._args("look", "")
    )
    found: list[Change | OutboxUnavailable | None] = []
    for epoch, answer, known in zip(epochs, answers, accepted or [0] * len(epochs), strict=True):
        try:
            found.append(answer if isinstance(answer, OutboxUnavailable) else epoch._heard(answer, known))
        except OutboxUnavailable as error:
            found.append(error)
    return found


def read_life(outbox: Outbox) -> Life:
    """Read it. Raises OutboxUnavailable."""
    return read_alone(outbox.redis, reading_life(outbox))


def reading_life(outbox: Outbox) -> Reading[Life]:
    """How often the lane was set back."""
    [stored] = yield lambda pipe: pipe.hgetall(outbox.prefix + keys.LIFE)
    return Life(
        number=int(stored.get(b"number", 0)),
        what=stored.get(b"what", b"").decode(),
        at_ms=int(stored.get(b"at_ms", 0)),
        unsure=stored.get(b"unsure") == b"1",
        offset=int(stored.get(b"offset", 0)),
        found=int(stored.get(b"found", 0)),
        clock_back=int(stored.get(b"clock_back", 0)),
        clock_back_ms=int(stored.get(b"clock_back_ms", 0)),
    )
