"""What is wrong now, in sentences with what to do: dead letters by cause, what is held or dropped, refused files, the token's end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from relay.operations.dead.causes import mark_cause
from relay.operations.drops import begin_drop
from relay.operations.pause import pause_delivery, resume_delivery
from relay.operations.problems import CAUSES_TOLD
from relay.operations.stats import read_stats
from relay.outbox.processes import config_facts, give_sign
from tests.operating import Shop, standing_problems


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    return Shop(redis_client, tmp_path)


def kinds(shop: Shop) -> list[str]:
    found = standing_problems(shop.outbox, shop.delivery, config=shop.house.config)
    return sorted({problem.kind for problem in found})


def test_where_all_is_well_nothing_is_said(shop: Shop) -> None:
    shop.arrive("hello")
    shop.deliver()
    give_sign(shop.outbox, "h:1:web", "web", due_s=20, started_ms=0, facts=config_facts("v1", ""))
    give_sign(shop.outbox, "h:2:flush", "flush", due_s=20, started_ms=0, facts=config_facts("v1", ""))
    assert kinds(shop) == []


def test_dead_letters_are_told_by_cause_but_for_muted_ones(shop: Shop) -> None:
    for number in range(CAUSES_TOLD + 2):
        shop.arrive("hello", number=number, ts=f"1800000{number:03}.000100")
        shop.bury(f"cause {chr(97 + number)}")
    shop.arrive("hello", number=99, ts="1800000990.000100", source="second")
    shop.bury("cause a")
    found = standing_problems(shop.outbox, shop.delivery)
    assert len(found) == CAUSES_TOLD + 1
    assert found[0].found.startswith("2 dead letters of second, slack: cause a (c-")
    assert found[0].do == f"`relay dead list --cause {found[0].cause}`"
    assert found[-1].found == f"2 more dead letters, {CAUSES_TOLD + 3} in all"
    assert read_stats(shop.outbox, shop.delivery)["problems"][0]["cause"] == found[0].cause
    mark_cause(shop.outbox, "cause a", {"muted": True}, by="ann")
    assert all("cause a" not in problem.found for problem in standing_problems(shop.outbox, shop.delivery))


def test_what_is_held_says_since_when_and_by_whom(shop: Shop) -> None:
    shop.arrive("hello")
    before_ms = shop.outbox.now_ms()
    pause_delivery(shop.delivery, by="cli:ann")
    pause_delivery(shop.delivery, "slack", by="api:bo")
    pause_delivery(shop.delivery, "slack", by="api:cy")
    everything, source = standing_problems(shop.outbox, shop.delivery)
    assert "delivery is paused since 20" in everything.found
    assert "by cli:ann; 1 conversation waits" in everything.found
    assert "by api:bo" in source.found, "who held it first"
    assert source.do == "`relay resume --source slack`"
    assert before_ms <= shop.delivery.pauses()[""].since_ms <= shop.outbox.now_ms()
    told = read_stats(shop.outbox, shop.delivery)
    assert [(one["source"], one["by"]) for one in told["delivery"]["pauses"]] == [
        (None, "cli:ann"),
        ("slack", "api:bo"),
    ]
    resume_delivery(shop.delivery)
    resume_delivery(shop.delivery, "slack")
    assert (kinds(shop), shop.delivery.pauses()) == ([], {})


def test_a_pause_of_an_older_release_is_told_without_who(shop: Shop, redis_client: redis.Redis) -> None:
    shop.delivery.pause("slack")
    redis_client.delete(f"{shop.outbox.prefix}pauses")
    [problem] = standing_problems(shop.outbox, shop.delivery)
    assert problem.found.startswith("source slack is paused; 0 conversations wait")


def test_drops_refused_files_the_token_and_releases_are_told(shop: Shop) -> None:
    begin_drop(shop.outbox, {"slack"}, source="slack", where="event.sender.bot", lasts="1h", by="cli:ann")
    give_sign(
        shop.outbox, "h:1:web", "web", due_s=20, started_ms=0, facts=config_facts("v1", "relay.yaml:6: wrong")
    )
    now = datetime.fromtimestamp(shop.outbox.now_ms() / 1000, UTC)
    ends = (now + timedelta(days=3)).date().isoformat()
    config = shop.house.config
    config = replace(config, planhat=replace(config.planhat, token_expires=ends))
    found = {
        problem.kind: problem for problem in standing_problems(shop.outbox, shop.delivery, config=config)
    }
    assert sorted(found) == ["config", "drop", "token"]
    assert found["config"].found.endswith("relay.yaml:6: wrong")
    assert "by cli:ann" in found["drop"].found
    assert "0 events dropped" in found["drop"].found
    assert "ends in 3 days" in found["token"].found
    give_sign(shop.outbox, "h:1:web", "web", due_s=20, started_ms=0, facts=config_facts("v1", ""))
    give_sign(shop.outbox, "h:2:flush", "flush", due_s=20, started_ms=0, facts=config_facts("v2", ""))
    assert "v1" in next(p.found for p in standing_problems(shop.outbox, shop.delivery) if p.kind == "config")
