"""Scripts sent without waiting for the answer to the one before: Redis works on them while the worker folds.

Answers come in the order of sending, so that what was sent later sees what was sent earlier. One thread's business.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import hiredis
import redis
from redis.exceptions import RedisError

from relay.outbox.scripts import run, script_text

#: So many answers may be outstanding; their arguments are kept meanwhile.
MOST_OUTSTANDING: Final = 8
_UNREAD: Final = object()


class Asked:
    """A script that was sent. `answer()` waits for what it said. Raises OutboxUnavailable."""

    def __init__(self, pipe: Pipe, name: str, args: Sequence[Any]) -> None:
        self._pipe = pipe
        self._name = name
        self._args = args
        self._answer: Any = _UNREAD

    def answer(self) -> Any:
        if self._answer is _UNREAD:
            self._pipe.read_up_to(self)
        if isinstance(self._answer, RedisError | OSError):
            # Nobody knows whether it was run: each script may be said twice, as after any other lost answer. It goes
            # by the ordinary way, which is patient with a Redis that blinks and knows what to do about a lost script.
            self._answer = run(self._pipe.client, self._name, self._pipe.prefix, self._args)
        self._args = ()
        return self._answer

    def told(self, answer: Any) -> None:
        self._answer = answer


class Pipe:
    """`client`'s own connection beside its pool's others. What goes wrong on it costs its speed, nothing else."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self.client = client
        self.prefix = prefix
        self._connection: Any = None
        self._outstanding: deque[Asked] = deque()
        self._kept: bytes = b""

    def send(self, name: str, args: Sequence[Any], *, keep: bool = False) -> Asked:
        """`keep`: it goes with what is sent next, at the latest when somebody waits or `push` is called. Redis writes what
        it reads at one time to disk at one time, and that takes as long as the script does."""
        while len(self._outstanding) >= MOST_OUTSTANDING:
            self.read_up_to(self._outstanding[0])
        asked = Asked(self, name, args)
        sha, _ = script_text(name)
        try:
            if self._connection is None:
                self._open()
            # hiredis directly: redis-py looks at each argument in Python before it gives them all to it.
            packed = hiredis.pack_command(("EVALSHA", sha, 1, self.prefix, *args))
            if keep:
                self._push()
                self._kept = packed
            else:
                self._push(packed)
        except (RedisError, OSError) as error:
            asked.told(error)
            self._break(error)
        except BaseException:
            self.reset()
            raise
        else:
            self._outstanding.append(asked)
        return asked

    def push(self) -> None:
        """What was kept goes now."""
        try:
            self._push()
        except (RedisError, OSError) as error:
            self._break(error)
        except BaseException:
            self.reset()
            raise

    def _push(self, packed: bytes = b"") -> None:
        kept, self._kept = self._kept, b""
        if kept or packed:
            self._connection.send_packed_command([kept + packed], check_health=False)

    def read_up_to(self, asked: Asked) -> None:
        """Reads answers until that of `asked` is there, or nothing more can be read."""
        self.push()
        while self._outstanding:
            first = self._outstanding[0]
            try:
                answer = self._connection.read_response()
            except redis.ResponseError as error:
                # The script's own failure (its text was forgotten, Redis is full): the connection is as good as before.
                answer = error
            except (RedisError, OSError) as error:
                self._break(error)
                return
            except BaseException:
                # A job's time-out may strike anywhere, half an answer read.
                self.reset()
                raise
            self._outstanding.popleft()
            first.told(answer)
            if first is asked:
                return

    def reset(self) -> None:
        """Nobody will ask for what is outstanding: whatever was sent takes effect, or not."""
        if self._outstanding:
            self._break(redis.ConnectionError("given up"))

    def _open(self) -> None:
        connection: Any = self.client.connection_pool.get_connection()
        try:
            for name in ("claim", "settle"):
                connection.send_command("SCRIPT", "LOAD", script_text(name)[1])
                connection.read_response()
        except BaseException:
            connection.disconnect()
            self.client.connection_pool.release(connection)
            raise
        # A part to settle is 400 KB: it should lie in the socket while Redis is busy with the one before, and not hold us.
        connection._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        self._connection = connection

    def _break(self, error: Exception) -> None:
        connection, self._connection = self._connection, None
        waiting, self._outstanding = self._outstanding, deque()
        self._kept = b""
        for asked in waiting:
            asked.told(error)
        if connection is not None:
            # Answers that nobody reads any more may still come: it must not go back as it is.
            connection.disconnect()
            self.client.connection_pool.release(connection)
