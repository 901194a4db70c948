"""What is shown of a lane, read in few questions, so that many lanes are read together; and what is of no lane, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from relay.config import Config
from relay.errors import OutboxUnavailable
from relay.operations.dead.look import reading_groups
from relay.operations.differences import reading_differences
from relay.operations.drops import read_drops
from relay.operations.left_lanes import LeftLane, left_lanes
from relay.operations.rq_jobs import read_workers
from relay.outbox import keys
from relay.outbox.books import (
    Books,
    reading_books,
    reading_moment,
    reading_newer,
    reading_oldest,
    reading_pending,
)
from relay.outbox.delivery import Delivery, DeliveryFacts
from relay.outbox.epoch import Life, reading_life
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.outbox.processes import Process, delivering, read_processes
from relay.outbox.reading import Reading, read_alone, together

#: Causes are told of the newest letters: this is asked every few seconds.
LETTERS_READ: Final = 500


@dataclass(frozen=True, slots=True)
class AskedLane:
    """A lane, and today's config of it; None where that does not hold, or is not known."""

    outbox: Outbox
    delivery: Delivery
    config: Config | None = None

    @property
    def name(self) -> str:
        """The lane's."""
        return self.outbox.lane_name


@dataclass(frozen=True, slots=True)
class LaneFacts:
    """`pending`: source -> conversations that wait. `oldest_ms`: when the oldest that waits came, None: nothing does. `batch_items` and
    `batch_calls`: since the counters began. `newer`: conversations that wait for a newer release. `groups`: the newest dead letters by
    cause, as `group_heads` has them; empty where they were not asked for."""

    now_ms: int
    books: Books
    pending: Mapping[str, int]
    oldest_ms: int | None
    delivery: DeliveryFacts
    dead: int
    batch_items: float
    batch_calls: float
    newer: int
    life: Life
    differences: Sequence[Mapping[str, Any]]
    groups: Sequence[Mapping[str, Any]]

    @property
    def oldest_s(self) -> float:
        """How long the oldest event that still waits has waited; 0: nothing waits."""
        return max(0, self.now_ms - self.oldest_ms) / 1000 if self.oldest_ms is not None else 0.0


def reading_facts(lane: AskedLane, now_ms: int = 0, *, letters: bool = True) -> Reading[LaneFacts]:
    """Everything of one lane. `letters`: the newest dead ones are looked at as well."""
    outbox = lane.outbox
    moment, names = yield from reading_moment(outbox)
    now_ms = now_ms or moment
    books, pending, oldest, delivery, numbers, newer, life, differences = yield from together(
        reading_books(outbox, names),
        reading_pending(outbox, names),
        reading_oldest(outbox, names, now_ms),
        lane.delivery.reading(now_ms),
        _reading_numbers(outbox),
        reading_newer(outbox, now_ms),
        reading_life(outbox),
        reading_differences(outbox, now_ms),
    )
    dead, items, calls = numbers
    groups: list[dict[str, Any]] = []
    if dead and letters:
        heads = yield from outbox.dead.reading_newest(LETTERS_READ)
        groups = yield from reading_groups(outbox, heads, now_ms)
    return LaneFacts(
        now_ms, books, pending, oldest, delivery, dead, items, calls, newer, life, differences, groups
    )


def _reading_numbers(outbox: Outbox) -> Reading[tuple[int, float, float]]:
    dead, counted = yield lambda pipe: (
        pipe.zcard(outbox.prefix + keys.DEAD),
        pipe.hmget(outbox.prefix + keys.METRICS, "relay_batch_items||sum", "relay_batch_items||count"),
    )
    items, calls = (float(value or 0) for value in counted)
    return int(dead), items, calls


def read_facts(lane: AskedLane, now_ms: int = 0, *, letters: bool = True) -> LaneFacts:
    """Read one lane's. Raises OutboxUnavailable."""
    return read_alone(lane.outbox.redis, reading_facts(lane, now_ms, letters=letters))


def read_facts_together(
    servers: LaneServers, lanes: Sequence[AskedLane], *, letters: bool = True
) -> list[LaneFacts | OutboxUnavailable]:
    """Read all lanes', one round trip a question for each server; of one that did not answer the error."""
    outboxes = [lane.outbox for lane in lanes]
    return servers.read(outboxes, lambda place: reading_facts(lanes[place], letters=letters))


@dataclass(frozen=True, slots=True)
class Installation:
    """What is of no lane. `silent`: why nobody delivers, "" where somebody does. `drops`: each with what it has dropped. `away`: why none
    of this could be read, "" where it was."""

    now_ms: int = 0
    workers: Sequence[Mapping[str, Any]] = ()
    processes: Sequence[Process] = ()
    silent: str = ""
    drops: Sequence[tuple[Mapping[str, Any], Mapping[str, int]]] = ()
    left: Sequence[LeftLane] = ()
    away: str = ""

    @property
    def alive(self) -> list[Process]:
        """The processes that are."""
        return [process for process in self.processes if process.alive(self.now_ms)]


@dataclass(slots=True)
class InstallationReader:
    """Reads it. `servers`: for lanes that the config no longer names."""

    servers: LaneServers = field(default_factory=LaneServers)

    def read(
        self,
        outbox: Outbox,
        config: Config | None,
        *,
        now_ms: int = 0,
        processes: Sequence[Process] | None = None,
    ) -> Installation:
        """Read it by any lane's `outbox`. `processes`: where they are known already. Raises OutboxUnavailable."""
        now_ms = now_ms or outbox.home.now_ms()
        if processes is None:
            processes = read_processes(outbox, now_ms=now_ms)
        return Installation(
            now_ms,
            read_workers(outbox.redis),
            processes,
            delivering(outbox, processes, now_ms=now_ms).sentence(now_ms),
            read_drops(outbox),
            left_lanes(outbox.home, config.lane_names, self.servers) if config else (),
        )
