"""RQ as operators see it: which workers are alive, and the failed job that stands for a dead letter."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC
from typing import Any

import redis
from redis.exceptions import NoPermissionError, RedisError

from relay.outbox.bell import DEAD_QUEUE, dead_job_ids
from relay.outbox.cluster_nodes import rq_client
from relay.outbox.scripts import reaching_redis
from relay.telemetry import log


def read_workers(client: redis.Redis) -> list[dict[str, Any]]:
    """Return [{"name", "queues", "state", "seen_s"}]: `seen_s` is how long ago the worker last gave a sign of life. None where this
    user may not read RQ's keys, or RQ's node of a cluster is away."""
    from rq import Worker

    found: list[dict[str, Any]] = []
    rq = rq_client(client)
    with reaching_redis():
        try:
            workers = Worker.all(connection=rq, serializer="json")
        except NoPermissionError:
            return found
        except (RedisError, OSError):
            if rq is client:
                raise
            # In a cluster RQ's node may be away while the lane's is not.
            return found
        for worker in workers:
            seen = worker.last_heartbeat
            if seen is not None and seen.tzinfo is None:
                seen = seen.replace(tzinfo=UTC)
            found.append(
                {
                    "name": worker.name,
                    "queues": [queue.name for queue in worker.queues],
                    "state": str(getattr(worker.get_state(), "value", worker.get_state())),
                    "seen_s": round(max(0.0, time.time() - seen.timestamp()), 1) if seen else None,
                }
            )
    return sorted(found, key=lambda worker: str(worker["name"]))


def forget_jobs_that(client: redis.Redis, fits: Callable[[bytes], bool]) -> int:
    """Deletes RQ's jobs, and their results, in which something fits: a description names a conversation; how many."""
    gone, client = 0, rq_client(client)
    with reaching_redis():
        for pattern in ("*rq*:job:*", "*rq*:results:*"):
            for key in list(client.scan_iter(pattern, count=1000)):
                kind: Any = client.type(key)
                parts: list[bytes] = [key]
                if kind == b"hash":
                    stored: Any = client.hgetall(key)
                    parts += [*stored, *stored.values()]
                elif kind == b"stream":
                    rows: Any = client.xrange(key)
                    parts += [value for _, row in rows for value in row.values()]
                if any(fits(part) for part in parts):
                    gone += int(client.delete(key))
    return gone


def forget_failed_jobs(client: redis.Redis, lane: str, dead_ids: Iterable[str]) -> None:
    """Takes the failed jobs of a lane's letters that are gone out of the queue `dead-letter`. A job that stays behind harms
    nothing (its requeue finds no letter), so a failure here is logged and not raised."""
    from rq import Queue
    from rq.job import Job
    from rq.registry import FailedJobRegistry
    from rq.results import Result

    names = [name for dead_id in dead_ids for name in dead_job_ids(lane, dead_id)]
    client = rq_client(client)
    try:
        registry = FailedJobRegistry(queue=Queue(DEAD_QUEUE, connection=client, serializer="json"))
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.hget(Job.key_for(name), "status")
        statuses = pipe.execute()
        pipe = client.pipeline(transaction=False)
        for name, status in zip(names, statuses, strict=True):
            pipe.zrem(registry.key, name)
            if status == b"failed":
                # As RQ deletes a failed job, but many at a time. One that somebody has requeued ends by itself.
                pipe.delete(Job.key_for(name), Result.get_key(name))  # type: ignore[no-untyped-call]
        pipe.execute()
    except Exception as error:
        # RQ raises what it likes here; the letters themselves are settled already.
        log("dead.jobs_left", level=logging.DEBUG, letters=len(names), error=type(error).__name__)
