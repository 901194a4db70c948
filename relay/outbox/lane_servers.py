"""One question to many lanes: one round trip for each server that they lie on, however many lanes there are.

A cluster's lanes are asked over a connection to each master, by what each lane's slot was last told. A slot that lies elsewhere by now
answers so, and is looked for again the next time; nothing is followed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import redis
from redis.exceptions import RedisError

from relay.errors import OutboxUnavailable
from relay.outbox.cluster import SlotPool, elsewhere
from relay.outbox.reading import Reading, Rounds
from relay.outbox.reasons import Away, perhaps_done, unavailable_reason, without_frames
from relay.outbox.scripts import script_text
from relay.outbox.slot_master import NO_MASTER, Node
from relay.outbox.store import Store

#: Scripts sent at once: a server does nothing else meanwhile, 10-20 us each.
_AT_ONCE: Final = 100
#: Readings whose commands are sent at once; each command is served by itself.
_READ_AT_ONCE: Final = 250

_T = TypeVar("_T")


class LaneServers:
    """The servers behind the lanes of one process; for one thread at a time."""

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

    def read(
        self, stores: Sequence[Store], make: Callable[[int], Reading[_T]], *, limit_s: float = 60.0
    ) -> list[_T | OutboxUnavailable]:
        """Read of each store what `make(place)` asks for, the servers beside each other, each for as many rounds as one of its readings
        has; what they returned, in the stores' order. Of one that could not be asked, that failed, or whose server took longer than
        `limit_s`, the error."""
        until = time.monotonic() + limit_s
        answers: list[Any] = [None] * len(stores)
        places: list[int] = list(range(len(stores)))
        for last in (False, True):
            for place, answer in self._read([stores[place] for place in places], places, make, until).items():
                answers[place] = answer
                if isinstance(answer, RedisError | OSError):
                    _forget_master(stores[place])
            # Its slot lies on another node by now, which is asked at once.
            places = [place for place in places if _moved(answers[place])]
            if last or not places:
                break
        return [_unavailable(one) if isinstance(one, RedisError | OSError) else one for one in answers]

    def ask_each(
        self, stores: Sequence[Store], question: Callable[[redis.Redis], _T]
    ) -> list[_T | OutboxUnavailable]:
        """Ask each server once; what it answered, for each of the stores. Of one that cannot be asked the error."""
        answers: list[Any] = [None] * len(stores)
        for client, places in self._by_server(list(stores), answers):
            try:
                answer: Any = question(client)
            except OutboxUnavailable as error:
                answer = error
            for place in places:
                answers[place] = answer
        return answers

    def _read(
        self, stores: list[Store], places: Sequence[int], make: Callable[[int], Reading[Any]], until: float
    ) -> dict[int, Any]:
        """place -> what its reading returned, or the error."""
        told: list[Any] = [None] * len(stores)
        groups = [(client, [places[n] for n in numbers]) for client, numbers in self._by_server(stores, told)]
        answers = dict(zip(places, told, strict=True))
        if len(groups) < 2:
            for client, own in groups:
                answers |= _ask_in_rounds(client, own, make)
            return answers
        # One that hangs is waited for beside the others, and no longer than it may take.
        threads = ThreadPoolExecutor(len(groups))
        asked = [(threads.submit(_ask_in_rounds, client, own, make), own) for client, own in groups]
        for future, own in asked:
            try:
                answers |= future.result(max(0.0, until - time.monotonic()))
            except TimeoutError as error:
                answers |= dict.fromkeys(own, error)
        threads.shutdown(wait=False)
        return answers

    def _by_server(self, asked: list[Store], answers: list[Any]) -> Iterable[tuple[redis.Redis, list[int]]]:
        """The places of the stores behind each client. One whose server is not to be found has its answer then."""
        groups: dict[Node | int, tuple[redis.Redis, list[int]]] = {}
        silent: OutboxUnavailable | None = None
        found = False
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
                    # Who was asked for one slot has told of all.
                    node = (pool.slot.take() if found else None) or pool.slot.find()
                    found = True
                except (RedisError, OSError) as error:
                    answers[place] = _unavailable(error)
                    if not (isinstance(error, Away) and error.reason == NO_MASTER):
                        silent = answers[place]
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


def _ask_in_rounds(
    client: redis.Redis, places: Sequence[int], make: Callable[[int], Reading[Any]]
) -> dict[int, Any]:
    """Ask one server until each of its readings has what it wants, or it answers no more; as `LaneServers._read`."""
    rounds = Rounds([make(place) for place in places])
    while waiting := rounds.waiting:
        for start in range(0, len(waiting), _READ_AT_ONCE):
            part = waiting[start : start + _READ_AT_ONCE]
            pipe = client.pipeline(transaction=False)
            counts = rounds.queue(pipe, part)
            try:
                answers = without_frames(pipe.execute(raise_on_error=False)) if len(pipe) else []
            except (RedisError, OSError) as error:
                for number in rounds.waiting:
                    rounds.fail(number, error)
                break
            rounds.answer(part, counts, answers)
    return dict(zip(places, rounds.found_in_order, strict=True))


def _moved(answer: Any) -> bool:
    return isinstance(answer, Exception) and elsewhere(answer)


def _forget_master(store: Store) -> None:
    pool = store.redis.connection_pool
    if isinstance(pool, SlotPool):
        pool.slot.master = None


def _unavailable(error: Exception) -> OutboxUnavailable:
    return OutboxUnavailable(f"Redis: {unavailable_reason(error)}", perhaps_done=perhaps_done(error))
