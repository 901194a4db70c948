"""One RQ worker process for one queue: no fork per job, short heartbeats, outlives a Redis that blinks."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from types import FrameType
from typing import Any, Final

from rq import Queue, SimpleWorker
from rq.job import Job

from relay.memory import tune_malloc
from relay.outbox.bell import FLUSH_QUEUE
from relay.outbox.connection import connect
from relay.settings import Settings
from workers.process.context import worker_context
from workers.process.job import RelayJob
from workers.process.stopping import STOPPING

_PR_SET_PDEATHSIG: Final = 1


class RelayWorker(SimpleWorker):
    """SimpleWorker with RQ's patience cut: its own recovery of a killed worker's job takes minutes, ours is the lease."""

    max_connection_wait_time = 2.0

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        return int(job.timeout or 180) + 5

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        STOPPING.set()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


def work_queue(queue: str, parent: int) -> int:
    """Until SIGTERM. 0 where it was told to stop, 1 where RQ gave up (the supervisor starts another)."""
    _die_with(parent)
    # Before RQ has its own: a signal during the start must not be lost.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = Settings.read(os.environ)
    connection = connect(settings.redis_url, timeout_s=20.0, patient=True)
    if queue == FLUSH_QUEUE:
        worker_context()
    # A call's body is 4 MB, again and again: as fresh memory it costs 2 ms of the time that Planhat waits.
    tune_malloc(keep_bytes=8 * 1024 * 1024, block_bytes=16 * 1024 * 1024)
    # The thread that sends a batch needs the interpreter for a moment at each piece, while this one folds: with Python's own
    # 5 ms a call of 4 MB would wait for a third of a second. Where nobody waits a short one costs nothing.
    sys.setswitchinterval(0.0001)
    worker: Any = RelayWorker(
        [Queue(queue, connection=connection, serializer="json", job_class=RelayJob)],
        job_class=RelayJob,
        name=f"{socket.gethostname()}-{queue}-{os.getpid()}",
        connection=connection,
        serializer="json",
        worker_ttl=20,
        maintenance_interval=10,
        job_monitoring_interval=5,
        log_job_description=False,
    )
    worker.work(logging_level="WARNING", with_scheduler=False)
    return 0 if STOPPING() else 1


def _die_with(parent: int) -> None:
    """The supervisor's death is this process's SIGTERM; without Linux's prctl, RQ's queue keeps it working as an orphan,
    which does no harm: the lane has one owner."""
    if not parent or not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
