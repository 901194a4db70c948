"""The index pauses while what is left may wait, and never where it is behind."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import redis

from relay.operations.search.build import Indexer
from relay.operations.search.terms import Terms
from tests.operating import NOON, Shop

MINUTE = 60_000


def test_it_pauses_for_what_came_just_now_and_not_for_what_is_older(
    redis_client: redis.Redis, tmp_path: Path
) -> None:
    shop = Shop(redis_client, tmp_path)
    shop.outbox.now_ms = lambda: NOON + 5 * MINUTE  # type: ignore[method-assign]
    for minute in range(6):
        shop.arrive(f"m{minute}", number=minute, ts=f"1800000000.{minute:06d}", now_ms=NOON + minute * MINUTE)
    seconds, indexed_before, ticks = list[float](), list[int](), count()

    def pause(wanted_s: float) -> None:
        seconds.append(wanted_s)
        indexed_before.append(indexer.events)

    indexer = Indexer(shop.context, Terms(b"k" * 32), clock=lambda: float(next(ticks)), pause=pause)

    assert indexer.run(1_000)
    assert indexer.events == 6
    # A part is a minute's here. Those of this minute and of the one before may wait, and so does who comes after them.
    assert indexed_before == [5, 6]
    # The clock goes a second at each look: at the part's begin, and twice after it.
    assert seconds == [6.0, 6.0], "three times what the part took"
