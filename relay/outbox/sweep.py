"""The last look of an erasure: every key of a lane that nobody looked into before, known to this release or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis

#: What an erasure takes away by itself, or what holds ids and counts only.
_KNOWN = (
    keys.event(""),
    keys.document(""),
    keys.patches(""),
    keys.dead_letter(""),
    keys.LOGS,
    keys.AUDIT,
    keys.ERASED,
    keys.session(""),
    keys.code(""),
    keys.VEIL_KEY,
    keys.METRICS,
    keys.threaded(""),
    keys.RETHREAD,
)
_THREADS = keys.thread("").encode()
_AT_ONCE = 1000


def sweep(
    outbox: Outbox,
    in_name: Callable[[bytes], bool],
    in_value: Callable[[bytes], bool],
    *,
    dry_run: bool = False,
) -> int:
    """Takes away keys whose name fits, and of lists, sets, hashes and texts the parts that fit; how many. Values may be sealed."""
    gone = 0
    prefix = outbox.prefix.encode()
    threads: list[bytes] = []
    with reaching_redis():
        for key in list(outbox.redis.scan_iter(outbox.prefix + "*", count=1000)):
            if key.startswith(_THREADS, len(prefix)):
                threads.append(key)
                continue
            name = key[len(prefix) :].decode("utf-8", "surrogateescape")
            if name.startswith(_KNOWN):
                continue
            if in_name(key[len(prefix) :]):
                gone += 1
                if not dry_run:
                    outbox.redis.delete(key)
                continue
            if name.startswith(keys.SEEN):
                # An event's id: so a sender's repetition stays a duplicate.
                continue
            gone += _parts(
                outbox, key, lambda part: in_name(part) or in_value(_opened(outbox, part)), dry_run
            )
        gone += _threads(outbox, threads, in_value, dry_run)
    return gone


def _threads(outbox: Outbox, names: list[bytes], in_value: Callable[[bytes], bool], dry_run: bool) -> int:
    """Of the map of threads what holds a name: a mail's id may be made of an address. All others hold hashes."""
    gone = 0
    for start in range(0, len(names), _AT_ONCE):
        part = names[start : start + _AT_ONCE]
        held: Any = outbox.redis.mget(part)
        fitting = [
            name
            for name, value in zip(part, held, strict=True)
            if value and value[:1] in (b"=", b"?") and in_value(value[1:])
        ]
        gone += len(fitting)
        if fitting and not dry_run:
            outbox.redis.delete(*fitting)
    return gone


def _parts(outbox: Outbox, key: bytes, fits: Callable[[bytes], bool], dry_run: bool) -> int:
    redis: Any = outbox.redis
    kind = redis.type(key)
    takes: list[tuple[Any, ...]] = []
    if kind == b"string":
        value = redis.get(key)
        takes = [(redis.delete, key)] if value and fits(value) else []
    elif kind == b"hash":
        pairs = redis.hscan_iter(key)
        takes = [(redis.hdel, key, field) for field, value in pairs if fits(field) or fits(value)]
    elif kind == b"list":
        takes = [(redis.lrem, key, 0, item) for item in set(redis.lrange(key, 0, -1)) if fits(item)]
    elif kind == b"set":
        takes = [(redis.srem, key, item) for item in redis.sscan_iter(key) if fits(item)]
    elif kind == b"zset":
        takes = [(redis.zrem, key, item) for item, _ in redis.zscan_iter(key) if fits(item)]
    elif kind == b"stream":
        takes = [(redis.xdel, key, entry) for entry, row in redis.xrange(key) if any(map(fits, row.values()))]
    if not dry_run:
        for act, *arguments in takes:
            act(*arguments)
    return len(takes)


def _opened(outbox: Outbox, value: bytes) -> bytes:
    try:
        return outbox.vault.open(value)
    except ValueError:
        return value
