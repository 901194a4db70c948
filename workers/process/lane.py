"""Everything that a worker process holds on to of one lane between jobs: its outbox, its Planhat, what it has learned."""

from __future__ import annotations

import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from relay.config import Config
from relay.errors import NotOurs, OutboxUnavailable
from relay.operations.lanes import LaneTenant
from relay.operations.ownership import LaneGuard
from relay.outbox.bell import Bell
from relay.outbox.cluster_nodes import lane_client
from relay.outbox.delivery import Delivery
from relay.outbox.epoch import Epoch, tell
from relay.outbox.outbox import Outbox
from relay.outbox.owner import Ownership
from relay.outbox.shared_metrics import SharedMetrics
from relay.outbox.store import Retention
from relay.planhat.client import Planhat
from relay.rules.rule import RuleBook
from relay.settings import Settings
from relay.telemetry import log
from workers.companies.directory import CompanyDirectory
from workers.enrich.enricher import Enricher, tools_of
from workers.flush.doubt import Doubts
from workers.flush.fitting import fitting_of
from workers.flush.loop import Flush
from workers.flush.readback import Readback
from workers.flush.recall import Recall
from workers.pace.pace import Pace
from workers.process.beside_drain import BesideDrain
from workers.process.signs import IDLE_DUE_S
from workers.process.stopping import STOPPING

if TYPE_CHECKING:
    from workers.process.context import WorkerContext

#: A look-up waits so long for a place in the minute.
_PATIENCE_S: Final = 2.0
_WATCH_EVERY_S: Final = 1.0


class LaneContext:
    """One lane of a process. `take` brings it up to date with the config."""

    def __init__(self, process: WorkerContext, name: str, tenant: LaneTenant) -> None:
        self.name = name
        self.tenant = tenant
        self._process = process
        self.settings: Settings = process.settings
        self.redis = lane_client(process.redis, name)
        base = self.settings.key_prefix
        self.outbox = Outbox(self.redis, lane=name, base=base, vault=process.vault, piped=True)
        self.delivery = Delivery(self.redis, lane=name, base=base)
        self.bell = Bell(self.redis, lane=name, unheard=self.outbox.lane.release)
        self.metrics = SharedMetrics(self.redis, lane=name, base=base)
        self.epoch = Epoch(self.outbox)
        self.ownership = Ownership(self.outbox, tenant.url, self._token)
        self.guard = LaneGuard(self.ownership, self.delivery, tenant.url, self._token, claim=True)
        self.beside = BesideDrain(self)
        self._traces = process.traces_of(name)
        self._watched_at = float("-inf")
        #: Why it is not worked on: it is another relay's.
        self.refused: NotOurs | None = None
        self._planhat: Planhat | None = None
        #: The process's config that `take` was given this lane's part of.
        self.taken: Config | None = None
        self.config: Config
        self.rulebook: RuleBook
        self.flush: Flush
        self.directory: CompanyDirectory

    def _token(self) -> str:
        """Today's: it may come from a mounted file, and from another one once the config has changed."""
        return self.tenant.token()

    @property
    def planhat(self) -> Planhat:
        if self._planhat is None:
            timeout_s = self.config.planhat.timeout_s
            self._planhat = Planhat(self.tenant.url, self._token, timeout_s=timeout_s)
        return self._planhat

    # -- the config ------------------------------------------------------------------------------------------

    def take(self, config: Config, rulebook: RuleBook) -> None:
        """Works with `config`, in which `planhat`, `companies` and `people` are this lane's, from the next job on. Raises
        OutboxUnavailable."""
        self.config, self.rulebook = config, rulebook
        self.outbox.retention = Retention.of(config.keep)
        pace = Pace(
            self.delivery,
            config.planhat,
            now_ms=self.outbox.now_ms,
            about_ms=self.outbox.about_ms,
            wait=STOPPING.wait,
            asked=lambda: self._process.asked(config.planhat.timeout_s + IDLE_DUE_S),
        )
        self.directory = CompanyDirectory(
            self.redis,
            config.companies,
            self.planhat,
            call=partial(pace.take_call, stop=STOPPING, patience_s=_PATIENCE_S),
            now_ms=self.outbox.now_ms,
            counted=self._counted,
            lane=self.name,
            base=self.settings.key_prefix,
        )
        self.flush = self._flush(config, pace)
        if self.directory.parked.config_changed(config.version):
            log("config.changed", version=config.version, lane=self.name)

    def _flush(self, config: Config, pace: Pace) -> Flush:
        outbox, planhat, metrics = self.outbox, self.planhat, self.metrics
        return Flush(
            config,
            outbox,
            pace,
            self.directory,
            lambda body, timeout_s: planhat.upsert_raw(body, timeout_s=timeout_s),
            fitting=fitting_of(config, outbox, planhat, pace, metrics, counted=self._counted, stop=STOPPING),
            bell=self.bell,
            metrics=metrics,
            reader=self._reader(pace),
            enricher=Enricher(self, tools_of(config)),
            recall=Recall(
                planhat,
                call=partial(pace.take_call, stop=STOPPING, patience_s=_PATIENCE_S),
                gap_ms=lambda: 120_000 / config.planhat.calls_per_minute,
                metrics=metrics,
            ),
            stopping=STOPPING,
            overdue=STOPPING.overdue,
            watch=self._watch,
            give_way=lambda: STOPPING.wait(1.0),
            traces=self._traces,
            doubts=Doubts(
                outbox,
                planhat,
                call=partial(pace.take_call, stop=STOPPING, patience_s=0.0),
                metrics=metrics,
            ),
        )

    def _reader(self, pace: Pace) -> Readback:
        return Readback(
            self.redis,
            self.planhat,
            pace,
            metrics=self.metrics,
            now_ms=self.outbox.about_ms,
            stands=self.ownership.seen,
            seal=self.outbox.vault.seal,
            lane=self.name,
            base=self.settings.key_prefix,
        )

    def begin(self, generation: int) -> int:
        """Flushes: here and now, or in the lane's thread where there are several; how many items were claimed, 0 then."""
        return self._process.work(self.name, "flush", lambda lane: lane.flush.run(generation))

    def rest(self) -> None:
        """Holds nothing that another lane may need, until its next job: there may be hundreds, and they are idle mostly."""
        if self.outbox.lane.pipe is not None:
            self.outbox.lane.pipe.give_back()

    # -- whose it is -----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Whether Redis was set back: looked at each second at most, and at once where a claim showed it."""
        try:
            self.require_own_lane()
        except NotOurs as error:
            # A job can only fail. Where there is no other lane, it is the process that must not go on.
            self.refused = error
            if self._process.alone:
                signal.raise_signal(signal.SIGTERM)
            raise OutboxUnavailable(str(error)) from error
        self.refused = None
        if time.monotonic() - self._watched_at < _WATCH_EVERY_S and not self.outbox.lane.set_back:
            return
        tell(self.epoch.look(), self.metrics)
        self._watched_at = time.monotonic()

    def require_own_lane(self) -> None:
        """Raise NotOurs where the lane is another relay's, OutboxUnavailable where that cannot be found out now."""
        relation = self.guard.check()
        if relation.ours:
            return
        if relation.known:
            raise NotOurs(relation.sentence)
        raise OutboxUnavailable(relation.sentence)

    def _counted(self, operation: str, status: str) -> None:
        self.metrics.add("relay_planhat_requests_total", {"operation": operation, "status": status})
