"""The sweeps of all lanes that the config has now."""

from __future__ import annotations

import logging
import os
from typing import Final

from relay.errors import OutboxUnavailable
from relay.outbox.cluster_nodes import lane_client
from relay.outbox.outbox import Outbox
from relay.rules.file.lane_names import read_lane_names
from relay.settings import Settings
from relay.telemetry import log
from workers.process.sweep import LaneSweep

#: Lanes looked at in one sweep at least; of many, a tenth: each within five seconds.
_LANES_A_SWEEP: Final = 8
_SHARE: Final = 10


class LaneSweeps:
    """Sweeps every lane in turn, for the supervisor. `home`: the outbox of `main`, over whose connection all are reached."""

    def __init__(self, settings: Settings, home: Outbox) -> None:
        self._settings = settings
        self._home = home
        self._stamp: object = None
        self._lanes: dict[str, LaneSweep] = {}
        self._turn = 0
        self._away: set[str] = set()

    def sweep(self, now: float) -> None:
        """Looks at those whose turn it is. Raises OutboxUnavailable where none of them could be reached."""
        self._read_names()
        names = list(self._lanes)
        number = min(len(names), max(_LANES_A_SWEEP, len(names) // _SHARE))
        reached, failure = 0, None
        for _ in range(number):
            self._turn = (self._turn + 1) % len(names)
            name = names[self._turn]
            try:
                self._lanes[name].sweep(now)
                reached += 1
                self._away.discard(name)
            except OutboxUnavailable as error:
                failure = error
                self._note_away(name, len(names), error)
        if failure is not None and not reached:
            raise failure

    def flush_metrics(self) -> None:
        for lane in self._lanes.values():
            lane.metrics.flush()

    def _note_away(self, name: str, lanes: int, error: OutboxUnavailable) -> None:
        """Of the only lane the supervisor says so itself."""
        if lanes > 1 and name not in self._away:
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
