"""The names of the lanes that this installation ever had: what waits in one that the config no longer names is found by them."""

from __future__ import annotations

from collections.abc import Iterable

from relay.lane_name import MAIN
from relay.outbox import keys
from relay.outbox.scripts import reaching_redis, run_commands
from relay.outbox.store import Store


def note_lanes(home: Store, names: Iterable[str]) -> None:
    """Keep the names. Raises OutboxUnavailable."""
    run_commands(home.redis, home.prefix, ("SADD", keys.LANES, *names))


def known_lanes(home: Store) -> frozenset[str]:
    """Return them; `main`, the lane of a config without `lanes:`, is one of them always. Raises OutboxUnavailable."""
    with reaching_redis():
        names: set[bytes] = home.redis.smembers(home.prefix + keys.LANES)  # type: ignore[assignment]
    return frozenset({MAIN, *(name.decode() for name in names)})
