"""The workers as the processes they are: RQ's traps, crashes, stops. Real Redis, real sandbox, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
import redis
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry

from relay.outbox.bell import Bell
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.items import Entry
from relay.outbox.outbox import Outbox
from relay.outbox.processes import delivering, read_processes
from relay.patch import Patch
from relay.planhat.sandbox import NO_QUOTAS, Fault, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import STATES, patch
from tests.places import ROOT

pytestmark = pytest.mark.process

CONFIG = """
planhat:
  types: [Slack thread]
  calls_per_minute: 5000
  lease: {lease}
  retry: {{first: 100ms, cap: 300ms, probe: 1s, rate_limited: 1s}}
sources:
  slack: {{adapter: slack, secrets: [shh], type: Slack thread}}
companies:
{companies}
"""
DEFAULT = "  - default: extid-acme"


@dataclass
class Fleet:
    """One server, one sandbox, and whatever workers a test starts."""

    server: EmbeddedServer
    sandbox: Sandbox
    url: str
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    lease: str = "4s"

    def __post_init__(self) -> None:
        self.redis = redis.Redis.from_url(self.server.url)
        self.redis.flushall()
        self.outbox = Outbox(self.redis)
        self.configure(DEFAULT)

    def configure(self, companies: str) -> None:
        fresh = self.folder / "relay.next"
        fresh.write_text(CONFIG.format(companies=companies, lease=self.lease))
        fresh.rename(self.folder / "relay.yaml")

    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "RELAY_REDIS_URL": self.server.url,
            "RELAY_PLANHAT_URL": self.url,
            "RELAY_PLANHAT_TOKEN": "token",
            "RELAY_CONFIG": str(self.folder / "relay.yaml"),
            "RELAY_HEARTBEAT_FILE": str(self.folder / "alive"),
            "RELAY_LOG_LEVEL": "error",
        }

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        worker = subprocess.Popen([sys.executable, "-m", "workers", *arguments], env=self.environ(), cwd=ROOT)
        self.workers.append(worker)
        return worker

    def children(self, worker: subprocess.Popen[bytes]) -> list[int]:
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(worker.pid)], capture_output=True, text=True, check=False
        ).stdout
        return [int(pid) for pid in listed.split()]

    def flusher(self, worker: subprocess.Popen[bytes]) -> int:
        for pid in self.children(worker):
            if b"\0flush\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise AssertionError("no flush worker")

    def record(self, *patches: Patch) -> None:
        entries = [
            Entry(p.event_id, p.source, "pending", (p.event_id,), b"{}", p.external_id, p.encode())
            for p in patches
        ]
        generation, _ = self.outbox.record(entries)
        if generation:
            Bell(self.redis).ring_flush(generation)

    def books(self) -> dict[str, int]:
        total = dict.fromkeys(("accepted", *STATES), 0)
        for counts in self.outbox.ledger().values():
            assert counts["accepted"] == sum(counts[state] for state in STATES), counts
            for word in total:
                total[word] += counts[word]
        return {word: number for word, number in total.items() if number}

    def ready(self, worker: subprocess.Popen[bytes]) -> None:
        wait_until(
            lambda: len(Queue.all(connection=self.redis)) >= 0 and self.redis.scard("rq:workers") >= 2, 20
        )

    def stop(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.terminate()
        for worker in self.workers:
            try:
                worker.wait(12)
            except subprocess.TimeoutExpired:
                worker.kill()


def wait_until(true: Callable[[], object], within_s: float) -> float:
    """Seconds it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < within_s, f"not within {within_s} s"
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedServer, Sandbox, str]]:
    server = EmbeddedServer(tmp_path_factory.mktemp("redis"), appendfsync="everysec").start()
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield server, sandbox, url
    server.stop()


@pytest.fixture
def fleet(shared: tuple[EmbeddedServer, Sandbox, str], tmp_path: Path) -> Iterator[Fleet]:
    shared[1].reset()
    made = Fleet(*shared, tmp_path)
    yield made
    made.stop()
    shared[1].reset()


def test_an_event_is_in_planhat_within_two_seconds_at_one_a_second(fleet: Fleet) -> None:
    fleet.ready(fleet.start())
    for number in range(3):
        fleet.record(patch(number))
        assert wait_until(lambda number=number: fleet.books().get("delivered") == number + 1, 2) < 2  # type: ignore[misc]
    assert (fleet.folder / "alive").exists()
    now_ms = fleet.outbox.now_ms()
    processes = read_processes(fleet.outbox)
    assert {process.role for process in processes if process.alive(now_ms)} == {
        "supervisor",
        "flush",
        "dead-letter",
    }
    assert delivering(fleet.outbox, processes, now_ms=now_ms).alive


def test_a_killed_workers_items_are_under_way_within_the_lease_and_others_within_three_seconds(
    fleet: Fleet,
) -> None:
    fleet.sandbox.faults.all.append(Fault.read({"operation": "upsert", "commit_then_hang": True, "times": 1}))
    worker = fleet.start()
    fleet.ready(worker)
    fleet.record(patch(1))
    wait_until(lambda: fleet.sandbox.call_count, 5)

    os.kill(fleet.flusher(worker), signal.SIGKILL)
    fleet.record(patch(2))

    # 2 s until the lane is free, half a second for the sweep; meanwhile the supervisor starts another worker.
    assert wait_until(lambda: fleet.books().get("delivered"), 8) < 5
    wait_until(lambda: "pending" not in fleet.books(), 8)
    assert fleet.books() == {"accepted": 2, "delivered": 1, "unchanged": 1}, (
        "it had been committed: nothing twice"
    )
    assert len(fleet.sandbox.store) == 2


def test_a_killed_supervisor_takes_its_workers_along_and_another_goes_on(fleet: Fleet) -> None:
    first = fleet.start()
    fleet.ready(first)
    children = fleet.children(first)
    first.kill()
    wait_until(
        lambda: (
            not any(
                Path(f"/proc/{pid}/cmdline").exists()
                and b"workers" in Path(f"/proc/{pid}/cmdline").read_bytes()
                for pid in children
            )
        ),
        8,
    )
    fleet.record(patch(1))
    fleet.start()

    wait_until(lambda: fleet.books() == {"accepted": 1, "delivered": 1}, 20)


def test_a_stop_ends_within_ten_seconds_even_in_the_middle_of_a_call(fleet: Fleet) -> None:
    fleet.sandbox.faults.all.append(Fault.read({"operation": "upsert", "commit_then_hang": True, "times": 1}))
    worker = fleet.start()
    fleet.ready(worker)
    fleet.record(patch(1))
    wait_until(lambda: fleet.sandbox.call_count, 5)
    began = time.monotonic()
    worker.terminate()

    # The claim is handed back long before the process must be gone, and long before the lease runs out.
    wait_until(lambda: (fleet.outbox.due_ms("slack-C1-1") or 1e15) <= fleet.outbox.now_ms(), 8)
    assert worker.wait(10) == 0
    assert time.monotonic() - began < 10
    fleet.start()
    wait_until(lambda: fleet.books() == {"accepted": 1, "unchanged": 1}, 20)


def test_a_bell_that_nobody_heard_is_rung_again(fleet: Fleet) -> None:
    entry = patch(1)
    fleet.outbox.record(
        [
            Entry(
                entry.event_id,
                "slack",
                "pending",
                (entry.event_id,),
                b"{}",
                entry.external_id,
                entry.encode(),
            )
        ]
    )
    fleet.start()

    wait_until(lambda: fleet.books() == {"accepted": 1, "delivered": 1}, 20)


def test_workers_survive_a_redis_that_restarts(fleet: Fleet) -> None:
    worker = fleet.start()
    fleet.ready(worker)
    before = fleet.children(worker)
    fleet.server.stop()
    fleet.server.start()
    wait_until(lambda: _answers(fleet.redis), 10)
    fleet.record(patch(1))

    wait_until(lambda: fleet.books() == {"accepted": 1, "delivered": 1}, 15)
    assert fleet.children(worker) == before, "nobody had to be started again"


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def test_each_dead_letter_is_a_failed_rq_job_and_its_requeue_replays_it(fleet: Fleet) -> None:
    fleet.sandbox.faults.all.append(
        Fault.read({"operation": "upsert", "refuse": "C1-1$", "message": "no such subject"})
    )
    fleet.start()
    fleet.record(patch(1), patch(2))
    registry = FailedJobRegistry(queue=Queue("dead-letter", connection=fleet.redis, serializer="json"))
    wait_until(lambda: registry.get_job_ids(cleanup=False), 20)

    [job_id] = registry.get_job_ids(cleanup=False)
    job = Job.fetch(job_id, connection=fleet.redis, serializer="json")
    assert job.description == "slack slack-C1-1"
    assert job.func_name == "workers.jobs.redrive"
    result = job.latest_result()
    assert result is not None
    assert result.exc_string is not None
    assert result.exc_string.startswith("refused: ")
    [dead_id] = fleet.outbox.dead.ids()
    assert job_id == f"main-{dead_id}"

    fleet.sandbox.faults.all.clear()
    registry.requeue(job_id)

    wait_until(lambda: fleet.books() == {"accepted": 2, "delivered": 2}, 15)
    assert registry.get_job_ids(cleanup=False) == []
    assert fleet.outbox.dead.count() == 0
    assert not Job.exists(job_id, connection=fleet.redis)


def test_letters_that_wait_for_a_company_go_when_the_table_knows_it(fleet: Fleet) -> None:
    fleet.configure("  - table: {slack_channel: {C9: extid-acme}}")
    fleet.start()
    fleet.record(patch(1, company={"slack_channel": "C1"}))
    wait_until(lambda: fleet.books() == {"accepted": 1, "dead": 1}, 20)

    fleet.configure("  - table: {slack_channel: {C9: extid-acme, C1: extid-globex}}")

    wait_until(lambda: fleet.books() == {"accepted": 1, "delivered": 1}, 25)
    registry = FailedJobRegistry(queue=Queue("dead-letter", connection=fleet.redis, serializer="json"))
    wait_until(lambda: not registry.get_job_ids(cleanup=False), 5)
    record = fleet.sandbox.store.get("extid-slack-C1-1")
    assert record is not None
    assert record["companyName"] == "Globex"


def test_an_outage_is_sat_out_and_delivery_resumes_by_itself(fleet: Fleet) -> None:
    fleet.sandbox.faults.all.append(Fault.read({"operation": "upsert", "status": 401, "times": 2}))
    fleet.start()
    fleet.record(*(patch(n) for n in range(30)))

    wait_until(lambda: fleet.books() == {"accepted": 30, "delivered": 30}, 25)
    assert fleet.outbox.dead.count() == 0


def test_a_burst_delivers_what_is_due_and_exits(fleet: Fleet) -> None:
    fleet.record(*(patch(n) for n in range(1500)))

    assert fleet.start("--burst").wait(30) == 0
    assert fleet.books() == {"accepted": 1500, "delivered": 1500}


def test_a_burst_without_a_redis_says_so_and_ends(fleet: Fleet) -> None:
    """The workers outlive a Redis that is away; who asks for one burst is told within seconds."""
    burst = subprocess.run(
        [sys.executable, "-m", "workers", "--burst"],
        env={**fleet.environ(), "RELAY_REDIS_URL": "redis://127.0.0.1:9/0"},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (burst.returncode, burst.stdout) == (1, "")
    assert "Is RELAY_REDIS_URL right" in burst.stderr


def test_a_burst_that_cannot_deliver_says_so(fleet: Fleet) -> None:
    fleet.sandbox.faults.all.append(Fault.read({"operation": "upsert", "status": 401}))
    fleet.record(patch(1))

    assert fleet.start("--burst").wait(30) == 1
    assert fleet.books() == {"accepted": 1, "pending": 1}


def test_a_config_that_does_not_hold_ends_the_workers_with_2(fleet: Fleet) -> None:
    (fleet.folder / "relay.yaml").write_text("planhat: {types: [email]}\n")

    assert fleet.start().wait(20) == 2


def test_two_fleets_share_one_lane_and_lose_nothing(fleet: Fleet) -> None:
    for _ in range(2):
        fleet.start()
    for start in range(0, 3000, 300):
        fleet.record(
            *(
                patch(n % 500, thread=str(n % 500), event_id=f"evt_{n:024x}", version=n, message_id=f"m{n}")
                for n in range(start, start + 300)
            )
        )
        time.sleep(0.05)

    wait_until(lambda: "pending" not in fleet.books() and fleet.books().get("accepted") == 3000, 40)
    assert len(fleet.sandbox.store) == 500
    assert fleet.outbox.dead.count() == 0
    for thread in range(500):
        record = fleet.sandbox.store.get(f"extid-slack-C1-{thread}")
        assert record is not None
        assert record["description"].count("text") == 6


def test_no_stored_job_is_pickled(fleet: Fleet) -> None:
    fleet.record(patch(1))
    [job_id] = Queue("flush", connection=fleet.redis, serializer="json").job_ids

    data = Job.fetch(job_id, connection=fleet.redis, serializer="json").data
    assert orjson.loads(data)[0] == "workers.jobs.flush"


def test_workers_survive_a_redis_that_is_full(fleet: Fleet) -> None:
    worker = fleet.start()
    fleet.ready(worker)
    fleet.record(patch(1))
    wait_until(lambda: fleet.books().get("delivered") == 1, 10)
    fleet.redis.config_set("maxmemory", "1mb")
    time.sleep(2)
    fleet.redis.config_set("maxmemory", "0")
    fleet.record(patch(2))

    wait_until(lambda: fleet.books().get("delivered") == 2, 20)
    assert worker.poll() is None


def test_a_worker_in_the_middle_of_a_call_outlives_a_restart_of_redis(fleet: Fleet) -> None:
    fleet.sandbox.faults.all.append(Fault.read({"operation": "upsert", "latency_ms": 1500, "times": 1}))
    worker = fleet.start()
    fleet.ready(worker)
    before = fleet.children(worker)
    fleet.record(patch(1))
    wait_until(lambda: fleet.sandbox.call_count, 5)
    fleet.server.kill()
    fleet.server.spawn()

    wait_until(lambda: _answers(fleet.redis) and "pending" not in fleet.books(), 20)
    assert sum(fleet.books().get(word, 0) for word in ("delivered", "unchanged")) == 1
    assert fleet.children(worker) == before
    assert len(fleet.sandbox.store) == 1
