"""Lanes that the config no longer names and that still hold something: nobody delivers it, and no page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relay.errors import OutboxUnavailable
from relay.lane_name import MAIN
from relay.outbox import keys
from relay.outbox.books import reading_moment, reading_pending
from relay.outbox.cluster_nodes import lane_client
from relay.outbox.known_lanes import known_lanes
from relay.outbox.lane_servers import LaneServers
from relay.outbox.reading import Reading
from relay.outbox.store import Store


@dataclass(frozen=True, slots=True)
class LeftLane:
    """`pending` conversations wait, `dead` letters lie there. `lanes`: those of the config."""

    name: str
    pending: int
    dead: int
    lanes: tuple[str, ...]

    @property
    def found(self) -> str:
        """What is wrong, as a sentence without a full stop."""
        waits = "1 conversation waits" if self.pending == 1 else f"{self.pending:,} conversations wait"
        letters = "1 dead letter lies" if self.dead == 1 else f"{self.dead:,} dead letters lie"
        told = " and ".join((*((waits,) if self.pending else ()), *((letters,) if self.dead else ())))
        return f"the config has no lane {self.name}, and {told} there; nobody delivers them"

    @property
    def do(self) -> str:
        """What to do about it."""
        look = f"`relay dead list --lane {self.name}` shows its letters"
        if self.name == MAIN and self.lanes != (MAIN,):
            # What was there before the file had `lanes:`.
            back = "call the tenant that was there before the lanes `main`, or take `lanes:` out until they are delivered"
        elif self.lanes == (MAIN,):
            back = f"put `lanes:` back, with {self.name}, until they are delivered"
        else:
            back = "put it back under `lanes:` until they are delivered"
        return f"{back}; {look}" if self.dead else back


def left_lanes(home: Store, lanes: Sequence[str], servers: LaneServers | None = None) -> list[LeftLane]:
    """Return each lane that is not one of the config's `lanes` and is not empty, by name. `home`: where the
    installation's own keys lie. One whose server does not answer is left out. Raises OutboxUnavailable where the home's does not."""
    names = sorted(known_lanes(home) - set(lanes))
    stores = [Store(lane_client(home.redis, name), lane=name, base=home.base) for name in names]
    held = (servers or LaneServers()).read(stores, lambda place: _reading_held(stores[place]))
    left = [
        LeftLane(name, *numbers, tuple(lanes))
        for name, numbers in zip(names, held, strict=True)
        if not isinstance(numbers, OutboxUnavailable)
    ]
    return [one for one in left if one.pending or one.dead]


def _reading_held(store: Store) -> Reading[tuple[int, int]]:
    """(conversations that wait, dead letters)."""
    _, sources = yield from reading_moment(store)
    pending = yield from reading_pending(store, sources)
    [dead] = yield lambda pipe: pipe.zcard(store.prefix + keys.DEAD)
    return sum(pending.values()), int(dead)
