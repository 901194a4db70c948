"""The sources of a lane, a row each: what came in, what was refused and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from relay.operations.moments import iso
from relay.outbox import keys
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis


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
