"""What is known of Redis and of the lanes there, looked at again each second, at each readiness check and after each new connection;
the door goes by it. One look is under way at a time, however many ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from redis.exceptions import RedisError

from relay.errors import OutboxUnavailable
from relay.outbox.durability import CLUSTER, Durability, examine_durability, try_write
from relay.outbox.outbox import Outbox
from relay.outbox.recorder import Recorder, WriteRoom
from relay.outbox.replicas import too_few
from relay.outbox.room import nearly_full, room_left

#: A look older than this is made anew for who asks: many probes at once share one.
FRESH_S: Final = 0.2
#: Who asks is answered after this, also where Redis has not answered.
ANSWER_S: Final = 2.5
NO_ANSWER: Final = "Redis: no answer in time"


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. `away`: why Redis takes no write now ("": it does); a spool can stand in for it. `strangers`: lane -> why it is not
    ours, of those that are not. `elsewhere`: of a cluster's nodes this one does not answer, and another lane's does. `problems`: what no spool helps against. `durability` None: Redis did not answer."""

    durability: Durability | None = None
    away: str = ""
    strangers: Mapping[str, str] = field(default_factory=dict)
    elsewhere: bool = False
    problems: tuple[str, ...] = ()

    @property
    def answers(self) -> bool:
        return self.durability is not None


class WatchedLane(Protocol):
    """What of a lane is looked at."""

    @property
    def name(self) -> str: ...

    @property
    def recorder(self) -> Recorder: ...

    def answers_apart(self) -> bool:
        """Tell whether it lies on a node of its own, and that one answers."""


class RedisWatch:
    """`outbox` is any lane's, `lanes()` are those that are served now; `strangers()` gives lane -> why it is not ours, of those that are
    not, and may raise OutboxUnavailable. `room`: what may still be written. `replicas()`: how many are
    to have each write."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        require_durable: bool,
        lanes: Callable[[], Iterable[WatchedLane]] = tuple,
        strangers: Callable[[], Mapping[str, str]] = dict,
        room: WriteRoom | None = None,
        replicas: Callable[[], int] = lambda: 0,
    ) -> None:
        self._outbox = outbox
        self._require_durable = require_durable
        self._lanes = lanes
        self._strangers = strangers
        self._room = room or WriteRoom()
        self._replicas = replicas
        self._seen = Seen(away="not looked at yet")
        self._seen_at = float("-inf")
        self._looking: asyncio.Future[Seen] | None = None
        #: Counts new connections of the door: what was found before one says nothing of what is behind it.
        self._connections = 0

    @property
    def last(self) -> Seen:
        return self._seen

    def expire(self) -> None:
        """Drop what was found as no longer true: the next who asks has it looked at again."""
        self._seen_at = float("-inf")

    def reconnected(self) -> None:
        """Note that the door has a new connection."""
        self._connections += 1
        self.expire()
        for lane in self._lanes():
            lane.recorder.reconnected()

    async def seen(self) -> Seen:
        """Return a look made just now, or that Redis did not answer in time."""
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
        self._tell(seen, sure=before == self._connections)
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
            wanted = self._replicas()
            away = (
                nearly_full(found)
                or too_few(found.replicas, wanted)
                or try_write(self._outbox.redis, found, prefix=self._outbox.prefix, replicas=wanted)
            )
            if away and found.passing:
                # In words that say what to do. Settings that are wrong stay problems: no spool helps against those.
                problems = tuple(problem for problem in problems if problem not in found.passing)
                away = "; ".join(found.passing)
            strangers = self._strangers()
            if len(strangers) == len(tuple(self._lanes())):
                # Nothing is left that could take events.
                problems = (*problems, *strangers.values())
            return Seen(found, away, strangers, problems=problems)
        except OutboxUnavailable as error:
            return Seen(away=str(error), elsewhere=any(lane.answers_apart() for lane in self._lanes()))

    def _tell(self, seen: Seen, *, sure: bool) -> None:
        found = seen.durability
        if found is None:
            return
        left = room_left(found)
        self._room.bytes = None if left is None else float(left)
        for lane in self._lanes():
            recorder = lane.recorder
            if sure:
                # An operator who requires nothing and has switched syncing off shall not wait for what never comes.
                recorder.durable.wait_aof = found.wait_aof and (self._require_durable or found.fsync != "no")
                # Nor wait out each sync where WAITAOF itself does not.
                recorder.durable.trust_aof = found.confirmed_by != "watched" or not self._require_durable
            recorder.refusal = self._refusal(lane.name, seen, found)

    def _refusal(self, lane: str, seen: Seen, found: Durability) -> str:
        """Why the door writes nothing although Redis would take it."""
        if found.cluster:
            return CLUSTER
        if lane in seen.strangers:
            return seen.strangers[lane]
        if found.fsync == "no" and not found.no_waitaof and self._require_durable:
            # Asking would take each sender's time for the same answer.
            return next(
                (problem for problem in seen.problems if "appendfsync no" in problem), "appendfsync no"
            )
        # Each write would wait for them first.
        return nearly_full(found) or too_few(found.replicas, self._replicas())
