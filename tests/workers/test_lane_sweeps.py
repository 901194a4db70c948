"""The sweep of many lanes: all are asked together, and one in which nothing is to be done costs a question now and then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import redis

from relay.outbox.items import Bury
from relay.outbox.outbox import Outbox
from relay.settings import Settings
from tests.environ import WEAK
from tests.outbox.test_outbox import entry
from workers.process.lane_sweeps import LaneSweeps

LANES = [f"lane{number}" for number in range(40)]
CONFIG = """
planhat: {types: [Slack thread]}
lanes:
LANESsources: {slack: {adapter: slack, secrets: [x], type: Slack thread, lane: lane0}}
companies: [{default: extid-acme}]
"""


def sweeps_of(client: redis.Redis, folder: Path) -> LaneSweeps:
    config = folder / "relay.yaml"
    config.write_text(CONFIG.replace("LANES", "".join(f"  {name}: {{token: t-{name}}}\n" for name in LANES)))
    settings = Settings.read({"RELAY_CONFIG": str(config), "RELAY_REDIS_URL": "unix:///nowhere", **WEAK})
    return LaneSweeps(settings, Outbox(client))


def commands(client: redis.Redis) -> int:
    asked: Any = client.info("commandstats")
    # What a script asks itself is counted as well.
    return sum(row["calls"] for name, row in asked.items() if name in ("cmdstat_evalsha", "cmdstat_eval"))


def queued(client: redis.Redis, queue: str) -> list[str]:
    names: Any = client.lrange(f"rq:queue:{queue}", 0, -1)
    return [name.decode() for name in names]


def sent(client: redis.Redis) -> int:
    told: Any = client.info("stats")
    return int(told["total_reads_processed"])


def test_forty_idle_lanes_cost_a_few_questions(redis_client: redis.Redis, tmp_path: Path) -> None:
    sweeps = sweeps_of(redis_client, tmp_path)
    sweeps.sweep(0.0)
    scripts, reads = commands(redis_client), sent(redis_client)
    for tick in range(1, 41):
        sweeps.sweep(tick / 2)
    # 20 s: three looks a second at each at most, and a handful of writes to the socket for all of them.
    assert commands(redis_client) - scripts <= 20 * 3 * len(LANES)
    assert sent(redis_client) - reads <= 40 * 4


def test_what_is_due_in_one_of_many_is_done(redis_client: redis.Redis, tmp_path: Path) -> None:
    sweeps = sweeps_of(redis_client, tmp_path)
    outbox = Outbox(redis_client, lane="lane31")
    generation, _ = outbox.record([entry(1)])
    [item] = outbox.lane.claim(generation).items
    outbox.lane.settle([Bury(item, "dead_1", b'{"cause":"bad"}')])
    outbox.record([entry(2)])
    outbox.lane.release(generation)
    sweeps.sweep(10.0)

    assert {name.rsplit("-", 1)[0] for name in queued(redis_client, "flush")} == {"flush-lane31"}
    assert redis_client.exists("rq:job:lane31-dead_1") and outbox.dead.unposted() == []
    indexed = queued(redis_client, "dead-letter")
    assert any(name.startswith("index-lane31-") for name in indexed)
    assert not any("lane30-" in name for name in indexed), "nothing came in there"
