"""Everything a worker process holds on to between jobs: settings, Redis, Planhat, the config of this moment."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from relay.config import Config
from relay.errors import ConfigInvalid, MappingFailed, NewerRecord, NotOurs, OutboxUnavailable
from relay.lane_name import MAIN
from relay.operations.ownership import LaneGuard
from relay.operations.search.build import Indexer
from relay.operations.search.list_events import terms_of
from relay.outbox.bell import Bell
from relay.outbox.connection import connect
from relay.outbox.delivery import Delivery
from relay.outbox.epoch import Epoch, tell
from relay.outbox.outbox import Outbox
from relay.outbox.owner import Ownership
from relay.outbox.processes import config_facts
from relay.outbox.shared_metrics import SharedMetrics
from relay.outbox.store import Retention
from relay.outbox.vault import Vault
from relay.patch import Patch
from relay.planhat.client import Planhat
from relay.rules.file.load import load
from relay.rules.rule import RuleBook
from relay.settings import Settings
from relay.telemetry import log
from workers.companies.directory import CompanyDirectory
from workers.companies.lookup_cache import NOT_FOUND_S
from workers.companies.verdicts import Ask, Found, Unsure
from workers.dead_jobs import ask_to_index
from workers.enrich.enricher import Enricher, tools_of
from workers.flush.doubt import Doubts
from workers.flush.fitting import fitting_of
from workers.flush.fold import stored_asks
from workers.flush.loop import Flush
from workers.flush.readback import Readback
from workers.flush.recall import Recall
from workers.flush.recognise import recognise_delivered
from workers.pace.pace import Pace
from workers.process.signs import IDLE_DUE_S
from workers.process.stopping import STOPPING

if TYPE_CHECKING:
    from workers.flush.traces import Traces

_PARKED_PER_JOB: Final = 100
#: A job reads in Planhat's list for so long at most, and only while this much of the minute's calls is left.
_RECOGNISE_S: Final = 60.0
_SPARE: Final = 0.5
#: A job of the index lasts so long: dead letters that go again wait in the same queue.
_INDEX_S: Final = 3.0


class WorkerContext:
    """Built once a process, `current()` brings it up to date with the config file."""

    def __init__(self, environ: Mapping[str, str], *, patient: bool = True) -> None:
        self.settings = Settings.read(environ)
        self._environ = environ
        self.redis = connect(self.settings.redis_url, timeout_s=10.0, patient=patient)
        base = self.settings.key_prefix
        self.outbox = Outbox(self.redis, base=base, vault=Vault(self.settings.encryption_keys), piped=True)
        self.delivery = Delivery(self.redis, base=base)
        self.bell = Bell(self.redis, unheard=self.outbox.lane.release)
        #: Told, with the seconds until the next time, that work was asked for.
        self.asked: Callable[[float], None] = lambda due_s: None
        self.metrics = SharedMetrics(self.redis, base=base)
        self.epoch = Epoch(self.outbox)
        self.ownership = Ownership(self.outbox, self.settings.planhat_url, self.settings.planhat_token)
        self.guard = LaneGuard(
            self.ownership,
            self.delivery,
            self.settings.planhat_url,
            self.settings.planhat_token,
            claim=True,
        )
        self._traces = self._open_traces()
        self._looked_at = float("-inf")
        self._indexer: Indexer | None = None
        #: Why this process must end: the lane is another relay's.
        self.refused: NotOurs | None = None
        self._stamp: tuple[int, int, int] | None = None
        #: For the signs of life: the config that this process goes by.
        self.facts: dict[str, Any] = {}
        self.config = Config()
        self.rulebook: RuleBook
        self.flush: Flush
        self.directory: CompanyDirectory
        self._read_config()

    def _open_traces(self) -> Traces | None:
        """None where nobody wants traces."""
        if not self.settings.tracing:
            return None
        from relay.tracing import Tracing
        from workers.flush.traces import Traces

        own = Outbox(
            connect(self.settings.redis_url),
            base=self.settings.key_prefix,
            vault=Vault(self.settings.encryption_keys),
        )
        return Traces(Tracing.open("flush"), own)

    @cached_property
    def planhat(self) -> Planhat:
        return Planhat(
            self.settings.planhat_url, self.settings.planhat_token, timeout_s=self.config.planhat.timeout_s
        )

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
        stamp, base = _stamp(self.settings.config), self.settings.key_prefix
        self.config, self.rulebook = load(self.settings.config, self._environ)
        self._stamp = stamp
        self.facts.clear()
        self.facts |= config_facts(self.config.version, "")
        self.outbox.retention = Retention.of(self.config.keep)
        pace = Pace(
            self.delivery,
            self.config.planhat,
            now_ms=self.outbox.now_ms,
            about_ms=self.outbox.about_ms,
            wait=STOPPING.wait,
            asked=lambda: self.asked(self.config.planhat.timeout_s + IDLE_DUE_S),
        )
        self.directory = CompanyDirectory(
            self.redis,
            self.config.companies,
            self.planhat,
            call=lambda: pace.take_call(stop=STOPPING, patience_s=2.0),
            now_ms=self.outbox.now_ms,
            counted=self._counted,
            base=base,
        )
        fitting = fitting_of(
            self.config, self.outbox, self.planhat, pace, self.metrics, counted=self._counted, stop=STOPPING
        )
        reader = Readback(
            self.redis,
            self.planhat,
            pace,
            metrics=self.metrics,
            now_ms=self.outbox.about_ms,
            stands=self.ownership.seen,
            seal=self.outbox.vault.seal,
            base=base,
        )
        self.flush = Flush(
            self.config,
            self.outbox,
            pace,
            self.directory,
            lambda body, timeout_s: self.planhat.upsert_raw(body, timeout_s=timeout_s),
            fitting=fitting,
            bell=self.bell,
            metrics=self.metrics,
            reader=reader,
            enricher=Enricher(self, tools_of(self.config)),
            recall=Recall(
                self.planhat,
                call=lambda: pace.take_call(stop=STOPPING, patience_s=2.0),
                gap_ms=lambda: 120_000 / self.config.planhat.calls_per_minute,
                metrics=self.metrics,
            ),
            stopping=STOPPING,
            overdue=STOPPING.overdue,
            watch=self._watch,
            give_way=lambda: STOPPING.wait(1.0),
            traces=self._traces,
            doubts=Doubts(
                self.outbox,
                self.planhat,
                call=lambda: pace.take_call(stop=STOPPING, patience_s=0.0),
                metrics=self.metrics,
            ),
        )
        if self.directory.parked.config_changed(self.config.version):
            log("config.changed", version=self.config.version)

    def _watch(self) -> None:
        """Whether Redis was set back: looked at each second at most, and at once where a claim showed it."""
        try:
            self.require_own_lane()
        except NotOurs as error:
            # A job can only fail; it is the process that must not go on.
            self.refused = error
            signal.raise_signal(signal.SIGTERM)
            raise OutboxUnavailable(str(error)) from error
        if time.monotonic() - self._looked_at < 1.0 and not self.outbox.lane.set_back:
            return
        tell(self.epoch.look(), self.metrics)
        self._looked_at = time.monotonic()

    def require_own_lane(self) -> None:
        """Raises NotOurs where the lane is another relay's, OutboxUnavailable where that cannot be found out now."""
        relation = self.guard.check()
        if relation.ours:
            return
        if relation.known:
            raise NotOurs(relation.sentence)
        raise OutboxUnavailable(relation.sentence)

    def _counted(self, operation: str, status: str) -> None:
        self.metrics.add("relay_planhat_requests_total", {"operation": operation, "status": status})

    def recognise(self) -> int:
        """Reads on in Planhat's list, with what the minute's budget has to spare; how many conversations were found."""
        pace, until = self.flush.tools.pace, time.monotonic() + _RECOGNISE_S

        def may_call() -> bool:
            if STOPPING() or time.monotonic() > until or pace.used(self.outbox.about_ms()) > _SPARE:
                return False
            return pace.take_call(stop=STOPPING, patience_s=2.0)

        found = recognise_delivered(self.outbox, self.planhat, may_call=may_call, metrics=self.metrics)
        self.metrics.flush()
        return found

    def rethread(self) -> int:
        """Moves mails to the conversations that they turned out to belong to; how many were looked at."""
        from relay.operations.rethread import rethread_events

        looked_at = 0
        while not STOPPING() and (part := rethread_events(self)):
            looked_at += part
        return looked_at

    def index(self) -> int:
        """Takes what came in into the index of `relay events`, for a few seconds; how many events."""
        if self._indexer is None:
            self._indexer = Indexer(self, terms_of(self))
        before = self._indexer.events
        if not self._indexer.run(_INDEX_S):
            # The rest is a job of its own: what waits in the queue meanwhile goes first.
            ask_to_index(self.redis, MAIN, time.time_ns() // 1_000_000)
        return self._indexer.events - before

    def unpark(self) -> int:
        """Dead letters that waited for a company go back to work where it is known by now; how many did."""
        from relay.operations.dead.replay import redrive_one
        from relay.operations.rq_jobs import forget_failed_jobs

        moved = 0
        due = self.directory.parked.due(_PARKED_PER_JOB)
        letters = {dead_record.dead_id: dead_record for dead_record in self.outbox.dead.get_many(due)}
        self.directory.parked.forget(set(due) - set(letters))
        asks: list[list[Ask]] = []
        for dead_record in letters.values():
            try:
                patches = [Patch.decode(pending.patch) for pending in dead_record.patches]
                known = stored_asks(self.outbox.document(dead_record.external_id))
            except NewerRecord:
                # A newer release's workers look after it.
                patches, known = [], []
            in_order = sorted(patches, key=lambda p: (p.version, p.event_id))
            asks.append([*known, *(Ask.of(p.company_id, p.company) for p in in_order)])
        for dead_record, verdict in zip(letters.values(), self.directory.resolve(asks), strict=True):
            if STOPPING():
                break
            if isinstance(verdict, Found):
                try:
                    # With today's rules and with what a person edited meanwhile, as any other replay.
                    moved += redrive_one(self, dead_record.dead_id, by="directory")
                except MappingFailed:
                    self.directory.parked.park([dead_record.dead_id], wait_s=NOT_FOUND_S + 5)
                    continue
                self.directory.parked.forget([dead_record.dead_id])
                forget_failed_jobs(self.redis, [dead_record.dead_id])
            else:
                wait_s = 60.0 if isinstance(verdict, Unsure) else NOT_FOUND_S + 5
                self.directory.parked.park([dead_record.dead_id], wait_s=wait_s)
        self.metrics.flush()
        return moved


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


_WORKSHOP: list[WorkerContext] = []


def worker_context() -> WorkerContext:
    """This process's, made at the first call. Raises UserError for settings or a config that do not hold."""
    if not _WORKSHOP:
        _WORKSHOP.append(WorkerContext(os.environ))
    return _WORKSHOP[0].current()
