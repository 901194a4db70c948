"""What was sealed with a key that is gone: it waits for the key, stops nothing else, becomes a dead letter by age, and hides
nothing from those who look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from cryptography.fernet import Fernet

from relay.config import Retry
from relay.operations.dead.look import list_dead, show_dead
from relay.operations.dead.replay import replay_dead
from relay.operations.selection import Selection
from relay.operations.trace import find
from relay.outbox.outbox import Outbox
from relay.outbox.vault import Vault
from relay.planhat.sandbox import NO_QUOTAS, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import Kit, patch
from tests.operating import Shop, standing_problems

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def keyed(kit: Kit, keys: str) -> None:
    kit.outbox.vault = Vault(lambda: keys)


def test_one_lost_key_stops_nothing_else_and_comes_back_with_it(redis_client: redis.Redis) -> None:
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        kit = Kit(redis_client, url, sandbox=sandbox)
        keyed(kit, OLD)
        kit.record(patch(1), patch(2))
        keyed(kit, NEW)
        kit.record(patch(3), patch(4))
        kit.run()
        assert kit.books() == {"accepted": 4, "pending": 2, "delivered": 2}
        kit.due_now()
        kit.run()
        assert kit.books() == {"accepted": 4, "pending": 2, "delivered": 2}
        keyed(kit, f"{NEW},{OLD}")
        kit.due_now()
        kit.run()
        assert kit.books() == {"accepted": 4, "delivered": 4}


def test_a_document_whose_key_is_lost_is_never_written_over(redis_client: redis.Redis) -> None:
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        kit = Kit(redis_client, url, sandbox=sandbox)
        keyed(kit, OLD)
        kit.record(patch(1, thread="t"))
        kit.run()
        before = redis_client.get(kit.outbox.prefix + "document:slack-C1-t")
        keyed(kit, NEW)
        kit.record(patch(2, thread="t"))
        kit.run()
        assert kit.books() == {"accepted": 2, "pending": 1, "delivered": 1}
        assert redis_client.get(kit.outbox.prefix + "document:slack-C1-t") == before
        assert "text 1" in str(kit.at_planhat("slack-C1-t"))
        keyed(kit, f"{NEW},{OLD}")
        kit.due_now()
        kit.run()
        assert kit.books() == {"accepted": 2, "delivered": 2}
        description = str(kit.at_planhat("slack-C1-t")["description"])
        assert "text 1" in description
        assert "text 2" in description


def test_what_a_newer_release_sealed_waits_for_that_one_however_long(redis_client: redis.Redis) -> None:
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        kit = Kit(redis_client, url, sandbox=sandbox, retry=Retry(give_up_after_s=0.001))
        kit.record(patch(1), patch(2))
        key = kit.outbox.prefix + "patches:slack-C1-1"
        entry: Any = redis_client.lindex(key, 0)
        foreign: Any = [*entry.split(b"\x1f", 4)[:4], b"d\xffof a dictionary that comes later"]
        foreign = b"\x1f".join(foreign)
        redis_client.lset(key, 0, foreign)
        kit.run()
        kit.due_now()
        kit.run()
        assert kit.books() == {"accepted": 2, "pending": 1, "delivered": 1}
        assert kit.outbox.newer_count() == 1
        told = standing_problems(kit.outbox, kit.delivery)
        assert [(problem.kind, problem.count) for problem in told] == [("releases", 1)]
        redis_client.lset(key, 0, entry)
        kit.due_now()
        kit.run()
        assert kit.books() == {"accepted": 2, "delivered": 2}
        assert kit.outbox.newer_count() == 0


def test_what_waited_for_its_key_too_long_is_a_dead_letter_that_a_replay_brings_back(
    redis_client: redis.Redis, tmp_path: Path
) -> None:
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        kit = Kit(redis_client, url, sandbox=sandbox)
        keyed(kit, OLD)
        kit.record(patch(1))
        keyed(kit, NEW)
        held: Any = redis_client.lrange(kit.outbox.prefix + "patches:slack-C1-1", 0, -1)
        # As if it had come in four days ago.
        event, source, at_ms, counted, sealed = held[0].split(b"\x1f", 4)
        old: Any = b"\x1f".join((event, source, b"%d" % (int(at_ms) - 4 * 86_400_000), counted, sealed))
        redis_client.lset(kit.outbox.prefix + "patches:slack-C1-1", 0, old)
        kit.run()
        assert kit.books() == {"accepted": 1, "dead": 1}

        shop = Shop(redis_client, tmp_path)
        shop.outbox.vault = Vault(lambda: NEW)
        listed = list_dead(shop.outbox, Selection())
        assert [group["cause"] for group in listed["groups"]] == ["cannot be read"]
        [dead_id] = shop.outbox.dead.ids()
        shown = show_dead(shop.context, dead_id)
        assert "no longer given" in shown["reason"]
        assert replay_dead(shop.context, Selection(ids=(dead_id,)), by="test")["failed"] == 1
        assert find(shop.outbox, event.decode(), ["slack"])["events"][0]["state"] == "dead"
        shop.outbox.vault = Vault(lambda: f"{NEW},{OLD}")
        assert replay_dead(shop.context, Selection(ids=(dead_id,)), by="test")["replayed"] == 1
        keyed(kit, f"{NEW},{OLD}")
        kit.run()
        assert kit.books() == {"accepted": 1, "delivered": 1}


@pytest.mark.parametrize("damage", [b"e" + b"x" * 40, b"z\x00\x01", b"?", b""])
def test_a_damaged_value_hides_nothing_else(redis_client: redis.Redis, tmp_path: Path, damage: bytes) -> None:
    shop = Shop(redis_client, tmp_path)
    event_id, other = shop.arrive("one"), shop.arrive("two", number=2, ts="1800000009.000100")
    [dead_id, _] = shop.bury("no")
    outbox: Outbox = shop.outbox
    redis_client.hset(f"{outbox.prefix}dead:{dead_id}", "record", damage)
    redis_client.rpush(f"{outbox.prefix}notes:{event_id}", damage)
    redis_client.setrange(f"{outbox.prefix}event:{event_id}", 14, damage)
    assert len(list_dead(outbox, Selection())["items"]) == 2
    assert show_dead(shop.context, dead_id)["cause"] == "the stored record cannot be read"
    assert find(outbox, other, ["slack"])["events"]
    assert find(outbox, event_id, ["slack"])["events"][0]["id"] == event_id
    assert orjson.dumps(replay_dead(shop.context, Selection(everything=True), by="test", dry_run=True))
