"""The sweeps of all lanes that the config has now."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from typing import Final

from relay.errors import OutboxUnavailable
from relay.outbox.cluster_nodes import lane_client
from relay.outbox.lane import ring_lanes
from relay.outbox.outbox import Outbox
from relay.rules.file.lane_names import read_lane_names
from relay.settings import Settings
from relay.telemetry import log
from workers.process.sweep import LaneSweep

#: Lanes looked at in one sweep. Of more, all are asked together whether something is due.
_LANES_A_SWEEP: Final = 8
_RING_EVERY_S: Final = 1.0
#: A lane whose Redis is away is looked at again after this.
_AWAY_S: Final = 5.0


class LaneSweeps:
    """Sweeps every lane in turn, for the supervisor. `home`: the outbox of `main`, over whose connection all are reached."""

    def __init__(self, settings: Settings, home: Outbox) -> None:
        self._settings = settings
        self._home = home
        self._stamp: object = None
        self._lanes: dict[str, LaneSweep] = {}
        self._turn = 0
        self._rang_at = float("-inf")
        self._away: set[str] = set()
        self._not_before: dict[str, float] = {}

    def sweep(self, now: float) -> None:
        """Looks at those whose turn it is. Raises OutboxUnavailable where none of them could be reached."""
        self._read_names()
        names = list(self._lanes)
        self._ring_all(now)
        reached, failure = 0, None
        for _ in range(min(len(names), _LANES_A_SWEEP)):
            self._turn = (self._turn + 1) % len(names)
            name = names[self._turn]
            if now < self._not_before.get(name, 0.0):
                continue
            try:
                self._lanes[name].sweep(now)
                reached += 1
                self._away.discard(name)
            except OutboxUnavailable as error:
                if self._lanes[name].outbox.redis is self._home.redis:
                    # All the others lie there too.
                    raise
                # A node of a cluster that hangs takes two seconds of the others' time.
                self._not_before[name] = time.monotonic() + _AWAY_S
                failure = error
                self._note_away(name, error)
        if failure is not None and not reached:
            raise failure

    def _ring_all(self, now: float) -> None:
        """Of many lanes few are looked at in one sweep: what is due in the others must not wait for their turn."""
        if len(self._lanes) <= _LANES_A_SWEEP or now - self._rang_at < _RING_EVERY_S:
            return
        self._rang_at = now
        by_client: dict[int, list[LaneSweep]] = {}
        for name, lane in self._lanes.items():
            if now < self._not_before.get(name, 0.0):
                continue
            by_client.setdefault(id(lane.outbox.redis), []).append(lane)
        for lanes in by_client.values():
            with suppress(OutboxUnavailable):
                for lane, generation in zip(lanes, ring_lanes([one.outbox for one in lanes]), strict=True):
                    lane.ring(generation)

    def flush_metrics(self) -> None:
        for lane in self._lanes.values():
            lane.metrics.flush()

    def _note_away(self, name: str, error: OutboxUnavailable) -> None:
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
