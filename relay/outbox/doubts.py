"""Delivered conversations that are to be looked at again in Planhat: a call that was cut off may have changed them."""

from __future__ import annotations

from typing import Literal

from relay.outbox import keys
from relay.outbox.items import Pending
from relay.outbox.scripts import reaching_redis
from relay.outbox.store import Store


class OutboxDoubts:
    """Keeps which conversations of one lane are to be looked at again, and when."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def due(self, *, limit: int, now_ms: int = 0) -> tuple[list[str], int]:
        """Return (the externalIds that are to be looked at again, the earliest first and at most `limit`; how many there are)."""
        now_ms = now_ms or self._store.now_ms()
        with reaching_redis():
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.zrangebyscore(self._store.prefix + keys.DOUBT, "-inf", now_ms, start=0, num=limit)
            pipe.zcount(self._store.prefix + keys.DOUBT, "-inf", now_ms)
            names, number = pipe.execute()
        return [name.decode() for name in names], int(number)

    def conclude(
        self,
        external_id: str,
        mode: Literal["done", "again", "later"],
        *,
        nudge: Pending | None = None,
        due_ms: int = 0,
        now_ms: int = 0,
    ) -> int:
        """Note what a look at a delivered conversation has shown; `again`: it waits once more, with `nudge`;
        `later`: it is looked at again at `due_ms`."""
        entry, source = b"", ""
        if nudge is not None:
            head = f"{nudge.event_id}\x1f{nudge.source}\x1f{nudge.accepted_ms}\x1f0\x1f".encode()
            entry, source = head + self._store.vault.seal(nudge.patch), nudge.source
        return int(self._store.run("doubt", [now_ms, mode, external_id, source, entry, due_ms]))
