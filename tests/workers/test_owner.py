"""Two relays on one Redis: each delivers to its own Planhat, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import redis

from relay.outbox.embedded import EmbeddedServer
from relay.outbox.outbox import Outbox
from relay.outbox.owner import Ownership, SeenInPlanhat, holder_of
from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from tests.limited import LIMITED
from tests.outbox.test_outbox import entry
from tests.places import ROOT
from tests.web.test_hooks import CONFIG, message
from tests.workers.test_workers import wait_until

HERE, THERE = "https://api.planhat.com", "https://api-us4.planhat.com"


def of(outbox: Outbox, url: str = HERE, token: str = "one") -> Ownership:
    return Ownership(outbox, url, lambda: token)


def nobody(planhat_id: str) -> SeenInPlanhat:
    raise AssertionError("Planhat need not be asked")


def test_the_first_has_it_and_a_process_without_a_token_asks_nothing(outbox: Outbox) -> None:
    assert of(outbox).look(claim=False).ours and not of(outbox).read().url
    assert of(outbox).look(claim=True).ours and of(outbox).read().url == HERE
    assert of(outbox, HERE + "/", "one").look(claim=True).ours
    assert of(outbox, THERE, "").look(claim=True).ours
    told = of(outbox, THERE).look(claim=True)
    assert not told.ours and not told.known


@pytest.mark.parametrize(
    ("url", "answers", "ours", "known"),
    [
        (HERE, ["there"], True, True),
        (HERE, ["gone", "there"], True, True),
        (HERE, ["gone", "gone"], False, True),
        (HERE, ["gone", "away"], False, False),
        (HERE, ["refused", "refused"], True, True),
        (THERE, ["there"], True, True),
        (THERE, ["gone", "gone"], False, True),
        (THERE, ["refused", "refused"], False, False),
        (THERE, ["away"], False, False),
    ],
)
def test_what_stands_in_planhat_proves_it(
    outbox: Outbox, url: str, answers: list[SeenInPlanhat], ours: bool, known: bool
) -> None:
    of(outbox).look(claim=True)
    for name in ("u1", "u2"):
        of(outbox).seen(name)
    told = iter(answers)
    found = of(outbox, url, "other").prove(lambda planhat_id: next(told), blocked=False)
    assert (found.ours, found.known) == (ours, known)
    if not ours:
        assert (
            HERE in found.sentence
            and "relay adopt" in found.sentence
            and "RELAY_KEY_PREFIX" in found.sentence
        )
    # What was proven needs no proof any more.
    assert of(outbox, url, "other").look(claim=True).ours == (ours and "there" in answers)


def test_before_anything_was_delivered_a_token_may_be_mended(outbox: Outbox) -> None:
    of(outbox, HERE, "wrong").look(claim=True)
    later = outbox.now_ms() + 120_000
    assert of(outbox, HERE, "right").prove(nobody, blocked=False, now_ms=later).ours
    assert of(outbox, HERE, "third").prove(nobody, blocked=True).ours
    other = of(outbox, HERE, "fourth").prove(nobody, blocked=False)
    assert (other.ours, other.known) == (False, True) and "at work" in other.sentence


def test_an_address_may_be_mended_as_long_as_nothing_came_in(outbox: Outbox) -> None:
    of(outbox, HERE).look(claim=True)
    assert of(outbox, THERE).prove(nobody, blocked=False).ours
    assert of(outbox).read().url == THERE
    outbox.record([entry(1)])
    assert not of(outbox, HERE).prove(nobody, blocked=False).ours


def test_five_witnesses_are_enough(outbox: Outbox) -> None:
    of(outbox).look(claim=True)
    for number in range(20):
        of(outbox).seen(f"u{number}")
    assert len(of(outbox).read().witnesses) <= 6


def test_a_fingerprint_tells_nothing_of_the_token() -> None:
    assert "secret" not in holder_of(HERE, "secret") and len(holder_of(HERE, "secret")) == 16
    assert holder_of(HERE, "a") != holder_of(HERE, "b") != holder_of(THERE, "b")


# -- as processes -----------------------------------------------------------------------------------------------------


@dataclass
class Relay:
    """One relay's processes, whatever Redis it is pointed at."""

    folder: Path
    redis_url: str
    planhat: str
    token: str
    prefix: str = "relay"

    def __post_init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []
        (self.folder / "relay.yaml").write_text(CONFIG)

    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "RELAY_CONFIG": str(self.folder / "relay.yaml"),
            "RELAY_REDIS_URL": self.redis_url,
            "RELAY_PLANHAT_URL": self.planhat,
            "RELAY_PLANHAT_TOKEN": self.token,
            "RELAY_KEY_PREFIX": self.prefix,
            "RELAY_LOG_LEVEL": "error",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "relay.cli", *arguments],
            env=self.environ(),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "relay.cli", *arguments],
            env=self.environ(), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            process.wait(15)


@pytest.fixture
def server(short_tmp: Path) -> Iterator[EmbeddedServer]:
    started = EmbeddedServer(short_tmp / "r").start()
    yield started
    started.stop()


@pytest.fixture
def two(server: EmbeddedServer, tmp_path: Path) -> Iterator[tuple[Relay, Relay, Sandbox, Sandbox]]:
    first, second = (
        create_sandbox(types=["Slack thread", "Support email", "Help-desk ticket"], quotas=NO_QUOTAS)
        for _ in range(2)
    )
    with running(first) as url, running(second) as other_url:
        made = []
        for name, address in (("a", url), ("b", other_url)):
            (tmp_path / name).mkdir()
            made.append(Relay(tmp_path / name, server.url, address, f"token-{name}"))
        yield made[0], made[1], first, second
        for relay in made:
            relay.stop()


def post(port: int, number: int) -> int:
    import hashlib
    import hmac
    import time

    body, at = message(number), str(int(time.time()))
    digest = hmac.new(b"shh", f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-slack-request-timestamp": at,
        "x-slack-signature": f"v0={digest}",
    }
    try:
        return httpx.post(
            f"http://127.0.0.1:{port}/hooks/slack", content=body, headers=headers, trust_env=False
        ).status_code
    except httpx.HTTPError:
        return 0


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.process
def test_a_second_relay_on_the_same_keys_ends_with_a_sentence(
    two: tuple[Relay, Relay, Sandbox, Sandbox], server: EmbeddedServer
) -> None:
    first, second, sandbox, other = two
    port = free_port()
    first.start("serve", "--port", str(port))
    first.start("work")
    wait_until(lambda: post(port, 1) == 202, 20)
    wait_until(lambda: len(sandbox.store) == 1, 20)
    for command in (("serve", "--port", str(free_port())), ("work",), ("work", "--burst")):
        done = second.run(*command)
        assert done.returncode == 2, done
        assert (
            first.planhat in done.stderr and "relay adopt" in done.stderr and "Traceback" not in done.stderr
        )
    assert len(other.store) == 0
    # A token that was changed is the same tenant's: it sees what was delivered.
    wait_until(
        lambda: Ownership(Outbox(redis.Redis.from_url(server.url)), "", lambda: "").read().witnesses, 20
    )
    renewed = Relay(first.folder, server.url, first.planhat, "token-new")
    assert renewed.run("work", "--burst").returncode == 0


@pytest.mark.skipif(LIMITED, reason="that user has one prefix")
@pytest.mark.process
def test_two_relays_with_keys_of_their_own_share_a_redis(two: tuple[Relay, Relay, Sandbox, Sandbox]) -> None:
    first, second, sandbox, other = two
    second.prefix = "staging"
    ports = [free_port(), free_port()]
    for relay, port in zip((first, second), ports, strict=True):
        relay.start("serve", "--port", str(port))
        relay.start("work")
        wait_until(lambda port=port: post(port, 1) == 202, 20)  # type: ignore[misc]
    for number in range(2, 22):
        assert [post(port, number) for port in ports] == [202, 202]
    wait_until(lambda: (len(sandbox.store), len(other.store)) == (21, 21), 30)


@pytest.mark.process
def test_a_move_on_purpose_is_taken_over(two: tuple[Relay, Relay, Sandbox, Sandbox]) -> None:
    first, second, sandbox, other = two
    port = free_port()
    web = first.start("serve", "--port", str(port))
    wait_until(lambda: post(port, 1) == 202, 20)
    assert first.run("work", "--burst").returncode == 0 and len(sandbox.store) == 1
    wait_until(lambda: post(port, 2) == 202, 5)
    assert second.run("adopt").returncode == 2, "without a terminal it wants --yes"
    done = second.run("adopt", "--yes")
    assert done.returncode == 0, done
    assert second.run("work", "--burst").returncode == 0
    # The one from before stays where it was; the one that waited is in the new Planhat.
    assert (len(sandbox.store), len(other.store)) == (1, 1)
    # Whose it was is turned away while it runs.
    wait_until(lambda: post(port, 3) == 503, 20)
    assert "belong to the relay of" in httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).text
    assert first.run("work", "--burst").returncode == 2
    web.terminate()
