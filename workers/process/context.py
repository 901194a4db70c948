"""Everything a worker process holds on to between jobs: settings, Redis, Planhat, the config of this moment."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final

from relay.config import Config
from relay.errors import ConfigInvalid, MappingFailed
from relay.outbox.bell import Bell
from relay.outbox.connection import connect
from relay.outbox.delivery import Delivery
from relay.outbox.outbox import Outbox
from relay.outbox.vault import Vault
from relay.patch import Patch
from relay.planhat.client import Planhat
from relay.rules.file.load import load
from relay.rules.rule import RuleBook
from relay.settings import Settings
from relay.telemetry import SharedMetrics, log
from workers.companies.directory import NOT_FOUND_S, Ask, Directory, Found, Unsure
from workers.enrich.enricher import Enricher, tools_of
from workers.flush.fold import stored_asks
from workers.flush.loop import Flush
from workers.flush.readback import Readback
from workers.pace.pace import Pace
from workers.process.signs import IDLE_DUE_S
from workers.process.stopping import STOPPING

_PARKED_PER_JOB: Final = 100


class WorkerContext:
    """Built once a process, `current()` brings it up to date with the config file."""

    def __init__(self, environ: Mapping[str, str], *, patient: bool = True) -> None:
        self.settings = Settings.read(environ)
        self._environ = environ
        self.redis = connect(self.settings.redis_url, timeout_s=10.0, patient=patient)
        base = self.settings.key_prefix
        self.outbox = Outbox(self.redis, base=base, vault=Vault(self.settings.encryption_keys), piped=True)
        self.delivery = Delivery(self.redis, base=base)
        self.bell = Bell(self.redis, unheard=self.outbox.release)
        #: Told, with the seconds until the next time, that work was asked for.
        self.asked: Callable[[float], None] = lambda due_s: None
        self.metrics = SharedMetrics(self.redis, base=base)
        self._stamp: tuple[int, int, int] | None = None
        self.config = Config()
        self.rulebook: RuleBook
        self.flush: Flush
        self.directory: Directory
        self._read_config()

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
            log("config.kept", level=logging.ERROR, mistakes=len(error.mistakes))
        return self

    def _read_config(self) -> None:
        stamp, base = _stamp(self.settings.config), self.settings.key_prefix
        self.config, self.rulebook = load(self.settings.config, self._environ)
        self._stamp = stamp
        keep = self.config.keep
        self.outbox.keep(
            events_s=keep.events_s, documents_s=keep.documents_s, dedupe_s=keep.dedupe_s, dead_s=keep.dead_s
        )
        pace = Pace(
            self.delivery,
            self.config.planhat,
            now_ms=self.outbox.now_ms,
            about_ms=self.outbox.about_ms,
            wait=STOPPING.wait,
            asked=lambda: self.asked(self.config.planhat.timeout_s + IDLE_DUE_S),
        )
        self.directory = Directory(
            self.redis,
            self.config.companies,
            self.planhat,
            call=lambda: pace.take_call(stop=STOPPING, patience_s=2.0),
            now_ms=self.outbox.now_ms,
            counted=self._counted,
            base=base,
        )
        reader = Readback(
            self.redis, self.planhat, pace, metrics=self.metrics, now_ms=self.outbox.about_ms, base=base
        )
        self.flush = Flush(
            self.config,
            self.outbox,
            pace,
            self.directory,
            lambda body, timeout_s: self.planhat.upsert_raw(body, timeout_s=timeout_s),
            bell=self.bell,
            metrics=self.metrics,
            reader=reader,
            enricher=Enricher(self, tools_of(self.config)),
            stopping=STOPPING,
            overdue=STOPPING.overdue,
        )
        if self.directory.config_changed(self.config.version):
            log("config.changed", version=self.config.version)

    def _counted(self, operation: str, status: str) -> None:
        self.metrics.add("relay_planhat_requests_total", {"operation": operation, "status": status})

    def unpark(self) -> int:
        """Dead letters that waited for a company go back to work where it is known by now; how many did."""
        from relay.operations.dead import redrive_one
        from relay.operations.rq_jobs import forget_failed_jobs

        moved = 0
        due = self.directory.parked_due(_PARKED_PER_JOB)
        letters = {dead_record.dead_id: dead_record for dead_record in self.outbox.dead_letters(due)}
        self.directory.forget_parked(set(due) - set(letters))
        asks: list[list[Ask]] = []
        for dead_record in letters.values():
            patches = [Patch.decode(pending.patch) for pending in dead_record.patches]
            asks.append(
                [
                    *stored_asks(self.outbox.document(dead_record.external_id)),
                    *(
                        Ask.of(p.company_id, p.company)
                        for p in sorted(patches, key=lambda p: (p.version, p.event_id))
                    ),
                ]
            )
        for dead_record, verdict in zip(letters.values(), self.directory.resolve(asks), strict=True):
            if STOPPING():
                break
            if isinstance(verdict, Found):
                try:
                    # With today's rules and with what a person edited meanwhile, as any other replay.
                    moved += redrive_one(self, dead_record.dead_id, by="directory")
                except MappingFailed:
                    self.directory.park([dead_record.dead_id], wait_s=NOT_FOUND_S + 5)
                    continue
                self.directory.forget_parked([dead_record.dead_id])
                forget_failed_jobs(self.redis, [dead_record.dead_id])
            else:
                wait_s = 60.0 if isinstance(verdict, Unsure) else NOT_FOUND_S + 5
                self.directory.park([dead_record.dead_id], wait_s=wait_s)
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
