"""What is wrong now, the worst first, each with the page where it is mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from relay.operations.moments import iso
from relay.web.console.words import plural

#: Groups of dead letters named one by one.
_CAUSES_NAMED: Final = 3
_BAD: Final = (
    "The books do not balance",
    "Delivery is blocked",
    "No worker serves the queue flush",
    "Redis ",
)


@dataclass(frozen=True, slots=True)
class ShownProblem:
    """`level`: `bad` (something is lost or stands still) or `warn`. `path` "": nothing here mends it."""

    level: str
    text: str
    path: str = ""
    link: str = ""


def problems_shown(
    stats: Mapping[str, Any], groups: Sequence[Mapping[str, Any]], drops: Sequence[Mapping[str, Any]]
) -> list[ShownProblem]:
    """Collect the problems out of `read_stats`, the groups of `list_dead` and the active drops."""
    # Told below, each with its page.
    here = {
        one["sentence"]
        for one in stats["problems"]
        if one["kind"] in ("dead", "drop") or (one["kind"] == "held" and one["source"])
    }
    found = [_warned(str(sentence)) for sentence in stats["warnings"] if sentence not in here]
    found += _dead(stats, groups)
    found += [
        ShownProblem(
            "warn", f"Source {name} is held: what comes in waits.", f"/sources/{quote(name, safe='')}", "Look"
        )
        for name in stats["delivery"]["paused_sources"]
    ]
    for row in drops:
        of = f"of {row['source']}" if row.get("source") else "of every source"
        where = f" where {row['where']}" if row.get("where") else ""
        until = f"until {(iso(row['until_ms']) or '')[:16].replace('T', ' ')} UTC"
        sentence = f"A drop is on: events {of}{where} are not delivered {until}."
        found.append(ShownProblem("warn", sentence, "/drops", "Look"))
    return sorted(found, key=lambda problem: problem.level != "bad")


def _warned(sentence: str) -> ShownProblem:
    level = "bad" if sentence.startswith(_BAD) else "warn"
    if sentence.startswith("Several releases"):
        return ShownProblem(level, sentence, "/system", "Which")
    if sentence.startswith("Delivery is paused"):
        return ShownProblem(level, sentence, "#hold", "Resume")
    return ShownProblem(level, sentence)


def _dead(stats: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> list[ShownProblem]:
    """Those whose cause is muted are no news."""
    loud = [group for group in groups if not group["muted"]]
    named = [
        ShownProblem(
            "bad",
            f"{plural(group['count'], 'dead letter')}: {group['cause']}",
            f"/dead?cause={quote(group['id'], safe='')}",
            "Look",
        )
        for group in loud[:_CAUSES_NAMED]
    ]
    if len(loud) > _CAUSES_NAMED:
        rest = sum(group["count"] for group in loud[_CAUSES_NAMED:])
        more = plural(len(loud) - _CAUSES_NAMED, "more cause")
        named.append(ShownProblem("warn", f"{plural(rest, 'dead letter')} of {more}.", "/dead", "All"))
    return named
