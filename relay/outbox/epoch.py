"""Noticing that Redis was flushed, or set back to an older state, by someone.

`epoch` in Redis names this store's life; `generation` only ever grows within it. A process remembers both: another epoch
is another store, a smaller generation an older one. Nothing can be mended from here: it is said, and the relay runs on.
"""

from __future__ import annotations

import secrets
from typing import Any

from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis


class Epoch:
    """`look` compares Redis with what this process saw last."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._epoch = ""
        self._generation = 0

    def look(self) -> str:
        """ "" while all is as it was, else what happened: `flushed or replaced`, `restored to an older state`. Raises
        OutboxUnavailable."""
        redis, prefix = self._outbox.redis, self._outbox.prefix
        with reaching_redis():
            redis.set(prefix + "epoch", secrets.token_hex(8), nx=True)
            held: Any = redis.mget(prefix + "epoch", prefix + "generation")
        epoch, generation = held[0].decode() if held[0] else "", int(held[1] or 0)
        what = ""
        if self._epoch and epoch != self._epoch:
            what = "flushed or replaced"
        elif generation < self._generation:
            what = "restored to an older state"
        self._epoch, self._generation = epoch, generation
        return what
