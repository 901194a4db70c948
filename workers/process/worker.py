"""One RQ worker process for one queue: no fork per job, short heartbeats, outlives a Redis that blinks."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.worker_registration import REDIS_WORKER_KEYS

from relay.errors import NotOurs, OutboxUnavailable, UserError
from relay.latest_end import LatestEnd
from relay.memory import tune_malloc
from relay.outbox.bell import FLUSH_QUEUE
from relay.outbox.cluster_nodes import rq_client
from relay.outbox.connection import PARTING_S, connect
from relay.outbox.durability import CLUSTER, examine_durability
from relay.outbox.outbox import Outbox
from relay.outbox.processes import Role
from relay.outbox.reasons import unavailable_reason
from relay.settings import Settings
from relay.telemetry import log
from workers.process.context import worker_context
from workers.process.job import RelayJob
from workers.process.lane_threads import THREADS
from workers.process.signs import AWAY_DUE_S, Signs
from workers.process.stopping import LATEST_S, STOPPING
from workers.process.without_rq import drain_without_rq, goes_on_without_rq, wait_without_rq

_PR_SET_PDEATHSIG: Final = 1
#: While no lane may begin, a sign of life is given so often.
_BEAT_S: Final = 5.0
#: After SIGTERM the lanes' threads have so long to end: a call under way a few seconds, and its claims handed back.
_END_S: Final = 5.0


class RelayWorker(SimpleWorker):
    """SimpleWorker with RQ's patience cut: its own recovery of a killed worker's job takes minutes, ours is the lease."""

    max_connection_wait_time = 2.0
    #: Told of each look for work.
    signs: Signs
    #: Its connection while it ends, which waits for a moment only.
    parting: redis.Redis

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        return int(job.timeout or 180) + 5

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        if pipeline is None and STOPPING():
            # RQ raises this itself, in the signal's handler; inside of what swallows exceptions (a log's handler) it is lost.
            raise StopRequested
        self.signs.asked()
        if pipeline is None and not self.connection.sismember(REDIS_WORKER_KEYS, self.key):
            # Redis was flushed or set back, or its clock jumped: RQ itself registers once.
            self.connection.delete(self.key)
            self.register_birth()  # type: ignore[no-untyped-call]
            self.signs.again()
            log("worker.registered_again", level=logging.WARNING, name=self.name)
        super().heartbeat(timeout, pipeline)

    def dequeue_job_and_maintain_ttl(self, *arguments: Any, **options: Any) -> Any:
        # A job that is taken while no lane may begin here would be kept from the other processes.
        while not THREADS.wait_for_a_place(_BEAT_S):
            self.heartbeat()
        if STOPPING():
            # Told before RQ had its handlers.
            raise StopRequested
        return super().dequeue_job_and_maintain_ttl(*arguments, **options)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        STOPPING.set()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Ignore a second signal: the first ends the process within seconds, and what it settles until then is not sent again."""

    def set_shutdown_requested_date(self) -> None:
        """Write nothing: it is called in the signal's handler, which must not wait for Redis."""

    def teardown(self) -> None:
        """Do as RQ does; where the process is to end, only what Redis takes at once. What it does not take expires there."""
        if not STOPPING():
            super().teardown()  # type: ignore[no-untyped-call]
            return
        self.connection = self.parting
        with suppress(RedisError, OSError):
            self.register_death()  # type: ignore[no-untyped-call]


def work_queue(queue: str, parent: int) -> int:
    """Work the queue until SIGTERM. 0 where it was told to stop, 1 where RQ gave up (the supervisor starts another), 2 where this Redis
    cannot be worked with."""
    _die_with(parent)
    # Before RQ has its own: a signal during the start must not be lost.
    signal.signal(signal.SIGTERM, _stop_at_once)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = Settings.read(os.environ)
    connection = connect(settings.redis_url, timeout_s=20.0, patient=True, over=STOPPING.impatient)
    outbox, rq = Outbox(connection, base=settings.key_prefix), rq_client(connection)
    parting = connect(settings.redis_url, timeout_s=PARTING_S)
    role: Role = "flush" if queue == FLUSH_QUEUE else "dead-letter"
    signs = Signs(
        outbox, role, parting=Outbox(parting, base=settings.key_prefix), file=settings.heartbeat_file
    )
    LatestEnd(LATEST_S, last=signs.end)
    signs.good_for(AWAY_DUE_S)
    if queue == FLUSH_QUEUE:
        worker_context().asked = signs.asked
        signs.facts = worker_context().facts
    # A call's body is 4 MB, again and again: as fresh memory it costs 2 ms of the time that Planhat waits.
    tune_malloc(keep_bytes=8 * 1024 * 1024, block_bytes=16 * 1024 * 1024)
    # The thread that sends a batch needs the interpreter for a moment at each piece, while this one folds: with Python's own
    # 5 ms a call of 4 MB would wait for a third of a second. Where nobody waits a short one costs nothing.
    sys.setswitchinterval(0.0001)
    try:
        if queue == FLUSH_QUEUE:
            _wait_for_own_lane(signs)
        while not STOPPING():
            error = _serve(queue, rq, signs, rq_client(parting))
            signal.signal(signal.SIGTERM, lambda *_: STOPPING.set())
            # Stopping first: the look at memory would wait for a Redis that hangs.
            if STOPPING() or not goes_on_without_rq(error, rq, outbox):
                break
            if queue == FLUSH_QUEUE:
                drain_without_rq(
                    rq, outbox, lambda: worker_context().lanes(), stopping=STOPPING, asked=signs.asked
                )
            else:
                wait_without_rq(rq, outbox, stopping=STOPPING, asked=signs.asked)
    finally:
        THREADS.join(_END_S)
        if STOPPING():
            signs.end()
    if queue == FLUSH_QUEUE and worker_context().refused:
        raise NotOurs(str(worker_context().refused))
    return 0 if STOPPING() else 1


def _stop_at_once(number: int, frame: FrameType | None) -> None:
    """Nothing is under way yet. Once: a second signal must not cut off the sign-off."""
    again = STOPPING()
    STOPPING.set()
    if not again:
        sys.exit(0)


def _wait_for_own_lane(signs: Signs) -> None:
    """Until it is known that the lane is ours. Raises NotOurs where it is another relay's, UserError for a server that cannot
    be worked with."""
    said = ""
    while not STOPPING():
        try:
            if examine_durability(worker_context().redis).cluster:
                raise UserError(CLUSTER)
            if worker_context().alone:
                worker_context().only.require_own_lane()
            # Of several each is looked at where it is worked on: one that is another relay's holds no other.
            return
        except OutboxUnavailable as error:
            if str(error) != said:
                said = str(error)
                log("lane.unknown", level=logging.ERROR, reason=said)
        signs.asked()
        STOPPING.wait(2.0)


def _serve(queue: str, connection: redis.Redis, signs: Signs, parting: redis.Redis) -> Exception | None:
    """Works as RQ does, until it is told to stop or RQ gives up: why, if it said so."""
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
    worker.signs, worker.parting = signs, parting
    with suppress(RedisError, OSError):
        # Its own, from before Redis was full, or of a container that had its name: RQ would refuse to begin.
        connection.delete(worker.key)
    try:
        worker.work(logging_level="WARNING", with_scheduler=False)
    except RedisError as error:
        if not STOPPING():
            log("rq.gave_up", level=logging.WARNING, queue=queue, reason=unavailable_reason(error))
            with suppress(RedisError, OSError, StopRequested):
                worker.unsubscribe()
        return error
    except StopRequested:
        # Told while RQ tidied up after it had given up.
        return None
    return None


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
