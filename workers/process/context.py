"""What a worker process holds on to between jobs: settings, Redis, the config of this moment, and its lanes (`lane.py`)."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from relay.config import Config
from relay.errors import ConfigInvalid, NotFound, NotOurs
from relay.operations.lanes import LaneTenant, lane_tenant
from relay.outbox.connection import connect
from relay.outbox.outbox import Outbox
from relay.outbox.processes import config_facts
from relay.outbox.vault import Vault
from relay.rules.file.load import load
from relay.rules.rule import RuleBook
from relay.settings import Settings
from relay.telemetry import log
from workers.process.lane import LaneContext
from workers.process.lane_threads import THREADS
from workers.process.stopping import STOPPING

if TYPE_CHECKING:
    from relay.tracing import Tracing
    from workers.flush.traces import Traces


class WorkerContext:
    """Built once a process; `current()` brings it up to date with the config file. A lane is opened when its first job comes."""

    def __init__(self, environ: Mapping[str, str], *, patient: bool = True) -> None:
        self.settings = Settings.read(environ)
        self._environ = environ
        self.redis = connect(
            self.settings.redis_url, timeout_s=10.0, patient=patient, over=STOPPING.impatient
        )
        self.vault = Vault(self.settings.encryption_keys)
        #: Told, with the seconds until the next time, that work was asked for.
        self.asked: Callable[[float], None] = lambda due_s: None
        self._tracing: Tracing | None = None
        self._stamp: tuple[int, int, int] | None = None
        #: For the signs of life: the config that this process goes by.
        self.facts: dict[str, Any] = {}
        self._lanes: dict[str, LaneContext] = {}
        self._opening: dict[str, Lock] = defaultdict(Lock)
        self.config: Config
        self.rulebook: RuleBook
        self._read_config()

    # -- lanes -----------------------------------------------------------------------------------------------

    @property
    def alone(self) -> bool:
        """Whether there is one lane."""
        return len(self.config.lane_names) == 1

    @property
    def refused(self) -> NotOurs | None:
        """Why this process must end: its only lane is another relay's."""
        held = self._lanes.get(self.config.lane_names[0]) if self.alone else None
        return held.refused if held else None

    @property
    def only(self) -> LaneContext:
        """The first lane: where there is one, that one. Raises OutboxUnavailable."""
        return self.lane(self.config.lane_names[0])

    def lane(self, name: str) -> LaneContext:
        """Return one lane, ready to work by today's config. Raises NotFound for one that the config does not have, OutboxUnavailable."""
        tenant = self._tenant(name)
        with self._opening[name]:
            held, config = self._lanes.get(name), self.config
            if held is None or held.tenant.url != tenant.url:
                # Another Planhat: nothing of the old one is kept, and whose lane it is is asked anew.
                held = LaneContext(self, name, tenant)
            if held.taken is not config:
                held.tenant = tenant
                held.take(config.for_lane(name), self.rulebook)
                held.taken = config
            self._lanes[name] = held
        return held

    def lanes(self) -> Iterator[LaneContext]:
        """Return all of the config's, in its order. Raises OutboxUnavailable."""
        return (self.lane(name) for name in self.config.lane_names)

    def _tenant(self, name: str) -> LaneTenant:
        try:
            return lane_tenant(self.config, name, self.settings)
        except KeyError:
            known = ", ".join(self.config.lane_names)
            raise NotFound(
                f"the config has no lane {name!r} (it has: {known}): what waits in it is kept, and delivered once it is there again"
            ) from None

    def work(self, name: str, what: str, do: Callable[[LaneContext], int]) -> int:
        """Has something done in a lane: where it is the only one here and now, else in its own thread (the answer is 0 then). Raises
        NotFound, OutboxUnavailable."""
        if self.alone:
            return do(self.lane(name))
        self._tenant(name)

        def beside() -> None:
            lane = self.lane(name)
            try:
                do(lane)
            finally:
                lane.rest()

        THREADS.do(name, what, beside)
        return 0

    def traces_of(self, lane: str) -> Traces | None:
        """Return what makes a lane's traces; None where nobody wants traces."""
        if not self.settings.tracing:
            return None
        from relay.tracing import Tracing
        from workers.flush.traces import Traces

        self._tracing = self._tracing or Tracing.open("flush")
        own = connect(self.settings.redis_url, lane=lane)
        return Traces(self._tracing, Outbox(own, lane=lane, base=self.settings.key_prefix, vault=self.vault))

    # -- the config ------------------------------------------------------------------------------------------

    def current(self) -> WorkerContext:
        """Reads the config again where its file has changed. A file that does not hold is logged, the old one stays."""
        try:
            if _stamp(self.settings.config) != self._stamp:
                self._read_config()
        except ConfigInvalid as error:
            self._stamp = _stamp(self.settings.config)
            self.facts |= config_facts(self.config.version, str(error).split("\n")[0])
            log("config.kept", level=logging.ERROR, mistakes=len(error.mistakes))
        return self

    def _read_config(self) -> None:
        stamp = _stamp(self.settings.config)
        self.config, self.rulebook = load(self.settings.config, self._environ)
        self._stamp = stamp
        self.facts.clear()
        self.facts |= config_facts(self.config.version, "")
        for name in set(self._lanes) - set(self.config.lane_names):
            del self._lanes[name]


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


_CONTEXT: list[WorkerContext] = []


def worker_context() -> WorkerContext:
    """Return this process's, made at the first call. Raises UserError for settings or a config that do not hold."""
    if not _CONTEXT:
        _CONTEXT.append(WorkerContext(os.environ))
    return _CONTEXT[0].current()
