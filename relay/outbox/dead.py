"""Looking through many dead letters: heads only, newest first, in parts. One letter in full: `Outbox.dead_letter`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis

_PART = 500


@dataclass(frozen=True, slots=True)
class DeadHead:
    """A dead letter without its patches. `facts` is the record as JSON: `cause`, `reason`, `stage`, `rule`, ..."""

    dead_id: str
    source: str
    external_id: str
    at_ms: int
    events: tuple[str, ...]
    facts: dict[str, Any]


def scan_dead(outbox: Outbox, *, since_ms: int = 0, until_ms: int = 0, after: str = "") -> Iterator[DeadHead]:
    """Dead letters of a span of time (0: open), newest first. `after` is the last head of an earlier page, as
    `cursor_of` gave it; ValueError where it is no cursor. Letters that come or go meanwhile shift nothing."""
    top: float | str = until_ms or "+inf"
    skip_id = ""
    if after:
        stamp, _, skip_id = after.partition(".")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 15 and skip_id):
            raise ValueError("not a cursor of this list")
        top = int(stamp) if not until_ms else min(int(stamp), until_ms)
    offset = 0
    while True:
        with reaching_redis():
            names: Any = outbox.redis.zrevrangebyscore(
                outbox.prefix + keys.DEAD, top, since_ms or "-inf", start=offset, num=_PART, withscores=True
            )
            pipe = outbox.redis.pipeline(transaction=False)
            for name, _ in names:
                pipe.hmget(
                    outbox.prefix + keys.dead_letter(name.decode()),
                    "source",
                    "external",
                    "at",
                    "events",
                    "record",
                )
            rows = pipe.execute()
        for (name, score), (source, external, at, events, record) in zip(names, rows, strict=True):
            dead_id = name.decode()
            if record is None or (skip_id and int(score) == top and dead_id >= skip_id):
                continue
            yield DeadHead(
                dead_id=dead_id,
                source=source.decode(),
                external_id=external.decode(),
                at_ms=int(at),
                events=tuple(word for word in events.decode().split(",") if word),
                facts=_facts(outbox, record),
            )
        if len(names) < _PART:
            return
        offset += _PART


def _facts(outbox: Outbox, record: bytes) -> dict[str, Any]:
    try:
        facts = orjson.loads(outbox.vault.open(record))
    except ValueError:
        facts = None
    # A letter that cannot be read must not hide the others.
    return facts if isinstance(facts, dict) else {"cause": "the stored record cannot be read", "stage": ""}


def cursor_of(head: DeadHead) -> str:
    return f"{head.at_ms}.{head.dead_id}"
