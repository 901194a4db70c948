"""`relay up` as a new user meets it: real processes, real sockets, an empty folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import processes
from tests.disks import fill, small_disk
from tests.environ import WEAK
from tests.web.test_hooks import CONFIG

pytestmark = pytest.mark.process


def environ() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")}
    return {**kept, **WEAK, "PYTHONUNBUFFERED": "1"}


def relay(folder: Path, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "relay.cli", *arguments],
        cwd=folder,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    folder: Path, *arguments: str, data: Path | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    port = free_port()
    said = (folder / "said.txt").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "relay.cli", "up", "--port", str(port), *arguments],
        cwd=folder,
        env=environ(),
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 60
        while "Ctrl-C stops everything" not in (folder / "said.txt").read_text():
            assert process.poll() is None and time.monotonic() < deadline, (folder / "said.txt").read_text()
            time.sleep(0.05)
        yield process, json.loads(((data or folder / ".relay") / "up.json").read_text())
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(20)
        said.close()


def delivered(folder: Path) -> int:
    stats = json.loads(relay(folder, "stats", "--json").stdout)
    assert stats["balanced"] is True
    return int(stats["sources"].get("slack", {}).get("delivered", 0))


def test_from_a_signed_webhook_to_a_conversation_and_its_story(short_tmp: Path) -> None:
    with running(short_tmp) as (process, up):
        said = (short_tmp / "said.txt").read_text()
        assert "relay send --source slack" in said and up["relay"] in said and up["sandbox"] in said

        sent = relay(short_tmp, "send", "--source", "slack", "--json")
        at = time.monotonic()
        event_id = json.loads(sent.stdout)["event_ids"][0]
        while True:
            rows = httpx.get(f"{up['sandbox']}/_sandbox/conversations", trust_env=False).json()
            if rows:
                break
            # An idle machine takes a tenth of a second; a busy one must not fail the suite.
            assert time.monotonic() - at < 15, "not in the sandbox"
            time.sleep(0.02)
        [row] = [row for row in rows if row.get("type") == "Slack thread"]
        assert row["externalId"].startswith("slack-")

        story = relay(short_tmp, "trace", event_id)
        assert story.returncode == 0
        for word in ("received", "mapped", "queued", "sent", "delivered", row["_id"]):
            assert word in story.stdout
        assert relay(short_tmp, "trace", row["_id"]).returncode == 0
        for words in (
            ["--text", "EXPORT fails"],
            ["--from", "u0sample1", "--state", "delivered"],
            ["--since", "1h"],
        ):
            found = relay(short_tmp, "events", "--json", *words).stdout
            assert [row["id"] for row in json.loads(found)["events"]] == [event_id], words
        assert relay(short_tmp, "events", "--text", "nobody said this").returncode == 1
        assert relay(short_tmp, "trace", "nobody-knows-it").returncode == 1
        assert relay(short_tmp, "doctor").returncode == 0

        children = processes.descendants(process.pid)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
        assert time.monotonic() - began < 10
    assert [pid for pid in children if processes.alive(pid)] == []

    port = up["sandbox"]
    with running(short_tmp) as (_, up):
        assert up["sandbox"] == port, "a bookmark of its page holds"
        assert delivered(short_tmp) == 1
        assert relay(short_tmp, "trace", event_id).returncode == 0


def test_two_that_begin_in_the_same_moment_have_a_sandbox_each(short_tmp: Path) -> None:
    folders = [short_tmp / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(2) as both, ExitStack() as stack:
        started = list(both.map(running, folders))
        ups = [up for _, up in both.map(stack.enter_context, started)]
        assert ups[0]["sandbox"] != ups[1]["sandbox"]
        for folder, up in zip(folders, ups, strict=True):
            relay(folder, "send", "--source", "slack")
            deadline = time.monotonic() + 30
            while len(httpx.get(f"{up['sandbox']}/_sandbox/conversations", trust_env=False).json()) != 1:
                assert time.monotonic() < deadline, "not in its own sandbox"
                time.sleep(0.05)


def test_mistakes_get_a_sentence_and_exit_code_2(short_tmp: Path) -> None:
    with running(short_tmp) as (_, up):
        port = up["relay"].rsplit(":", 1)[1]
        taken = relay(short_tmp, "up", "--port", port, "--data", "elsewhere")
        assert (taken.returncode, "is in use" in taken.stderr) == (2, True)
        again = relay(short_tmp, "up", "--port", str(free_port()))
        assert (again.returncode, "another `relay up`" in again.stderr) == (2, True)
    (short_tmp / "file").write_text("")
    unwritable = relay(short_tmp, "up", "--data", "file/under", "--port", str(free_port()))
    assert (unwritable.returncode, "cannot be written" in unwritable.stderr) == (2, True)
    missing = relay(short_tmp, "up", "--config", "none.yaml", "--port", str(free_port()))
    assert (missing.returncode, "no such file" in missing.stderr) == (2, True)
    (short_tmp / "broken.yaml").write_text("sources: {slack: {adapter: slak}}\n")
    broken = relay(short_tmp, "up", "--config", "broken.yaml", "--port", str(free_port()))
    assert broken.returncode == 2 and "broken.yaml:1" in broken.stderr
    page = relay(short_tmp, "up", "--planhat", "https://ws.planhat.com/acme", "--port", str(free_port()))
    assert page.returncode == 2 and "The API is https://api.planhat.com" in page.stderr
    for result in (taken, again, unwritable, missing, broken, page):
        assert "Traceback" not in result.stderr


def test_a_killed_parent_leaves_no_process_behind(short_tmp: Path) -> None:
    with running(short_tmp) as (process, _):
        children = processes.descendants(process.pid)
        assert len(children) >= 5
        process.kill()
        process.wait(5)
        deadline = time.monotonic() + 12
        while any(processes.alive(pid) for pid in children):
            assert time.monotonic() < deadline, [pid for pid in children if processes.alive(pid)]
            time.sleep(0.1)


def test_killed_parts_are_started_again_and_nothing_is_lost(short_tmp: Path) -> None:
    with running(short_tmp) as _:
        assert relay(short_tmp, "send", "--source", "slack").returncode == 0
        for name in ("web", "workers", "redis"):
            os.kill(json.loads((short_tmp / ".relay" / "up.json").read_text())["pids"][name], signal.SIGKILL)
        deadline = time.monotonic() + 30
        while relay(short_tmp, "send", "--source", "slack").returncode != 0:
            assert time.monotonic() < deadline
            time.sleep(0.3)
        while delivered(short_tmp) < 2:
            assert time.monotonic() < deadline + 15
            time.sleep(0.3)


def test_a_conversation_is_erased_here_and_in_planhat(short_tmp: Path) -> None:
    with running(short_tmp) as (_, up):
        for _ in range(2):
            assert relay(short_tmp, "send", "--source", "slack").returncode == 0
        deadline = time.monotonic() + 15
        while delivered(short_tmp) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        listing = f"{up['sandbox']}/_sandbox/conversations"
        keep, gone = sorted(row["externalId"] for row in httpx.get(listing, trust_env=False).json())

        done = relay(short_tmp, "erase", "--conversation", gone, "--planhat", "--yes", "--json")

        report = json.loads(done.stdout)
        assert done.returncode == 0, done.stderr
        assert (report["events"], report["documents"], report["planhat"], report["rewritten"]) == (
            1,
            1,
            1,
            True,
        )
        assert [row["externalId"] for row in httpx.get(listing, trust_env=False).json()] == [keep]
        assert relay(short_tmp, "trace", gone).returncode == 1
        assert relay(short_tmp, "trace", keep).returncode == 0
        stats = json.loads(relay(short_tmp, "stats", "--json").stdout)
        assert stats["balanced"] is True


def test_a_web_side_that_is_told_to_stop_at_any_moment_of_its_start_stops(short_tmp: Path) -> None:
    (short_tmp / "relay.yaml").write_text("sources: {}\n")
    settings = {**environ(), "RELAY_PORT": "0", "RELAY_REDIS_URL": f"unix://{short_tmp}/none.sock"}
    for wait_ms in (50, 150, 250, 350, 450, 550, 700, 1000):
        process = subprocess.Popen(
            [sys.executable, "-m", "relay.cli", "serve"],
            cwd=short_tmp,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(wait_ms / 1000)
        process.send_signal(signal.SIGTERM)
        # Before Python has read our handler the signal's own default ends the process.
        assert process.wait(12) in (0, -signal.SIGTERM), wait_ms


def test_on_a_full_disk_up_ends_in_a_sentence() -> None:
    with small_disk("3m") as folder:
        fill(folder, leave=200_000)
        done = relay(folder, "up", "--port", str(free_port()))
        assert done.returncode == 2
        assert "is full" in done.stderr and "make room" in done.stderr and "Traceback" not in done.stderr
        assert not list(folder.rglob("*.tmp"))


def test_a_disk_that_fills_up_stops_nothing_for_good(short_tmp: Path) -> None:
    """The server ends, the web side spools, and all of it comes back by itself when there is room."""
    config = short_tmp / "relay.yaml"
    config.write_text(CONFIG + f"spool: {{dir: {short_tmp}/spool}}\n")
    with small_disk("24m") as disk:
        arguments = ("--data", str(disk / "data"), "--config", str(config))
        with running(short_tmp, *arguments, data=disk / "data") as (process, up):
            send = ("send", "--source", "slack", "--data", str(disk / "data"), "--json")
            assert relay(short_tmp, *send).returncode == 0
            filler = fill(disk)
            deadline = time.monotonic() + 40
            while "the embedded server is down" not in (short_tmp / "said.txt").read_text():
                assert time.monotonic() < deadline and process.poll() is None
                # Each event is accepted: first by Redis, then by the spool.
                assert relay(short_tmp, *send).returncode == 0
            said = (short_tmp / "said.txt").read_text()
            assert "is full" in said and "make room" in said
            assert httpx.get(f"{up['relay']}/readyz", trust_env=False).status_code == 200
            assert relay(short_tmp, *send).returncode == 0
            assert json.loads((disk / "data" / "up.json").read_text())["relay"] == up["relay"]
            filler.unlink()
            deadline = time.monotonic() + 40
            while True:
                stats = relay(short_tmp, "stats", "--json", "--data", str(disk / "data"))
                if stats.returncode == 0 and json.loads(stats.stdout)["sources"]["slack"]["pending"] == 0:
                    break
                assert time.monotonic() < deadline, stats
            assert "it was started again" in (short_tmp / "said.txt").read_text()
            assert json.loads(stats.stdout)["balanced"] is True
