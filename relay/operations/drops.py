"""Kill switches: what the door counts as filtered for a while, checked as rules are, listed with what each has dropped."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from typing import Any, Final

from relay.door.killswitch import condition_problem
from relay.errors import NotFound
from relay.operations.moments import iso
from relay.operations.selection import InputInvalid
from relay.outbox.outbox import Outbox
from relay.rules.file.shape import did_you_mean
from relay.units import parse_duration

LONGEST_S: Final = 7 * 86_400
MAX_CONDITION_CHARS: Final = 2_000


def list_drops(outbox: Outbox, known: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Return what is being dropped now, the newest first: `id`, `source` and `where` (None: all), `since`, `until`, `by`, `count` of
    events so far, `sources` (name -> count), and `problem`: why it drops nothing, None where it works. `known`: the sources there
    are (None: not looked at). Raises OutboxUnavailable."""
    return [drop_told(row, counts, known) for row, counts in read_drops(outbox)]


def read_drops(outbox: Outbox) -> list[tuple[dict[str, Any], dict[str, int]]]:
    """Return what is being dropped now as it is stored, the newest first, each with source -> events so far. Raises OutboxUnavailable."""
    rows = sorted(outbox.drops(), key=lambda row: -int(row.get("at_ms") or 0))
    return list(zip(rows, outbox.dropped([str(row["id"]) for row in rows]), strict=True))


def begin_drop(
    outbox: Outbox, known: Collection[str], *, source: str, where: str, lasts: str, by: str
) -> dict[str, Any]:
    """Drops what matches from now on, as `list_drops` tells it. `lasts` as `1h`. Raises InputInvalid, whose `path` is `source`,
    `where` or `for`, and OutboxUnavailable."""
    checked = check_drop(known, source=source, where=where, lasts=lasts)
    now_ms = outbox.now_ms()
    row = {
        "id": secrets.token_hex(4),
        "source": source,
        "where": where,
        "at_ms": now_ms,
        "until_ms": now_ms + int(checked * 1000),
        "by": by,
    }
    outbox.add_drop(row)
    return drop_told(row, {}, known)


def check_drop(known: Collection[str], *, source: str, where: str, lasts: str) -> float:
    """Return how many seconds it lasts. Raises InputInvalid."""
    if not source and not where:
        raise InputInvalid(
            "name a source, a condition, or both: to hold everything instead, and lose nothing, pause delivery",
            "source",
        )
    if source and source not in known:
        raise InputInvalid(
            f"no source is called {source[:80]!r}{did_you_mean(source, tuple(known))}", "source"
        )
    if len(where) > MAX_CONDITION_CHARS:
        raise InputInvalid(f"longer than {MAX_CONDITION_CHARS} characters", "where")
    problem = condition_problem(where) if where else ""
    if problem:
        raise InputInvalid(problem, "where")
    try:
        seconds = parse_duration(lasts)
    except ValueError as error:
        raise InputInvalid(str(error), "for") from None
    if not 0 < seconds <= LONGEST_S:
        raise InputInvalid(
            "should be between 1s and 7d; a rule with `action: drop` is the lasting way", "for"
        )
    return seconds


def end_drop(outbox: Outbox, drop_id: str) -> dict[str, Any]:
    """Ends one before its time: `id`, and `count` of events that it dropped. Raises NotFound and OutboxUnavailable."""
    if not outbox.end_drop(drop_id):
        raise NotFound(f"no drop {drop_id[:80]!r} is on; it has ended, or never was")
    [counts] = outbox.dropped([drop_id])
    return {"id": drop_id, "count": sum(counts.values()), "sources": counts}


def drop_told(
    row: Mapping[str, Any], counts: Mapping[str, int], known: Collection[str] | None
) -> dict[str, Any]:
    """Return one of `read_drops` as `list_drops` tells it."""
    source, where = str(row["source"]), str(row["where"])
    problem = condition_problem(where) if where else ""
    if source and known is not None and source not in known:
        problem = f"no source is called {source!r}"
    return {
        "id": row["id"],
        "source": source or None,
        "where": where or None,
        "since": iso(row.get("at_ms")),
        "until": iso(row["until_ms"]),
        "by": row.get("by") or None,
        "count": sum(counts.values()),
        "sources": dict(counts),
        "problem": problem or None,
    }
