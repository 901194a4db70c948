"""The door, over a real server on a real socket: what each sender is answered, and that nothing is kept that was not said."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
import redis
import uvicorn

from relay.outbox.items import STATES
from relay.settings import Settings
from relay.web.app import WebSide
from relay.web.assembly import assemble
from tests.environ import WEAK

pytestmark = pytest.mark.process

CONFIG = """
planhat:
  types: [Slack thread, Support email, Help-desk ticket]
sources:
  slack: {adapter: slack, secrets: ["shh"], type: Slack thread}
  mail: {adapter: postmark, basic_auth: ["user:pass"], type: Support email}
  signed:
    adapter: generic
    type: Help-desk ticket
    secrets: ["one", "two"]
    signature: {header: X-Signature, hash: sha256, encoding: hex, signed: "{body}"}
  cloud: {adapter: cloudmailin, basic_auth: ["user:pass"], type: Support email}
  slow: {adapter: generic, type: Help-desk ticket, bearer: ["token"], rate_limit: 2/s}
companies:
  - default: extid-acme
"""


class Door:
    def __init__(self, url: str, side: WebSide) -> None:
        self.url, self.side = url, side
        self.http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def slack(
        self,
        body: bytes,
        *,
        secret: str = "shh",
        at: float | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> httpx.Response:
        stamp = str(int(time.time() if at is None else at))
        digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        return self.http.post(
            "/hooks/slack",
            content=body,
            headers={
                "content-type": "application/json",
                "x-slack-request-timestamp": stamp,
                "x-slack-signature": f"v0={digest}",
                **headers,
            },
        )


def message(number: int = 1, **changes: Any) -> bytes:
    event = {
        "type": "message",
        "channel": "C1",
        "user": "U1",
        "text": "hello",
        "ts": f"1700000000.{number:06d}",
        **changes,
    }
    return json.dumps(
        {
            "type": "event_callback",
            "team_id": "T1",
            "event_id": f"Ev{number}",
            "event_time": 1700000000,
            "event": event,
        }
    ).encode()


def serve(side: WebSide) -> Iterator[str]:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            assemble(side, operators=False),
            http=side.protocol(),
            log_config=None,
            access_log=False,
            lifespan="on",
        )
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[bound])), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    for _ in range(200):
        try:
            if httpx.get(f"{url}/healthz", trust_env=False).status_code == 200:
                break
        except httpx.HTTPError:
            time.sleep(0.02)
    yield url
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def door(redis_url: str, tmp_path: Path) -> Iterator[Door]:
    (tmp_path / "relay.yaml").write_text(CONFIG)
    side = WebSide(
        Settings(config=str(tmp_path / "relay.yaml"), redis_url=redis_url, require_durable=False), WEAK
    )
    for url in serve(side):
        yield Door(url, side)


def books(door: Door) -> dict[str, dict[str, int]]:
    ledger = door.side.outbox.ledger()
    for counts in ledger.values():
        assert counts["accepted"] == sum(counts[state] for state in STATES)
    return ledger


def test_a_signed_message_is_accepted_and_durable(door: Door) -> None:
    answer = door.slack(message())
    assert answer.status_code == 202
    body = answer.json()
    assert body["status"] == "accepted" and len(body["event_ids"]) == 1
    found = door.side.outbox.events.get(body["event_ids"][0])
    assert found and found[0] == "pending"
    assert books(door)["slack"]["pending"] == 1


def test_the_same_delivery_again_is_a_duplicate_of_the_same_event(door: Door) -> None:
    first, second = (
        door.slack(message()).json(),
        door.slack(message(), headers={"x-slack-retry-num": "1"}).json(),
    )
    assert second == {"status": "duplicate", "event_ids": first["event_ids"]}
    assert books(door)["slack"]["duplicate"] == 1


def test_what_the_adapter_skips_is_ignored_and_outside_of_the_books(door: Door) -> None:
    assert door.slack(message(bot_id="B1")).json() == {"status": "ignored"}
    assert books(door).get("slack", {"accepted": 0})["accepted"] == 0


def test_a_handshake_is_echoed(door: Door) -> None:
    answer = door.slack(json.dumps({"type": "url_verification", "challenge": "abc123"}).encode())
    assert (answer.status_code, "abc123" in answer.text) == (200, True)


@pytest.mark.parametrize(
    ("secret", "shift_s"),
    [("wrong", 0), ("shh", -600), ("shh", 600)],
    ids=["wrong secret", "stale", "from the future"],
)
def test_what_is_not_authentic_gets_401_and_is_not_told_why(door: Door, secret: str, shift_s: int) -> None:
    answer = door.slack(message(), secret=secret, at=time.time() + shift_s)
    assert answer.status_code == 401
    assert answer.json()["error"]["message"] == "the request could not be authenticated"
    assert door.side.outbox.pending_items() == 0


def test_a_503_for_want_of_a_proof_says_when_to_come_again(door: Door) -> None:
    """CloudMailin bounces the mail to the customer for any 4xx."""
    answer = door.http.post("/hooks/cloud", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")


def test_an_unsigned_request_gets_401_before_it_is_parsed(door: Door) -> None:
    assert door.http.post("/hooks/slack", content=b"not json").status_code == 401
    assert door.http.post("/hooks/mail", json={}).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"type":"event_callback"}',
        b'{"type":"event_callback","event_id":"Ev1","event":{"type":"message","channel":{},"ts":[]}}',
        b'{"type":"event_callback","event_id":[1],"event":{"type":"message","subtype":{},"channel":"C","ts":"1.0"}}',
    ],
    ids=[
        "empty",
        "no json",
        "list",
        "string",
        "deep list",
        "deep object",
        "deep and closed",
        "no event",
        "wrong types",
        "unhashable",
    ],
)
def test_a_genuine_but_malformed_body_gets_a_400_that_names_the_path(door: Door, body: bytes) -> None:
    answer = door.slack(body)
    assert answer.status_code in (400, 202), answer.text
    if answer.status_code == 400:
        assert set(answer.json()["error"]) == {"code", "message", "path"}
    else:
        assert answer.json() == {"status": "ignored"}


def test_the_other_refusals_have_their_own_codes(door: Door) -> None:
    assert door.http.post("/hooks/nobody", content=b"{}").status_code == 404
    assert door.http.put("/hooks/slack", content=b"{}").status_code in (401, 405)
    assert door.http.get("/hooks/slack").status_code == 405
    assert door.http.get("/nowhere").status_code == 404
    assert door.slack(b"x" * (2 * 1024 * 1024)).status_code == 413
    assert door.slack(message(), headers={"content-type": "text/csv"}).status_code == 415
    assert door.slack(message(), headers={"content-encoding": "gzip"}).status_code == 415


def test_a_body_without_a_length_is_cut_off_at_the_limit(door: Door) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    headers = {"x-slack-request-timestamp": str(int(time.time())), "x-slack-signature": "v0=" + "0" * 64}
    assert door.http.post("/hooks/slack", content=parts(), headers=headers).status_code == 413


def test_either_of_two_secrets_opens(door: Door) -> None:
    for number, secret in enumerate(("one", "two")):
        body = json.dumps({"id": f"d{number}", "type": "note", "text": "hi"}).encode()
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        answer = door.http.post(
            "/hooks/signed", content=body, headers={"x-signature": digest, "content-type": "application/json"}
        )
        assert answer.status_code == 202, answer.text


def test_non_ascii_headers_never_break_the_door(door: Door) -> None:
    headers = [(b"x-slack-signature", "v0=ä".encode()), (b"x-slack-request-timestamp", "१२".encode())]
    answer = door.http.post("/hooks/slack", content=message(), headers=headers)
    assert answer.status_code == 401


def test_a_source_over_its_rate_is_told_to_come_back(door: Door) -> None:
    statuses = []
    for number in range(6):
        answer = door.http.post(
            "/hooks/slow",
            json={"id": f"r{number}", "type": "note", "text": "x"},
            headers={"authorization": "Bearer token"},
        )
        statuses.append((answer.status_code, answer.headers.get("retry-after")))
    assert (429, "1") in statuses
    assert books(door)["slow"]["accepted"] == sum(status == 202 for status, _ in statuses)


def test_without_redis_nothing_is_acknowledged(tmp_path: Path) -> None:
    (tmp_path / "relay.yaml").write_text(CONFIG)
    side = WebSide(
        Settings(
            config=str(tmp_path / "relay.yaml"),
            redis_url=f"unix://{tmp_path}/none.sock",
            require_durable=False,
        ),
        WEAK,
    )
    for url in serve(side):
        door = Door(url, side)
        answer = door.slack(message())
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        assert door.http.get("/readyz").status_code == 503
        assert door.http.get("/healthz").status_code == 200


def test_a_full_redis_is_a_503_and_a_freed_one_goes_on(door: Door, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory", "1")
    try:
        assert door.slack(message(1)).status_code == 503
        assert door.http.get("/readyz").status_code == 503
    finally:
        redis_client.config_set("maxmemory", "0")
    deadline = time.monotonic() + 5
    while door.slack(message(2)).status_code != 202:
        assert time.monotonic() < deadline
    assert books(door)["slack"]["accepted"] == 1


def test_readyz_refuses_a_redis_that_may_lose_events(
    redis_url: str, tmp_path: Path, redis_client: redis.Redis
) -> None:
    (tmp_path / "relay.yaml").write_text(CONFIG)
    side = WebSide(
        Settings(config=str(tmp_path / "relay.yaml"), redis_url=redis_url, require_durable=True), WEAK
    )
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        for url in serve(side):
            answer = httpx.get(f"{url}/readyz", trust_env=False)
            assert answer.status_code == 503
            assert "evict" in answer.json()["problems"][0]
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")


def test_metrics_speak_prometheus_and_count_what_happened(door: Door) -> None:
    door.slack(message(1))
    door.slack(message(1))
    door.slack(message(2), secret="wrong")
    text = door.side.health.exposition().decode()
    assert 'relay_http_requests_total{source="slack",status="202"} 2.0' in text
    assert 'relay_http_requests_total{source="slack",status="401"} 1.0' in text
    assert 'relay_ingest_seconds_count{source="slack"} 3.0' in text
    assert 'relay_ingest_seconds_bucket{le="+Inf",source="slack"} 3.0' in text
    assert 'relay_ingest_seconds_bucket{le="2.5",source="slack"} 3.0' in text
    assert float(text.split('relay_ingest_seconds_sum{source="slack"} ')[1].split()[0]) > 0
    assert 'relay_events_total{source="slack",state="accepted"} 1' in text
    assert 'relay_events_total{source="slack",state="duplicate"} 1' in text
    assert "relay_books_balanced 1" in text


def test_a_fault_of_our_own_is_a_500_in_our_words_and_the_next_request_is_served(door: Door) -> None:
    def fails(event: Any) -> str | None:
        raise ZeroDivisionError

    kept, door.side.intake.filters = door.side.intake.filters, fails
    answer = door.slack(message(1))
    assert answer.status_code == 500
    assert answer.json() == {"error": {"code": "internal", "message": "internal error", "path": ""}}
    door.side.intake.filters = kept
    assert door.slack(message(1)).status_code == 202


@pytest.mark.parametrize(
    "path", ["/hooks/", "/hooks", "/hooks/slack/more", "/hooks//slack", "/hooks/slack%2Fmore"]
)
def test_a_path_that_names_no_source_is_no_page(door: Door, path: str) -> None:
    answer = door.http.post(path, content=b"{}")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "no such page"


def test_no_log_line_holds_a_body_or_a_secret(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary-7f3a@example.com"
    with caplog.at_level(logging.DEBUG):
        door.slack(message(5, text=canary))
        door.slack(message(6, text=canary), secret="wrong")
        door.slack(b'{"broken": "' + canary.encode())
    said = "\n".join(
        f"{record.getMessage()} {getattr(record, 'facts', '')}"
        for record in caplog.records
        if record.name == "relay"
    )
    assert "request.answered" in said
    assert canary not in said and "shh" not in said


def test_a_changed_config_is_taken_over_and_a_broken_one_refused(door: Door) -> None:
    path = Path(door.side.settings.config)
    path.write_text(CONFIG.replace("slack: {", "slack2: {"))
    assert door.side.reload_if_changed() is True
    assert door.slack(message()).status_code == 404
    path.write_text("sources: [")
    assert door.side.reload_if_changed() is False
    assert "slack2" in door.side.house.sources
    door.side.metrics.flush()
    assert door.side.metrics.read()["relay_rules_reload_failures_total|"] == 1


def test_every_series_says_what_it_is(door: Door) -> None:
    door.slack(message(1))
    text = door.side.health.exposition().decode()
    typed = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    helped = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# HELP ")}
    assert typed <= helped
