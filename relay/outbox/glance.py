"""What of a lane is to be looked after beside its delivery, in one question for many lanes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from relay.errors import OutboxUnavailable
from relay.outbox.lane_servers import LaneServers
from relay.outbox.store import Store


class Glance(NamedTuple):
    """Numbers: events ever accepted, dead letters without a failed RQ job, dead letters, events whose thread has moved, letters that
    are due to be looked at again; `unsure`: what stands in Planhat is still read."""

    accepted: int
    unposted: int
    dead: int
    moved: int
    parked: int
    unsure: int


def glance_at(servers: LaneServers, stores: Sequence[Store]) -> list[Glance | OutboxUnavailable]:
    """Look at each of the lanes; of one that did not answer the error."""
    answers = servers.ask("glance", stores, lambda place: (0,))
    return [one if isinstance(one, OutboxUnavailable) else Glance(*one) for one in answers]
