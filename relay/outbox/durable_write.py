"""One write of the door and the proof that it is on disk, and with the replicas that are to have it.

Redis itself syncs before it answers (`always`), or WAITAOF tells of the sync, or, where that answers too early, the server's
syncs are watched (`fsync_watch.py`). Which of these holds is said by whoever looks at the server; until then the server is
asked in the same breath as it writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

import redis.asyncio
from redis.exceptions import NoScriptError, RedisError, ResponseError

from relay.outbox.durability import SETTINGS, WATCH_S, told_settings, who_confirms
from relay.outbox.fsync_watch import QUESTION, FsyncWatch, server_ms
from relay.outbox.reasons import without_frames
from relay.outbox.replicas import WAIT_MS, not_confirmed
from relay.outbox.scripts import script_text

#: How long WAITAOF may take before the write counts as not confirmed.
WAITAOF_MS: Final = 1_700
_NOT_ON_DISK: Final = "Redis did not confirm in time that the write is on disk"
_ANOTHER: Final = "the connection to Redis broke amid a write, and another server may have taken it"
#: New connections that this task has made: the server behind one may be another than before.
_made: ContextVar[int] = ContextVar("connections made by this task", default=0)


class NotConfirmed(RedisError):
    """Redis has the write, and has not said that it is on disk, or with enough replicas: a sentence."""


class DurableWrite:
    """`wait_aof`: each write is confirmed with WAITAOF. `trust_aof`: what WAITAOF says is true; else the server is asked what it
    is, and where it answers too early its syncs are watched. Both stand at the careful side until somebody knows better,
    and again after each `reconnected`: the server at the other end may be another. `failed` is called where the server
    cannot be asked to confirm."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        prefix: str,
        failed: Callable[[], None],
        *,
        wait_aof: bool = True,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._failed = failed
        self.wait_aof, self.trust_aof = wait_aof, False
        #: This server cannot be asked for WAITAOF; readiness says so, the door goes on.
        self._cannot_wait = False

    def reconnected(self) -> None:
        """Forget what was known of the server. Called in the task that made the new connection."""
        _made.set(_made.get() + 1)
        self.wait_aof = True
        self.trust_aof = self._cannot_wait = False

    @property
    def confirms(self) -> bool:
        return self.wait_aof and not self._cannot_wait

    async def run(self, name: str, args: list[Any], *, durable: bool, replicas: int = 0) -> Any:
        """Return the script's answer; with `durable` once what it wrote is on disk, and once so many replicas have it. Raises
        NotConfirmed, a Redis error or OSError."""
        sha, text = script_text(name)
        prefix = self._prefix
        if not durable and not replicas:
            return await self._run_plain(sha, text, prefix, args)
        # A connection that broke is made anew here, before it is decided whether the server behind it has to confirm. What is not
        # to be confirmed is written on it as it is: the client's own way (retries, which could only say that another server may be
        # there now, metrics, a connection taken anew) costs as much again as the write.
        pool = self._client.connection_pool
        connection: Any = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            made = _made.get()
            confirm = durable and self.confirms
            if not confirm and not replicas:
                answer = await self._run_on(connection, sha, text, args)
                if _made.get() != made:
                    raise NotConfirmed(_ANOTHER)
                return answer
        finally:
            await pool.release(connection)
        until = asyncio.get_running_loop().time() + WATCH_S
        wants = (confirm, replicas)
        answer, synced, had, told = await self._run_confirmed("EVALSHA", sha, prefix, args, *wants)
        if isinstance(answer, NoScriptError):
            answer, synced, had, told = await self._run_confirmed("EVAL", text, prefix, args, *wants)
        if isinstance(answer, Exception):
            raise answer
        if confirm and not told and _made.get() != made:
            raise NotConfirmed(_ANOTHER)
        if isinstance(had, Exception):
            raise had
        if int(had) < replicas:
            raise NotConfirmed(not_confirmed(int(had), replicas))
        if isinstance(synced, ResponseError):
            # Neither known to sync before it answers nor able to tell: the next look makes us unready.
            self._cannot_wait = True
            self._failed()
        elif isinstance(synced, Exception):
            raise synced
        elif int(synced[0]) < 1:
            raise NotConfirmed(_NOT_ON_DISK)
        elif told:
            await self._watch(told[0], told[1], until)
        return answer

    async def _run_on(self, connection: Any, sha: str, text: str, args: list[Any]) -> Any:
        """Raises ConnectionError where the connection breaks, which is closed then."""
        try:
            await connection.send_command("EVALSHA", sha, 1, self._prefix, *args)
            return await connection.read_response()
        except NoScriptError:
            await connection.send_command("EVAL", text, 1, self._prefix, *args)
            return await connection.read_response()

    async def _run_plain(self, sha: str, text: str, prefix: str, args: list[Any]) -> Any:
        try:
            return await self._client.execute_command("EVALSHA", sha, 1, prefix, *args)  # type: ignore[no-untyped-call]
        except NoScriptError:
            return await self._client.execute_command("EVAL", text, 1, prefix, *args)  # type: ignore[no-untyped-call]

    async def _run_confirmed(
        self, command: str, script: str, prefix: str, args: list[Any], confirm: bool, replicas: int
    ) -> tuple[Any, Any, Any, list[Any]]:
        """(the script's answer, WAITAOF's, WAIT's, what the server says of itself where that has to be known). What was not asked
        is as if it were confirmed."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.execute_command(command, script, 1, prefix, *args)
            if confirm:
                pipe.execute_command("WAITAOF", 1, 0, WAITAOF_MS)
            if replicas:
                pipe.execute_command("WAIT", replicas, WAIT_MS)
            if confirm and not self.trust_aof:
                # In the same breath: by the next one another server may be there.
                pipe.execute_command("INFO", "server", "persistence")
                pipe.execute_command("CONFIG GET", *SETTINGS)
            answer, *told = without_frames(await pipe.execute(raise_on_error=False))
        synced = told.pop(0) if confirm else (1, 0)
        had = told.pop(0) if replicas else 0
        return answer, synced, had, told

    async def _watch(self, info: Any, config: Any, until: float) -> None:
        """Waits for the sync where WAITAOF did not. Raises NotConfirmed."""
        if isinstance(info, Exception):
            raise info
        fsync, skips = told_settings(config)
        if who_confirms(info, fsync, skips_in_rewrite=skips) != "watched":
            return
        watch, loop = FsyncWatch(skips_in_rewrite=skips), asyncio.get_running_loop()
        while loop.time() < until:
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.execute_command("INFO", "server")
                for command in QUESTION:
                    pipe.execute_command(*command)
                server, persistence, now = await pipe.execute()
            if server.get("run_id") != info.get("run_id"):
                break
            wait_s = watch.heard(persistence, server_ms(now))
            if wait_s is None:
                return
            await asyncio.sleep(min(wait_s, max(0.0, until - loop.time())))
        raise NotConfirmed(_NOT_ON_DISK)
