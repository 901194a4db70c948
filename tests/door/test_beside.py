"""Large bodies are read by a process beside the door: what comes of them is what comes of small ones, and whatever they hold,
nobody waits for them longer than their time."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import string
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import redis
from cryptography.fernet import Fernet

from relay.bounds import Bounds
from relay.door.beside import BEYOND_LIMITS, TOO_DENSE
from tests.door.opened import CONFIG, Opened, opened, postmark
from tests.processes import alive, descendants

pytestmark = pytest.mark.process

#: Everything over 20 KB is large here.
SMALL = Bounds(beside_bytes=20_000)


@pytest.fixture
def door(redis_url: str, tmp_path: Path) -> Iterator[Opened]:
    with opened(redis_url, tmp_path, bounds=SMALL) as made:
        yield made


def padding(size: int) -> str:
    letters = string.ascii_letters + string.digits
    return "".join(random.Random(size).choices(letters, k=size))


def readers(door: Opened) -> list[int]:
    return [process.pid for process in door.side.beside.processes() if process is not None]


def test_a_large_mail_is_what_a_small_one_is(door: Opened) -> None:
    large, small = postmark(1, padding=padding(300_000)), postmark(2)
    answers = [door.mail(body) for body in (large, small, large)]
    assert [answer.json()["status"] for answer in answers] == ["accepted", "accepted", "duplicate"]
    assert readers(door), "a process has read it"
    first, second = (answer.json()["event_ids"][0] for answer in answers[:2])
    assert door.archived(first) == large and door.archived(second) == small
    one, two = (door.side.outbox.events.get(event_id) for event_id in (first, second))
    assert one and two
    assert one[0] == two[0] == "pending"


def test_a_mail_of_24_megabytes_is_read(door: Opened) -> None:
    body = postmark(1, padding=padding(1_000_000) * 24)
    (event_id,) = door.mail(body).json()["event_ids"]
    found = door.side.outbox.events.get(event_id)
    assert found and found[0] == "pending"
    assert door.archived(event_id) == body


def test_the_same_request_has_the_same_event_beside_the_door_and_in_it(
    door: Opened, redis_client: redis.Redis
) -> None:
    body = postmark(1, padding=padding(60_000))
    beside = door.mail(body).json()["event_ids"]
    redis_client.flushall()
    door.side.hooks.large_from = 1_000_000
    assert door.mail(body).json() == {"status": "accepted", "event_ids": beside}


def test_what_is_refused_is_refused_as_ever(door: Opened) -> None:
    body = postmark(1, padding=padding(60_000))
    assert door.mail(body, login="user:wrong").status_code == 401
    assert door.mail(body[:-10]).json()["status"] == "accepted"  # a mail that cannot be read is parked
    assert door.letters()
    wide = b'{"text": "' + b"x" * 60_000
    headers = {"authorization": "Bearer token", "content-type": "application/json"}
    answer = door.http.post("/hooks/open", content=wide, headers=headers)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "not JSON")
    github = {"x-hub-signature-256": "sha256=" + "0" * 64, "content-type": "application/json"}
    assert door.http.post("/hooks/github", content=b"{}" + b" " * 60_000, headers=github).status_code == 401


def test_redaction_and_the_kill_switch_hold_beside_the_door_too(redis_url: str, tmp_path: Path) -> None:
    config = CONFIG + "redact: [{pattern: 'DE\\d{10}', how: hash}, {field: Subject, how: drop}]\n"
    with opened(redis_url, tmp_path, config=config, bounds=SMALL) as door:
        body = postmark(1, padding=padding(50_000), TextBody="my account DE0123456789")
        (event_id,) = door.mail(body).json()["event_ids"]
        kept = orjson.loads(door.archived(event_id))
        assert "redacted-" in kept["TextBody"] and "Subject" not in kept
        assert len(door.archived(event_id)) > 50_000
        drop = {"id": "d1", "source": "mail", "where": "event.text is defined"}
        door.side.outbox.add_drop({**drop, "until_ms": door.side.outbox.now_ms() + 60_000})
        door.side._look_for_drops()
        answer = door.mail(postmark(2, padding=padding(50_000)))
        assert answer.json() == {"status": "ignored"}


def test_what_is_kept_is_sealed_as_everything(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    key = Fernet.generate_key().decode()
    with opened(redis_url, tmp_path, bounds=SMALL, encryption_keys=lambda: key) as door:
        body = postmark(1, padding="plain" * 20_000)
        (event_id,) = door.mail(body).json()["event_ids"]
        assert door.archived(event_id) == body
        stored = [redis_client.get(name) for name in redis_client.keys(f"*event:{event_id}")]
        assert stored and b"plainplain" not in (stored[0] or b"")


def test_a_changed_config_is_told(door: Opened) -> None:
    body = postmark(1, padding=padding(50_000))
    assert door.mail(body).status_code == 202
    time.sleep(0.01)
    door.file.write_text(CONFIG.replace("user:pass", "user:new"))
    assert door.side.reload_if_changed()
    assert door.mail(body, login="user:new").json()["status"] == "duplicate"
    # A broken one is not: the last that held goes on, in a process that is new as well.
    door.file.write_text("sources: [")
    door.side.reload_if_changed()
    for pid in readers(door):
        os.kill(pid, signal.SIGKILL)
    assert door.mail(postmark(2, padding=padding(50_000)), login="user:new").json()["status"] == "accepted"


def test_what_takes_longer_than_its_time_is_parked_where_it_was_proven(
    redis_url: str, tmp_path: Path
) -> None:
    with opened(redis_url, tmp_path, bounds=replace(SMALL, beside_s=0.1)) as door:
        door.mail(postmark(1, padding=padding(50_000)))
        before = readers(door)
        # Some hundred thousand lines and parts: legitimate, and a second's work.
        part = "--x\r\nContent-Type: text/plain\r\n\r\n" + "line\r\n" * 480
        raw = (
            "From: ana@customer.example.com\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + part * 980
        )
        slow = postmark(2, RawEmail=raw, Headers=[])
        began = time.monotonic()
        answer = door.mail(slow)
        assert time.monotonic() - began < 5
        assert answer.json()["status"] == "accepted"
        (letter,) = door.letters()
        assert orjson.loads(letter.record)["cause"] == BEYOND_LIMITS
        assert door.archived(letter.events[0]) == slow
        # The next one finds a new process.
        assert door.mail(postmark(3, padding=padding(50_000))).json()["status"] == "accepted"
        assert readers(door) != before
        assert not any(alive(pid) for pid in before)


@pytest.mark.parametrize("unit", [b"{},", b"[1000000],", b'"\xf0\x9f\x98\x80",'])
def test_what_takes_more_memory_than_its_share_is_parked_where_it_was_proven(
    door: Opened, unit: bytes
) -> None:
    dense = b'{"text": "hello", "all": [' + unit * (9_000_000 // len(unit)) + b"1]}"
    headers = {"authorization": "Bearer token", "content-type": "application/json"}
    answer = door.http.post("/hooks/open", content=dense, headers=headers)
    assert answer.json()["status"] == "accepted"
    (letter,) = door.letters()
    assert orjson.loads(letter.record)["cause"] == TOO_DENSE
    assert door.archived(letter.events[0]) == dense
    assert door.mail(postmark(3, padding=padding(50_000))).json()["status"] == "accepted"


def test_nothing_is_kept_of_what_could_not_be_redacted(redis_url: str, tmp_path: Path) -> None:
    config = CONFIG + "redact: [{field: Secret, how: drop}]\n"
    with opened(redis_url, tmp_path, config=config, bounds=SMALL) as door:
        dense = b'{"Secret": "x", "all": [' + b"{}," * 3_000_000 + b"1]}"
        headers = {"authorization": "Bearer token", "content-type": "application/json"}
        answer = door.http.post("/hooks/open", content=dense, headers=headers)
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, TOO_DENSE)
        assert door.letters() == []


def test_a_process_that_dies_takes_no_request_with_it(door: Opened) -> None:
    door.mail(postmark(1, padding=padding(50_000)))
    stop = threading.Event()

    def kill() -> None:
        while not stop.is_set():
            for pid in readers(door):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.15)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        statuses = [door.mail(postmark(n, padding=padding(400_000))).status_code for n in range(2, 12)]
    finally:
        stop.set()
        killer.join()
    assert set(statuses) <= {202, 503}
    assert door.mail(postmark(99, padding=padding(50_000))).status_code == 202


def test_no_process_is_left_behind(redis_url: str, tmp_path: Path) -> None:
    with opened(redis_url, tmp_path, bounds=SMALL) as door:
        door.mail(postmark(1, padding=padding(50_000)))
        pids = readers(door)
        assert pids and set(pids) <= set(descendants(os.getpid()))
    assert not any(alive(pid) for pid in pids)


def test_a_process_without_work_is_ended(door: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    door.mail(postmark(1, padding=padding(50_000)))
    pids = readers(door)
    monkeypatch.setattr("relay.door.beside.IDLE_S", 0.0)
    door.side.beside.rest()
    assert not any(alive(pid) for pid in pids)
    assert door.mail(postmark(2, padding=padding(50_000))).status_code == 202


def test_small_requests_do_not_wait_for_large_ones(redis_url: str, tmp_path: Path) -> None:
    with opened(redis_url, tmp_path, bounds=SMALL) as door:
        door.mail(postmark(1, padding=padding(50_000)))
        large = [
            threading.Thread(target=door.mail, args=(postmark(n, padding=padding(3_000_000)),))
            for n in range(4)
        ]
        for thread in large:
            thread.start()
        for number in range(100, 120):
            assert door.mail(postmark(number)).status_code == 202
        for thread in large:
            thread.join()
