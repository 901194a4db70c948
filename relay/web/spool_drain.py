"""The way back of what was spooled, beside everything else that a web process does: however much it is, requests are answered, the config
is read anew and signs of life are given meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from relay.door.intake import Intake
from relay.door.spooling import Spooler
from relay.errors import OutboxUnavailable
from relay.event import Event
from relay.operations.tombstones import Tombs
from relay.outbox.erased import Erased
from relay.outbox.outbox import Outbox
from relay.outbox.spool import Spool
from relay.outbox.veil_key import VeilKey

#: What waits is older than anything that may come, and goes first; but nobody waits longer for an answer.
FIRST_S: Final = 2.0


class SpoolLane(Protocol):
    """What of a lane is asked for what was erased in it."""

    @property
    def name(self) -> str: ...

    @property
    def outbox(self) -> Outbox: ...


class SpoolDrain:
    """Brings spooled requests back, but for what was erased meanwhile. `lanes()` are those that are served now."""

    def __init__(
        self, spool: Spool, intake: Intake, lanes: Callable[[], Iterable[SpoolLane]], veil_key: VeilKey
    ) -> None:
        self.spooler = Spooler(spool, intake, covered=self._covered, refresh=self._read_tombs)
        self._lanes = lanes
        self._veil_key = veil_key
        self._tombs: dict[str, Tombs] = {}
        self._draining: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Go on draining, where something waits and nobody is at it."""
        if self.spooler.spool.count and (self._draining is None or self._draining.done()):
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def begin_first(self) -> None:
        """Drain before anything else is done, for two seconds at most; what is left then comes beside the rest."""
        self.begin()
        if self._draining is not None:
            await asyncio.wait([self._draining], timeout=FIRST_S)

    async def stop(self) -> None:
        """Stop; what has not come yet stays in the spool."""
        if self._draining is not None:
            self._draining.cancel()
            with suppress(asyncio.CancelledError):
                await self._draining

    async def close(self) -> None:
        await asyncio.to_thread(self.spooler.spool.close)

    async def _drain(self) -> None:
        try:
            await self.spooler.drain()
        except OutboxUnavailable:
            # Redis is away again: whoever sees that it is back begins anew.
            return
        except Exception:
            logging.getLogger("relay").exception("drain.failed")

    async def _read_tombs(self) -> None:
        def read() -> dict[str, Tombs]:
            return {lane.name: Tombs(Erased(lane.outbox, self._veil_key)) for lane in self._lanes()}

        self._tombs = await asyncio.to_thread(read)

    def _covered(
        self, events: Sequence[Event], external_ids: Sequence[str], received_s: float, lane: str
    ) -> bool:
        tombs = self._tombs.get(lane)
        return tombs is not None and tombs.cover_any(events, external_ids, received_s)
