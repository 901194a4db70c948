"""Our dead letters in somebody else's dashboard: rq-dashboard, in its own environment (it wants `six`, and must not
share ours), with Basic auth and the JSON serializer. It shows the queue and the letter, and its requeue is a replay."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from rq import Queue
from rq.registry import FailedJobRegistry

from relay.outbox.bell import DEAD_QUEUE, Bell, dead_job_id
from relay.outbox.embedded import EmbeddedServer
from tests.operating import BROKEN_SUBJECT, Shop
from tests.places import ROOT
from workers.dead_jobs import post_dead_letters

PACKAGES = ("rq-dashboard==0.9.0", "six", "rq>=3")
LOGIN = ("operator", "a-long-test-password")

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def dashboard_command() -> Path:
    """The dashboard in an environment of its own, kept between runs. CI must have it."""
    home = Path(tempfile.gettempdir()) / f"relay-rq-dashboard-{os.getuid()}"
    command = home / "bin" / "rq-dashboard"
    if not command.exists():
        shutil.rmtree(home, ignore_errors=True)
        try:
            subprocess.run(
                [sys.executable, "-m", "venv", str(home)], check=True, capture_output=True, timeout=60
            )
            install = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *PACKAGES]
            subprocess.run(install, check=True, capture_output=True, timeout=150)
        except (subprocess.SubprocessError, OSError) as error:
            shutil.rmtree(home, ignore_errors=True)
            sentence = f"NO DASHBOARD TEST: rq-dashboard cannot be installed here ({type(error).__name__})"
            if os.environ.get("CI"):
                pytest.fail(sentence)
            pytest.skip(sentence)
    return command


@pytest.fixture
def redis_port(short_tmp: Path) -> Iterator[int]:
    """A server on TCP: the dashboard speaks nothing else."""
    port = free_port()
    server = EmbeddedServer(short_tmp, appendfsync="no", extra=(f"port {port}", "bind 127.0.0.1")).start()
    yield port
    server.stop()


@pytest.fixture
def dashboard(dashboard_command: Path, redis_port: int) -> Iterator[httpx.Client]:
    port = free_port()
    process = subprocess.Popen(
        [
            str(dashboard_command), "--bind", "127.0.0.1", "--port", str(port), "--json",
            "--username", LOGIN[0], "--password", LOGIN[1], "--redis-url", f"redis://127.0.0.1:{redis_port}/0",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client:
        deadline = time.monotonic() + 30
        while True:
            try:
                client.get("/")
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield client
    process.terminate()
    process.wait(10)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def work_off(port: int, folder: Path) -> None:
    """Any RQ worker does, as long as it takes one queue and the JSON serializer."""
    environ = {
        **os.environ,
        "RELAY_REDIS_URL": f"redis://127.0.0.1:{port}/0",
        "RELAY_CONFIG": str(folder / "relay.yaml"),
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run(
        [
            sys.executable, "-c", "from rq.cli import main; main()", "worker", "--burst", "--quiet", "--serializer", "json",
            "--worker-class", "rq.SimpleWorker", "--url", environ["RELAY_REDIS_URL"], DEAD_QUEUE,
        ],
        env=environ, cwd=folder, check=True, timeout=60, capture_output=True,
    )  # fmt: skip


def test_dead_letters_show_and_requeue_in_rq_dashboard(
    dashboard: httpx.Client, redis_port: int, tmp_path: Path
) -> None:
    client = redis.Redis(port=redis_port)
    shop = Shop(client, tmp_path)
    shop.arrive("refused")
    [refused] = shop.bury("the subject is too long")
    shop.change_rules(BROKEN_SUBJECT)
    unmapped = "dead_" + shop.arrive("cannot be mapped", number=2, ts="1800000002.000100")[4:]
    assert post_dead_letters(client, shop.outbox) == 2
    refused, unmapped = (dead_job_id("main", dead_id) for dead_id in (refused, unmapped))
    Bell(client).ring_flush(7)

    # Who does not sign in sees nothing.
    assert dashboard.get("/0/data/queues.json").status_code == 401
    dashboard.auth = httpx.BasicAuth(*LOGIN)
    queues = {queue["name"]: queue for queue in dashboard.get("/0/data/queues.json").json()["queues"]}
    assert queues["dead-letter"]["failed_job_registry_count"] == 2
    assert queues["flush"]["count"] == 1
    listed = dashboard.get("/0/data/jobs/dead-letter/failed/10/asc/1.json").json()["jobs"]
    jobs = {job["id"]: job for job in listed}
    assert jobs[refused]["description"] == "slack slack-C024BE91L-1800000000.000100"
    job = dashboard.get(f"/0/data/job/{refused}.json").json()
    assert "the subject is too long" in str(job)
    assert dashboard.get(f"/0/view/job/{unmapped}").status_code == 200

    # The rules are mended for nobody yet: both are tried, both stay, and are failed jobs again.
    assert dashboard.post("/requeue/dead-letter").json() == {"status": "OK", "count": 2}
    work_off(redis_port, tmp_path)
    assert shop.counts() == {"accepted": 2, "dead": 2}
    registry = FailedJobRegistry(queue=Queue(DEAD_QUEUE, connection=client, serializer="json"))
    assert sorted(registry.get_job_ids()) == sorted([refused, unmapped])
    again = dashboard.get(f"/0/data/job/{unmapped}.json").json()
    assert "MappingFailed" in str(again)

    # Mended: one by its own button, then the rest.
    shop.change_rules("{{ event.text }}")
    assert dashboard.post(f"/job/{refused}/requeue").json()["status"] == "OK"
    work_off(redis_port, tmp_path)
    assert shop.counts() == {"accepted": 2, "pending": 1, "dead": 1}
    dashboard.post("/requeue/dead-letter")
    work_off(redis_port, tmp_path)
    assert shop.counts() == {"accepted": 2, "pending": 2}
    assert registry.get_job_ids() == []
    assert dashboard.get("/0/data/jobs/dead-letter/failed/10/asc/1.json").json()["jobs"] == []
