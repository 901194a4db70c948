"""The sweeps of all lanes that the config has now."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from relay.errors import OutboxUnavailable
from relay.outbox.cluster_nodes import lane_client
from relay.outbox.epoch import look_together, tell
from relay.outbox.glance import glance_at
from relay.outbox.lane import ring_lanes
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.rules.file.lane_names import read_lane_names
from relay.settings import Settings
from relay.telemetry import log
from workers.process.sweep import LaneSweep

#: How often is looked whether something is due, whether something is to be done beside it, and whether Redis was set back: of one
#: lane, and the most of many; between them by their number, so that a lane costs what it costs however many there are.
_RING_S: Final = (0.5, 2.0)
_TEND_S: Final = (0.5, 5.0)
_LIFE_S: Final = (1.0, 10.0)
#: Lanes for which the looks are half as often as for one.
_MANY: Final = 100
#: Lanes that are away are asked again after this: a node of a cluster that hangs takes two seconds of the others' time.
_AWAY_S: Final = 5.0


class LaneSweeps:
    """Sweeps all lanes, for the supervisor. `home`: the outbox of `main`, over whose connection all are reached."""

    def __init__(self, settings: Settings, home: Outbox) -> None:
        self._settings = settings
        self._home = home
        self._servers = LaneServers()
        self._stamp: object = None
        self._lanes: dict[str, LaneSweep] = {}
        self._rang_at = self._tended_at = self._watched_at = float("-inf")
        self._away: set[str] = set()
        self._not_before: dict[str, float] = {}

    def sweep(self, now: float) -> None:
        """Looks at those whose time it is. Raises OutboxUnavailable where none of them could be reached."""
        self._read_names()
        lanes = [lane for name, lane in self._lanes.items() if now >= self._not_before.get(name, 0.0)]
        if now - self._rang_at >= self._every_s(_RING_S):
            self._rang_at = now
            stores = [lane.outbox for lane in lanes]
            for lane, generation in self._heard(lanes, ring_lanes(self._servers, stores)):
                lane.ring(generation)
        if now - self._watched_at >= self._every_s(_LIFE_S):
            self._watched_at = now
            self._watch(lanes)
        if now - self._tended_at >= self._every_s(_TEND_S):
            self._tended_at = now
            stores = [lane.outbox for lane in lanes]
            for lane, seen in self._heard(lanes, glance_at(self._servers, stores)):
                with self._noting(lane):
                    lane.tend(seen, now)

    def _every_s(self, least_and_most: tuple[float, float]) -> float:
        least, most = least_and_most
        return min(most, least * (1 + (len(self._lanes) - 1) / _MANY))

    def _watch(self, lanes: list[LaneSweep]) -> None:
        """Whether Redis was set back: said and counted also while nothing is delivered."""
        changes = look_together(self._servers, [lane.epoch for lane in lanes])
        for lane, change in self._heard(lanes, changes):
            tell(change, lane.metrics)

    def _heard(self, lanes: list[LaneSweep], answers: Sequence[Any]) -> list[tuple[LaneSweep, Any]]:
        """Those that answered, with what they said. Raises OutboxUnavailable where none did."""
        heard = [
            pair for pair in zip(lanes, answers, strict=True) if not isinstance(pair[1], OutboxUnavailable)
        ]
        if answers and not heard:
            self._not_before.clear()
            raise answers[0]
        for lane, answer in zip(lanes, answers, strict=True):
            if isinstance(answer, OutboxUnavailable):
                self._note_away(lane, answer)
            else:
                self._away.discard(lane.outbox.lane_name)
        return heard

    @contextmanager
    def _noting(self, lane: LaneSweep) -> Iterator[None]:
        """Holds no other lane for what is wrong with this one's node. Raises OutboxUnavailable where all the others lie there too."""
        try:
            yield
        except OutboxUnavailable as error:
            if lane.outbox.redis is self._home.redis:
                raise
            self._note_away(lane, error)

    def flush_metrics(self) -> None:
        for lane in self._lanes.values():
            lane.metrics.flush()

    def _note_away(self, lane: LaneSweep, error: OutboxUnavailable) -> None:
        name = lane.outbox.lane_name
        self._not_before[name] = time.monotonic() + _AWAY_S
        if name not in self._away:
            self._away.add(name)
            log("lane.away", level=logging.ERROR, lane=name, reason=str(error))

    def _read_names(self) -> None:
        """The lanes of the config as it stands now; of a file that does not hold, those known last."""
        stamp = self._config_stamp()
        if stamp == self._stamp:
            return
        names = read_lane_names(self._settings.config)
        if not names:
            return
        self._stamp = stamp
        self._lanes = {name: self._lanes.get(name) or self._open(name) for name in names}

    def _open(self, name: str) -> LaneSweep:
        home = self._home
        if name == home.lane_name:
            return LaneSweep(home, self._config_stamp)
        client = lane_client(home.redis, name)
        outbox = Outbox(client, lane=name, base=home.base, vault=home.vault, home=home)
        return LaneSweep(outbox, self._config_stamp)

    def _config_stamp(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._settings.config)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino
