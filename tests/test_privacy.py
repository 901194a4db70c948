"""1,000 unique canaries through every path of the door, errors included: none may stand in a log, a metric, an answer to a
refused request, or an exception's message."""

from __future__ import annotations

import json
import logging

import httpx
import pytest
import redis

from relay.planhat.sandbox import NO_QUOTAS, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import Kit, patch
from tests.test_hooks import Door, books, door, message

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
