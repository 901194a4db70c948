"""All connections of a listener together: how many there are, what their bodies hold, whose time is up.

Deadlines are looked at by one timer for all connections: a timer a request costs the door more than everything else here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from relay.bounds import SMALL_BODY_BYTES, Bounds

#: How often deadlines are looked at, at least: what is to end after 10 s ends within 10.5 s.
_SWEEP_S = 0.5
#: A full listener closes connections that have waited so long without a whole head, oldest first, for new ones.
IDLE_ENOUGH_S = 2.0
#: So many more are told that there are too many; beyond that a connection is closed without a word.
TURNED_AWAY = 64


class Connection(Protocol):
    """`deadline`: when it is to be looked at next, on the loop's clock. `waits`: nothing is under way but, at most, a head;
    since `waits_since`."""

    loop: asyncio.AbstractEventLoop
    deadline: float
    waits_since: float

    @property
    def waits(self) -> bool: ...

    def expire(self, now: float) -> None: ...

    def abort(self) -> None: ...


class BodyHolder(Protocol):
    def give_way(self) -> None:
        """Gives back what the body under way holds, and tells who reads it that no more will come."""


@dataclass(slots=True)
class BodyRoom:
    """How many bytes of bodies the process holds, over all its listeners.

    Where they are too many, the large body that began last gives way: were it whichever sends next, a few that come together
    would all be refused, and again when they come back together."""

    bounds: Bounds
    held_bytes: int = 0
    #: Large bodies that are still coming, by request, in the order in which they became large.
    coming: dict[Any, BodyHolder] = field(default_factory=dict)

    def take(self, request: Any, holder: BodyHolder, size: int, own: int) -> bool:
        """Tell whether there is room for `size` more bytes of a body of which `own` are held already; then they are taken."""
        if own + size <= SMALL_BODY_BYTES:
            if self.held_bytes + size > self.bounds.bodies_bytes:
                return False
        else:
            self.coming.setdefault(request, holder)
            while self.held_bytes + size > self.bounds.large_bytes:
                last = next(reversed(self.coming))
                if last is request:
                    return False
                self.coming.pop(last).give_way()
        self.held_bytes += size
        return True

    def whole(self, request: Any) -> None:
        """Note that it does not give way any more."""
        self.coming.pop(request, None)

    def give_back(self, request: Any, size: int) -> None:
        if size > SMALL_BODY_BYTES:
            self.coming.pop(request, None)
        self.held_bytes -= size


@dataclass(slots=True)
class Traffic:
    """One listener's connections. `refused` hears of each answer that no application gave: its status, and the request's
    scope where its head was read."""

    bounds: Bounds
    room: BodyRoom
    refused: Callable[[int, Any], None] = lambda status, scope: None
    connections: set[Connection] = field(default_factory=set)
    _idle: deque[Connection] = field(default_factory=deque)
    _timer: asyncio.TimerHandle | None = None
    _sweep_s: float = _SWEEP_S

    def __post_init__(self) -> None:
        bounds = self.bounds
        shortest_s = min(bounds.head_s, bounds.first_byte_s, bounds.body_s, bounds.idle_s)
        self._sweep_s = min(_SWEEP_S, shortest_s / 5)

    def enter(self, connection: Connection) -> bool:
        """Tell whether there is room for one more. Where not, it has a moment to hear so, or none at all: then it is closed."""
        fits = len(self.connections) < self.bounds.connections or self._make_room()
        if not fits and len(self.connections) >= self.bounds.connections + TURNED_AWAY:
            connection.abort()
            return False
        self.connections.add(connection)
        if self._timer is None:
            self._timer = connection.loop.call_later(self._sweep_s, self._sweep, connection.loop)
        return fits

    def leave(self, connection: Connection) -> None:
        self.connections.discard(connection)

    def _make_room(self) -> bool:
        while self._idle:
            oldest = self._idle.popleft()
            if oldest in self.connections and oldest.waits:
                # It counts no longer, whenever its socket is gone.
                self.connections.discard(oldest)
                oldest.abort()
                return True
        return False

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        full = len(self.connections) >= self.bounds.connections
        idle: list[Connection] = []
        for connection in tuple(self.connections):
            if connection.deadline <= now:
                connection.expire(now)
            elif full and connection.waits and connection.waits_since <= now - IDLE_ENOUGH_S:
                idle.append(connection)
        idle.sort(key=lambda connection: connection.waits_since)
        self._idle = deque(idle)
        self._timer = loop.call_later(self._sweep_s, self._sweep, loop) if self.connections else None
