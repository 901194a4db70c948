"""The ledger and the state of delivery, as `relay stats --json` and `GET /api/v1/stats` give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from relay.config import Config
from relay.lane_name import token_place
from relay.operations.differences import difference_told, list_differences
from relay.operations.moments import iso
from relay.operations.pause import pauses_told
from relay.operations.problems import standing_problems
from relay.operations.rq_jobs import read_workers
from relay.outbox import keys
from relay.outbox.bell import DEAD_QUEUE, FLUSH_QUEUE
from relay.outbox.delivery import Delivery
from relay.outbox.durability import examine_durability
from relay.outbox.epoch import read_life
from relay.outbox.items import balanced
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.outbox.processes import Process, delivering, read_processes
from relay.outbox.room import nearly_full
from relay.outbox.scripts import reaching_redis, unless_full
from relay.outbox.store import Store

#: A worker not heard of for so long counts as absent.
WORKER_ABSENT_S = 90.0
#: An event that waits longer is worth a warning.
OLD_PENDING_S = 300.0
#: That Redis was set back is said for so long.
SET_BACK_TOLD_MS = 86_400_000
#: A remark that was not made again for so long is old news.
REMARKED_MS = 24 * 3600 * 1000
#: Differences found at Planhat that are told at once; the metric counts them all.
DIFFERENCES_TOLD = 10
#: One sample of the plots at most so often, and how many are kept (an hour).
SAMPLE_EVERY_S = 10
SAMPLES_KEPT = 360
_SAMPLE = (0, SAMPLE_EVERY_S, SAMPLES_KEPT)


def read_stats(
    outbox: Outbox,
    delivery: Delivery,
    now_ms: int = 0,
    *,
    config: Config | None = None,
    problems: bool = True,
) -> dict[str, Any]:
    """Return `sources`, `balanced`, `oldest_pending_seconds` (0: nothing waits) and `delivery` as the contract has them;
    beside them `remarks` (see `Outbox.remarks`), `pending_items` (conversations), `dead_letters`, `workers`, `problems` (see `standing_problems`; left out
    where they are not wanted: they cost the reading of letters), `warnings` and what the batch controller found. `config`: today's,
    where it is known."""
    now_ms = now_ms or outbox.now_ms()
    sources = outbox.ledger()
    oldest_ms = outbox.oldest_pending_ms(now_ms=now_ms)
    oldest_s = max(0, now_ms - oldest_ms) / 1000 if oldest_ms is not None else 0.0
    workers = read_workers(outbox.redis)
    processes = read_processes(outbox, now_ms=now_ms)
    stats: dict[str, Any] = {
        "sources": sources,
        "balanced": all(map(balanced, sources.values())),
        "oldest_pending_seconds": round(oldest_s, 3),
        "delivery": _delivery(delivery, now_ms),
        "pending_items": outbox.pending_items(),
        "dead_letters": outbox.dead.count(),
        "batch": {**_tuned(delivery), **_batch_sizes(outbox)},
        "remarks": outbox.remarks(),
        "workers": workers,
        "processes": [_process(process, now_ms) for process in processes],
        "newer_records": outbox.newer_count(now_ms=now_ms),
        "redis": _redis(outbox),
        "life": life_told(outbox, now_ms=now_ms),
        "at": iso(now_ms),
    }
    silent = delivering(outbox, processes, now_ms=now_ms).sentence(now_ms)
    found = (
        standing_problems(outbox, delivery, config=config, processes=processes, now_ms=now_ms)
        if problems
        else []
    )
    stats["problems"] = [problem.told() for problem in found]
    stats["warnings"] = [
        *_warnings(stats, silent, token_place(outbox.lane_name, named=bool(config and config.lanes))),
        *(problem.sentence() for problem in found),
        *remarks_in_words(outbox.remarks(since_ms=now_ms - REMARKED_MS)),
        *_differences(outbox, now_ms),
    ]
    return stats


def _delivery(delivery: Delivery, now_ms: int) -> dict[str, Any]:
    state = delivery.read()
    return {
        "state": state.state,
        "until": iso(state.until_ms),
        "calls_last_minute": delivery.calls_used(now_ms=now_ms),
        "reason": state.reason,
        "failures": state.failures,
        "paused_sources": sorted(delivery.paused_sources()),
        "pauses": pauses_told(delivery),
    }


def _process(process: Process, now_ms: int) -> dict[str, Any]:
    return {
        "who": process.who,
        "role": process.role,
        "release": process.release,
        "alive": process.alive(now_ms),
        "seen_at": iso(process.seen_ms),
        "started_at": iso(process.started_ms),
    }


def _redis(outbox: Outbox) -> dict[str, Any]:
    """What is known of the server now: `durable`, who vouches for a write being on disk, how full it is, and `problems`."""
    found = examine_durability(outbox.redis)
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


def life_told(outbox: Outbox, *, now_ms: int = 0) -> dict[str, Any]:
    """Tell whether this Redis was set back: `number` of times, `what` happened last and when, and whether conversations that are not
    known here are still read from Planhat first (`unsure`)."""
    life = read_life(outbox)
    now_ms = now_ms or outbox.now_ms()
    return {
        "number": life.number,
        "what": life.what or None,
        "at": iso(life.at_ms),
        "recent": life.number > 0 and now_ms - life.at_ms < SET_BACK_TOLD_MS,
        "unsure": life.unsure,
        "clock_back": life.clock_back,
    }


def _differences(outbox: Outbox, now_ms: int) -> list[str]:
    """What Planhat was found to keep, or to show, otherwise than it was sent; no values."""
    return [difference_told(row) for row in list_differences(outbox, now_ms=now_ms)[:DIFFERENCES_TOLD]]


def _tuned(delivery: Delivery) -> dict[str, str]:
    """Items, bytes and calls a minute that the controller goes by; what it knows is for itself."""
    return {name: value for name, value in delivery.tune().items() if name != "learned"}


def _batch_sizes(outbox: Outbox) -> dict[str, str]:
    """How many items a call carried, on average since the counters began; empty before the first."""
    with reaching_redis():
        stored: Any = outbox.redis.hmget(
            outbox.prefix + keys.METRICS, "relay_batch_items||sum", "relay_batch_items||count"
        )
    total, calls = (float(value or 0) for value in stored)
    return {"items_average": f"{total / calls:.1f}"} if calls else {}


def _warnings(stats: Mapping[str, Any], silent: str, token: str) -> list[str]:
    """What a person on call should know, in sentences. `silent`: why nobody delivers, "" where somebody does; `token`: where
    Planhat's is set."""
    found = []
    delivery = stats["delivery"]
    found += [f"{problem[0].upper()}{problem[1:]}." for problem in stats["redis"]["problems"]]
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
    if silent:
        found.append(
            f"No worker serves the queue {FLUSH_QUEUE}: nothing is delivered ({silent}). Start one: relay work."
        )
    requeues = any(
        DEAD_QUEUE in worker["queues"] and (worker["seen_s"] is None or worker["seen_s"] < WORKER_ABSENT_S)
        for worker in stats["workers"]
    )
    if not requeues:
        found.append(
            f"No worker serves the queue {DEAD_QUEUE}: requeued dead letters wait. Start one: relay work."
        )
    if stats["oldest_pending_seconds"] > OLD_PENDING_S:
        found.append(f"The oldest event has waited for {stats['oldest_pending_seconds']:.0f} s.")
    return found


#: What an event without words comes of, and what to do about it.
_EMPTY = {
    "look_up": "the sender tells ids only; give the source `enrich:` with a token",
    "trigger": "the trigger's JSON carries no text; add the comment's placeholder to it",
    "fields": "the outbound message lacks the field with the text; add it there",
}
#: What Microsoft Graph says of a subscription, and what to do about it.
_LIFECYCLE = {
    "reauthorization_required": "Microsoft Graph asks to authorize the subscription again; renew it before it ends",
    "subscription_removed": "Microsoft Graph took the subscription away; make it again, and look at what came meanwhile",
    "missed": "Microsoft Graph could not deliver some notifications; look at the resource for what is missing",
}
_UNSAID = (
    "their JSON does not say whether the comment is public; add is_public to it (Zendesk: "
    "{{ticket.latest_comment.is_public}}), use the public comment's placeholder, or set privacy: as_told"
)


def remarks_in_words(remarks: Mapping[str, Mapping[str, int]], *, chosen: bool = False) -> list[str]:
    """Return what is to be done about what came in, a sentence each: events without words, subscriptions that end, and (unless `chosen`: their source
    says `privacy:` itself) comments of unknown privacy."""
    found = []
    for source, counts in remarks.items():
        for word, number in counts.items():
            kind, _, reason = word.partition(":")
            if kind == "empty" and reason in _EMPTY:
                found.append(f"{source}: events without words came, {number} so far: {_EMPTY[reason]}.")
            if kind == "skipped" and reason in _LIFECYCLE:
                found.append(f"{source}: {_LIFECYCLE[reason]}, {number} so far.")
        if chosen:
            continue
        if unsaid := counts.get("skipped:privacy_unsaid"):
            found.append(f"{source}: comments were skipped, {unsaid} so far: {_UNSAID}.")
        if unsaid := counts.get("privacy_unsaid"):
            found.append(f"{source}: comments were relayed, {unsaid} so far, although {_UNSAID}.")
    return found


# -- plots --------------------------------------------------------------------------------------------------------


def take_sample(outbox: Outbox) -> None:
    """Keeps what the plots need of this moment, at most once in ten seconds, whoever asks. Raises OutboxUnavailable."""
    with unless_full():
        outbox.run("sample", _SAMPLE)


def take_samples(servers: LaneServers, stores: Sequence[Store]) -> None:
    """Take each lane's sample, from a ticker, also while nobody looks; of one that does not answer none."""
    servers.ask("sample", stores, lambda place: _SAMPLE)


def read_samples(outbox: Outbox, *, since_ms: int = 0) -> list[dict[str, Any]]:
    with reaching_redis():
        stored: Any = outbox.redis.lrange(outbox.prefix + keys.SAMPLES, 0, -1)
    return [sample for sample in map(orjson.loads, stored) if sample["at_ms"] >= since_ms]


def accepted_per_minute(outbox: Outbox, *, now_ms: int, minutes: int = 60) -> dict[str, list[int]]:
    """Give source -> events that came in, minute by minute, the running one last. Exact: read from the minutes' own lists."""
    names = outbox.sources()
    last = now_ms // 60_000
    with reaching_redis():
        pipe = outbox.redis.pipeline(transaction=False)
        for name in names:
            for minute in range(last - minutes + 1, last + 1):
                pipe.llen(outbox.prefix + keys.log_of(name, minute))
        counts = pipe.execute()
    return {name: counts[n * minutes : (n + 1) * minutes] for n, name in enumerate(names)}


# -- sources ------------------------------------------------------------------------------------------------------


def read_sources(outbox: Outbox, configured: Mapping[str, str], now_ms: int = 0) -> list[dict[str, Any]]:
    """Return one row a source, `configured` (name -> adapter) and those only known from the books: its counts, last event,
    signature failures and refusals by reason (of the last refused requests that are kept)."""
    now_ms = now_ms or outbox.now_ms()
    ledger, remarks = outbox.ledger(), outbox.remarks()
    names = sorted({*configured, *ledger})
    with reaching_redis():
        pipe = outbox.redis.pipeline(transaction=False)
        for name in names:
            pipe.hget(outbox.prefix + keys.ledger(name), "signature_failures")
        failures = pipe.execute()
        refused_rows: Any = outbox.home.redis.lrange(outbox.home.prefix + keys.REJECTED, 0, -1)
    refused: dict[str, dict[str, int]] = {}
    last_refused: dict[str, int] = {}
    for row in refused_rows:
        facts = orjson.loads(row)
        reasons = refused.setdefault(facts.get("source", ""), {})
        word = f"{facts.get('kind', '')}: {facts.get('reason', '')}".strip(": ")
        reasons[word] = reasons.get(word, 0) + 1
        last_refused.setdefault(facts.get("source", ""), int(facts.get("at_ms") or 0))
    last = _last_events(outbox, names, now_ms)
    return [
        {
            "name": name,
            "adapter": configured.get(name, ""),
            "configured": name in configured,
            "counts": ledger.get(name, {}),
            "last_event_at": iso(last.get(name)),
            "signature_failures": int(count or 0),
            "skipped": _counted(remarks.get(name, {}), "skipped"),
            "empty": _counted(remarks.get(name, {}), "empty"),
            "privacy_unsaid": remarks.get(name, {}).get("privacy_unsaid", 0),
            "refusals": sorted(refused.get(name, {}).items(), key=lambda pair: -pair[1]),
            "last_refusal_at": iso(last_refused.get(name)),
        }
        for name, count in zip(names, failures, strict=True)
    ]


def _counted(remarks: Mapping[str, int], kind: str) -> list[tuple[str, int]]:
    """The reasons of one kind, the most frequent first."""
    found = [
        (word.partition(":")[2], number) for word, number in remarks.items() if word.startswith(f"{kind}:")
    ]
    return sorted(found, key=lambda pair: -pair[1])


def _last_events(outbox: Outbox, names: list[str], now_ms: int) -> dict[str, int]:
    """source -> when its last event came in, of the last 24 h; to the millisecond where the event is still kept."""
    minute = now_ms // 60_000
    ids: dict[str, str] = {}
    for back in range(0, 1440, 60):
        missing = [name for name in names if name not in ids]
        if not missing:
            break
        with reaching_redis():
            pipe = outbox.redis.pipeline(transaction=False)
            for name in missing:
                for at in range(minute - back, minute - back - 60, -1):
                    pipe.lindex(outbox.prefix + keys.log_of(name, at), -1)
            rows = pipe.execute()
        for n, name in enumerate(missing):
            found = next((row for row in rows[n * 60 : n * 60 + 60] if row), None)
            if found:
                ids[name] = found.decode()
    moments = {}
    for (name, _), stored in zip(ids.items(), outbox.events.get_many(list(ids.values())), strict=True):
        if stored:
            moments[name] = int(orjson.loads(stored[2].partition(b"\n")[0]).get("received_ms") or 0)
    return moments
