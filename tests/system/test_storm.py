"""Interleavings by seed, on a real Redis: whatever order, crash and take-over, the end is the fold. `python -m bench.storm`
runs more of them."""

from __future__ import annotations

import pytest
import redis

from bench.storm.storm import run_seed
from bench.storm.tally import Tally

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
