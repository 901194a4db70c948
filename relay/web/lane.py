"""One lane of a web process: where its events are written, who is told of them, and whose it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import redis
import redis.asyncio

from relay.errors import OutboxUnavailable
from relay.operations.lanes import LaneTenant
from relay.operations.ownership import LaneGuard
from relay.outbox.bell import Bell
from relay.outbox.delivery import Delivery
from relay.outbox.epoch import Epoch
from relay.outbox.outbox import Outbox
from relay.outbox.owner import Ownership
from relay.outbox.recorder import Recorder, WriteRoom
from relay.outbox.shared_metrics import SharedMetrics


@dataclass(frozen=True, slots=True)
class WebRedis:
    """How a web process reaches Redis: `looks` is for everything but events, `door` writes those, in the event loop; `rings` is for
    the workers' bell, from the thread `ringer`. `room`: what may still be written there; `failed` is told of a write that it did
    not take."""

    looks: redis.Redis
    door: redis.asyncio.Redis
    rings: redis.Redis
    ringer: ThreadPoolExecutor
    room: WriteRoom
    failed: Callable[[], None]
    #: How many replicas are to have each write.
    replicas: Callable[[], int] = lambda: 0


class WebLane:
    """`tenant` may be exchanged for another with the same address at any time."""

    def __init__(self, outbox: Outbox, tenant: LaneTenant, reach: WebRedis) -> None:
        self.name = name = outbox.lane_name
        self.tenant = tenant
        self.outbox, base = outbox, outbox.base
        self.delivery = Delivery(reach.looks, lane=name, base=base)
        self.metrics = SharedMetrics(reach.looks, lane=name, base=base)
        # A counter that is not there cannot be seen to rise.
        self.metrics.add("relay_redis_epoch_changes_total", {}, 0)
        self.epoch = Epoch(outbox)
        self._bell = Bell(reach.rings, lane=name, unheard=outbox.lane.release)
        self._ringer = reach.ringer
        self.door = reach.door
        self.guard = LaneGuard(
            Ownership(outbox, tenant.url, self._token),
            self.delivery,
            tenant.url,
            self._token,
            # Who is given a token and no address of its own may be set up otherwise than the workers are.
            claim=tenant.given,
        )
        self.recorder = Recorder(
            reach.door,
            outbox,
            rang=self._ring,
            failed=reach.failed,
            set_back=self.epoch.set_back,
            room=reach.room,
            replicas=reach.replicas,
        )

    def _token(self) -> str:
        return self.tenant.token()

    def _ring(self, generation: int) -> None:
        self._ringer.submit(self._bell.ring_flush, generation)

    @property
    def apart(self) -> bool:
        """Tell whether its keys lie in another slot of a cluster than what is the installation's."""
        return self.outbox.redis is not self.outbox.home.redis

    def answers_apart(self) -> bool:
        """Tell whether its keys lie on a node of their own (in a cluster), and that one answers."""
        if not self.apart:
            return False
        try:
            return self.outbox.now_ms() > 0
        except OutboxUnavailable:
            return False
