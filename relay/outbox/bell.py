"""Ringing for the workers: one RQ job that says "flush what is due". RQ is a bell, not a bus: no job carries an event,
so a lost or doubled one harms nothing (the sweep rings again, the generation fences)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import redis
from redis.exceptions import RedisError

from relay.errors import OutboxUnavailable
from relay.lane_name import MAIN
from relay.outbox.cluster_nodes import rq_client

FLUSH_QUEUE = "flush"
DEAD_QUEUE = "dead-letter"
QUEUES = (FLUSH_QUEUE, DEAD_QUEUE)
#: A flush job that no worker took by then is dropped; the sweep rings for what is still due.
JOB_TTL_S = 30
#: RQ kills a job past this; a slice is 15 s and one call at most a minute.
JOB_TIMEOUT_S = 180


def dead_job_id(lane: str, dead_id: str) -> str:
    """Return the RQ job that stands for a dead letter: letters of two lanes may have one id, and their jobs lie in one queue."""
    return f"{lane}-{dead_id}"


def dead_job_ids(lane: str, dead_id: str) -> tuple[str, ...]:
    """Return every id under which a letter's job may stand: releases that knew one lane left its name out."""
    return (dead_job_id(lane, dead_id), dead_id) if lane == MAIN else (dead_job_id(lane, dead_id),)


class Bell:
    """`unheard` is told of a generation whose job RQ did not take: the lane is to be free again at once."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        lane: str = MAIN,
        unheard: Callable[[int], None] = lambda generation: None,
    ) -> None:
        self._rq = rq_client(client)
        self._lane = lane
        self._unheard = unheard

    def ring_flush(self, generation: int) -> bool:
        """Enqueues the flush job of `generation`. False where Redis did not take it: the sweep will ring again, or (while
        memory is full, which stops RQ) a worker that asks by itself."""
        from rq import Queue

        try:
            Queue(FLUSH_QUEUE, connection=self._rq, serializer="json").enqueue(
                "workers.jobs.flush",
                args=(self._lane, generation),
                job_id=f"flush-{self._lane}-{generation}",
                description=f"flush what is due ({self._lane}, generation {generation})",
                result_ttl=0,
                failure_ttl=60,
                ttl=JOB_TTL_S,
                job_timeout=JOB_TIMEOUT_S,
            )
        except (RedisError, OSError):
            with suppress(OutboxUnavailable):
                self._unheard(generation)
            return False
        return True
