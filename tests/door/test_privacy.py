"""1,000 unique canaries through every path of the door, errors included: none may stand in a log, a metric, an answer to a
refused request, or an exception's message."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import httpx
import pytest
import redis

from relay.planhat.sandbox import NO_QUOTAS, create_sandbox
from relay.planhat.sandbox.server import running
from relay.settings import Settings
from relay.web.app import WebSide
from tests.environ import WEAK
from tests.flushing import Kit, patch
from tests.web.test_hooks import CONFIG, Door, books, door, message, serve
from workers.dead_jobs import post_dead_letters

pytestmark = pytest.mark.process

__all__ = ["door"]

CANARIES = 1_000


def post(door: Door, number: int, canary: str) -> httpx.Response:
    mail = {"From": f"{canary}@example.com", "Subject": canary, "TextBody": canary, "MessageID": canary}
    headers = {"content-type": "application/json"}
    match number % 10:
        case 0 | 1:
            return door.slack(message(number, text=canary, user=canary))
        case 2:
            return door.slack(message(number, text=canary), secret=f"wrong {canary}")
        case 3:
            return door.slack(b'{"type": "event_callback", "event": "' + canary.encode() + b'"')
        case 4:
            return door.slack(message(number, channel={"x": canary}, ts=[canary]))
        case 5:
            return door.slack(message(number, text=canary, bot_id=canary))
        case 6:
            return door.http.post("/hooks/mail", json=mail, auth=("user", canary))
        case 7:
            return door.http.post("/hooks/mail", json=mail, auth=("user", "pass"))
        case 8:
            return door.http.post(f"/hooks/{canary}?q={canary}", json=mail, headers={"x-name": canary})
        case _:
            broken = json.dumps({"From": [canary], "To": {"x": canary}, "TextBody": 7}).encode()
            return door.http.post("/hooks/mail", content=broken, headers=headers, auth=("user", "pass"))


def test_no_canary_leaves_the_door(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="relay")
    said = []
    statuses = set()
    for number in range(CANARIES):
        answer = post(door, number, f"canary{number:04d}zq")
        statuses.add(answer.status_code)
        said.append(answer.text)
    assert {202, 400, 401, 404} <= statuses
    books(door)
    said.append(door.side.health.exposition().decode())
    said += [json.dumps(row) for row in door.side.outbox.rejected(1000)]
    for record in caplog.records:
        if record.name.startswith(("httpx", "httpcore", "uvicorn.access")):
            continue  # the test's own client; and `relay serve` has no access log
        said += [record.getMessage(), repr(record.__dict__)]
    found = [text for text in said if "zq" in text and "canary" in text]
    assert found == []


def test_no_canary_leaves_the_worker(redis_client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="relay")
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        kit = Kit(redis_client, url, sandbox=sandbox)
        kit.record(*(patch(n, text=f"canary{n:04d}zq") for n in range(50)))
        kit.run()
        assert kit.books() == {"accepted": 50, "delivered": 50}
        kit.metrics.flush()
    said = [repr(kit.metrics.read())]
    said += [
        record.getMessage() + repr(record.__dict__) for record in caplog.records if record.name != "httpx"
    ]
    assert not [text for text in said if "canary" in text]


def test_no_canary_leaves_with_a_refusal_or_with_its_failed_job(
    redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Planhat quotes what it refuses; the cause, the metrics, the logs and the RQ job must not."""
    caplog.set_level(logging.DEBUG, logger="relay")
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        kit = Kit(redis_client, url, sandbox=sandbox)
        kit.fault(
            operation="upsert",
            refuse=".",
            style="string_id",
            message="subject canary0001zq is not acceptable",
        )
        kit.record(patch(1, text="canary0001zq"))
        for _ in range(3):
            kit.run()
            kit.due_now()
        assert kit.books()["dead"] == 1
        kit.metrics.flush()
        post_dead_letters(redis_client, kit.outbox)
    [letter] = kit.outbox.dead.get_many(kit.outbox.dead.ids())
    said = [repr(kit.metrics.read()), str(json.loads(letter.record)["cause"])]
    for key in redis_client.scan_iter("rq:*"):
        kind = redis_client.type(key)
        if kind == b"hash":
            said.append(repr(redis_client.hgetall(key)))
        elif kind == b"stream":
            said.append(repr(redis_client.xrange(key)))
    said += [
        record.getMessage() + repr(record.__dict__) for record in caplog.records if record.name != "httpx"
    ]
    assert len(said) > 3
    assert not [text for text in said if "canary" in text]


def test_no_canary_leaves_with_a_template_that_fails(
    redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="relay")
    (tmp_path / "relay.yaml").write_text(
        CONFIG
        + """
rules:
  - name: broken
    source: slack
    companyId: "{{ event.text }}"
    conversation: {type: Slack thread, externalId: "x-{{ event.thread }}", subject: "{{ event.text | date }}"}
"""
    )
    side = WebSide(
        Settings(config=str(tmp_path / "relay.yaml"), redis_url=redis_url, require_durable=False), WEAK
    )
    for url in serve(side):
        answer = Door(url, side).slack(message(1, text="canary0001zq"))
        assert answer.json()["status"] == "accepted"
        [letter] = side.outbox.dead.get_many(side.outbox.dead.ids())
        said = [str(json.loads(letter.record)["cause"]), side.health.exposition().decode(), answer.text]
    said += [
        record.getMessage() + repr(record.__dict__)
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpcore", "uvicorn.access"))
    ]
    assert "broken" in said[0]
    assert not [text for text in said if "canary" in text]
