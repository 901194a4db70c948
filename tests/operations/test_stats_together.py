"""The stats of several lanes as one answer: whose each warning is, what is of none, and how often Redis is asked."""

from __future__ import annotations

import pytest
import redis

from relay.errors import OutboxUnavailable
from relay.operations.drops import begin_drop
from relay.operations.lane_facts import AskedLane
from relay.operations.left_lanes import left_lanes
from relay.operations.merged import merge_stats
from relay.operations.stats import read_stats, read_stats_together
from relay.outbox.delivery import Delivery
from relay.outbox.known_lanes import note_lanes
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.outbox.store import Store
from tests.outbox.test_outbox import entry
from tests.outbox.test_reading import counting


def lanes_of(client: redis.Redis, *names: str) -> list[AskedLane]:
    home = Store(client)
    return [AskedLane(Outbox(client, lane=name, home=home), Delivery(client, lane=name)) for name in names]


def test_a_warning_names_all_lanes_that_it_is_of(redis_client: redis.Redis) -> None:
    lanes = lanes_of(redis_client, "emea", "us", "apac")
    for lane in lanes[:2]:
        lane.delivery.back_off(0, "Planhat says 429")
        lane.outbox.record([entry(1)])
    lanes[1].delivery.pause("slack", by="api:ann")
    begin_drop(lanes[0].outbox, {"slack"}, source="slack", where="", lasts="1h", by="ann")
    found = read_stats_together(LaneServers(), lanes)
    told = found["warnings"]
    [waits] = [one for one in told if "waits for Planhat" in one]
    assert waits.startswith("Lanes emea and us: Delivery waits for Planhat: Planhat says 429.")
    assert [one.partition(":")[0] for one in told if "source slack is paused" in one.lower()] == ["Lane us"]
    for of_no_lane in ("No worker serves the queue flush", "The kill switch"):
        assert [one.startswith(of_no_lane) for one in told if of_no_lane in one] == [True], told
    assert [(one["kind"], one.get("lane")) for one in found["problems"]] == [("held", "us"), ("drop", None)]
    assert found["sources"]["slack"]["accepted"] == 2 and found["lanes"]["apac"]["sources"] == {}
    # All of them say it, and it is theirs all the same.
    lanes[2].delivery.back_off(0, "Planhat says 429")
    [waits] = [
        one for one in read_stats_together(LaneServers(), lanes)["warnings"] if "waits for Planhat" in one
    ]
    assert waits.startswith("Lanes emea, us and apac: ")


def test_of_many_lanes_some_are_named_and_one_that_is_away_is_told(redis_client: redis.Redis) -> None:
    lanes = lanes_of(redis_client, *(f"l{number}" for number in range(12)))
    answers = {lane.name: read_stats(lane.outbox, lane.delivery) for lane in lanes}
    told = merge_stats(answers, away={"sick": "Redis: no answer in time"})["warnings"]
    assert told[0] == "Lane sick: Redis: no answer in time; it is not counted here."
    assert any(one.startswith("Lanes l0, l1, l2, l3, l4, l5, l6, l7 and 4 more: No worker") for one in told)

    redis_client.set("relay:{l1}:delivery", "no hash")
    found = read_stats_together(LaneServers(), lanes)
    assert list(found["away"]) == ["l1"] and len(found["lanes"]) == 11
    for lane in lanes:
        redis_client.set(f"relay:{{{lane.name}}}:delivery", "no hash")
    with pytest.raises(OutboxUnavailable):
        read_stats_together(LaneServers(), lanes)


def test_many_lanes_take_the_round_trips_of_one(redis_client: redis.Redis, redis_url: str) -> None:
    client, sent = counting(redis_url)
    lanes = lanes_of(client, *(f"l{number}" for number in range(60)))
    for lane in lanes[:20]:
        lane.outbox.record([entry(1, verdict="dead")])
    taken = []
    for number in (2, 2, 60):
        before = sent[0]
        assert len(read_stats_together(LaneServers(), lanes[:number])["lanes"]) == number
        taken.append(sent[0] - before)
    assert taken[1] == taken[2], taken

    note_lanes(lanes[0].outbox.home, [lane.name for lane in lanes])
    before = sent[0]
    assert [one.dead for one in left_lanes(lanes[0].outbox.home, ["l0"])] == [1] * 19
    assert sent[0] - before <= 5
