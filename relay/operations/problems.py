"""What is wrong now, or held on purpose, and what to do about each: for `relay doctor`, `relay stats`, the API and the console."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from relay.config import Config
from relay.operations.drops import drop_told
from relay.operations.lane_facts import (
    LETTERS_READ,
    AskedLane,
    LaneFacts,
    OfNoLane,
)
from relay.operations.lanes import lane_option
from relay.operations.moments import iso
from relay.outbox.processes import Process, lane_refused
from relay.planhat.doctor_line import check_token_age

#: Causes that are told one by one.
CAUSES_TOLD: Final = 10
_WORST_FIRST: Final = ("lane", "config", "token", "lanes", "held", "drop", "dead", "releases")


@dataclass(frozen=True, slots=True)
class StandingProblem:
    """`kind` is `lane`, `lanes`, `dead`, `held`, `drop`, `config`, `token` or `releases`; `found` and `do` are sentences without a full stop.
    `count` of letters or events, `source` and `cause` (its id) where it is about one."""

    kind: str
    found: str
    do: str
    count: int = 0
    source: str = ""
    cause: str = ""

    def sentence(self) -> str:
        found = f"{self.found[0].upper()}{self.found[1:]}"
        return f"{found}; {self.do}." if self.do else f"{found}."

    def told(self) -> dict[str, Any]:
        return {**asdict(self), "sentence": self.sentence()}


def worst_first(problems: Iterable[StandingProblem]) -> list[StandingProblem]:
    """Return them, the worst first."""
    return sorted(problems, key=lambda problem: _WORST_FIRST.index(problem.kind))


def problems_of_lane(lane: AskedLane, facts: LaneFacts, installation: OfNoLane) -> Iterator[StandingProblem]:
    """Yield what is the lane's own."""
    option = lane_option(lane.name, lane.config)
    today = datetime.fromtimestamp(facts.now_ms / 1000, UTC).date()
    yield from _refused_lane(lane_refused(installation.alive, lane.name, now_ms=installation.now_ms))
    yield from _token(lane.config.planhat.token_expires if lane.config else "", today)
    yield from _held(facts, option)
    yield from _dead(facts, option)
    yield from _newer(facts.newer)


def problems_of_all(
    installation: OfNoLane, config: Config | None, in_the_books: Iterable[str]
) -> Iterator[StandingProblem]:
    """Yield what is of no lane. `in_the_books`: sources that ever sent something."""
    yield from _refused_config(installation.alive)
    for left in installation.left:
        yield StandingProblem("lanes", left.found, left.do, count=left.pending + left.dead)
    yield from _dropped(installation, {*config.sources, *in_the_books} if config else None)
    yield from _releases(installation.alive)


def _dead(facts: LaneFacts, option: str) -> Iterator[StandingProblem]:
    total = facts.dead
    loud = [group for group in facts.groups if not group["muted"]]
    for group in loud[:CAUSES_TOLD]:
        whom = f", assigned to {group['assigned']}" if group["assigned"] else ""
        letters = "1 dead letter" if group["count"] == 1 else f"{group['count']:,} dead letters"
        yield StandingProblem(
            "dead",
            f"{letters} of {', '.join(group['sources'])}: {group['cause']} ({group['id']}{whom})",
            f"`relay dead list --cause {group['id']}{option}`",
            count=group["count"],
            source=group["sources"][0] if len(group["sources"]) == 1 else "",
            cause=group["id"],
        )
    rest = sum(group["count"] for group in loud[CAUSES_TOLD:]) + max(0, total - LETTERS_READ)
    if rest:
        yield StandingProblem(
            "dead", f"{rest:,} more dead letters, {total:,} in all", f"`relay dead list{option}`", count=rest
        )


def _held(facts: LaneFacts, option: str) -> Iterator[StandingProblem]:
    for source, pause in facts.delivery.pauses.items():
        since = f" since {iso(pause.since_ms)}" if pause.since_ms else ""
        by = f" by {pause.by}" if pause.by else ""
        waits = facts.pending.get(source, 0) if source else sum(facts.pending.values())
        waiting = "1 conversation waits" if waits == 1 else f"{waits:,} conversations wait"
        yield StandingProblem(
            "held",
            f"{f'source {source}' if source else 'delivery'} is paused{since}{by}; {waiting}, nothing is lost",
            f"`relay resume{f' --source {source}' if source else ''}{option}`",
            count=waits,
            source=source,
        )


def _dropped(installation: OfNoLane, known: Collection[str] | None) -> Iterator[StandingProblem]:
    for stored, counts in installation.drops:
        row = drop_told(stored, counts, known)
        since = f" since {row['since']}" if row["since"] else ""
        by = f" by {row['by']}" if row["by"] else ""
        events = "1 event" if row["count"] == 1 else f"{row['count']:,} events"
        drops_nothing = f"; it drops nothing: {row['problem']}" if row["problem"] else ""
        yield StandingProblem(
            "drop",
            f"the kill switch {row['id']} is on{since}{by}, until {row['until']}: {row['where'] or 'everything'} of "
            f"{row['source'] or 'every source'}, {events} dropped{drops_nothing}",
            f"`relay drop --end {row['id']}`",
            count=row["count"],
            source=row["source"] or "",
        )


def _refused_lane(why: str) -> Iterator[StandingProblem]:
    if why:
        found, _, do = why.partition(". ")
        yield StandingProblem("lane", f"a web process takes nothing for this lane: {found}", do)


def _refused_config(alive: Sequence[Process]) -> Iterator[StandingProblem]:
    refused: dict[str, list[str]] = {}
    for process in alive:
        if why := process.facts.get("config_refused"):
            refused.setdefault(str(why), []).append(process.role)
    for why, roles in refused.items():
        who = " and ".join(sorted(set(roles)))
        yield StandingProblem(
            "config",
            f"the config file was refused by {who}, what held before it is in use: {why}",
            "`relay check` tells all its mistakes; it is taken over once it holds",
        )
    versions = {
        str(process.facts["config"]): process.role
        for process in alive
        if process.facts.get("config") and not process.facts.get("config_refused")
    }
    if len(versions) > 1 and not refused:
        listed = ", ".join(f"{role} by {version}" for version, role in sorted(versions.items()))
        yield StandingProblem(
            "config",
            f"not all processes go by the same config: {listed}",
            "wait a few seconds; if it stays, give all of them the same file",
        )


def _token(expires: str, today: Any) -> Iterator[StandingProblem]:
    if expires:
        line = check_token_age(expires, today)
        if not line.ok:
            yield StandingProblem("token", f"Planhat's token {line.found}", line.do)


def _releases(alive: Sequence[Process]) -> Iterator[StandingProblem]:
    releases = sorted({process.release for process in alive})
    if len(releases) > 1:
        yield StandingProblem(
            "releases", f"several releases are running: {', '.join(releases)}", "finish the update of all"
        )


def _newer(count: int) -> Iterator[StandingProblem]:
    if count:
        waits = "1 conversation waits" if count == 1 else f"{count:,} conversations wait"
        yield StandingProblem(
            "releases",
            f"{waits} for workers of a newer release, which wrote something of them",
            "update the workers; nothing of it is lost",
            count=count,
        )
