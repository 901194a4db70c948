"""What was proven once is used up: ids that nobody signed, tokens that cover no body, proofs without a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import orjson
import pytest
import redis

from relay.bounds import Bounds
from tests.door.opened import CONFIG, Opened, mailgun_proof, opened

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def door(redis_url: str, tmp_path: Path) -> Iterator[Opened]:
    with opened(redis_url, tmp_path) as made:
        yield made


def mail(proof: dict[str, str], number: int = 1) -> bytes:
    fields = {
        "sender": "ana@customer.example.com",
        "from": "Ana <ana@customer.example.com>",
        "subject": "The export stops",
        "body-plain": f"It stops after {number} rows.",
        "Message-Id": f"<{number}@customer.example.com>",
    }
    return urlencode({**proof, **fields}).encode()


def test_the_same_signed_bytes_under_another_delivery_are_a_duplicate(door: Opened) -> None:
    payload = {
        "action": "created",
        "issue": {"id": 7, "title": "The export stops"},
        "comment": {"id": 1, "body": "hi"},
    }
    statuses = [
        door.github(payload, **{"x-github-delivery": f"d-{n}", "x-github-event": "issue_comment"}).json()[
            "status"
        ]
        for n in range(5)
    ]
    assert statuses == ["accepted", *["duplicate"] * 4]


def test_a_header_deletes_nothing(door: Opened) -> None:
    payload = {"action": "edited", "issue": {"id": 8}, "comment": {"id": 2, "body": "hi"}}
    answer = door.github(payload, **{"x-github-delivery": "d", "x-github-event": "message.deleted"})
    (event_id,) = answer.json()["event_ids"]
    found = door.side.outbox.events.get(event_id)
    assert found
    assert orjson.loads(found[2].partition(b"\n")[0])["kind"] == "custom"


@pytest.mark.process
@pytest.mark.parametrize("how", ["a mail", "an event that is skipped", "a mail that cannot be read"])
@pytest.mark.parametrize("large", [False, True])
def test_a_token_is_good_for_one_request_whatever_that_was(
    redis_url: str, tmp_path: Path, how: str, large: bool
) -> None:
    with opened(redis_url, tmp_path, bounds=Bounds(beside_bytes=1024 if large else 65_536)) as door:
        proof = mailgun_proof("once-" + how.replace(" ", "-"))
        padding = "x" * 2000 if large else ""
        if how == "a mail":
            first = door.mailgun(mail(proof) + f"&stripped-text={padding}".encode(), FORM)
        elif how == "an event that is skipped":
            body = orjson.dumps({"signature": proof, "event-data": {"event": "delivered", "x": padding}})
            first = door.mailgun(body, "application/json")
            assert first.json() == {"status": "ignored"}
        else:
            first = door.mailgun(urlencode({**proof, "x": padding}).encode(), FORM)
            assert door.letters()
        assert first.status_code == 202
        forged = door.mailgun(mail(proof, 2), FORM)
        assert forged.json()["status"] == "duplicate"
        assert door.mailgun(mail(mailgun_proof("another"), 2), FORM).json()["status"] == "accepted"


def test_a_proof_is_remembered_for_as_long_as_it_is_accepted(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    config = CONFIG + "keep: {dedupe: 1m}\n"
    with opened(redis_url, tmp_path, config=config) as door:
        door.mailgun(mail(mailgun_proof("t")), FORM)
        lives = [redis_client.ttl(key) for key in redis_client.keys("*seen:mailgun:*")]
        # The event's own id is known by the event, which has no end (-1) while it waits, and is kept for longer afterwards.
        assert [redis_client.ttl(key) for key in redis_client.keys("*event:*")] == [-1]
        lives.append(door.side.outbox.retention.events_s)
        assert len(lives) >= 2
        assert min(lives) >= 9 * 3600


def test_what_says_nothing_of_its_time_is_remembered_with_the_conversation(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Dedupe forgets after three days; a repetition would be new then, and newer than all that stands there."""
    with opened(redis_url, tmp_path) as door:
        door.github({"action": "created", "issue": {"id": 7}, "comment": {"id": 1, "body": "hi"}})
        timeless = {redis_client.ttl(key) for key in redis_client.keys("*seen:github:*signed*")} or {
            redis_client.ttl(key) for key in redis_client.keys("*seen:github:*#0")
        }
        assert timeless and min(timeless) > 80 * 86_400
        redis_client.flushall()
        dated = {
            "action": "created",
            "updated_at": "2026-11-27T10:00:00Z",
            "issue": {"id": 8},
            "comment": {"id": 2},
        }
        door.github(dated)
        lives = {redis_client.ttl(key) for key in redis_client.keys("*seen:github:*#0")}
        assert lives and max(lives) < 4 * 86_400


@pytest.mark.simulated
def test_what_waited_in_the_spool_keeps_what_it_was_proven_by(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    config = CONFIG + f"spool: {{dir: {tmp_path / 'spool'}, max_bytes: 10MB}}\n"
    with opened(redis_url, tmp_path, config=config) as door:
        proof = mailgun_proof("spooled")
        door.side.recorder.refusal = "away"
        assert door.mailgun(mail(proof), FORM).json()["status"] == "accepted"
        skipped = mailgun_proof("skipped")
        body = orjson.dumps({"signature": skipped, "event-data": {"event": "delivered"}})
        assert door.mailgun(body, "application/json").json() == {"status": "ignored"}
        assert door.side.spooler and door.side.spooler.spool.count == 2
        door.side.recorder.refusal = ""
        ends = time.monotonic() + 10
        while door.side.spooler.spool.count and time.monotonic() < ends:
            time.sleep(0.05)
        assert door.mailgun(mail(proof, 2), FORM).json()["status"] == "duplicate"
        assert door.mailgun(mail(skipped, 3), FORM).json()["status"] == "duplicate"
