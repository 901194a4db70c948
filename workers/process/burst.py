"""`python -m workers --burst`: delivers what is due, in this process, and ends."""

from __future__ import annotations

import signal
import sys
import time

from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis
from workers.dead_jobs import post_dead_letters
from workers.process.context import worker_context
from workers.process.stopping import STOPPING


def burst() -> int:
    """Delivers what is due, in this process, and ends. 1 where something due could not be delivered."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: STOPPING.set())
    context = worker_context()
    context.require_own_lane()
    # A lane that a worker elsewhere owns is its to drain; one that nobody renews is free within seconds.
    deadline = time.monotonic() + 6.0
    while not STOPPING():
        context.rethread()
        generation = context.outbox.lane.ring()
        if generation:
            while generation and not STOPPING():
                context.flush.run(generation)
                generation = context.outbox.lane.ring()
            deadline = time.monotonic() + 6.0
        elif (
            not _due(context.outbox) or time.monotonic() > deadline or context.delivery.read().state != "open"
        ):
            break
        else:
            STOPPING.wait(0.2)
    while post_dead_letters(context.redis, context.outbox):
        pass
    left = _due(context.outbox)
    if left:
        state = context.delivery.read()
        print(
            f"{left} conversations are due and not delivered: {state.reason or state.state}", file=sys.stderr
        )
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
