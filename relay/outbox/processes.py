"""The relay's processes and their signs of life: the hash `processes` (who -> JSON), so that looking for them costs the same
whatever else Redis holds.

A sign says by when the next one comes (`due_ms`): alive is who is not overdue. A flush worker gives its sign where it asks
for work, so that one which hangs, or dies as it begins, is not taken for one that delivers. The zset `heartbeats` is
what an older release reads and writes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson

from relay.errors import OutboxUnavailable
from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis, run_commands
from relay.release import release
from relay.telemetry import log

#: Who was silent for so long is forgotten.
_FORGET_MS: Final = 3_600_000
_AHEAD_MS: Final = 2_000

Role = Literal["web", "supervisor", "flush", "dead-letter"]


@dataclass(frozen=True, slots=True)
class Process:
    """`who` is host:pid:role. `facts` are the role's own: a supervisor's `deaths` (queue -> how often its worker has died
    in a row) and `died` (queue -> how it ended last); those that read the config: `config`, its version, and
    `config_refused`, see `config_facts`."""

    who: str
    role: Role
    release: str
    started_ms: int
    seen_ms: int
    due_ms: int
    facts: dict[str, Any] = field(default_factory=dict)

    def alive(self, now_ms: int) -> bool:
        # A sign from the future is one from before the clock went back: whoever lives has given another since.
        return self.seen_ms - _AHEAD_MS <= now_ms <= self.due_ms


def give_sign(
    outbox: Outbox,
    who: str,
    role: Role,
    *,
    due_s: float,
    started_ms: int,
    facts: dict[str, Any] | None = None,
) -> None:
    """Give a sign. `due_s`: the next sign comes within so many seconds."""
    now_ms = outbox.now_ms()
    told = {
        "role": role,
        "release": release(),
        "started_ms": started_ms or now_ms,
        "seen_ms": now_ms,
        "due_ms": now_ms + int(due_s * 1000),
        **({"facts": facts} if facts else {}),
    }
    commands: list[tuple[Any, ...]] = [("HSET", keys.PROCESSES, who, orjson.dumps(told))]
    if role == "supervisor":
        commands += (
            ("ZADD", keys.HEARTBEATS, now_ms, who),
            ("ZREMRANGEBYSCORE", keys.HEARTBEATS, "-inf", now_ms - _FORGET_MS),
        )
    run_commands(outbox.home.redis, outbox.home.prefix, *commands)


def config_facts(version: str, refused: str) -> dict[str, Any]:
    """Return what a sign says of the config that its process goes by. `refused`: the first mistake of the file's, where that was not
    taken over, else ""."""
    return {"config": version, **({"config_refused": refused[:500]} if refused else {})}


def lane_facts(refused: Mapping[str, str]) -> dict[str, Any]:
    """Return what a sign says of lanes that its process takes nothing for. `refused`: lane -> why."""
    return {"lanes_refused": {lane: why[:500] for lane, why in refused.items()}} if refused else {}


def lane_refused(processes: Sequence[Process], lane: str, *, now_ms: int) -> str:
    """Return why a process that lives takes nothing for this lane, "" where all do."""
    told = (process.facts.get("lanes_refused") or {} for process in processes if process.alive(now_ms))
    return next((str(refused[lane]) for refused in told if refused.get(lane)), "")


def leave(outbox: Outbox, who: str) -> None:
    """Take the process out at an orderly end: nobody waits for the next sign."""
    run_commands(
        outbox.home.redis, outbox.home.prefix, ("HDEL", keys.PROCESSES, who), ("ZREM", keys.HEARTBEATS, who)
    )


def sign_off(outbox: Outbox, who: str) -> None:
    """Do as `leave` does; where Redis does not take it, it is logged. `outbox`: over a connection that waits `PARTING_S` at most."""
    try:
        leave(outbox, who)
    except OutboxUnavailable as error:
        log(
            "signs.left_behind",
            level=logging.WARNING,
            process=who,
            reason=str(error),
            means="it is shown until its next sign is overdue",
        )


def read_processes(outbox: Outbox, *, now_ms: int = 0) -> list[Process]:
    """Return those of the last hour, by name."""
    now_ms = now_ms or outbox.now_ms()
    with reaching_redis():
        stored: Any = outbox.home.redis.hgetall(outbox.home.prefix + keys.PROCESSES)
    found, forgotten = [], []
    for name, value in stored.items():
        try:
            told = orjson.loads(value)
            process = Process(
                who=name.decode(),
                role=told["role"],
                release=str(told["release"]),
                started_ms=int(told["started_ms"]),
                seen_ms=int(told["seen_ms"]),
                due_ms=int(told["due_ms"]),
                facts=told.get("facts") or {},
            )
        except (ValueError, KeyError, TypeError):
            continue
        # Not one from before the clock went back: it is given again in a moment.
        if now_ms - process.seen_ms > _FORGET_MS:
            forgotten.append(name)
        else:
            found.append(process)
    if forgotten:
        run_commands(outbox.home.redis, outbox.home.prefix, ("HDEL", keys.PROCESSES, *forgotten))
    return sorted(found, key=lambda process: process.who)


@dataclass(frozen=True, slots=True)
class Delivering:
    """Whether somebody delivers. `asked_ms`: when a flush worker asked for work last (None: never). `dying`: queue -> how
    its worker ends, of workers that have died again and again."""

    alive: bool
    asked_ms: int | None
    dying: dict[str, str]

    def sentence(self, now_ms: int) -> str:
        """Return "" while somebody delivers, else what is known."""
        if self.alive:
            return ""
        asked = (
            "no flush worker has asked for work yet"
            if self.asked_ms is None
            else f"no flush worker asks for work (the last did {max(0, now_ms - self.asked_ms) / 1000:.0f} s ago)"
        )
        how = "; ".join(f"{queue}: {what}" for queue, what in sorted(self.dying.items()))
        return f"{asked}{f'; workers die again and again: {how}' if how else ''}"


def delivering(outbox: Outbox, processes: Sequence[Process], *, now_ms: int) -> Delivering:
    """Return what the signs say of delivery. An older release's workers give theirs by their supervisor alone."""
    flush = [process for process in processes if process.role == "flush"]
    dying: dict[str, str] = {}
    for process in processes:
        if process.role == "supervisor" and process.alive(now_ms):
            for queue, number in (process.facts.get("deaths") or {}).items():
                how = (process.facts.get("died") or {}).get(queue, "")
                dying[queue] = f"{number} times in a row, {how}"
    if flush:
        return Delivering(
            any(process.alive(now_ms) for process in flush), max(p.seen_ms for p in flush), dying
        )
    if any(process.role == "supervisor" for process in processes):
        return Delivering(False, None, dying)
    older = _last_heartbeat_ms(outbox)
    return Delivering(older is not None and now_ms - older < 60_000, older, dying)


def _last_heartbeat_ms(outbox: Outbox) -> int | None:
    with reaching_redis():
        newest: Any = outbox.home.redis.zrevrange(outbox.home.prefix + keys.HEARTBEATS, 0, 0, withscores=True)
    return int(newest[0][1]) if newest else None
