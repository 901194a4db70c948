"""A shard of the cluster is away: the doors of its lanes say so, those of the others take events, round after round."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.redis_cluster import ClusterServers, until
from tests.laned import Laned, laned, wait_until

pytestmark = pytest.mark.process

#: Three of them lie on the node that has neither `main` nor RQ.
LANES = ("l0", "l1", "l2", "l3", "l6", "l7")
_ROUNDS = 3


def told(relay: Laned, lanes: tuple[str, ...]) -> set[str]:
    """The lanes that are said to be away: by /metrics, the stats and the console alike."""
    text = relay.http.get(f"{relay.url}/metrics").text
    up = {name: f'relay_lane_redis_up{{lane="{name}"}} 1' in text for name in lanes}
    for name in lanes:
        assert (f'relay_books_balanced{{lane="{name}"}} 1' in text) == up[name]
    away = {name for name in lanes if not up[name]}
    stats = relay.api("stats")
    assert set(stats["away"]) == away and set(stats["lanes"]) == set(lanes) - away
    assert relay.page("/console").count('<span class="state bad">Redis: ') == len(away)
    return away


def test_the_doors_of_the_other_shards_lanes_stay_open(short_tmp: Path) -> None:
    with (
        ClusterServers(short_tmp / "c", replicas=0, node_timeout_ms=1_000, coverage=False) as cluster,
        laned(short_tmp, *LANES, redis_url=cluster.url) as relay,
    ):
        relay.begin()
        sick_node = cluster.other_master("main", "rq")
        sick = [name for name in LANES if cluster.master_of(name) is sick_node]
        well = [name for name in LANES if name not in sick]
        assert len(sick) == 3
        number = 0
        answers: dict[str, Counter[int]] = {name: Counter() for name in LANES}
        for _ in range(_ROUNDS):
            cluster.kill(sick_node)
            for _ in range(8):
                number += 1
                for name in LANES:
                    answers[name][relay.send(f"hook-{name}", number).status_code] += 1
            assert told(relay, LANES) == set(sick)
            cluster.revive(sick_node)
            until(lambda: all(relay.send(f"hook-{name}", 0).status_code == 202 for name in LANES), 20)
        assert all(answers[name] == {202: 8 * _ROUNDS} for name in well), answers
        assert all(answers[name] == {503: 8 * _ROUNDS} for name in sick), answers
        wait_until(lambda: not told(relay, LANES), 10)
        # All that was accepted is delivered: 1 of each before, and those of the well ones.
        for name in LANES:
            expected = 1 + (8 * _ROUNDS if name in well else 0)
            wait_until(lambda lane=name, want=expected: relay.books(lane).get("delivered") == want, 30)  # type: ignore[misc]
