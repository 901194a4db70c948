"""/metrics by source: what waits, what is dead, what a person has held or drops, when the token ends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import redis
from prometheus_client.parser import text_string_to_metric_families

from relay.config import Config, LaneConfig, PlanhatConfig
from relay.operations.dead.counts import DeadCounts
from relay.outbox.audit import AuditLine, write_audit
from relay.outbox.lane_servers import LaneServers
from relay.web.gauges import AuditSaid, of_no_lane
from relay.web.lane_metrics import LaneMetrics, rows_together
from tests.operating import NOON, Shop


def series(shop: Shop, config: Config) -> Mapping[str, dict[str, float]]:
    """name -> (labels as text -> value), by Prometheus's own parser."""
    metrics = LaneMetrics(shop.outbox, shop.delivery)
    [rows] = rows_together(LaneServers(), [metrics], config, AuditSaid(shop.outbox), limit_s=5)
    assert isinstance(rows, list)
    text = "\n".join([*of_no_lane(shop.outbox, config), *rows])
    return {
        family.name: {
            ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
            for sample in family.samples
        }
        for family in text_string_to_metric_families(text + "\n")
    }


def test_each_source_has_what_waits_and_what_is_dead(redis_client: redis.Redis, tmp_path: Path) -> None:
    shop = Shop(redis_client, tmp_path)
    shop.arrive("from ann@example.com", ts="1.1")
    shop.bury('no company for "ann@example.com"')
    shop.arrive("waits", ts="2.1", number=2)
    found = series(shop, shop.house.config)
    assert found["relay_pending_items"] == {
        "lane=main,source=second": 0,
        "lane=main,source=slack": 1,
    }
    assert found["relay_dead_letters"] == {'cause=no company for "<address>",lane=main,source=slack': 1}
    assert found["relay_build_info"]
    assert found["relay_token_expiry_timestamp_seconds"] == {}
    assert found["relay_paused_timestamp_seconds"] == {}
    assert found["relay_drop_ends_timestamp_seconds"] == {}


def test_many_causes_are_few_series_and_none_is_left_out(redis_client: redis.Redis, tmp_path: Path) -> None:
    shop = Shop(redis_client, tmp_path)
    for number in range(1, 131):
        shop.arrive(f"{number}", ts=f"{number}.1", number=number)
        shop.bury(f"cause {'x' * number}")
    found = series(shop, shop.house.config)["relay_dead_letters"]
    assert len(found) <= 101
    assert sum(found.values()) == 130
    assert found["cause=others,lane=main,source="] >= 30


def test_who_paused_what_ends_and_which_drop_is_on(redis_client: redis.Redis, tmp_path: Path) -> None:
    shop = Shop(redis_client, tmp_path)
    at_ms = (shop.outbox.now_ms() - 5000) // 1000 * 1000
    write_audit(shop.outbox, AuditLine("api:ann", "pause", "10.0.0.1", {"source": "slack"}), now_ms=at_ms)
    write_audit(shop.outbox, AuditLine("cli:ben", "pause", "here", {}), now_ms=at_ms + 1000)
    shop.delivery.pause("slack")
    shop.delivery.pause("second")
    shop.delivery.pause()
    shop.outbox.add_drop({"id": "d1", "source": "slack", "where": "", "until_ms": at_ms + 3_600_000})
    config = Config(
        lanes={
            "us": LaneConfig("us", PlanhatConfig(token_expires="2027-01-20")),
            "emea": LaneConfig("emea", PlanhatConfig()),
        }
    )
    found = series(shop, config)
    assert found["relay_paused_timestamp_seconds"] == {
        "by=api:ann,lane=main,source=slack": at_ms // 1000,
        "by=cli:ben,lane=main,source=": (at_ms + 1000) // 1000,
        # Nobody's line: it was held in some other way.
        "by=,lane=main,source=second": 0,
    }
    [(drop, ends)] = found["relay_drop_ends_timestamp_seconds"].items()
    assert drop == "drop=d1,source=slack"
    assert abs(ends - (at_ms / 1000 + 3600)) < 1
    assert found["relay_token_expiry_timestamp_seconds"] == {"lane=us": 1_800_489_600}


def test_letters_are_read_again_only_where_some_came_or_went(
    redis_client: redis.Redis, tmp_path: Path
) -> None:
    shop = Shop(redis_client, tmp_path)
    times = iter([0.0, 0.1, 1.0, 2.0, 3.0, 4.0, 9.0, 83.0, 84.0, 84.1])
    counts = DeadCounts(shop.outbox, clock=lambda: next(times))
    shop.arrive("a", ts="1.1")
    shop.bury("first")
    assert counts.look() == {("first", "slack"): 1}
    reads = re.compile(r"\d+").search(str(redis_client.info("commandstats")["cmdstat_zrevrangebyscore"]))
    assert counts.look() == {("first", "slack"): 1}
    again = re.compile(r"\d+").search(str(redis_client.info("commandstats")["cmdstat_zrevrangebyscore"]))
    assert reads and again and reads[0] == again[0], "nothing changed, nothing was read"
    shop.arrive("b", ts="2.1", number=2)
    shop.bury("second")
    # This look takes two seconds: the next is 40 s later at the earliest.
    counts = DeadCounts(shop.outbox, clock=iter([0.0, 2.0, 10.0, 41.0, 41.1]).__next__)
    assert len(counts.look()) == 2
    shop.arrive("c", ts="3.1", number=3)
    shop.bury("third", now_ms=NOON + 9000)
    assert len(counts.look()) == 2
    assert len(counts.look()) == 3
