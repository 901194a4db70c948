"""What came without its words, or without saying who may read it, is counted by source and said in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from click.testing import CliRunner

from relay.cli.check import check
from relay.operations.remarks import remarks_in_words
from relay.operations.source_rows import read_sources
from relay.operations.stats import read_stats
from relay.settings import Settings
from relay.web.app import WebSide
from tests.environ import WEAK
from tests.web.test_hooks import serve
from tests.workers.test_workers import wait_until

pytestmark = pytest.mark.process

CONFIG = """
planhat: {types: [Help-desk ticket]}
sources:
  desk: {adapter: zendesk, basic_auth: ["user:pass"], type: Help-desk ticket}
  told: {adapter: zendesk, basic_auth: ["user:pass"], type: Help-desk ticket, privacy: as_told}
  calls: {adapter: zoom, unauthenticated: true, type: Help-desk ticket}
companies: [{default: extid-acme}]
"""


class Desk:
    def __init__(self, url: str, side: WebSide, client: redis.Redis) -> None:
        self.url, self.side, self.client = url, side, client

    def post(self, source: str, payload: Any) -> httpx.Response:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return httpx.post(
            f"{self.url}/hooks/{source}",
            content=body,
            headers={"content-type": "application/json"},
            auth=("user", "pass"),
            trust_env=False,
        )

    def counted(self) -> dict[str, dict[str, int]]:
        wait_until(lambda: not self.side.tally.unwritten, 20)
        return self.side.outbox.remarks()


@pytest.fixture
def desk(redis_url: str, redis_client: redis.Redis, tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "relay.yaml").write_text(CONFIG)
    settings = Settings(config=str(tmp_path / "relay.yaml"), redis_url=redis_url, require_durable=False)
    side = WebSide(settings, WEAK)
    for url in serve(side):
        yield Desk(url, side, redis_client)


def test_events_without_words_and_of_unknown_privacy_are_counted_and_told(desk: Desk) -> None:
    assert desk.post("desk", {"ticket_id": 1, "title": "x", "status": "open"}).json()["status"] == "accepted"
    assert desk.post("desk", {"ticket_id": 1, "latest_comment": "hm"}).json() == {"status": "ignored"}
    assert desk.post("desk", {"ticket_id": 1, "private": True, "body": "hm"}).json() == {"status": "ignored"}
    repeated = {"ticket_id": 1, "latest_comment": "hm"}
    assert desk.post("told", repeated).json()["status"] == "accepted"
    assert desk.post("told", repeated).json()["status"] == "duplicate"

    remarks = desk.counted()
    assert remarks["desk"] == {"empty:trigger": 1, "skipped:privacy_unsaid": 1, "skipped:private": 1}
    assert remarks["told"] == {"privacy_unsaid": 1}
    stats = read_stats(desk.side.outbox, desk.side.delivery)
    assert stats["balanced"]
    assert stats["remarks"]["desk"]["empty:trigger"] == 1
    assert any("trigger's JSON carries no text" in warning for warning in stats["warnings"])
    assert any("is_public" in warning for warning in stats["warnings"])
    rows = {
        row["name"]: row for row in read_sources(desk.side.outbox, {"desk": "zendesk", "told": "zendesk"})
    }
    assert rows["desk"]["empty"] == [("trigger", 1)]
    assert dict(rows["desk"]["skipped"]) == {"private": 1, "privacy_unsaid": 1}
    assert rows["told"]["privacy_unsaid"] == 1
    assert desk.side.outbox.remarks(since_ms=10**15)["desk"] == {}, "old news"
    # Who has chosen is not told again.
    assert remarks_in_words({"told": remarks["told"]}, chosen=True) == []


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ({"event": "phone.sms_received", "payload": {"object": {"message": "Call me"}}}, 200),
        (
            {
                "event": "meeting.summary_completed",
                "payload": {"object": {"summary_content": "x", "text": "y"}},
            },
            200,
        ),
        ({"event": "phone.sms_received", "payload": {"object": {}}}, 400),
        ({"anything": 1}, 400),
        (b"{", 400),
    ],
)
def test_an_unknown_shape_is_kept_where_it_holds_words(desk: Desk, payload: Any, status: int) -> None:
    assert desk.post("calls", payload).status_code == status
    dead = desk.side.outbox.dead.count()
    assert dead == (1 if status == 200 else 0)


def test_a_source_is_found_with_a_slash_at_its_end(desk: Desk) -> None:
    answer = httpx.post(
        f"{desk.url}/hooks/desk/",
        json={"ticket_id": 1, "status": "open"},
        auth=("user", "pass"),
        trust_env=False,
    )
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")


def test_check_warns_of_a_trigger_that_does_not_say_who_may_read_it(tmp_path: Path) -> None:
    (tmp_path / "trigger.json").write_text(json.dumps({"ticket_id": 1, "comment": "hm"}))
    (tmp_path / "relay.yaml").write_text(
        CONFIG.replace("unauthenticated: true", "secrets: [a-secret-that-is-long-enough-1]")
        + """
rules:
  - name: desk
    source: desk
    conversation: {type: Help-desk ticket, externalId: "d-{{ event.thread }}", subject: x}
    companyId: extid-acme
    examples: [{payload_file: trigger.json, expect: {externalId: d-1}}]
"""
    )
    done = CliRunner().invoke(check, [str(tmp_path / "relay.yaml"), "--json"], env=WEAK)
    warned = [m["where"] for m in json.loads(done.output)["mistakes"] if "is_public" in m["message"]]
    assert sorted(warned) == ["sources.desk", "sources.told"]
    assert done.exit_code == 0
