"""An order whose answer was lost is said again, and told as it was; what a dashboard took down is put up again."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from rq import Queue, SimpleWorker
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry

from relay.operations.rq_jobs import forget_failed_jobs
from relay.outbox.bell import dead_job_id
from relay.outbox.connection import connect
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import run_script
from tests.operating import Shop
from workers.dead_jobs import Posters, post_dead_letters


@pytest.fixture
def server(short_tmp: Path) -> Iterator[EmbeddedServer]:
    started = EmbeddedServer(short_tmp / "r").start()
    yield started
    started.stop()


def buried(client: redis.Redis, folder: Path, count: int = 3) -> Shop:
    shop = Shop(client, folder)
    for number in range(count):
        shop.arrive(f"hello {number}", ts=f"18000000{number:02d}.000100", number=number)
    shop.bury("refused: no")
    return shop


def test_the_same_order_is_answered_as_the_first_time(outbox: Outbox, tmp_path: Path) -> None:
    shop = buried(outbox.redis, tmp_path)
    [first, second, _] = outbox.dead.ids()
    args = [0, first, "discard", "order-1", "", 0]
    assert [int(run_script(outbox.redis, "redrive", outbox.prefix, args)) for _ in range(3)] == [1, 1, 1]
    # Another's order finds it gone.
    assert (
        int(run_script(outbox.redis, "redrive", outbox.prefix, [0, first, "discard", "order-2", "", 0])) == -1
    )
    assert outbox.dead.redrive(second) == 1
    assert shop.counts() == {"accepted": 3, "pending": 1, "dead": 1, "discarded": 1}


@pytest.mark.parametrize("what", ["discard", "redrive"])
def test_a_redis_that_stalls_makes_nothing_skipped(server: EmbeddedServer, tmp_path: Path, what: str) -> None:
    """The first order lies in the server's socket when it is said again: both are carried out, and answered alike."""
    client = connect(server.url, timeout_s=0.5)
    shop = buried(client, tmp_path)
    ids = shop.outbox.dead.ids()
    os.kill(server.pid, signal.SIGSTOP)
    waking = threading.Timer(0.8, os.kill, (server.pid, signal.SIGCONT))
    waking.start()
    try:
        if what == "discard":
            assert shop.outbox.dead.discard_many(ids) == [1, 1, 1]
        else:
            assert shop.outbox.dead.redrive_many([(dead_id, None, ()) for dead_id in ids]) == [1, 1, 1]
    finally:
        waking.join()
    assert shop.outbox.dead.count() == 0
    assert shop.counts()["discarded" if what == "discard" else "pending"] == 3


def failed_jobs(client: redis.Redis) -> set[str]:
    registry = FailedJobRegistry(queue=Queue("dead-letter", connection=client, serializer="json"))
    return {name for name in registry.get_job_ids() if Job.exists(name, connection=client)}


def test_what_a_dashboard_deletes_is_put_up_again(outbox: Outbox, tmp_path: Path) -> None:
    client = outbox.redis
    buried(client, tmp_path, 5)
    assert post_dead_letters(client, outbox) == 5
    names = sorted(failed_jobs(client))
    letters = sorted(outbox.dead.ids())
    assert names == [dead_job_id("main", letter) for letter in letters]
    posters = Posters(client, outbox)
    assert posters.tend() == 0
    Job.fetch(names[0], connection=client, serializer="json").delete()
    client.delete("rq:failed:dead-letter")
    assert posters.tend() == 5
    assert failed_jobs(client) == set(names)
    # One that was requeued is left alone; one whose letter is gone stays gone.
    registry = FailedJobRegistry(queue=Queue("dead-letter", connection=client, serializer="json"))
    registry.requeue(names[1])
    outbox.dead.discard(letters[2])
    Job.fetch(names[2], connection=client, serializer="json").delete()
    assert posters.tend() == 0
    assert failed_jobs(client) == {names[0], *names[3:]}


def test_many_letters_are_looked_at_in_turn(outbox: Outbox, tmp_path: Path) -> None:
    buried(outbox.redis, tmp_path, 40)
    while post_dead_letters(outbox.redis, outbox):
        pass
    outbox.redis.delete(*(f"rq:job:main-{name}" for name in outbox.dead.ids(limit=100)))
    posters = Posters(outbox.redis, outbox)
    assert sum(posters.tend(count=10) for _ in range(40)) == 40
    assert len(failed_jobs(outbox.redis)) == 40


@pytest.mark.simulated
def test_a_worker_with_the_wrong_serializer_costs_the_job_and_not_the_letter(
    outbox: Outbox, tmp_path: Path
) -> None:
    """`rq worker dead-letter` without `-S`, or a dashboard's own worker: it cannot read our jobs, and fails them."""
    client = outbox.redis
    shop = buried(client, tmp_path, 2)
    assert post_dead_letters(client, outbox) == 2
    [name, other] = sorted(failed_jobs(client))
    letters = {name.removeprefix("main-"), other.removeprefix("main-")}
    said = Job.fetch(name, connection=client, serializer="json").latest_result()
    assert said is not None
    first, _, more = str(said.exc_string).partition("\n")
    assert first == "refused: no"
    assert f"relay dead show {name.removeprefix('main-')}" in more
    assert "Requeue replays it" in more
    FailedJobRegistry(queue=Queue("dead-letter", connection=client, serializer="json")).requeue(name)
    worker = SimpleWorker([Queue("dead-letter", connection=client)], connection=client)
    worker.work(burst=True, logging_level="CRITICAL")
    assert set(outbox.dead.ids()) == letters
    assert shop.counts()["dead"] == 2
    Posters(client, outbox).tend()
    assert failed_jobs(client) == {name, other}


def test_jobs_of_releases_that_knew_one_lane_are_read_still(outbox: Outbox, tmp_path: Path) -> None:
    """Their id is the letter's alone: nothing is put up twice, and a letter that is gone takes its job along."""
    client = outbox.redis
    buried(client, tmp_path, 1)
    assert post_dead_letters(client, outbox) == 1
    [letter] = outbox.dead.ids()
    new = Job.fetch(f"main-{letter}", connection=client, serializer="json")
    registry = FailedJobRegistry(queue=Queue("dead-letter", connection=client, serializer="json"))
    old = Job.create(
        "workers.jobs.redrive", args=(letter,), id=letter, connection=client, serializer="json",
        origin="dead-letter", status=JobStatus.FAILED,
    )  # fmt: skip
    old.save()
    registry.add(old, ttl=60)
    registry.remove(new, delete_job=True)
    assert Posters(client, outbox).tend() == 0
    assert failed_jobs(client) == {letter}
    # Another lane's letter of the same id is another letter.
    forget_failed_jobs(client, "emea", [letter])
    assert failed_jobs(client) == {letter}
    forget_failed_jobs(client, "main", [letter])
    assert failed_jobs(client) == set()
