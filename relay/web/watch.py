"""What is known of Redis, looked at again each second, at each readiness check and after each new connection; the door goes
by it. One look is under way at a time, however many ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from redis.exceptions import RedisError

from relay.errors import OutboxUnavailable
from relay.outbox.durability import CLUSTER, Durability, examine_durability, try_write
from relay.outbox.outbox import Outbox
from relay.outbox.recorder import Recorder
from relay.outbox.room import nearly_full, room_left

#: A look older than this is made anew for who asks: many probes at once share one.
FRESH_S: Final = 0.2
#: Who asks is answered after this, also where Redis has not answered.
ANSWER_S: Final = 2.5
NO_ANSWER: Final = "Redis: no answer in time"


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. `away`: why Redis takes no write now ("": it does); a spool can stand in for it. `stranger`: why the lane is not ours. `problems`: what no spool
    helps against. `durability` None: Redis did not answer."""

    durability: Durability | None = None
    away: str = ""
    stranger: str = ""
    problems: tuple[str, ...] = ()

    @property
    def answers(self) -> bool:
        return self.durability is not None


class RedisWatch:
    """`stranger()`: why this lane is not ours, "" where it is; it may raise OutboxUnavailable."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        require_durable: bool,
        stranger: Callable[[], str] = lambda: "",
    ) -> None:
        self._outbox = outbox
        self._require_durable = require_durable
        self._stranger = stranger
        self._seen = Seen(away="not looked at yet")
        self._seen_at = float("-inf")
        self._looking: asyncio.Future[Seen] | None = None
        #: Counts new connections of the door: what was found before one says nothing of what is behind it.
        self._connections = 0
        self.recorder: Recorder | None = None

    @property
    def last(self) -> Seen:
        return self._seen

    def expire(self) -> None:
        """What was found is no longer true: the next who asks has it looked at again."""
        self._seen_at = float("-inf")

    def reconnected(self) -> None:
        """The door has a new connection."""
        self._connections += 1
        self.expire()
        if self.recorder is not None:
            self.recorder.reconnected()

    async def seen(self) -> Seen:
        """A look made just now, or that Redis did not answer in time."""
        if time.monotonic() - self._seen_at <= FRESH_S:
            return self._seen
        if self._looking is None:
            self._looking = asyncio.ensure_future(asyncio.to_thread(self.look))
            self._looking.add_done_callback(self._looked)
        looking = self._looking
        done, _ = await asyncio.wait([looking], timeout=ANSWER_S)
        return looking.result() if done else Seen(away=NO_ANSWER)

    def _looked(self, task: asyncio.Future[Seen]) -> None:
        self._looking = None

    def look(self) -> Seen:
        """Looks now, and lets the door know. Blocks for as long as Redis lets it; never raises."""
        before = self._connections
        seen = self._look()
        self._seen, self._seen_at = seen, time.monotonic()
        if self.recorder is not None:
            self._tell(self.recorder, seen, sure=before == self._connections)
        if before != self._connections:
            # The door's connection is younger than the look: nobody has looked behind it yet.
            self.expire()
            with suppress(RedisError, OSError):
                self._outbox.redis.connection_pool.disconnect(inuse_connections=False)
        return seen

    def _look(self) -> Seen:
        try:
            found = examine_durability(self._outbox.redis)
            problems = found.problems if self._require_durable else ()
            if found.cluster:
                problems = (CLUSTER, *problems)
            seen = Seen(found, problems=problems)
            away = nearly_full(found) or try_write(self._outbox.redis, found, prefix=self._outbox.prefix)
            stranger = self._stranger()
            return replace(
                seen, away=away, stranger=stranger, problems=(*problems, *([stranger] if stranger else []))
            )
        except OutboxUnavailable as error:
            return Seen(away=str(error))

    def _tell(self, recorder: Recorder, seen: Seen, *, sure: bool) -> None:
        found = seen.durability
        if found is None:
            return
        if sure:
            # An operator who requires nothing and has switched syncing off shall not wait for what never comes.
            recorder.durable.wait_aof = found.wait_aof and (self._require_durable or found.fsync != "no")
            # Nor wait out each sync where WAITAOF itself does not.
            recorder.durable.trust_aof = found.confirmed_by != "watched" or not self._require_durable
        left = room_left(found)
        recorder.room_bytes = None if left is None else float(left)
        recorder.refusal = self._refusal(seen, found)

    def _refusal(self, seen: Seen, found: Durability) -> str:
        """Why the door writes nothing although Redis would take it."""
        if found.cluster:
            return CLUSTER
        if seen.stranger:
            return seen.stranger
        if found.fsync == "no" and not found.no_waitaof and self._require_durable:
            # Asking would take each sender's time for the same answer.
            return next(
                (problem for problem in seen.problems if "appendfsync no" in problem), "appendfsync no"
            )
        return nearly_full(found)
