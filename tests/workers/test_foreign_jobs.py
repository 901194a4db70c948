"""Workers run the functions of `workers/jobs.py` and no other: what else a job names, calls back or posts to is neither imported nor reached."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Callback, Queue
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.webhook import Webhook

from relay.outbox.outbox import Outbox
from workers import jobs
from workers.process.job import ALLOWED, RelayJob
from workers.process.signs import Signs
from workers.process.worker import RelayWorker


def work_off(client: redis.Redis, queue: str = "flush") -> None:
    worker: Any = RelayWorker(
        [Queue(queue, connection=client, serializer="json", job_class=RelayJob)],
        connection=client,
        serializer="json",
        job_class=RelayJob,
    )
    worker.signs = Signs(Outbox(client), "flush", parting=Outbox(client))
    worker.work(burst=True, logging_level="CRITICAL")


def queue_of(client: redis.Redis) -> Queue:
    """As anybody else writes to it."""
    return Queue("flush", connection=client, serializer="json")


def test_the_names_are_those_of_the_module() -> None:
    own = {
        f"workers.jobs.{name}"
        for name, value in vars(jobs).items()
        if getattr(value, "__module__", "") == "workers.jobs"
    }
    assert own == ALLOWED


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("os.system", ("touch {}",)),
        ("pathlib.Path.touch", ("{}",)),
        ("os.mkdir", ("{}",)),
        ("tests.workers.imported_by_mistake.run", ("{}",)),
        ("workers.jobs.worker_context", ()),
        ("workers.jobs", ()),
        ("flush", ("main", 1)),
        ("", ()),
    ],
)
def test_a_foreign_job_is_failed_with_a_sentence_and_never_imported(
    redis_client: redis.Redis, tmp_path: Path, name: str, arguments: tuple[Any, ...]
) -> None:
    mark = tmp_path / "mark"
    queue = queue_of(redis_client)
    job = queue.enqueue(
        name or "x", args=[str(one).format(mark) for one in arguments], result_ttl=0, failure_ttl=60
    )
    if not name:
        redis_client.hset(f"rq:job:{job.id}", "data", b'["", null, [], {}]')
    work_off(redis_client)
    assert not mark.exists()
    failed = Job.fetch(job.id, connection=redis_client, serializer="json")
    assert failed.get_status() == JobStatus.FAILED
    assert FailedJobRegistry(queue=queue).get_job_ids() == [job.id]
    said = failed.latest_result()
    assert said is not None
    assert "nothing else" in str(said.exc_string)
    assert "was not imported" in str(said.exc_string).strip().splitlines()[-1]


def test_what_an_own_job_brings_along_is_not_called(redis_client: redis.Redis, tmp_path: Path) -> None:
    asked: list[str] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    queue = queue_of(redis_client)
    job = queue.enqueue(
        "workers.jobs.nothing",
        on_failure=Callback("os.mkdir"),
        on_stopped=Callback("os.mkdir"),
        webhooks=[Webhook(f"http://127.0.0.1:{server.server_port}/", "failed")],
        failure_ttl=60,
    )
    work_off(redis_client)
    server.shutdown()
    assert asked == []
    failed = Job.fetch(job.id, connection=redis_client, serializer="json").latest_result()
    assert failed is not None
    assert "mkdir" not in str(failed.exc_string)


def test_a_bound_method_of_something_is_not_called(redis_client: redis.Redis, tmp_path: Path) -> None:
    queue = queue_of(redis_client)
    job = queue.enqueue("workers.jobs.flush", args=["main", 1], failure_ttl=60)
    redis_client.hset(f"rq:job:{job.id}", "data", b'["workers.jobs.flush", {"x": 1}, [], {}]')
    work_off(redis_client)
    failed = Job.fetch(job.id, connection=redis_client, serializer="json").latest_result()
    assert failed is not None
    assert "was not imported" in str(failed.exc_string)


def test_data_that_is_no_json_fails_the_job_and_not_the_worker(redis_client: redis.Redis) -> None:
    queue = queue_of(redis_client)
    bad = queue.enqueue("workers.jobs.flush", args=["main", 1], failure_ttl=60)
    redis_client.hset(f"rq:job:{bad.id}", "data", b"\x80\x04cos\nsystem\n")
    foreign = queue.enqueue("os.getpid", failure_ttl=60)
    work_off(redis_client)
    assert set(FailedJobRegistry(queue=queue).get_job_ids()) == {bad.id, foreign.id}
