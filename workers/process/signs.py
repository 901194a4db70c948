"""This worker process's signs of life: given where it asks for work, at most every few seconds, to Redis and to a file for
probes that must not depend on Redis."""

from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path
from typing import Any, Final

from relay.errors import OutboxUnavailable
from relay.outbox.outbox import Outbox
from relay.outbox.processes import Role, give_sign, sign_off
from relay.telemetry import log

EVERY_S: Final = 5.0
#: An idle worker asks every 5 s; a busy one at each step, the longest of which is a call to Planhat.
IDLE_DUE_S: Final = 20.0
#: A worker whose Redis is away waits for it for so long before it ends.
AWAY_DUE_S: Final = 150.0


class Signs:
    """`parting`: over a connection that waits for a moment only, for the sign-off. `file`: "" for none."""

    def __init__(self, outbox: Outbox, role: Role, *, parting: Outbox, file: str = "") -> None:
        self._outbox = outbox
        self._parting = parting
        self._role = role
        self._file = Path(f"{file}.{role}") if file else None
        self._given_at = float("-inf")
        self._started_ms = 0
        self.who = f"{socket.gethostname()}:{os.getpid()}:{role}"
        self.facts: dict[str, Any] = {}

    def asked(self, due_s: float = IDLE_DUE_S) -> None:
        """Note that work was asked for; the next time is within `due_s`. Never raises: who looks sees that it is overdue."""
        if time.monotonic() - self._given_at < EVERY_S:
            return
        self._given_at = time.monotonic()
        self.good_for(max(due_s, AWAY_DUE_S))
        try:
            self._started_ms = self._started_ms or self._outbox.now_ms()
            give_sign(
                self._outbox,
                self.who,
                self._role,
                due_s=due_s,
                started_ms=self._started_ms,
                facts=self.facts or None,
            )
        except OutboxUnavailable:
            return

    def again(self) -> None:
        """Give a sign now: Redis has forgotten the one before."""
        self._given_at = float("-inf")
        self.asked()

    def good_for(self, seconds: float) -> None:
        """Set the file's time to when this sign is overdue."""
        if self._file is None:
            return
        until = time.time() + seconds
        try:
            self._file.touch()
            os.utime(self._file, (until, until))
        except OSError as error:
            log("heartbeat.file", level=logging.WARNING, error=type(error).__name__)

    def end(self) -> None:
        """Sign off, where a sign was given. Tries once: a Redis that is away must not hold a process that is to end."""
        if self._started_ms:
            sign_off(self._parting, self.who)
