"""Delivery while RQ cannot work: at its memory limit Redis refuses a worker's registration and each job, and only delivery
makes room. What is due is drained all the same, without a bell, until RQ can be used again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import redis
from redis.exceptions import OutOfMemoryError, RedisError

from relay.errors import OutboxUnavailable
from relay.outbox import keys
from relay.outbox.cluster_nodes import own_tag
from relay.outbox.outbox import Outbox
from relay.telemetry import log
from workers.process.stopping import Stopping

_LOOK_AGAIN_S: Final = 0.2
#: How long it drains before it looks whether RQ can be used again.
_TRY_RQ_EVERY: Final = 10


class FlushesLane(Protocol):
    """One lane, by its outbox. `begin` flushes it here and now, or has it flushed beside this."""

    @property
    def outbox(self) -> Outbox: ...

    def begin(self, generation: int) -> object: ...


def memory_full(client: redis.Redis, outbox: Outbox) -> bool:
    """Tell whether a plain write, as RQ's are, is refused for want of memory. `client`: RQ's."""
    try:
        client.set(keys.lane_prefix(own_tag(client, outbox.lane_name), outbox.base) + keys.READY, "1", ex=60)
    except OutOfMemoryError:
        return True
    except (RedisError, OSError):
        return False
    return False


def goes_on_without_rq(error: Exception | None, client: redis.Redis, outbox: Outbox) -> bool:
    """Tell whether this process drains by itself until RQ can be used again: RQ gave up for want of memory, or there is none now.

    `error`: why RQ gave up. What it met decides, not only what is so now: where memory came back in between, the process would
    end for nothing.
    """
    return isinstance(error, OutOfMemoryError) or memory_full(client, outbox)


def drain_without_rq(
    client: redis.Redis,
    outbox: Outbox,
    lanes: Callable[[], Iterable[FlushesLane]],
    *,
    stopping: Stopping,
    asked: Callable[[], None],
) -> None:
    """Drain until memory is to be had again, or the process is to stop. `lanes()` are this moment's; `asked` is told of each look
    for work. `outbox`: where it is tried whether memory is to be had."""
    log("rq.unusable", level=logging.ERROR, reason="Redis is full; delivery goes on without RQ")
    rounds = 0
    while not stopping():
        rounds += 1
        if rounds % _TRY_RQ_EVERY == 0 and not memory_full(client, outbox):
            log("rq.usable")
            return
        asked()
        found = False
        try:
            for lane in lanes():
                generation = lane.outbox.lane.ring()
                if generation:
                    found = True
                    lane.begin(generation)
        except OutboxUnavailable as error:
            log("flush.stopped", level=logging.WARNING, reason=str(error))
        if not found:
            stopping.wait(_LOOK_AGAIN_S)


def wait_without_rq(
    client: redis.Redis, outbox: Outbox, *, stopping: Stopping, asked: Callable[[], None]
) -> None:
    """Wait as the other queues do: there is nothing to do without RQ but to wait."""
    while not stopping():
        asked()
        stopping.wait(2.0)
        if not memory_full(client, outbox):
            return
