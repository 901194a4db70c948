"""The lanes of a web process, as the config of this moment has them; each event is written in its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import redis.asyncio

from relay.config import Config
from relay.errors import NotOurs, OutboxUnavailable, OverRate
from relay.operations.lanes import LaneTenant, lane_tenant
from relay.operations.ownership import glance_together
from relay.outbox.items import Entry, Recorded
from relay.outbox.known_lanes import note_lanes
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.outbox.recorder import Recorder
from relay.outbox.store import Retention
from relay.settings import Settings
from relay.thread_ids import ThreadIds
from relay.web.lane import WebLane

_Pairs = Sequence[tuple[Entry, float]]


class WebLanes:
    """`open_lane(name, tenant)` makes one. What was open and is not in the config any more stays until the process ends: requests
    under way may still write there."""

    def __init__(self, settings: Settings, open_lane: Callable[[str, LaneTenant], WebLane]) -> None:
        self._settings = settings
        self._open = open_lane
        self._servers = LaneServers()
        self._held: dict[str, WebLane] = {}
        self._now: tuple[WebLane, ...] = ()
        self._noted: frozenset[str] = frozenset()
        #: Whether the file has `lanes:`: then what is shown names its lane.
        self.named = False

    def take(self, config: Config, retention: Retention) -> None:
        """Goes by this config from now on."""
        for name in config.lane_names:
            tenant = lane_tenant(config, name, self._settings)
            held = self._held.get(name)
            if held is None or held.tenant.url != tenant.url:
                # Another Planhat: whose lane it is is asked anew.
                held = self._held[name] = self._open(name, tenant)
            held.tenant = tenant
            held.outbox.retention = retention
        self._now = tuple(self._held[name] for name in config.lane_names)
        self.named = bool(config.lanes)

    def note(self, home: Outbox) -> None:
        """Keep the lanes' names once: they are found by them when the file no longer has them. Raises OutboxUnavailable."""
        names = frozenset(lane.name for lane in self._now)
        if not names <= self._noted:
            note_lanes(home, names)
            self._noted |= names

    def __iter__(self) -> Iterator[WebLane]:
        """Those of the config, in its order."""
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)

    @property
    def first(self) -> WebLane:
        return self._now[0]

    def get(self, name: str) -> WebLane | None:
        """Return one of the config's, None where it has none of that name."""
        return next((lane for lane in self._now if lane.name == name), None)

    def require_own(self) -> None:
        """Raise NotOurs where none of the lanes is ours, OutboxUnavailable where Redis cannot be asked."""
        refused = ""
        for lane in self._now:
            relation = lane.guard.check()
            if relation.ours or not relation.known:
                return
            refused = relation.sentence
        raise NotOurs(refused)

    def strangers(self) -> dict[str, str]:
        """Give lane -> why it is not ours, of those that are not. Raises OutboxUnavailable."""
        found = {}
        lanes = self._now
        relations = glance_together(self._servers, [lane.guard for lane in lanes])
        for lane, relation in zip(lanes, relations, strict=True):
            if isinstance(relation, OutboxUnavailable):
                if not lane.apart:
                    raise relation
                # Its own writes find out; the other lanes' node may be well.
            elif relation.sentence:
                found[lane.name] = relation.sentence
        return found

    async def close(self) -> None:
        """Waits until everything that was handed in has its answer."""
        for lane in self._held.values():
            await lane.recorder.close()

    def door(self, lane: str) -> redis.asyncio.Redis:
        """Return the event loop's client for this lane's keys; of one that is not there, of the first's."""
        return (self._held.get(lane) or self.first).door

    async def hang_up(self) -> None:
        """Closes what the lanes have connected to."""
        for lane in self._held.values():
            await lane.door.aclose()

    # -- writing ---------------------------------------------------------------------------------------------

    def record(self, entries: _Pairs) -> Coroutine[Any, Any, list[Recorded]]:
        """Record as `Recorder.record` does, each entry in its own lane. Where one of a request's lanes cannot take its events, all of the
        request is told to try later: what the others took is a duplicate then. Raises OutboxUnavailable also for a lane that is not
        there."""
        lane = entries[0][0].lane
        if len(entries) == 1 or all(entry.lane == lane for entry, _ in entries):
            return self._recorder(lane).record(entries)
        return self._record_apart(entries)

    async def find_threads(self, asked: Sequence[ThreadIds], lane: str) -> list[str]:
        """Find threads as `Recorder.find_threads` does."""
        return await self._recorder(lane).find_threads(asked)

    def _recorder(self, lane: str) -> Recorder:
        held = self._held.get(lane)
        if held is None:
            # Another lane is another customer's.
            raise OutboxUnavailable(f"there is no lane {lane!r}")
        return held.recorder

    async def _record_apart(self, entries: _Pairs) -> list[Recorded]:
        apart: dict[str, list[int]] = {}
        for number, (entry, _) in enumerate(entries):
            apart.setdefault(entry.lane, []).append(number)
        outcomes = await asyncio.gather(
            *(
                self._recorder(lane).record([entries[number] for number in numbers])
                for lane, numbers in apart.items()
            ),
            return_exceptions=True,
        )
        recorded: dict[int, Recorded] = {}
        failures: list[BaseException] = []
        for numbers, outcome in zip(apart.values(), outcomes, strict=True):
            if isinstance(outcome, BaseException):
                failures.append(outcome)
            else:
                recorded.update(zip(numbers, outcome, strict=True))
        for kind in (OutboxUnavailable, OverRate, BaseException):
            for failure in failures:
                if isinstance(failure, kind):
                    raise failure
        return [recorded[number] for number in range(len(entries))]
