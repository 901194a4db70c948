"""The tenant's custom fields and activity tags, read once in ten minutes by whoever needs them first, and shared in Redis.

What cannot be read is unknown: nothing is left out for it, and nobody is blamed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import orjson
import redis

from relay.errors import PlanhatError, PlanhatUnavailable
from relay.outbox import keys
from relay.outbox.scripts import reaching_redis, unless_full
from relay.planhat.custom_fields import read_definitions

LISTS_FRESH_S: Final = 600
#: Older lists are for the console alone.
_KEPT_S: Final = 7 * 86400
#: What Redis has is looked at again by this process after so long.
_SHARED_S: Final = 60.0
_TIMEOUT_S: Final = 5.0


class Lists(Protocol):
    """What of `relay.planhat.client.Planhat` the catalogue takes."""

    def custom_fields(self, *, timeout_s: float | None = None) -> Sequence[Mapping[str, Any]]: ...

    def activity_tags(self, *, timeout_s: float | None = None) -> Sequence[Mapping[str, Any]]: ...


class Catalogue:
    """One process's view of what the fleet knows. `call()` takes a place in the minute, only while there is plenty;
    `counted(operation, status)` is told of each call made."""

    def __init__(
        self,
        client: redis.Redis,
        prefix: str,
        planhat: Lists,
        *,
        call: Callable[[], bool],
        now_ms: Callable[[], int],
        counted: Callable[[str, str], None] = lambda operation, status: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = client
        self._prefix = prefix
        self._planhat = planhat
        self._call = call
        self._now_ms = now_ms
        self._counted = counted
        self._clock = clock
        self._held: dict[str, tuple[float, Mapping[str, str] | None]] = {}

    def custom_fields(self) -> Mapping[str, str] | None:
        """Return the custom fields of conversations, name -> type; None: not known. Raises OutboxUnavailable."""
        return self._list(keys.TENANT_FIELDS, "GET customfields", self._read_fields)

    def tags(self) -> Mapping[str, str] | None:
        """Return the activity tags, name -> id; None: not known, or the tenant has no such list. Raises OutboxUnavailable."""
        return self._list(keys.TENANT_TAGS, "GET activitytags", self._read_tags)

    def _read_fields(self) -> Mapping[str, str]:
        return read_definitions(self._planhat.custom_fields(timeout_s=_TIMEOUT_S))

    def _read_tags(self) -> Mapping[str, str]:
        rows = self._planhat.activity_tags(timeout_s=_TIMEOUT_S)
        return {str(row["name"]): str(row["_id"]) for row in rows if row.get("name") and row.get("_id")}

    def _list(
        self, key: str, operation: str, read: Callable[[], Mapping[str, str]]
    ) -> Mapping[str, str] | None:
        held = self._held.get(key)
        if held is not None and self._clock() - held[0] < _SHARED_S:
            return held[1]
        with reaching_redis():
            stored: Any = self._redis.get(self._prefix + key)
        row: dict[str, Any] = orjson.loads(stored) if stored else {"at_ms": 0}
        fresh = self._now_ms() - row["at_ms"] < LISTS_FRESH_S * 1000
        found = row["listed"] if fresh else self._asked(key, operation, read)
        self._held[key] = (self._clock(), found)
        return found

    def _asked(
        self, key: str, operation: str, read: Callable[[], Mapping[str, str]]
    ) -> Mapping[str, str] | None:
        if not self._call():
            return None
        listed: Mapping[str, str] | None = None
        try:
            listed = read()
            self._counted(operation, "200")
        except PlanhatError as error:
            self._counted(operation, type(error).__name__)
            if isinstance(error, PlanhatUnavailable):
                # No answer about the list: asked again with the next minute.
                return None
        with unless_full():
            row = orjson.dumps({"at_ms": self._now_ms(), "listed": listed})
            self._redis.set(self._prefix + key, row, ex=_KEPT_S)
        return listed
