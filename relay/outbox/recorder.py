"""Group commit for the door: whatever requests wait while one write is under way go out together as the next one.

That is what makes a durable 202 cheap: with `appendfsync always` Redis fsyncs once for the whole group. Each request
awaits its own answer; where the write fails, all of the group are told to try later and nothing counts as kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import redis.asyncio
from redis.exceptions import RedisError

from relay.errors import OutboxUnavailable, OverRate
from relay.outbox.durable_write import DurableWrite, NotConfirmed
from relay.outbox.items import Entry, Recorded
from relay.outbox.outbox import Outbox
from relay.outbox.reasons import perhaps_done, unavailable_reason
from relay.outbox.threads import find_args, names_of
from relay.thread_ids import ThreadIds

#: A group larger than this would hold Redis for too long (1,000 small events: about 10 ms).
GROUP_ENTRIES = 500
GROUP_BYTES = 2_000_000
#: With WAITAOF: how many groups wait for their fsync at once, and how long one gathers before it is sent.
GROUPS_CONFIRMING = 16
_GATHER_S = 0.005
#: What a write may take, its confirmation included. Slack gives up after 3 s.
CALL_S = 2.0
#: What asking for threads may take. It changes nothing: whoever gets no answer goes on without.
FIND_S = 0.5
#: After a failed write the next ones fail at once for this long.
FAIL_FAST_S = 0.3
#: A Redis that gave no answer is asked for the time so often, and nothing is written until it tells.
ASK_AGAIN_S = 0.25
#: What an event takes of Redis's memory beside its own bytes, about; and what its bytes become there.
ENTRY_BYTES = 1_500
STORED_FACTOR = 1.5


class WriteRoom:
    """What may still be written to a server until somebody looks at its memory again; None: no limit. Shared by the lanes there."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes: float | None = None


class Recorder:
    """`rang` is called (in the event loop) with a generation to ring the workers' bell for, `failed` after a write that
    Redis did not take.

    `durable`: how a write is confirmed, to be told what is found of the server. `refusal`: why nothing may be written now, "" if it may.
    `set_back` is told, with the time until which all was well, that Redis knows so many events less than it did. `replicas()`: how many are to have
    each write."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        outbox: Outbox,
        *,
        rang: Callable[[int], None],
        failed: Callable[[], None] = lambda: None,
        wait_aof: bool = True,
        set_back: Callable[[int, int], None] = lambda seen_ms, lost: None,
        room: WriteRoom | None = None,
        replicas: Callable[[], int] = lambda: 0,
    ) -> None:
        self._client = client
        self._outbox = outbox
        self._rang = rang
        self._failed = failed
        self.durable = DurableWrite(client, outbox.prefix, failed, wait_aof=wait_aof)
        self.refusal = ""
        self.room = room or WriteRoom()
        #: How many events Redis said it had ever accepted, and when.
        self._total = self._total_ms = 0
        self._set_back = set_back
        self._replicas = replicas
        self._waiting: deque[tuple[Sequence[tuple[Entry, float]], asyncio.Future[list[Recorded]]]] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._confirming: set[asyncio.Task[None]] = set()
        self._away_until = 0.0
        self._away_because = ""
        #: Runs while Redis hangs.
        self._asking: asyncio.Task[None] | None = None

    @property
    def total(self) -> int:
        """How many events Redis said last that it had ever accepted."""
        return self._total

    def reconnected(self) -> None:
        """Forget what was known of the server."""
        self.durable.reconnected()

    async def record(self, entries: Sequence[tuple[Entry, float]]) -> list[Recorded]:
        """Return what became of each entry, once it is durable. Raises OutboxUnavailable (nothing counts as kept) or
        OverRate (the source is over its rate; of this request nothing was kept)."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Recorded]] = loop.create_future()
        self._waiting.append((entries, future))
        if self._writer is None:
            self._writer = loop.create_task(self._write())
        return await future

    async def find_threads(self, asked: Sequence[ThreadIds], lane: str = "") -> list[str]:
        """Return the thread of each mail, "" where none is known, or nobody can say now: what is written is compared once more.
        `lane` is this one's own."""
        nothing = [""] * len(asked)
        if self._refuses(asyncio.get_running_loop()):
            return nothing
        try:
            async with asyncio.timeout(FIND_S):
                return names_of(await self.durable.run("thread", find_args(asked), durable=False))
        except (RedisError, OSError):
            # The write that follows finds out, and says so.
            return nothing

    async def close(self) -> None:
        """Waits until everything that was handed in has its answer."""
        while self._writer is not None:
            await asyncio.wait([self._writer])
        if self._confirming:
            await asyncio.wait(self._confirming)
        if self._asking is not None:
            self._asking.cancel()

    async def _write(self) -> None:
        try:
            while self._waiting:
                group = []
                count = size = 0
                while self._waiting and count < GROUP_ENTRIES and size < GROUP_BYTES:
                    entries, future = self._waiting.popleft()
                    group.append((entries, future))
                    count += len(entries)
                    for entry, _ in entries:
                        size += len(entry.record) + len(entry.patch)
                if not self.durable.confirms:
                    await self._commit(group, size, confirm=False)
                    continue
                # A confirmation comes with the next fsync, up to a second away: groups wait for it side by side.
                while len(self._confirming) >= GROUPS_CONFIRMING:
                    await asyncio.wait(self._confirming, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.get_running_loop().create_task(self._commit(group, size, confirm=True))
                self._confirming.add(task)
                task.add_done_callback(self._confirming.discard)
                await asyncio.sleep(_GATHER_S)
        finally:
            self._writer = None

    def _refuses(self, loop: asyncio.AbstractEventLoop) -> str:
        if self.refusal:
            return self.refusal
        if self._asking is not None or loop.time() < self._away_until:
            return self._away_because
        if self.room.bytes is not None and self.room.bytes <= 0:
            return "Redis is nearly full"
        return ""

    async def _commit(
        self,
        group: list[tuple[Sequence[tuple[Entry, float]], asyncio.Future[list[Recorded]]]],
        size: int,
        *,
        confirm: bool,
    ) -> None:
        flat = [pair for entries, _ in group for pair in entries]
        loop = asyncio.get_running_loop()
        refusal = self._refuses(loop)
        if refusal:
            _fail(group, refusal)
            return
        try:
            async with asyncio.timeout(CALL_S):
                answer = await self.durable.run(
                    "record", self._outbox.record_args(flat), durable=True, replicas=self._replicas()
                )
        except Exception as error:
            if not isinstance(error, (RedisError, OSError)):
                _fail(group, type(error).__name__)
                raise
            self._stumble(error, loop)
            _fail(group, self._away_because, perhaps=isinstance(error, NotConfirmed) or perhaps_done(error))
            return
        if self.room.bytes is not None:
            self.room.bytes -= size * STORED_FACTOR + len(flat) * ENTRY_BYTES
        generation, now_ms, total, accepted = map(int, answer[:4])
        verdicts = answer[4:]
        if not confirm:
            self._compare(total, accepted, now_ms)
        at = 0
        for entries, future in group:
            mine = verdicts[at : at + len(entries)]
            at += len(entries)
            if future.done():
                continue
            if b"!" in mine:
                # Part of a request was kept: the sender repeats it all, and what was kept is a duplicate then.
                future.set_exception(OverRate("this source is over its rate limit", retry_after_s=1))
            else:
                future.set_result(
                    [
                        Recorded.of(entry.event_id, verdict)
                        for (entry, _), verdict in zip(entries, mine, strict=True)
                    ]
                )
        if generation:
            self._rang(generation)

    def _compare(self, total: int, mine: int, now_ms: int) -> None:
        """Whether Redis still counts what it has counted before: writes follow one another here, so that it must."""
        if not total:
            return
        if total - mine < self._total:
            self._set_back(self._total_ms, self._total - (total - mine))
        self._total, self._total_ms = total, now_ms

    def _stumble(self, error: RedisError | OSError, loop: asyncio.AbstractEventLoop) -> None:
        """After a failed write: the next ones fail at once, until Redis has had a moment, or, where it gave no answer,
        until it gives one."""
        self._away_because = f"Redis: {unavailable_reason(error)}"
        if isinstance(error, NotConfirmed):
            self._away_because = str(error)
        self._away_until = loop.time() + FAIL_FAST_S
        if unavailable_reason(error) == "no answer in time" and self._asking is None:
            self._asking = loop.create_task(self._ask_until_it_answers())
        self._failed()

    async def _ask_until_it_answers(self) -> None:
        try:
            while True:
                await asyncio.sleep(ASK_AGAIN_S)
                try:
                    async with asyncio.timeout(1.0):
                        # Not PING: a server with a full disk refuses that one.
                        await self._client.time()
                    return
                except (RedisError, OSError) as error:
                    if unavailable_reason(error) != "no answer in time":
                        return
        finally:
            self._asking = None


def _fail(
    group: list[tuple[Sequence[tuple[Entry, float]], asyncio.Future[list[Recorded]]]],
    reason: str,
    *,
    perhaps: bool = False,
) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(OutboxUnavailable(reason, perhaps_done=perhaps))
