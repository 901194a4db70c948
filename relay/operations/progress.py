"""A long operation that others can watch, cancel and take up again: a hash in Redis, `operation:<id>`, kept a day."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import orjson

from relay.errors import NotFound
from relay.operations.moments import iso
from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis, run_commands

KEPT_S = 86_400


class Operation:
    """One run. `step` writes how far it is; `cancelled` says whether someone wants it to stop."""

    def __init__(self, outbox: Outbox, operation_id: str) -> None:
        self._outbox = outbox
        self.operation_id = operation_id
        self._name = keys.operation(operation_id)
        self._key = outbox.prefix + self._name

    @classmethod
    def begin(cls, outbox: Outbox, kind: str, by: str, asked: Mapping[str, Any]) -> Operation:
        operation = cls(outbox, f"op_{secrets.token_hex(8)}")
        now_ms = outbox.now_ms()
        facts = {
            "kind": kind,
            "by": by,
            "asked": orjson.dumps(dict(asked)),
            "state": "running",
            "started_ms": now_ms,
        }
        run_commands(
            outbox.redis,
            outbox.prefix,
            ("HSET", operation._name, *(word for pair in facts.items() for word in pair)),
            ("EXPIRE", operation._name, KEPT_S),
            ("ZADD", keys.OPERATIONS, now_ms, operation.operation_id),
            ("ZREMRANGEBYSCORE", keys.OPERATIONS, "-inf", now_ms - KEPT_S * 1000),
        )
        return operation

    def step(self, **facts: int | str) -> None:
        words = [word for pair in facts.items() for word in pair]
        run_commands(self._outbox.redis, self._outbox.prefix, ("HSET", self._name, *words))

    def end(self, state: str, **facts: int | str) -> None:
        """End it as `done`, `cancelled` or `failed`."""
        self.step(state=state, ended_ms=self._outbox.now_ms(), **facts)

    def resume(self) -> dict[str, str]:
        """Set it running again; gives what it was asked and its cursor. Raises NotFound."""
        stored = self._held()
        self.step(state="running", cancel=0)
        return stored

    def cancelled(self) -> bool:
        with reaching_redis():
            wanted: Any = self._outbox.redis.hget(self._key, "cancel")
        return bool(wanted == b"1")

    def cancel(self) -> None:
        """Have the run stop where it is. Raises NotFound. A run that has ended stays as it ended."""
        self._held()
        self.step(cancel=1)

    def read(self) -> dict[str, Any]:
        """Read it as the API shows it. Raises NotFound."""
        stored = self._held()
        counted = ("total", "done", "changed", "failed", "skipped")
        numbers: dict[str, Any] = {name: int(stored[name]) for name in counted if name in stored}
        return {
            "id": self.operation_id,
            "kind": stored.get("kind"),
            "by": stored.get("by"),
            "state": stored.get("state"),
            "asked": orjson.loads(stored.get("asked") or "{}"),
            "started_at": iso(int(stored.get("started_ms") or 0)),
            "ended_at": iso(int(stored.get("ended_ms") or 0)),
            "cancelling": stored.get("cancel") == "1" and stored.get("state") == "running",
            **numbers,
        }

    def _held(self) -> dict[str, str]:
        with reaching_redis():
            stored: Any = self._outbox.redis.hgetall(self._key)
        if not stored:
            raise NotFound(f"nobody knows the operation {self.operation_id[:40]!r}; they are kept for a day")
        return {name.decode(): value.decode() for name, value in stored.items()}


def read_operations(outbox: Outbox, limit: int = 10) -> list[dict[str, Any]]:
    """Return the last ones, newest first."""
    with reaching_redis():
        names: Any = outbox.redis.zrevrange(outbox.prefix + keys.OPERATIONS, 0, limit - 1)
    found = []
    for name in names:
        try:
            found.append(Operation(outbox, name.decode()).read())
        except NotFound:
            continue
    return found
