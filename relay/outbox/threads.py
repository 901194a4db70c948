"""The map of threads: which conversation a mail belongs to, by its own id and by those that it names.

`record.lua` writes it in the same step as the event, and refuses an event that was mapped for another thread than the map
says by then: whatever two processes do at once, all is as if one mail had come after the other. What is asked here before
spares most mails that second mapping.

A thread is named by its first mail, or, while nothing is known of it, by the first mail that somebody names. Where that mail
comes later and answers another thread, the two are one: what stands under the later name moves (`rethread`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import redis

from relay.outbox import keys
from relay.outbox.scripts import reaching_redis, run_script
from relay.thread_ids import ThreadIds

#: Keys removed in one command.
_PART = 500


def thread_args(thread: str, ids: ThreadIds) -> tuple[Any, ...]:
    """Return what `record` is told of a mail's thread, behind its entry."""
    counts = (len(ids.own), len(ids.named))
    return (_raw(thread), ids.first, int(ids.begins), *counts, *ids.own, *ids.named)


def find_args(asked: Sequence[ThreadIds]) -> list[Any]:
    """Return the arguments of one `thread` script."""
    args: list[Any] = [len(asked)]
    for ids in asked:
        args += (len(ids.own), len(ids.named), *ids.own, *ids.named)
    return args


def names_of(answer: Iterable[bytes]) -> list[str]:
    """Return what `thread` answers: "" where nothing is known."""
    return [name.decode("utf-8", "surrogatepass") for name in answer]


class Threads:
    """The map as everybody but the door asks it."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._redis = client
        self._prefix = prefix

    def find(self, asked: Sequence[ThreadIds]) -> list[str]:
        """Return the thread of each, "" where none is known. Raises OutboxUnavailable."""
        if not asked:
            return []
        return names_of(run_script(self._redis, "thread", self._prefix, find_args(asked)))

    def where(self, asked: Sequence[ThreadIds]) -> list[str]:
        """Return the thread in which each stands that was recorded: what it names says nothing more."""
        return self.find([ThreadIds(ids.own, (), ids.first, ids.begins) for ids in asked])

    def forget(self, ids: Iterable[str]) -> int:
        """Takes keys out of the map, with the roots that they lead to; how many. Raises OutboxUnavailable."""
        going = list(dict.fromkeys(ids))
        gone = 0
        with reaching_redis():
            for start in range(0, len(going), _PART):
                part = going[start : start + _PART]
                roots = self._roots(part)
                names = [self._prefix + keys.thread(key) for key in dict.fromkeys((*part, *roots))]
                names += [self._prefix + keys.threaded(key) for key in roots]
                gone += int(self._redis.delete(*names) if names else 0)
        return gone

    def _roots(self, part: Sequence[str]) -> list[str]:
        """Where each key leads to in the end."""
        at: Mapping[str, str] = {key: key for key in part}
        roots: set[str] = set()
        for _ in range(64):
            if not at:
                break
            held: Any = self._redis.mget([self._prefix + keys.thread(key) for key in at])
            following: dict[str, str] = {}
            for key, value in zip(at, held, strict=True):
                if value is None:
                    continue
                if value[:1] in (b"=", b"?"):
                    roots.add(key)
                else:
                    following[value.decode()] = ""
            at = following
        return sorted(roots)

    def moved(self, limit: int) -> list[str]:
        """Return events whose thread turned out to be part of another, the longest known first."""
        with reaching_redis():
            found: Any = self._redis.lrange(self._prefix + keys.RETHREAD, 0, limit - 1)
        return [one.decode() for one in found]

    def done(self, event_ids: Iterable[str]) -> None:
        """Take away those that have been mapped again. One that has come again meanwhile stays."""
        with reaching_redis():
            pipe = self._redis.pipeline(transaction=False)
            for event_id in event_ids:
                pipe.lrem(self._prefix + keys.RETHREAD, 1, event_id)
            pipe.execute()


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")
