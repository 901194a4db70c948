"""The ledger and the state of delivery, as `relay stats --json` and `GET /api/v1/stats` give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relay.config import Config
from relay.errors import OutboxUnavailable
from relay.lane_name import token_place
from relay.operations.differences import difference_told
from relay.operations.lane_facts import (
    AskedLane,
    LaneFacts,
    OfNoLane,
    OfNoLaneReader,
    read_facts,
    read_facts_together,
)
from relay.operations.merged import merge_stats
from relay.operations.moments import iso
from relay.operations.pause import pauses_told
from relay.operations.problems import StandingProblem, problems_of_all, problems_of_lane, worst_first
from relay.operations.remarks import REMARKED_MS, remarks_in_words
from relay.outbox.bell import DEAD_QUEUE, FLUSH_QUEUE
from relay.outbox.delivery import Delivery, DeliveryFacts
from relay.outbox.durability import Durability, examine_durability
from relay.outbox.epoch import Life
from relay.outbox.items import balanced
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.outbox.processes import Process
from relay.outbox.room import nearly_full

#: A worker not heard of for so long counts as absent.
WORKER_ABSENT_S = 90.0
#: An event that waits longer is worth a warning.
OLD_PENDING_S = 300.0
#: That Redis was set back is said for so long.
SET_BACK_TOLD_MS = 86_400_000
#: Differences found at Planhat that are told at once; the metric counts them all.
DIFFERENCES_TOLD = 10


def read_stats(
    outbox: Outbox,
    delivery: Delivery,
    now_ms: int = 0,
    *,
    config: Config | None = None,
) -> dict[str, Any]:
    """Return `sources`, `balanced`, `oldest_pending_seconds` (0: nothing waits) and `delivery` as the contract has them;
    beside them `remarks` (see `Outbox.remarks`), `pending_items` (conversations), `dead_letters`, `workers`, `problems` (see
    `problems.py`), `warnings` and what the batch controller found. `config`: today's, where it is known."""
    now_ms = now_ms or outbox.now_ms()
    lane = AskedLane(outbox, delivery, config)
    installation = OfNoLaneReader().read(outbox, config, now_ms=now_ms)
    facts = read_facts(lane, now_ms)
    shared = list(problems_of_all(installation, config, facts.books.stored))
    return _told(lane, facts, installation, shared, examine_durability(outbox.redis))


def read_stats_together(servers: LaneServers, lanes: Sequence[AskedLane]) -> dict[str, Any]:
    """Return what `read_stats` says of each of these, put together as `merge_stats` does; one round trip a question for each server. Of a
    lane whose server does not answer it is said that it is away. Raises OutboxUnavailable where none answers."""
    found = read_facts_together(servers, lanes)
    away = {
        lane.name: str(one)
        for lane, one in zip(lanes, found, strict=True)
        if isinstance(one, OutboxUnavailable)
    }
    if len(away) == len(lanes):
        raise OutboxUnavailable(next(iter(away.values())))
    installation = _read_installation(servers, lanes[0])
    in_the_books = {name for one in found if isinstance(one, LaneFacts) for name in one.books.stored}
    shared = list(problems_of_all(installation, lanes[0].config, in_the_books))
    stood = servers.ask_each([lane.outbox for lane in lanes], examine_durability)
    answers: dict[str, dict[str, Any]] = {}
    for lane, facts, redis in zip(lanes, found, stood, strict=True):
        if isinstance(facts, LaneFacts):
            durability = redis if isinstance(redis, Durability) else None
            answers[lane.name] = _told(lane, facts, installation, shared, durability)
    # In a cluster each lane speaks of its own.
    first = stood[0]
    one_server = first if isinstance(first, Durability) and all(one is first for one in stood) else None
    said = [
        *(_redis_warnings(one_server) if one_server else ()),
        *_installation_warnings(installation),
        *(problem.sentence() for problem in shared),
    ]
    return merge_stats(answers, of_no_lane=said, away=away)


def _read_installation(servers: LaneServers, lane: AskedLane) -> OfNoLane:
    try:
        return OfNoLaneReader(servers).read(lane.outbox, lane.config)
    except OutboxUnavailable as error:
        # The lanes on other servers are told of all the same.
        return OfNoLane(away=str(error))


def _told(
    lane: AskedLane,
    facts: LaneFacts,
    installation: OfNoLane,
    shared: Sequence[StandingProblem],
    redis: Durability | None,
) -> dict[str, Any]:
    sources = facts.books.ledger()
    stats: dict[str, Any] = {
        "sources": sources,
        "balanced": all(map(balanced, sources.values())),
        "oldest_pending_seconds": round(facts.oldest_s, 3),
        "delivery": _delivery(facts.delivery),
        "pending_items": sum(facts.pending.values()),
        "dead_letters": facts.dead,
        "batch": _batch(facts),
        "remarks": facts.books.remarks(),
        "workers": list(installation.workers),
        "processes": [_process(process, installation.now_ms) for process in installation.processes],
        "newer_records": facts.newer,
        "redis": _redis(redis) if redis else {},
        "life": life_told(facts.life, facts.now_ms),
        "at": iso(facts.now_ms),
    }
    found = worst_first([*problems_of_lane(lane, facts, installation), *shared])
    stats["problems"] = [problem.told() for problem in found]
    token = token_place(lane.name, named=bool(lane.config and lane.config.lanes))
    stats["warnings"] = [
        *(_redis_warnings(redis) if redis else ()),
        *_of_delivery(stats, token),
        *_installation_warnings(installation),
        *_oldest(stats),
        *(problem.sentence() for problem in found),
        *remarks_in_words(facts.books.remarks(facts.now_ms - REMARKED_MS)),
        *(difference_told(row) for row in facts.differences[:DIFFERENCES_TOLD]),
    ]
    return stats


def _delivery(facts: DeliveryFacts) -> dict[str, Any]:
    return {
        "state": facts.state.state,
        "until": iso(facts.state.until_ms),
        "calls_last_minute": facts.calls_used,
        "reason": facts.state.reason,
        "failures": facts.state.failures,
        "paused_sources": sorted(facts.paused_sources),
        "pauses": pauses_told(facts.pauses),
    }


def _batch(facts: LaneFacts) -> dict[str, str]:
    """Items, bytes and calls a minute that the controller goes by (what it knows is for itself), and how many items a call carried,
    on average since the counters began; not before the first."""
    tuned = {name: value for name, value in facts.delivery.tune.items() if name != "learned"}
    if facts.batch_calls:
        tuned["items_average"] = f"{facts.batch_items / facts.batch_calls:.1f}"
    return tuned


def _process(process: Process, now_ms: int) -> dict[str, Any]:
    return {
        "who": process.who,
        "role": process.role,
        "release": process.release,
        "alive": process.alive(now_ms),
        "seen_at": iso(process.seen_ms),
        "started_at": iso(process.started_ms),
    }


def _redis(found: Durability) -> dict[str, Any]:
    """What is known of the server now: `durable`, who vouches for a write being on disk, how full it is, and `problems`."""
    full = nearly_full(found)
    return {
        "version": found.version,
        "durable": not found.problems,
        "fsync": found.fsync or None,
        "confirmed_by": found.confirmed_by,
        "used_bytes": found.used_bytes,
        "max_bytes": found.max_bytes,
        "problems": [*found.problems, *([full] if full else [])],
    }


def life_told(life: Life, now_ms: int) -> dict[str, Any]:
    """Tell whether this Redis was set back: `number` of times, `what` happened last and when, and whether conversations that are not
    known here are still read from Planhat first (`unsure`)."""
    return {
        "number": life.number,
        "what": life.what or None,
        "at": iso(life.at_ms),
        "recent": life.number > 0 and now_ms - life.at_ms < SET_BACK_TOLD_MS,
        "unsure": life.unsure,
        "clock_back": life.clock_back,
    }


# -- warnings: what a person on call should know, in sentences -------------------------------------------------------


def _redis_warnings(found: Durability) -> list[str]:
    return [f"{problem[0].upper()}{problem[1:]}." for problem in _redis(found)["problems"]]


def _of_delivery(stats: Mapping[str, Any], token: str) -> list[str]:
    """`token`: where Planhat's is set."""
    found = []
    delivery = stats["delivery"]
    if not stats["balanced"]:
        found.append("The books do not balance: an event is in no state, or in two. Please report this.")
    if delivery["state"] == "blocked":
        reason = delivery["reason"] or "Planhat refused the token"
        mend = "" if "RELAY_PLANHAT_URL" in reason else f" Mend {token}."
        found.append(f"Delivery is blocked: {reason}.{mend} Delivery resumes by itself.")
    elif delivery["state"] == "backing_off":
        found.append(f"Delivery waits for Planhat: {delivery['reason'] or 'the last calls failed'}.")
    life = stats["life"]
    if life["number"] and (life["unsure"] or life["recent"]):
        found.append(
            f"Redis was {life['what']} (noticed {life['at']}): accepted events may be gone. What Planhat has of a conversation is "
            "read before anything of it is sent."
        )
    return found


def _installation_warnings(found: OfNoLane) -> list[str]:
    if found.away:
        return [f"What is of no lane (workers, drops) cannot be read: {found.away}."]
    told = []
    if found.silent:
        told.append(
            f"No worker serves the queue {FLUSH_QUEUE}: nothing is delivered ({found.silent}). Start one: relay work."
        )
    requeues = any(
        DEAD_QUEUE in worker["queues"] and (worker["seen_s"] is None or worker["seen_s"] < WORKER_ABSENT_S)
        for worker in found.workers
    )
    if not requeues:
        told.append(
            f"No worker serves the queue {DEAD_QUEUE}: requeued dead letters wait. Start one: relay work."
        )
    return told


def _oldest(stats: Mapping[str, Any]) -> list[str]:
    waited_s = stats["oldest_pending_seconds"]
    return [f"The oldest event has waited for {waited_s:.0f} s."] if waited_s > OLD_PENDING_S else []
