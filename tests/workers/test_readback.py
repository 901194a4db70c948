"""Silent damage is caught: what stands in Planhat is compared with what was sent."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
import redis

from relay.operations.stats import read_stats
from relay.outbox.delivery import Delivery
from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import Kit, patch
from workers.flush.comparison import differences
from workers.flush.readback import Readback


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Sandbox, str]]:
    # The tenant has no such type as the config promises.
    sandbox = create_sandbox(types=["Another type"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield sandbox, url


@pytest.fixture
def kit(redis_client: redis.Redis, shared: tuple[Sandbox, str]) -> Kit:
    shared[0].reset()
    kit = Kit(redis_client, shared[1], sandbox=shared[0])
    kit.flush.tools.reader = Readback(
        redis_client, kit.planhat, kit.pace, metrics=kit.metrics, now_ms=kit.outbox.now_ms
    )
    return kit


def test_a_type_that_became_a_note_raises_a_warning_that_names_the_rule(kit: Kit) -> None:
    kit.record(*(patch(n) for n in range(20)))
    kit.run()

    [row] = [orjson.loads(value) for value in kit.outbox.redis.hgetall("relay:{main}:warnings").values()]
    assert (row["rule"], row["field"], row["type"]) == ("slack-thread", "type", "Slack thread")
    assert "became note" in row["what"]
    assert kit.metrics.read()["relay_silent_damage_total|field=type,rule=slack-thread"] == 1
    assert kit.books() == {"accepted": 20, "delivered": 20}


def test_the_warning_is_told_in_the_stats_and_goes_when_it_is_mended(
    kit: Kit, shared: tuple[Sandbox, str], redis_client: redis.Redis
) -> None:
    kit.record(patch(1))
    kit.run()
    warnings = read_stats(kit.outbox, Delivery(redis_client))["warnings"]
    [told] = [warning for warning in warnings if "slack-thread" in warning]
    assert "type became note" in told

    with running(create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)) as url:
        mended = Kit(redis_client, url)
        redis_client.delete("relay:{main}:readback")
        mended.flush.tools.reader = Readback(
            redis_client, mended.planhat, mended.pace, metrics=mended.metrics, now_ms=mended.outbox.now_ms
        )
        mended.record(patch(2))
        mended.run()
    warnings = read_stats(kit.outbox, Delivery(redis_client))["warnings"]
    assert not [warning for warning in warnings if "slack-thread" in warning]


def test_each_type_is_read_back_once_and_then_only_as_a_sample(kit: Kit) -> None:
    for number in range(5):
        kit.record(patch(number))
        kit.run()

    reads = [call for call in kit.sandbox.calls if call["operation"] == "get"]  # type: ignore[union-attr]
    assert len(reads) == 1


def test_a_read_back_that_fails_disturbs_nothing(kit: Kit) -> None:
    kit.fault(operation="get", status=500)
    kit.record(patch(1))
    kit.run()

    assert kit.books() == {"accepted": 1, "delivered": 1}
    assert not kit.outbox.redis.exists("relay:{main}:warnings")


def test_what_planhat_writes_in_its_own_way_is_no_damage() -> None:
    sent = {
        "type": "Slack thread",
        "subject": "s",
        "description": "<p>x</p>",
        "date": "2026-01-01T00:00:00.000Z",
        "endusers": [{"id": "e"}],
        "custom": {"A": 1, "B": 2},
        "archived": False,
    }
    stands = {
        **sent,
        "description": "x",
        "endusers": [{"id": "e", "name": "Ann"}],
        "date": "2026-01-01",
        "extra": 1,
    }

    assert differences(sent, stands) == []
    assert differences(sent, {**stands, "custom": {"A": 1}}) == [("custom.B", "dropped")]
    assert differences(sent, {**stands, "endusers": []}) == [("endusers", "dropped")]
    assert differences(sent, {**stands, "subject": "t"}) == [("subject", "changed")]
    assert [field for field, _ in differences(sent, {})] == [
        "type",
        "subject",
        "description",
        "date",
        "endusers",
        "custom.A",
        "custom.B",
        "archived",
    ]
