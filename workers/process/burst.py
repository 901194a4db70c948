"""`python -m workers --burst`: delivers what is due, in this process, and ends."""

from __future__ import annotations

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from relay.errors import NotOurs, OutboxUnavailable
from relay.latest_end import LatestEnd
from relay.outbox import keys
from relay.outbox.connection import connect
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis
from workers.dead_jobs import post_dead_letters
from workers.process.context import WorkerContext, worker_context
from workers.process.lane import LaneContext
from workers.process.lane_threads import LANES_AT_ONCE
from workers.process.stopping import LATEST_S, STOPPING

#: A lane that a worker elsewhere owns is its to drain; one that nobody renews is free within seconds.
_PATIENCE_S: Final = 6.0


def burst(redis_url: str) -> int:
    """Delivers what is due in every lane, in this process, and ends. 1 where something due could not be delivered. Raises
    OutboxUnavailable."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: STOPPING.set())
    LatestEnd(LATEST_S, code=1)
    _find_redis(redis_url)
    context = worker_context()
    if context.alone:
        context.only.require_own_lane()
        return _burst(context.only, "")
    with ThreadPoolExecutor(LANES_AT_ONCE, "lane") as threads:
        return max(threads.map(partial(_burst_one, context), context.config.lane_names))


def _find_redis(url: str) -> None:
    """Waits a little for Redis: whoever asks for one burst is there to hear that it is away, unlike the workers, which outlive
    that. Raises OutboxUnavailable."""
    deadline = time.monotonic() + _PATIENCE_S
    with connect(url) as client:
        while True:
            try:
                # Not PING: a server with a full disk refuses that one.
                with reaching_redis():
                    client.time()
                return
            except OutboxUnavailable:
                if time.monotonic() > deadline or STOPPING.wait(0.5):
                    raise


def _burst_one(context: WorkerContext, name: str) -> int:
    """One of several: what is wrong with it holds no other."""
    try:
        lane = context.lane(name)
        lane.require_own_lane()
        try:
            return _burst(lane, f"lane {name}: ")
        finally:
            lane.rest()
    except (NotOurs, OutboxUnavailable) as error:
        print(f"lane {name}: {error}", file=sys.stderr)
        return 1


def _burst(lane: LaneContext, name: str) -> int:
    deadline = time.monotonic() + _PATIENCE_S
    while not STOPPING():
        lane.beside.rethread()
        generation = lane.outbox.lane.ring()
        if generation:
            while generation and not STOPPING():
                lane.flush.run(generation)
                generation = lane.outbox.lane.ring()
            deadline = time.monotonic() + _PATIENCE_S
        elif not _due(lane.outbox) or time.monotonic() > deadline or lane.delivery.read().state != "open":
            break
        else:
            STOPPING.wait(0.2)
    while post_dead_letters(lane.redis, lane.outbox):
        pass
    left = _due(lane.outbox)
    if left:
        state = lane.delivery.read()
        why = state.reason or state.state
        print(f"{name}{left} conversations are due and not delivered: {why}", file=sys.stderr)
    return 1 if left else 0


def _due(outbox: Outbox) -> int:
    """Conversations that are due now, those of paused sources too."""
    now_ms = outbox.now_ms()
    sources = outbox.sources()
    with reaching_redis():
        pipe = outbox.redis.pipeline(transaction=False)
        for source in sources:
            pipe.zcount(outbox.prefix + keys.due(source), "-inf", now_ms)
        return sum(pipe.execute())
