"""Memory is given back by what is settled; what waits, is dead or counted stays, and quiet conversations go on as before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from relay.operations.prune import PruneQuery, Pruning
from relay.outbox.items import Entry
from relay.planhat.sandbox import NO_QUOTAS, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import Kit, patch


@pytest.fixture
def kit(redis_client: redis.Redis) -> Iterator[Kit]:
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield Kit(redis_client, url, sandbox=sandbox)


#: An event that takes more than what is left of it.
RAW = b'{"v":1}\n' + random.Random(1).randbytes(400)


def prune(kit: Kit, **wanted: object) -> dict[str, int]:
    wanted.setdefault("before_ms", kit.outbox.now_ms() + 60_000)
    told: list[tuple[int, int]] = []
    found = Pruning(kit.outbox, PruneQuery(**wanted), lambda done, of: told.append((done, of))).run()  # type: ignore[arg-type]
    assert told and all(done <= of for done, of in told) and told == sorted(told)
    return found.view()


def events(kit: Kit) -> int:
    """Those of which more is left than that they came."""
    keys: Any = kit.outbox.redis.keys(kit.outbox.prefix + "event:*")
    return sum(1 for key in keys if kit.outbox.redis.strlen(key))


def memory(client: redis.Redis) -> int:
    told: Any = client.info("memory")
    return int(told["used_memory"])


def test_what_is_settled_goes_and_the_books_stay(kit: Kit) -> None:
    kit.record(*(patch(number) for number in range(30)), raw=RAW)
    kit.run()
    kit.record(*(patch(number) for number in range(30, 35)))
    before = kit.books()
    would = prune(kit, dry_run=True)
    assert (events(kit), would["events"], would["documents"]) == (35, 30, 30)
    found = prune(kit)
    assert (found["events"], found["documents"], events(kit)) == (30, 30, 5)
    assert found["bytes"] == would["bytes"] > 10_000
    assert kit.books() == before
    kit.run()
    assert kit.books() == {"accepted": 35, "delivered": 35}


def test_what_went_is_still_known_for_as_long_as_it_would_have_been_kept(kit: Kit) -> None:
    kit.record(patch(1))
    kit.run()
    [key] = kit.outbox.redis.keys(kit.outbox.prefix + "event:*")
    lives = kit.outbox.redis.ttl(key)
    assert prune(kit)["events"] == 1 and prune(kit)["events"] == 0
    assert kit.outbox.events.get(patch(1).event_id) is None
    assert 0 < lives - 60 <= kit.outbox.redis.ttl(key) <= lives
    kit.record(patch(1))
    kit.run()
    assert kit.books() == {"accepted": 1, "delivered": 1}
    assert kit.outbox.ledger()["slack"]["duplicate"] == 1


def test_what_is_dead_or_waits_stays(kit: Kit) -> None:
    kit.fault(operation="upsert", refuse="C1-[0-4]$", times=2)
    kit.record(*(patch(number) for number in range(10)))
    for _ in range(3):
        kit.due_now()
        kit.run()
    assert kit.books()["dead"] == 5
    kit.record(patch(7, text="again", event_id="evt_again", message_id="m99", version=2_000_000_000_000_000))
    found = prune(kit)
    # Five events are dead; one document has something waiting.
    assert found["events"] == 5 and found["documents"] == 9
    for dead_id in kit.outbox.dead.ids():
        assert kit.outbox.dead.redrive(dead_id) == 1
    kit.due_now()
    kit.run()
    assert kit.books() == {"accepted": 11, "delivered": 11}
    assert "again" in kit.at_planhat("slack-C1-7")["description"]


def test_a_conversation_goes_on_where_it_stopped(kit: Kit) -> None:
    for number in (1, 2):
        kit.record(patch(number, thread="t"))
        kit.run()
    assert prune(kit)["documents"] == 1
    kit.record(patch(3, thread="t"))
    kit.run()
    assert kit.at_planhat("slack-C1-t")["description"].count("text") == 3


def test_by_age_source_and_size(kit: Kit) -> None:
    kit.record(*(patch(number) for number in range(20)), raw=RAW)
    kit.record(*(patch(number, source="mail") for number in range(20, 40)), raw=RAW)
    kit.run()
    assert prune(kit, before_ms=1) == {"events": 0, "documents": 0, "bytes": 0, "kept_newer": 0}
    found = prune(kit, source="mail", documents=False)
    assert (found["events"], found["documents"], events(kit)) == (20, 0, 20)
    some = prune(kit, enough_bytes=1)
    assert 0 < some["events"] <= 20 and some["documents"] == 0


def test_a_part_of_a_minute_goes_by_each_event_s_own_time(kit: Kit) -> None:
    now_ms = kit.outbox.now_ms()
    rows = [
        Entry(f"evt_{n}", "slack", "filtered", (f"evt_{n}",), b'{"v":1,"received_ms":%d}\n' % (now_ms + n))
        for n in range(10)
    ]
    kit.outbox.record(rows)
    assert prune(kit, before_ms=now_ms + 4)["events"] == 4


def test_it_frees_memory_while_redis_is_full(kit: Kit, redis_client: redis.Redis) -> None:
    kit.record(*(patch(number) for number in range(500)))
    kit.run()
    used = memory(redis_client)
    redis_client.config_set("maxmemory", str(used // 2))
    try:
        found = prune(kit)
    finally:
        redis_client.config_set("maxmemory", "0")
    assert found["documents"] == 500
    assert used - memory(redis_client) > found["bytes"] * 0.5
