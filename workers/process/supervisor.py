"""The supervisor of `python -m workers`: RQ worker processes of one queue each (with two queues, a job taken at the moment of
death is lost for good), started again when they die, the sweep of the lanes every half second (`sweep.py`), and signs of life.
Alerts are sent by a thread of their own: a mail server must not stop the sweep.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from relay.errors import OutboxUnavailable
from relay.latest_end import LatestEnd
from relay.outbox.bell import DEAD_QUEUE, FLUSH_QUEUE
from relay.outbox.connection import PARTING_S, connect
from relay.outbox.outbox import Outbox
from relay.outbox.processes import give_sign, sign_off
from relay.outbox.shared_metrics import SharedMetrics
from relay.outbox.vault import Vault
from relay.settings import Settings
from relay.telemetry import log
from workers.process.alerting import Alerting
from workers.process.lane_sweeps import LaneSweeps
from workers.process.stopping import WRONG_SETTINGS

_SWEEP_S: Final = 0.5
#: A child that has not ended so long after SIGTERM (it should by itself, see `LATEST_S`) is killed: the lease brings its items back.
_STOP_S: Final = 7.0
#: Whatever else waits then, the supervisor ends so long after SIGTERM, and its children with it.
_LATEST_S: Final = 8.0
_HEARTBEAT_EVERY_S: Final = 5.0
#: A worker that has lived so long has begun to work.
_PROVEN_S: Final = 15.0
#: So many deaths in a row are no accident any more.
_DYING: Final = 3
_SIGN_DUE_S: Final = 20.0


class Child:
    """One worker process, started again when it ends; with growing pauses where it ends at once."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._pause_s = 0.0
        self._next = 0.0
        #: How often it has ended in a row before it could work, and how it did last.
        self.deaths = 0
        self.died = ""

    def tend(self, now: float) -> int | None:
        """Starts it where it does not run. The exit code where it just ended."""
        if self.process is None:
            if now >= self._next:
                self._start(now)
            return None
        code = self.process.poll()
        lived_s = now - self._started
        if code is None:
            if lived_s > _PROVEN_S:
                self.deaths, self.died = 0, ""
            return None
        self.process = None
        self.deaths += 1
        self.died = f"{_end_of(code)} after {lived_s:.1f} s"
        self._pause_s = 0.0 if lived_s > 5 else min(5.0, max(0.5, self._pause_s * 2))
        self._next = now + self._pause_s
        log("worker.ended", level=logging.WARNING, queue=self.queue, code=code, lived_s=round(lived_s, 1))
        return code

    def _start(self, now: float) -> None:
        # A batch comes and goes by megabytes: glibc shall give them back, not keep them.
        environ = {
            "MALLOC_ARENA_MAX": "2",
            "MALLOC_MMAP_THRESHOLD_": "65536",
            "MALLOC_TRIM_THRESHOLD_": "131072",
            **os.environ,
        }
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "workers", "--queue", self.queue, "--parent", str(os.getpid())],
            env=environ,
        )
        self._started = now
        log("worker.started", queue=self.queue, pid=self.process.pid)

    def tell(self, number: int) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)


class Supervisor:
    """`flush_workers`: how many processes deliver."""

    def __init__(self, settings: Settings, *, flush_workers: int = 1) -> None:
        self._settings = settings
        # Impatient: the sweep must not hang where Redis does; it comes again in half a second.
        self._redis = connect(settings.redis_url)
        self._outbox = Outbox(self._redis, base=settings.key_prefix, vault=Vault(settings.encryption_keys))
        self._metrics = SharedMetrics(self._redis, base=settings.key_prefix)
        self.children = [Child(queue) for queue in (*[FLUSH_QUEUE] * flush_workers, DEAD_QUEUE)]
        self._started_ms = 0
        self._lanes = LaneSweeps(settings, self._outbox)
        self._stop = False
        self._stopped_at = 0.0
        self._beat_at = 0.0
        self._redis_away = False
        self._who = f"{socket.gethostname()}:{os.getpid()}:supervisor"
        self.alerting = Alerting(settings, os.environ)

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        LatestEnd(_LATEST_S, last=self._kill)
        code = 0
        self.alerting.start()
        while not self._stop:
            now = time.monotonic()
            for child in self.children:
                ended = child.tend(now)
                if ended == WRONG_SETTINGS:
                    code = WRONG_SETTINGS
                    self.begin_to_stop()
                elif ended is not None:
                    self._metrics.add("relay_worker_deaths_total", {"queue": child.queue})
            self._sweep(now)
            if not self._stop:
                time.sleep(_SWEEP_S)
        self._end(self.children)
        return code

    def _on_signal(self, number: int, frame: object) -> None:
        self.begin_to_stop()

    def begin_to_stop(self) -> None:
        """Tell everything to end, once. The children hear it at once: the sweep may be waiting for a Redis that hangs."""
        if self._stop:
            return
        self._stop, self._stopped_at = True, time.monotonic()
        # What it saw now would be told as soon as the next one starts: "no flush worker", since the last stop.
        self.alerting.look_no_more()
        self._tell()

    def _tell(self) -> None:
        for child in self.children:
            child.tell(signal.SIGTERM)

    def _kill(self) -> None:
        for child in self.children:
            child.tell(signal.SIGKILL)

    def _sweep(self, now: float) -> None:
        self._touch()
        try:
            self._lanes.sweep(now)
            if now - self._beat_at >= _HEARTBEAT_EVERY_S:
                self._beat_at = now
                self._give_sign()
            if self._redis_away:
                self._redis_away = False
                log("redis.back")
        except OutboxUnavailable as error:
            if not self._redis_away:
                self._redis_away = True
                log("redis.away", level=logging.ERROR, reason=str(error))

    def _give_sign(self) -> None:
        self._started_ms = self._started_ms or self._outbox.now_ms()
        dying = [child for child in self.children if child.deaths >= _DYING]
        give_sign(
            self._outbox,
            self._who,
            "supervisor",
            due_s=_SIGN_DUE_S,
            started_ms=self._started_ms,
            facts={
                "deaths": {child.queue: child.deaths for child in dying},
                "died": {child.queue: child.died for child in dying},
            }
            if dying
            else None,
        )
        self._metrics.flush()
        self._lanes.flush_metrics()

    def _touch(self) -> None:
        """For the probe of `relay work --alive`. Not while a worker dies again and again though Redis answers: nothing is
        delivered then, and a new start of all may mend it."""
        if any(child.deaths >= _DYING for child in self.children) and not self._redis_away:
            return
        if self._settings.heartbeat_file:
            try:
                Path(self._settings.heartbeat_file).touch()
            except OSError as error:
                log("heartbeat.file", level=logging.WARNING, error=type(error).__name__)

    def _end(self, children: Sequence[Child]) -> None:
        # Once more: one may have been started just then.
        self._tell()
        self.alerting.stop()
        deadline = self._stopped_at + _STOP_S
        for child in children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log("worker.killed", level=logging.WARNING, queue=child.queue)
                child.process.kill()
                child.process.wait()
        if self._started_ms:
            parting = connect(self._settings.redis_url, timeout_s=PARTING_S)
            sign_off(Outbox(parting, base=self._settings.key_prefix), self._who)
        log("workers.stopped")


def _end_of(code: int) -> str:
    """A process's end in words."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
