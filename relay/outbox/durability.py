"""Can this Redis be trusted with what we promise? Read from INFO, since hosted services refuse CONFIG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import RedisError, ResponseError

from relay.errors import OutboxUnavailable
from relay.outbox.scripts import reaching_redis


@dataclass(frozen=True, slots=True)
class Durability:
    """`fsync` is `always`, `everysec`, `no`, or "" where the server does not tell. `problems` are sentences; any of
    them makes the relay not ready where RELAY_REQUIRE_DURABLE is true."""

    version: str
    fsync: str
    can_wait_aof: bool
    used_bytes: int
    max_bytes: int
    problems: tuple[str, ...]

    @property
    def wait_aof(self) -> bool:
        """Whether each write should be confirmed with WAITAOF: the server persists, but not before it answers."""
        return self.can_wait_aof and self.fsync not in ("always", "")


def examine(client: redis.Redis) -> Durability:
    """Raises OutboxUnavailable."""
    with reaching_redis():
        info: Any = client.info()
        fsync = ""
        try:
            config: Any = client.config_get("appendfsync")
            fsync = str(config.get("appendfsync", ""))
        except ResponseError:
            pass
    version = str(info.get("valkey_version") or info.get("redis_version", ""))
    policy = str(info.get("maxmemory_policy", ""))
    max_bytes = int(info.get("maxmemory", 0))
    problems = []
    if policy and policy != "noeviction":
        problems.append(
            f"Redis may evict accepted events (maxmemory-policy {policy}); set maxmemory-policy noeviction"
        )
    if not int(info.get("aof_enabled", 0)):
        problems.append("Redis does not persist each write (appendonly no); set appendonly yes")
    if info.get("aof_last_write_status", "ok") != "ok":
        problems.append("Redis could not write its append-only file; look at its disk")
    if info.get("role") == "slave":
        problems.append("this Redis is a replica and read-only; point RELAY_REDIS_URL at the primary")
    if int(info.get("loading", 0)):
        problems.append("Redis is loading its data")
    return Durability(
        version=version,
        fsync=fsync,
        can_wait_aof=bool(int(info.get("aof_enabled", 0))) and _at_least(version, (7, 2)),
        used_bytes=int(info.get("used_memory", 0)),
        max_bytes=max_bytes,
        problems=tuple(problems),
    )


def refuses_writes(client: redis.Redis, *, lane: str = "main") -> str:
    """ "" where a write goes through, else why not (`full`, `read-only`, `loading`, ...)."""
    try:
        with reaching_redis():
            client.set(f"relay:{{{lane}}}:ready", "1", ex=60)
    except OutboxUnavailable as error:
        return str(error)
    except RedisError as error:  # pragma: no cover - reaching_redis maps them all
        return type(error).__name__
    return ""


def _at_least(version: str, wanted: tuple[int, int]) -> bool:
    parts = version.split(".")
    try:
        return (int(parts[0]), int(parts[1])) >= wanted
    except (ValueError, IndexError):
        return False
