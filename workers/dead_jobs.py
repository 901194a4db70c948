"""Each dead letter as a failed RQ job in the queue `dead-letter`, so that every RQ dashboard shows it and its *requeue*
replays it. The letter is the truth; the job is its poster, put up by the sweep and made again where it is missing."""

from __future__ import annotations

from typing import Any

import orjson
import redis
from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result

from relay.outbox.bell import DEAD_QUEUE
from relay.outbox.items import DeadLetter
from relay.outbox.outbox import Outbox

REDRIVE = "workers.jobs.redrive"
UNPARK = "workers.jobs.unpark"
RECOGNISE = "workers.jobs.recognise"
_JOB_TIMEOUT_S = 120


def post_dead_letters(client: redis.Redis, outbox: Outbox, *, limit: int = 100) -> int:
    """How many were put up. Raises OutboxUnavailable; what RQ could not take stays to be posted."""
    dead_ids = outbox.unposted_dead(limit)
    if not dead_ids:
        return 0
    letters = outbox.dead_letters(dead_ids)
    queue = Queue(DEAD_QUEUE, connection=client, serializer="json")
    registry = FailedJobRegistry(queue=queue)
    try:
        # RQ lists a queue only once something was enqueued in it; dashboards would not show ours.
        client.sadd(Queue.redis_queues_keys, queue.key)
        for letter in letters:
            _post(client, registry, letter, outbox.dead_s)
    except (RedisError, OSError):
        return 0
    outbox.mark_posted(dead_ids)
    return len(letters)


def _post(client: redis.Redis, registry: FailedJobRegistry, letter: DeadLetter, keep_s: int) -> None:
    cause = _cause(letter)
    job = Job.create(
        REDRIVE,
        args=(letter.dead_id,),
        id=letter.dead_id,
        connection=client,
        origin=DEAD_QUEUE,
        description=f"{letter.source} {letter.external_id}".strip(),
        result_ttl=0,
        failure_ttl=keep_s,
        timeout=_JOB_TIMEOUT_S,
        status=JobStatus.FAILED,
        serializer="json",
    )
    with client.pipeline(transaction=True) as pipe:
        registry.add(job, ttl=keep_s, exc_string=cause, pipeline=pipe)
        job.save(pipeline=pipe, include_meta=False, include_result=True)
        Result.create_failure(job, keep_s, cause, pipeline=pipe)
        job.cleanup(ttl=keep_s, pipeline=pipe)
        pipe.execute()


def _cause(letter: DeadLetter) -> str:
    try:
        record: Any = orjson.loads(letter.record)
    except orjson.JSONDecodeError:
        return "the stored record cannot be read"
    return str(record.get("cause") or "unknown") if isinstance(record, dict) else "unknown"


def ask_to_unpark(client: redis.Redis, lane: str, stamp: int) -> None:
    """Enqueues the look at what waits for a company. The same `stamp`: the same job."""
    says = f"see whether letters that wait for a company may go ({lane})"
    _enqueue(client, UNPARK, lane, f"unpark-{lane}-{stamp}", says)


def ask_to_recognise(client: redis.Redis, lane: str, stamp: int) -> None:
    """Enqueues the reading of Planhat's list after Redis was set back. The same `stamp`: the same job."""
    says = f"read in Planhat which conversations stand there ({lane})"
    _enqueue(client, RECOGNISE, lane, f"recognise-{lane}-{stamp}", says)


def _enqueue(client: redis.Redis, function: str, lane: str, job_id: str, description: str) -> None:
    try:
        Queue(DEAD_QUEUE, connection=client, serializer="json").enqueue(
            function,
            args=(lane,),
            job_id=job_id,
            description=description,
            result_ttl=0,
            failure_ttl=60,
            ttl=30,
            job_timeout=_JOB_TIMEOUT_S,
        )
    except (RedisError, OSError):
        return
