"""One question to many lanes: one round trip for each server that they lie on, however many lanes there are.

A cluster's lanes are asked over a connection to each master, by what each lane's slot was last told. A slot that lies elsewhere by now
answers so, and is looked for again the next time; nothing is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import redis
from redis.exceptions import RedisError

from relay.errors import OutboxUnavailable
from relay.outbox.cluster import SlotPool, elsewhere
from relay.outbox.reasons import perhaps_done, unavailable_reason, without_frames
from relay.outbox.scripts import script_text
from relay.outbox.slot_master import Node
from relay.outbox.store import Store

#: Scripts sent at once: a server does nothing else meanwhile, 10-20 us each.
_AT_ONCE: Final = 100


class LaneServers:
    """The servers behind the lanes of one process; for one thread."""

    def __init__(self) -> None:
        self._nodes: dict[Node, redis.Redis] = {}

    def ask(
        self, name: str, stores: Iterable[Store], args: Callable[[int], Sequence[Any]]
    ) -> list[Any | OutboxUnavailable]:
        """Run one script for each store, with what `args(place)` gives for it; the answers in their order. Of one that could not be
        asked, or that failed, the error."""
        asked = list(stores)
        answers: list[Any] = [None] * len(asked)
        for client, places in self._by_server(asked, answers):
            for start in range(0, len(places), _AT_ONCE):
                part = places[start : start + _AT_ONCE]
                try:
                    found = _run(client, name, [(asked[place].prefix, args(place)) for place in part])
                except (RedisError, OSError) as error:
                    for place in places[start:]:
                        answers[place] = _unavailable(error)
                        _forget_master(asked[place])
                    break
                for place, answer in zip(part, found, strict=True):
                    failed = isinstance(answer, Exception)
                    answers[place] = _unavailable(answer) if failed else answer
                    if failed and elsewhere(answer):
                        _forget_master(asked[place])
        return answers

    def _by_server(self, asked: list[Store], answers: list[Any]) -> Iterable[tuple[redis.Redis, list[int]]]:
        """The places of the stores behind each client. One whose server is not to be found has its answer then."""
        groups: dict[Node | int, tuple[redis.Redis, list[int]]] = {}
        silent: OutboxUnavailable | None = None
        for place, store in enumerate(asked):
            pool = store.redis.connection_pool
            if not isinstance(pool, SlotPool):
                groups.setdefault(id(store.redis), (store.redis, []))[1].append(place)
                continue
            node = pool.slot.master
            if node is None:
                if silent is not None:
                    # To ask for each lane would take each lane's time.
                    answers[place] = silent
                    continue
                try:
                    node = pool.slot.find()
                except (RedisError, OSError) as error:
                    answers[place] = silent = _unavailable(error)
                    continue
            if node not in self._nodes:
                self._nodes[node] = pool.plain(node)
            groups.setdefault(node, (self._nodes[node], []))[1].append(place)
        return groups.values()


def _run(client: redis.Redis, name: str, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
    sha, text = script_text(name)
    pipe = client.pipeline(transaction=False)
    pipe.script_load(text)
    for prefix, args in calls:
        pipe.execute_command("EVALSHA", sha, 1, prefix, *args)  # type: ignore[no-untyped-call]
    return without_frames(pipe.execute(raise_on_error=False)[1:])


def _forget_master(store: Store) -> None:
    pool = store.redis.connection_pool
    if isinstance(pool, SlotPool):
        pool.slot.master = None


def _unavailable(error: Exception) -> OutboxUnavailable:
    return OutboxUnavailable(f"Redis: {unavailable_reason(error)}", perhaps_done=perhaps_done(error))
