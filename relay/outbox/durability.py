"""Can this Redis be trusted with what we promise? Asked anew at each look: a setting may be changed while it runs, and after
a failover another server answers.

What is not told is not assumed. A server that does not say how it syncs (hosted services refuse CONFIG) is asked to
confirm each write with WAITAOF; where that answers too early the syncs themselves are watched (`fsync_watch.py`); where
nothing is to be had, nobody can say that a 202 is on disk, and the relay is not ready. What is confirmed is tried as
well: a look writes a key and waits until it is on disk.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from relay.errors import OutboxUnavailable
from relay.outbox import keys
from relay.outbox.cluster_nodes import knows_cluster
from relay.outbox.fsync_watch import QUESTION, FsyncWatch, answers_early, server_ms
from relay.outbox.reasons import error_code, unavailable_reason, without_frames
from relay.outbox.replicas import LOOK_MS, not_confirmed, online_replicas
from relay.outbox.scripts import reaching_redis

#: What a look waits for its own write to be on disk: with `everysec` that takes up to a second.
CONFIRM_MS: Final = 1_400
#: What the syncs are watched for at most, where WAITAOF answers too early.
WATCH_S: Final = 1.9
#: What tells how the server syncs; the second: not while a child of it writes.
SETTINGS: Final = ("appendfsync", "no-appendfsync-on-rewrite")
#: Scripts say what they may do while memory is full (`#!lua flags=allow-oom`), which older servers do not read.
OLDEST: Final = (7, 0)

CLUSTER: Final = (
    "this Redis is a cluster node, and a plain address reaches a part of it; write "
    "RELAY_REDIS_URL=redis+cluster://host:6379,host2:6379"
)

AOF_FAILED: Final = "Redis could not write its append-only file; look at its disk"
REPLICA: Final = "this Redis is a replica and read-only; point RELAY_REDIS_URL at the primary"

#: Who vouches for a write being on disk: Redis itself before it answers, WAITAOF after each write, we who watch the
#: server's syncs after each write, or nobody.
Confirmed = Literal["always", "waitaof", "watched", "nobody"]


@dataclass(frozen=True, slots=True)
class Durability:
    """`fsync` is `always`, `everysec`, `no`, or "" where the server does not tell (`not_told` says why). `no_waitaof` is ""
    where WAITAOF may be used, else why not. `skips_in_rewrite`: it may not sync while a child of it writes. `cluster`: it is a cluster's node, and the client does not know where the others are. `replicas`: how many follow it now.
    `problems` are sentences, "what; what to do": any of them makes the relay not ready where RELAY_REQUIRE_DURABLE is true. `passing` are
    those of them in which Redis takes no write: what a spool stands in for."""

    version: str
    fsync: str
    not_told: str
    no_waitaof: str
    skips_in_rewrite: bool
    confirmed_by: Confirmed
    used_bytes: int
    max_bytes: int
    cluster: bool
    replicas: int
    problems: tuple[str, ...]
    passing: tuple[str, ...] = ()

    @property
    def wait_aof(self) -> bool:
        """Whether each write is to be confirmed with WAITAOF: unless Redis is known to sync before it answers."""
        return not self.no_waitaof and (self.fsync != "always" or self.skips_in_rewrite)


def examine_durability(client: redis.Redis) -> Durability:
    """Asks, and writes nothing. Raises OutboxUnavailable where Redis does not answer."""
    with reaching_redis():
        pipe = client.pipeline(transaction=False)
        pipe.info()
        pipe.config_get(*SETTINGS)
        # Satisfied at once: asks no more than whether it may be asked.
        pipe.execute_command("WAITAOF", 0, 0, 1)  # type: ignore[no-untyped-call]
        info, config, waited = without_frames(pipe.execute(raise_on_error=False))
        if isinstance(info, Exception):
            raise info
        for answer in (config, waited):
            if isinstance(answer, RedisError) and not isinstance(answer, ResponseError):
                raise answer
    return _judge(info, config, waited, knows_cluster(client))


def told_settings(config: Any) -> tuple[str, bool]:
    """Return (`appendfsync`, "" where it is not told; whether it may not sync while a child of it writes), from CONFIG GET's
    answer or its error."""
    told = config if isinstance(config, Mapping) else {}
    return str(told.get(SETTINGS[0], "")), str(told.get(SETTINGS[1], "")) != "no"


def who_confirms(
    info: Mapping[str, Any], fsync: str, *, skips_in_rewrite: bool, can_wait: bool = True
) -> Confirmed:
    """Say who confirms a write. `info`: INFO's sections `server` and `persistence`."""
    if not int(info.get("aof_enabled", 0)):
        return "nobody"
    if fsync == "always" and not skips_in_rewrite:
        return "always"
    if fsync == "no" or not can_wait:
        return "nobody"
    # With `always` WAITAOF is right everywhere.
    return "watched" if fsync != "always" and answers_early(info) else "waitaof"


def _judge(info: dict[str, Any], config: Any, waited: Any, knows_cluster: bool) -> Durability:
    version = str(info.get("valkey_version") or info.get("redis_version", ""))
    clustered = str(info.get("redis_mode", "")) == "cluster" or bool(int(info.get("cluster_enabled", 0)))
    fsync, skips = told_settings(config)
    not_told = "" if fsync else _why(config) if isinstance(config, ResponseError) else "not answered"
    # A replica refuses it for being one; the moment it is the primary it is asked again.
    refused = isinstance(waited, ResponseError) and "replica instances" not in str(waited)
    no_waitaof = _why(waited) if refused else ""
    confirmed = who_confirms(info, fsync, skips_in_rewrite=skips, can_wait=not no_waitaof)
    problems, passing = _of_the_server(info, version), _passing(info)
    if not int(info.get("aof_enabled", 0)):
        problems.append("Redis does not persist each write (appendonly no); set appendonly yes")
    elif confirmed == "nobody":
        problems.append(_nobody_confirms(fsync, not_told, no_waitaof, skips))
    return Durability(
        version=version,
        fsync=fsync,
        not_told=not_told,
        no_waitaof=no_waitaof,
        skips_in_rewrite=skips,
        confirmed_by=confirmed,
        used_bytes=int(info.get("used_memory", 0)),
        max_bytes=int(info.get("maxmemory", 0)),
        cluster=clustered and not knows_cluster,
        replicas=online_replicas(info),
        problems=(*problems, *passing),
        passing=passing,
    )


def _of_the_server(info: dict[str, Any], version: str) -> list[str]:
    problems = []
    policy = str(info.get("maxmemory_policy", ""))
    if not _at_least(version, OLDEST):
        problems.append(f"Redis {version} is too old; use Redis 7.0 or newer, or Valkey")
    if policy and policy != "noeviction":
        problems.append(
            f"Redis may evict accepted events (maxmemory-policy {policy}); set maxmemory-policy noeviction"
        )
    return problems


def _passing(info: Mapping[str, Any]) -> tuple[str, ...]:
    """What is over once the server is well again, or has another's place."""
    found = (
        (info.get("aof_last_write_status", "ok") != "ok", AOF_FAILED),
        (info.get("role") == "slave", REPLICA),
        (int(info.get("loading", 0)), "Redis is loading its data; wait until it has"),
    )
    return tuple(sentence for holds, sentence in found if holds)


def _nobody_confirms(fsync: str, not_told: str, no_waitaof: str, skips: bool) -> str:
    if fsync == "always" and skips:
        return (
            "Redis does not sync while it rewrites its file (no-appendfsync-on-rewrite yes), and WAITAOF could not be asked "
            f"({no_waitaof}); set no-appendfsync-on-rewrite no"
        )
    do = "set appendfsync always, or use a server with WAITAOF (Redis 7.2, Valkey 8)"
    if fsync == "no":
        return f"Redis never says that a write is on disk (appendfsync no); {do}"
    if fsync:
        return f"Redis answers before a write is on disk (appendfsync {fsync}), and WAITAOF could not be asked ({no_waitaof}); {do}"
    return (
        f"nobody can say whether a write is on disk: neither CONFIG GET appendfsync could be asked ({not_told}) nor "
        f"WAITAOF ({no_waitaof}); let the user run one of them, or {do}"
    )


def try_write(client: redis.Redis, found: Durability, *, prefix: str, replicas: int = 0) -> str:
    """Return "" where a write goes through, is confirmed to be on disk as `found` says and reaches so many replicas, else why not
    (`Redis: full`, ...)."""
    try:
        with reaching_redis():
            pipe = client.pipeline(transaction=False)
            pipe.set(prefix + keys.READY, "1", ex=60)
            if found.confirmed_by != "nobody" and not found.no_waitaof:
                pipe.execute_command("WAITAOF", 1, 0, CONFIRM_MS)  # type: ignore[no-untyped-call]
            written, *confirmed = without_frames(pipe.execute(raise_on_error=False))
            if isinstance(written, Exception):
                raise written
            for answer in confirmed:
                if isinstance(answer, Exception):
                    return f"Redis does not confirm that a write is on disk (WAITAOF: {_why(answer)}); look at its log"
                if int(answer[0]) < 1:
                    return _unconfirmed(found, CONFIRM_MS / 1000)
            if replicas and (acknowledged := int(client.wait(replicas, LOOK_MS))) < replicas:
                return not_confirmed(acknowledged, replicas)
            if found.confirmed_by == "watched" and not _watch(client, found):
                return _unconfirmed(found, WATCH_S)
    except OutboxUnavailable as error:
        return str(error)
    return ""


def _watch(client: redis.Redis, found: Durability) -> bool:
    """Whether what was written is on disk in time. Raises a Redis error."""
    watch = FsyncWatch(skips_in_rewrite=found.skips_in_rewrite)
    deadline = time.monotonic() + WATCH_S
    while time.monotonic() < deadline:
        pipe = client.pipeline(transaction=False)
        for command in QUESTION:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        info, now = pipe.execute()
        wait_s = watch.heard(info, server_ms(now))
        if wait_s is None:
            return True
        time.sleep(min(wait_s, max(0.0, deadline - time.monotonic())))
    return False


def _unconfirmed(found: Durability, seconds: float) -> str:
    told = f"appendfsync {found.fsync}" if found.fsync else f"appendfsync not told: {found.not_told}"
    return (
        f"Redis did not confirm within {seconds:.1f} s that a write is on disk ({told}); "
        f"look at its disk, {'or' if found.fsync == 'everysec' else 'and'} set appendfsync always"
    )


def _why(error: Exception) -> str:
    if isinstance(error, NoPermissionError):
        return "this user may not"
    text = str(error).lower()
    if error_code(error) == "ERR" or not error_code(error):
        return "this server does not know it" if "unknown command" in text else "refused"
    return unavailable_reason(error)


def _at_least(version: str, wanted: tuple[int, int]) -> bool:
    parts = version.split(".")
    try:
        return (int(parts[0]), int(parts[1])) >= wanted
    except (ValueError, IndexError):
        return False
