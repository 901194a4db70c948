"""Each dead letter as a failed RQ job in the queue `dead-letter`, so that every RQ dashboard shows it and its *requeue*
replays it. The letter is the truth; the job only shows it. The sweep makes it, and makes it again where it is missing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import orjson
import redis
from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result

from relay.lane_name import MAIN
from relay.outbox import keys
from relay.outbox.bell import DEAD_QUEUE, dead_job_id, dead_job_ids
from relay.outbox.cluster_nodes import rq_client
from relay.outbox.items import DeadLetter
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis

REDRIVE = "workers.jobs.redrive"
UNPARK = "workers.jobs.unpark"
RETHREAD = "workers.jobs.rethread"
INDEX = "workers.jobs.index"
RECOGNISE = "workers.jobs.recognise"
_JOB_TIMEOUT_S = 120


def post_dead_letters(client: redis.Redis, outbox: Outbox, *, limit: int = 100) -> int:
    """Put failed jobs up for new letters; how many. Raises OutboxUnavailable; what RQ could not take stays to be posted."""
    dead_ids = outbox.dead.unposted(limit)
    if not dead_ids or not _post(rq_client(client), outbox, dead_ids):
        return 0
    outbox.dead.mark_posted(dead_ids)
    return len(dead_ids)


class Posters:
    """Puts up again what somebody took down (a dashboard's Delete and Empty do): looks at some letters at each call, and at all
    of them in turn."""

    def __init__(self, client: redis.Redis, outbox: Outbox) -> None:
        self._rq = rq_client(client)
        self._outbox = outbox
        self._cursor = 0

    def tend(self, *, count: int = 100) -> int:
        """Put up again what is missing; how many that were. Raises OutboxUnavailable."""
        with reaching_redis():
            answer: Any = self._outbox.redis.zscan(self._outbox.prefix + keys.DEAD, self._cursor, count=count)
        cursor, rows = answer
        letters = [name.decode() for name, _ in rows]
        names = [dead_job_ids(self._outbox.lane_name, letter) for letter in letters]
        registry = _registry(self._rq)
        pipe = self._rq.pipeline(transaction=False)
        for name in chain.from_iterable(names):
            pipe.hget(Job.key_for(name), "status")
            pipe.zscore(registry.key, name)
        try:
            answers = iter(pipe.execute())
        except (RedisError, OSError):
            # In a cluster RQ's node may be away while the lane's is not; these are looked at again.
            return 0
        self._cursor = cursor
        missing = []
        for letter, of in zip(letters, names, strict=True):
            found = [(next(answers), next(answers)) for _ in of]
            # One that was requeued is in the queue, or under way: it comes back here if it fails.
            if all(status is None or (status == b"failed" and score is None) for status, score in found):
                missing.append(letter)
        return len(missing) if missing and _post(self._rq, self._outbox, missing) else 0


def _registry(client: redis.Redis) -> FailedJobRegistry:
    return FailedJobRegistry(queue=Queue(DEAD_QUEUE, connection=client, serializer="json"))


def _post(client: redis.Redis, outbox: Outbox, dead_ids: Sequence[str]) -> bool:
    """Whether RQ took them. Raises OutboxUnavailable."""
    letters, registry = outbox.dead.get_many(dead_ids), _registry(client)
    try:
        # RQ lists a queue only once something was enqueued in it; dashboards would not show ours.
        client.sadd(Queue.redis_queues_keys, f"{Queue.redis_queue_namespace_prefix}{DEAD_QUEUE}")
        with client.pipeline(transaction=True) as pipe:
            for letter in letters:
                _post_one(client, pipe, registry, letter, outbox)
            pipe.execute()
    except (RedisError, OSError):
        return False
    return True


def _post_one(
    client: redis.Redis, pipe: Any, registry: FailedJobRegistry, letter: DeadLetter, outbox: Outbox
) -> None:
    lane, keep_s = outbox.lane_name, outbox.retention.dead_s
    record = _record_of(letter)
    said = f"{record.get('cause') or 'unknown'}\n\n{_where_to_look(lane, letter.dead_id)}"
    job = Job.create(
        REDRIVE,
        args=(lane, letter.dead_id),
        id=dead_job_id(lane, letter.dead_id),
        connection=client,
        origin=DEAD_QUEUE,
        description=f"{letter.source} {letter.external_id or record.get('externalId') or ''}".strip(),
        result_ttl=0,
        failure_ttl=keep_s,
        timeout=_JOB_TIMEOUT_S,
        status=JobStatus.FAILED,
        serializer="json",
    )
    registry.add(job, ttl=keep_s, exc_string=said, pipeline=pipe)
    job.save(pipeline=pipe, include_meta=False, include_result=True)
    Result.create_failure(job, keep_s, said, pipeline=pipe)
    job.cleanup(ttl=keep_s, pipeline=pipe)


def _where_to_look(lane: str, dead_id: str) -> str:
    """What a dashboard cannot show, and what its buttons do here."""
    option, below = ("", "") if lane == MAIN else (f" --lane {lane}", f"/lanes/{lane}")
    return (
        f"More: relay dead show {dead_id}{option}, or the relay's console: /console{below}/dead/{dead_id}\n"
        "Requeue replays it with today's rules. Delete and Empty take away this job alone: it comes back, the dead letter stays. "
        f"To give it up: relay dead discard {dead_id}{option}"
    )


def _record_of(letter: DeadLetter) -> dict[str, Any]:
    try:
        record: Any = orjson.loads(letter.record)
    except orjson.JSONDecodeError:
        return {"cause": "the stored record cannot be read"}
    return record if isinstance(record, dict) else {}


def ask_to_unpark(client: redis.Redis, lane: str, stamp: int) -> None:
    """Enqueues the look at what waits for a company. The same `stamp`: the same job."""
    says = f"see whether letters that wait for a company may go ({lane})"
    _enqueue(client, UNPARK, lane, f"unpark-{lane}-{stamp}", says)


def ask_to_rethread(client: redis.Redis, lane: str, stamp: int) -> None:
    """Enqueues the moving of mails to their conversations. The same `stamp`: the same job."""
    _enqueue(client, RETHREAD, lane, f"rethread-{lane}-{stamp}", f"move mails to their conversation ({lane})")


def ask_to_index(client: redis.Redis, lane: str, stamp: int) -> None:
    """Enqueues the taking of what came in into the index of `relay events`. The same `stamp`: the same job."""
    _enqueue(client, INDEX, lane, f"index-{lane}-{stamp}", f"make events findable by their words ({lane})")


def ask_to_recognise(client: redis.Redis, lane: str, stamp: int) -> None:
    """Enqueues the reading of Planhat's list after Redis was set back. The same `stamp`: the same job."""
    says = f"read in Planhat which conversations stand there ({lane})"
    _enqueue(client, RECOGNISE, lane, f"recognise-{lane}-{stamp}", says)


def _enqueue(client: redis.Redis, function: str, lane: str, job_id: str, description: str) -> None:
    try:
        Queue(DEAD_QUEUE, connection=rq_client(client), serializer="json").enqueue(
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
