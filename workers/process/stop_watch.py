"""Ends a process that was told to stop while Redis is away.

A worker's connection waits for Redis for a minute and a half, in whatever it is at: a step, RQ's own farewell, its sign-off. Told to
stop it need not: what it could still do there would not be kept, its claims come back with the lease, and nobody waits for the
next sign of a pod that is gone.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Final

from redis.exceptions import RedisError

from relay.outbox.connection import connect
from relay.outbox.reasons import unavailable_reason
from relay.telemetry import log
from workers.process.stopping import Stopping

#: Longer than a call under way gets (three seconds), shorter than the supervisor waits before it kills (eight).
_AWAY_S: Final = 5.0
_LOOK_S: Final = 0.5


class StopWatch:
    """`url`: Redis's. `name`: of the process, for its last line. `code`: what it ends with."""

    def __init__(self, url: str, stopping: Stopping, *, name: str, code: int = 0) -> None:
        self._url = url
        self._stopping = stopping
        self._name = name
        self._code = code

    def start(self) -> None:
        """Watch in a thread of its own, from the moment at which the process is told to stop."""
        threading.Thread(target=self._watch, name="stop watch", daemon=True).start()

    def _watch(self) -> None:
        self._stopping.wait_until_told()
        # Its own, impatient connection: the others are where the process waits.
        client = connect(self._url, timeout_s=1.0)
        answered_at = time.monotonic()
        while True:
            try:
                # Not PING: a server with a full disk refuses that one.
                client.time()
                answered_at = time.monotonic()
            except (RedisError, OSError) as error:
                if time.monotonic() - answered_at >= _AWAY_S:
                    self._end(unavailable_reason(error))
            time.sleep(_LOOK_S)

    def _end(self, reason: str) -> None:
        log("worker.left_without_redis", level=logging.WARNING, name=self._name, reason=reason)
        logging.shutdown()
        # Not sys.exit: it would end this thread alone.
        os._exit(self._code)
