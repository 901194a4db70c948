"""What every part of the outbox stands on: the connection, the keys' prefix, the vault, how long things are kept, the clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from sys import intern
from typing import Any, Protocol, Self, TypeVar

import redis

from relay.outbox import keys
from relay.outbox.clock import Clock
from relay.outbox.cluster_nodes import lane_client
from relay.outbox.items import Pending, State
from relay.outbox.keys import BASE, LANE, lane_prefix
from relay.outbox.scripts import reaching_redis, run_script, run_script_many
from relay.outbox.vault import CONTINUES, Vault

#: A claim or settlement of more blocks Redis for too long (5,000: 25 ms).
ITEMS_PER_SCRIPT = 1_000
#: A mark stands for a conversation whose document may be forgotten: ten characters in a set for each year (365 days).
MARK_YEAR_S = 365 * 86400
MARKS_S = 2.0 * MARK_YEAR_S
#: The first letter of a stored event: its state.
STATE_OF: dict[str, State] = {
    "p": "pending",
    "d": "delivered",
    "u": "unchanged",
    "s": "superseded",
    "f": "filtered",
    "x": "dead",
    "z": "discarded",
}
#: Before an archived event: its state's letter, and 13 digits, when it took that.
STATE_BYTES = 14
#: A verdict of the door, or of today's rules, as the scripts are told it.
LETTER_OF = {"pending": "p", "filtered": "f", "dead": "x", "noted": "n"}

_T = TypeVar("_T")
_SEPARATOR = b"\x1f"


class Kept(Protocol):
    """The config's `keep`, in seconds."""

    @property
    def events_s(self) -> float: ...

    @property
    def documents_s(self) -> float: ...

    @property
    def dedupe_s(self) -> float: ...

    @property
    def dead_s(self) -> float: ...

    @property
    def delivered_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, in whole seconds: the config's `keep`. `mark_years`: how many sets of marks."""

    events_s: int = 72 * 3600
    documents_s: int = 90 * 86400
    dedupe_s: int = 72 * 3600
    dead_s: int = 90 * 86400
    mark_years: int = ceil(MARKS_S / MARK_YEAR_S)

    @classmethod
    def of(cls, kept: Kept, *, dedupe_s: float | None = None) -> Self:
        """Make it from the config's `keep`; never less than a second. `dedupe_s` in the place of its own."""
        return cls(
            events_s=_whole(kept.events_s),
            documents_s=_whole(kept.documents_s),
            dedupe_s=_whole(kept.dedupe_s if dedupe_s is None else dedupe_s),
            dead_s=_whole(kept.dead_s),
            mark_years=ceil(kept.delivered_s / MARK_YEAR_S),
        )


def _whole(seconds: float) -> int:
    return max(1, int(seconds))


class Store:
    """One lane's place in Redis. `retention` may be exchanged at any time. `home`: where stands what is the installation's, and
    no lane's (the audit, sessions, the kill switch, processes); None: beside the lane, in the keys of `main`."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        lane: str = LANE,
        base: str = BASE,
        vault: Vault | None = None,
        retention: Retention | None = None,
        home: Store | None = None,
    ) -> None:
        self.redis = client
        self.lane_name = lane
        self.base = base
        self.prefix = lane_prefix(lane, base)
        self.vault = vault or Vault()
        self.retention = retention or Retention()
        self.clock = Clock(self.now_ms)
        self._home = home

    @property
    def home(self) -> Store:
        """Where stands what is the installation's, and no lane's."""
        if self._home is None:
            if self.lane_name == LANE:
                return self
            self._home = Store(lane_client(self.redis, LANE), base=self.base, vault=self.vault)
        return self._home

    def now_ms(self) -> int:
        """Give Redis's own time, in epoch ms. Raises OutboxUnavailable, as everything here."""
        with reaching_redis():
            seconds, micros = self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def about_ms(self) -> int:
        """Return `now_ms`, some milliseconds behind at most, and nearly always without asking."""
        return self.clock.now_ms()

    def run(self, name: str, args: Sequence[Any]) -> Any:
        """Run one script, all of it or nothing."""
        return run_script(self.redis, name, self.prefix, args)

    def run_many(self, name: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """Run one script several times, sent together."""
        return run_script_many(self.redis, name, self.prefix, calls)

    def sources(self) -> list[str]:
        """Return the names of all sources that ever sent something, sorted."""
        with reaching_redis():
            names: set[bytes] = self.redis.smembers(self.prefix + keys.SOURCES)  # type: ignore[assignment]
        return sorted(name.decode() for name in names)

    def opened(self, stored: bytes) -> bytes:
        """Opens a sealed value, for whoever shows things: b"" where the value is damaged or its key is gone."""
        try:
            return self.vault.open(stored)
        except ValueError:
            return b""

    def pending(self, entry: bytes, stored: bytes = b"", *, lenient: bool = False) -> Pending:
        """Reads a stored patch; `stored`: the archived event that it continues. Raises ValueError where its key, or that, is gone; `lenient`:
        it is b"" then."""
        return self._pending(entry, iter((stored,)), lenient)

    def all_pending(
        self, entries: Sequence[bytes], stored: Sequence[bytes], *, lenient: bool = False
    ) -> tuple[Pending, ...]:
        """Read many, with the events that some of them continue, in their order. Raises as `pending` does."""
        events = iter(stored)
        return tuple([self._pending(entry, events, lenient) for entry in entries])

    def _pending(self, entry: bytes, events: Iterator[bytes], lenient: bool) -> Pending:
        """`events`: those that patches continue; it is this one's turn."""
        event_id, source, accepted_ms, counted, patch = entry.split(_SEPARATOR, 4)
        try:
            if patch[:1] == CONTINUES:
                plain = self.vault.open_second(next(events, b"")[STATE_BYTES:], patch[1:])
            else:
                plain = self.vault.open(patch)
        except ValueError:
            if not lenient:
                raise
            plain = b""
        return Pending(event_id.decode(), intern(source.decode()), int(accepted_ms), plain, counted == b"1")


def continues(entry: bytes) -> bool:
    """Tell whether a stored patch is the end of its archived event."""
    return entry.split(_SEPARATOR, 4)[4][:1] == CONTINUES


def script_parts(things: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Return what one script may handle at a time, in order."""
    for start in range(0, len(things), ITEMS_PER_SCRIPT):
        yield things[start : start + ITEMS_PER_SCRIPT]
