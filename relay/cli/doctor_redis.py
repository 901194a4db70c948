"""What `relay doctor` finds out about Redis, and about the workers by what they leave there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from relay.errors import OutboxUnavailable

#: A clock that is off by more makes good signatures look stale.
_MAX_SKEW_S: Final = 30

Check = dict[str, Any]

_VOUCHES: Final = {
    "always": "each write is on disk before Redis answers (appendfsync always); nothing is evicted",
    "waitaof": "each write is confirmed to be on disk with WAITAOF; nothing is evicted",
    "watched": (
        "each write is waited for until it is on disk, a second and more, since WAITAOF of this server answers too "
        "early; nothing is evicted. With appendfsync always it takes a millisecond"
    ),
}


def line(check: str, ok: bool, found: str, do: str = "") -> Check:
    """Return one check as the JSON has it; `do`: what to do where it failed."""
    return {"check": check, "ok": ok, "found": found, "do": do}


def what_to_do(reason: str) -> str:
    """Return what to do about a Redis that cannot be used, by why: who is to blame is told there."""
    if "password" in reason:
        return "RELAY_REDIS_URL names another user or password than the server's ACL; mend one of them"
    if "not permitted" in reason:
        return "the server's ACL lacks a right of this user: docs/deploying.md has the line (and RELAY_KEY_PREFIX its keys)"
    if "certificate" in reason or "TLS" in reason:
        return "docs/deploying.md has TLS; the options stand behind the ? of RELAY_REDIS_URL"
    if "full" in reason or "disk" in reason:
        return "free memory or mend the disk"
    return "is RELAY_REDIS_URL right, and the server up? One that speaks TLS alone wants rediss"


def redis_checks(context: Any, config: Any = None) -> Iterator[Check]:
    """Return the server, its durability and room, the clock, the workers. Where it does not answer, that alone."""
    from relay.outbox.durability import examine_durability

    try:
        found = examine_durability(context.redis)
    except OutboxUnavailable as error:
        yield line("redis", False, str(error), what_to_do(str(error)))
        return
    wanted = config.redis.replicas if config is not None else 0
    yield from _durability(context, found, wanted)
    yield from _replicas(context, found, wanted)
    yield from _room(found)
    skew_s = abs(time.time() - context.home.now_ms() / 1000)
    yield line(
        "clock against redis", skew_s < _MAX_SKEW_S, f"{skew_s:.1f} s apart", "run NTP on both machines"
    )
    yield from _workers(context)


def history_check(facts: Any) -> Check:
    """Return whether Redis is what it was, as far as a lane knows, by its `LaneFacts`."""
    from relay.operations.stats import life_told

    life = life_told(facts.life, facts.now_ms)
    if life["recent"] or life["unsure"]:
        found = f"it was {life['what']} (noticed {life['at']}): accepted events may be gone"
        do = "have senders repeat what came since that state (docs/operating.md, Redis was set back)"
        return line("redis history", False, found, do)
    back = life["clock_back"]
    return line(
        "redis history",
        True,
        f"never set back in the last day{f'; its clock went back {back} times' if back else ''}",
    )


def _durability(context: Any, found: Any, replicas: int) -> Iterator[Check]:
    from relay.outbox.cluster_nodes import master_of
    from relay.outbox.durability import CLUSTER, try_write

    node = master_of(context.redis)
    yield line("redis", True, f"{_server(found)}{f', {node} of a cluster' if node else ''}")
    for problem in ([CLUSTER] if found.cluster else []) + [*found.problems]:
        sentence, _, do = problem.partition("; ")
        yield line("redis" if problem == CLUSTER else "redis durability", False, sentence, do)
    refusal = try_write(context.redis, found, prefix=context.home.prefix, replicas=replicas)
    if not found.problems and not refusal:
        yield line("redis durability", True, _VOUCHES[found.confirmed_by])
    yield line("redis writes", not refusal, refusal or "taken", what_to_do(refusal) if refusal else "")


def _server(found: Any) -> str:
    return f"version {found.version}, appendfsync {found.fsync or f'not told: {found.not_told}'}"


def _replicas(context: Any, found: Any, wanted: int) -> Iterator[Check]:
    """How many follow, and in a cluster what they are: one of them is the next master. And RQ's node there."""
    from redis.exceptions import RedisError

    from relay.outbox.cluster_nodes import followers, knows_cluster, master_of, rq_client
    from relay.outbox.durability import REPLICA, examine_durability
    from relay.outbox.reasons import unavailable_reason
    from relay.outbox.replicas import no_spare, too_few

    if wanted or knows_cluster(context.redis):
        sentence, _, do = (too_few(found.replicas, wanted) or no_spare(found.replicas, wanted)).partition(
            "; "
        )
        acknowledged = f"{wanted} have an event before it is acknowledged (redis.replicas)"
        yield line("redis replicas", not sentence, sentence or f"{found.replicas} follow; {acknowledged}", do)
    for name, client in followers(context.redis):
        try:
            replica = examine_durability(client)
        except OutboxUnavailable as error:
            yield line(f"redis replica {name}", False, str(error), "is it up?")
            continue
        sentence, _, do = next((p for p in replica.problems if p != REPLICA), "").partition("; ")
        yield line(f"redis replica {name}", not sentence, sentence or _server(replica), do)
    if knows_cluster(context.redis):
        rq = rq_client(context.redis)
        try:
            rq.time()
            yield line("redis for RQ", True, f"{master_of(rq)} of the cluster")
        except (RedisError, OSError) as error:
            yield line(
                "redis for RQ",
                False,
                f"Redis: {unavailable_reason(error)}",
                "start it: nothing is delivered meanwhile",
            )


def _room(found: Any) -> Iterator[Check]:
    from relay.outbox.room import nearly_full

    full, _, do = nearly_full(found).partition("; ")
    of = f" of {found.max_bytes / 1e6:.0f}" if found.max_bytes else ""
    yield line("redis memory", not full, full or f"{found.used_bytes / 1e6:.0f} MB{of} used", do)


def _workers(context: Any) -> Iterator[Check]:
    from relay.outbox.processes import delivering, read_processes

    now_ms = context.home.now_ms()
    processes = read_processes(context.home, now_ms=now_ms)
    found = delivering(context.home, processes, now_ms=now_ms)
    yield line(
        "worker",
        found.alive,
        found.sentence(now_ms) or "a flush worker asks for work",
        "look at its log" if found.dying else "start one with `relay work`",
    )
    running = Counter((process.release, process.role) for process in processes if process.alive(now_ms))
    told = "; ".join(
        f"{release}: "
        + ", ".join(f"{number} {role}" for (of, role), number in sorted(running.items()) if of == release)
        for release in sorted({release for release, _ in running})
    )
    yield line("releases running", True, told or "none has told yet")


def delivery_check(facts: Any) -> Check:
    """Return how a lane's delivery stands. A pause by a person is told among what is held."""
    state = facts.delivery.state
    return line(
        "delivery",
        state.state != "blocked",
        f"{state.state} {state.reason}".strip(),
        "see Planhat's checks below",
    )
