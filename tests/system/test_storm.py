"""Interleavings by seed, on a real Redis: whatever order, crash and take-over, the end is the fold. `python -m bench.storm`
runs more of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from bench.redis_cluster import ClusterServers
from bench.storm.lanes import LANES, run_lanes
from bench.storm.storm import run_seed
from bench.storm.tally import Tally
from relay.outbox.cluster_nodes import lane_client
from relay.outbox.connection import connect

pytestmark = pytest.mark.simulated


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_every_interleaving_ends_in_the_fold_with_balanced_books(
    redis_client: redis.Redis, first: int
) -> None:
    tally = Tally()
    for seed in range(first, first + 10):
        run_seed(seed, redis_client, tally)

    assert tally.seeds == 10
    assert tally.events > 100


def test_lanes_inside_of_one_another_end_in_their_own_books_and_planhats(redis_client: redis.Redis) -> None:
    tally = Tally()
    for seed in range(20):
        run_lanes(seed, lambda lane: redis_client, tally)

    assert tally.seeds >= 40 and tally.events > 500 and tally.held


@pytest.mark.process
def test_lanes_over_the_slots_of_a_cluster_end_likewise(short_tmp: Path) -> None:
    tally = Tally()
    with ClusterServers(short_tmp, replicas=0, fsync="no") as cluster:
        home = connect(cluster.url)
        assert len({cluster.master_of(lane).port for lane in LANES}) == 3
        for seed in range(10):
            run_lanes(seed, lambda lane: lane_client(home, lane), tally)

    assert tally.seeds >= 20 and tally.events > 250 and tally.held
