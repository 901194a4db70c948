"""Scripts sent without waiting for the answer to the one before: Redis works on them while the worker folds.

Answers come in the order of sending, so that what was sent later sees what was sent earlier. One thread's business.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

import hiredis
import redis
from redis.exceptions import RedisError

from relay.outbox.reasons import NOT_THE_MASTER_CODES
from relay.outbox.scripts import run_script, script_text

#: So many answers may be outstanding; their arguments are kept meanwhile.
MOST_OUTSTANDING: Final = 8
#: What is held back goes once it is as much as this: Redis should have something to do.
_CORKED_BYTES: Final = 32_768
#: Taken from the socket at one time.
_CHUNK_BYTES: Final = 262_144
_UNREAD: Final = object()
_NOT_YET: Final = object()


class Asked:
    """A script that was sent. `answer()` waits for what it said. Raises OutboxUnavailable."""

    def __init__(self, pipe: Pipe, name: str, args: Sequence[Any]) -> None:
        self._pipe = pipe
        self._name = name
        self._args = args
        self._answer: Any = _UNREAD
        #: What was sent before it and may have to be said again before it.
        self._before: Asked | None = None

    def answer(self) -> Any:
        if self._answer is _UNREAD:
            self._pipe.read_up_to(self)
        if isinstance(self._answer, RedisError | OSError):
            before, self._before = self._before, None
            if before is not None:
                # In the order of sending: a claim that finds nothing must have seen what was settled before it.
                before.answer()
            # Nobody knows whether it was run: each script may be said twice, as after any other lost answer. It goes
            # by the ordinary way, which is patient with a Redis that blinks and knows what to do about a lost script.
            self._answer = run_script(self._pipe.client, self._name, self._pipe.prefix, self._args)
            self._pipe.said_again(self)
        self._args = ()
        return self._answer

    def told(self, answer: Any, before: Asked | None = None) -> None:
        """Takes its answer; where that is an error and it is said again, `before` is said again first."""
        self._answer, self._before = answer, before


class Pipe:
    """`client`'s own connection beside its pool's others. What goes wrong on it costs its speed, nothing else."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self.client = client
        self.prefix = prefix
        self._connection: Any = None
        self._reader: Any = None
        self._chunk = bytearray()
        self._outstanding: deque[Asked] = deque()
        self._kept: list[bytes] = []
        #: The last that failed: it is said again before one that failed after it.
        self._failed: Asked | None = None

    def send(self, name: str, args: Sequence[Any], *, corked: bool = False) -> Asked:
        """Send a script without waiting. `corked`: it goes with what is sent next (unless both are large), at the latest when somebody waits or `push` is called.
        Redis writes what it reads at one time to disk at one time, and that takes as long as the script does."""
        while len(self._outstanding) >= MOST_OUTSTANDING:
            self.read_up_to(self._outstanding[0])
        asked = Asked(self, name, args)
        sha, _ = script_text(name)
        # Before it is sent: whatever cuts that off finds that there is something outstanding, and gives the connection up.
        self._outstanding.append(asked)
        try:
            if self._connection is None:
                self._open()
            # hiredis directly: redis-py looks at each argument in Python before it gives them all to it.
            packed = hiredis.pack_command(("EVALSHA", sha, 1, self.prefix, *args))
            if corked:
                if self._kept and sum(map(len, self._kept)) + len(packed) > _CORKED_BYTES:
                    self._push()
                self._kept.append(packed)
            else:
                self._push(packed)
        except (RedisError, OSError) as error:
            self._break(error)
        except BaseException:
            self.reset()
            raise
        return asked

    def push(self) -> None:
        """Send now what was kept."""
        try:
            self._push()
        except (RedisError, OSError) as error:
            self._break(error)
        except BaseException:
            self.reset()
            raise

    def _push(self, packed: bytes = b"") -> None:
        kept, self._kept = self._kept, []
        if packed:
            kept.append(packed)
        if kept:
            self._connection.send_packed_command([b"".join(kept)], check_health=False)

    def read_up_to(self, asked: Asked) -> None:
        """Reads answers until that of `asked` is there, or nothing more can be read."""
        if self._kept and any(one is asked for one in islice(reversed(self._outstanding), len(self._kept))):
            self.push()
        while self._outstanding:
            first = self._outstanding[0]
            try:
                answer = self._next()
            except (RedisError, OSError) as error:
                self._break(error)
                return
            except BaseException:
                # A job's time-out may strike anywhere, half an answer read.
                self.reset()
                raise
            self._outstanding.popleft()
            self._tell(first, answer)
            if first is asked:
                return

    def read_available(self) -> None:
        """Takes from the socket what is there, without waiting. An answer is larger than a socket holds: what does not fit
        in stays with Redis until it has run the script after it, and whoever wants the answer would wait for that."""
        if not self._outstanding or self._connection is None:
            return
        connection, sock = self._connection, self._connection._sock
        try:
            sock.settimeout(0)
            try:
                for _ in range(4):
                    self._take_in(sock)
            finally:
                sock.settimeout(connection.socket_timeout)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except (RedisError, OSError) as error:
            self._break(error)
        except BaseException:
            self.reset()
            raise

    def _next(self) -> Any:
        while True:
            answer = self._reader.gets()
            if answer is _NOT_YET:
                self._take_in(self._connection._sock)
            elif isinstance(answer, hiredis.ReplyError):
                if str(answer).partition(" ")[0] in NOT_THE_MASTER_CODES:
                    # Another node is to be asked: everything goes by the ordinary way, which finds it.
                    raise redis.ConnectionError("the server at hand is not the master any more")
                # The script's own failure (its text was forgotten, Redis is full): the connection is as good as before.
                return redis.ResponseError(str(answer))
            elif not isinstance(answer, hiredis.PushNotification):
                return answer

    def _take_in(self, sock: socket.socket) -> None:
        size = sock.recv_into(self._chunk)
        if not size:
            raise redis.ConnectionError("closed by Redis")
        self._reader.feed(self._chunk, 0, size)

    def reset(self) -> None:
        """Give up what is outstanding, for which nobody will ask: whatever was sent takes effect, or not."""
        if self._outstanding:
            self._break(redis.ConnectionError("given up"))
        self._failed = None

    def give_back(self) -> None:
        """Give the connection back, as nothing is to be sent for a while: it is anybody's in the pool."""
        self.reset()
        connection, self._connection = self._connection, None
        if connection is not None:
            self.client.connection_pool.release(connection)
        self._chunk = bytearray()

    def _open(self) -> None:
        connection: Any = self.client.connection_pool.get_connection()
        try:
            for name in ("claim", "settle", "take_call"):
                connection.send_command("SCRIPT", "LOAD", script_text(name)[1])
                connection.read_response()
        except BaseException:
            connection.disconnect()
            self.client.connection_pool.release(connection)
            raise
        # A part to settle is 400 KB: it should lie in the socket while Redis is busy with the one before, and not hold us.
        connection._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        self._reader = hiredis.Reader(notEnoughData=_NOT_YET)
        self._chunk = self._chunk or bytearray(_CHUNK_BYTES)
        self._connection = connection

    def said_again(self, asked: Asked) -> None:
        """Forgets one that failed: it was said again."""
        if self._failed is asked:
            self._failed = None

    def _tell(self, asked: Asked, answer: Any) -> None:
        if isinstance(answer, RedisError | OSError):
            asked.told(answer, self._failed)
            self._failed = asked
        else:
            asked.told(answer)

    def _break(self, error: Exception) -> None:
        connection, self._connection = self._connection, None
        waiting, self._outstanding = self._outstanding, deque()
        self._kept = []
        for asked in waiting:
            self._tell(asked, error)
        if connection is not None:
            # Answers that nobody reads any more may still come: it must not go back as it is.
            connection.disconnect()
            self.client.connection_pool.release(connection)
