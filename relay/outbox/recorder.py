"""Group commit for the door: whatever requests wait while one write is under way go out together as the next one.

That is what makes a durable 202 cheap: with `appendfsync always` Redis fsyncs once for the whole group. Each request
awaits its own answer; where the write fails, all of the group are told to try later and nothing counts as kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import redis.asyncio
from redis.exceptions import NoScriptError, RedisError

from relay.errors import OutboxUnavailable, OverRate
from relay.outbox.items import Entry, Recorded
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import script_text, unavailable_reason

#: A group larger than this would hold Redis for too long (1,000 small events: about 10 ms).
GROUP_ENTRIES = 500
GROUP_BYTES = 2_000_000
#: With WAITAOF: how many groups wait for their fsync at once, and how long one gathers before it is sent.
GROUPS_CONFIRMING = 16
GATHER_S = 0.005
#: After a failed write the next ones fail at once for this long: a Redis that hangs must not make every sender wait.
FAIL_FAST_S = 0.3
#: How long WAITAOF may take before the group is told to try later.
FSYNC_TIMEOUT_MS = 2_000


class Recorder:
    """`rang` is called (in the event loop) with a generation to ring the workers' bell for, `failed` after a write that Redis did not take. `wait_aof`: ask Redis to
    confirm the fsync with WAITAOF, for a server that does not fsync always."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        outbox: Outbox,
        *,
        rang: Callable[[int], None],
        failed: Callable[[], None] = lambda: None,
        wait_aof: bool = False,
    ) -> None:
        self._client = client
        self._outbox = outbox
        self._rang = rang
        self._failed = failed
        self.wait_aof = wait_aof
        self._waiting: deque[tuple[Sequence[tuple[Entry, float]], asyncio.Future[list[Recorded]]]] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._confirming: set[asyncio.Task[None]] = set()
        self._away_until = 0.0
        self._away_because = ""

    async def record(self, entries: Sequence[tuple[Entry, float]]) -> list[Recorded]:
        """What became of each entry, once it is durable. Raises OutboxUnavailable (nothing counts as kept) or
        OverRate (the source is over its rate; of this request nothing was kept)."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Recorded]] = loop.create_future()
        self._waiting.append((entries, future))
        if self._writer is None:
            self._writer = loop.create_task(self._write())
        return await future

    async def close(self) -> None:
        """Waits until everything that was handed in has its answer."""
        while self._writer is not None:
            await asyncio.wait([self._writer])
        if self._confirming:
            await asyncio.wait(self._confirming)

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
                if not self.wait_aof:
                    await self._commit(group)
                    continue
                # A confirmation comes with the next fsync, up to a second away: groups wait for it side by side.
                while len(self._confirming) >= GROUPS_CONFIRMING:
                    await asyncio.wait(self._confirming, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.get_running_loop().create_task(self._commit(group))
                self._confirming.add(task)
                task.add_done_callback(self._confirming.discard)
                await asyncio.sleep(GATHER_S)
        finally:
            self._writer = None

    async def _commit(
        self, group: list[tuple[Sequence[tuple[Entry, float]], asyncio.Future[list[Recorded]]]]
    ) -> None:
        flat = [pair for entries, _ in group for pair in entries]
        loop = asyncio.get_running_loop()
        if loop.time() < self._away_until:
            _fail(group, self._away_because)
            return
        try:
            answer = await self._run(self._outbox.record_args(flat))
        except Exception as error:
            if not isinstance(error, (RedisError, OSError)):
                _fail(group, type(error).__name__)
                raise
            self._away_because = f"Redis: {unavailable_reason(error)}"
            self._away_until = loop.time() + FAIL_FAST_S
            self._failed()
            _fail(group, self._away_because)
            return
        generation, verdicts = int(answer[0]), answer[2:]
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
                        Recorded(entry.event_id, verdict.decode() if verdict else "")
                        for (entry, _), verdict in zip(entries, mine, strict=True)
                    ]
                )
        if generation:
            self._rang(generation)

    async def _run(self, args: list[Any]) -> Any:
        sha, text = script_text("record")
        prefix = self._outbox.prefix
        if not self.wait_aof:
            try:
                return await self._client.execute_command("EVALSHA", sha, 1, prefix, *args)  # type: ignore[no-untyped-call]
            except NoScriptError:
                return await self._client.execute_command("EVAL", text, 1, prefix, *args)  # type: ignore[no-untyped-call]
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.execute_command("EVALSHA", sha, 1, prefix, *args)
            pipe.execute_command("WAITAOF", 1, 0, FSYNC_TIMEOUT_MS)
            try:
                answer, synced = await pipe.execute()
            except NoScriptError:
                pipe.execute_command("EVAL", text, 1, prefix, *args)
                pipe.execute_command("WAITAOF", 1, 0, FSYNC_TIMEOUT_MS)
                answer, synced = await pipe.execute()
        if not synced or int(synced[0]) < 1:
            raise TimeoutError("the fsync was not confirmed in time")
        return answer


def _fail(
    group: list[tuple[Sequence[tuple[Entry, float]], asyncio.Future[list[Recorded]]]], reason: str
) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(OutboxUnavailable(reason))
