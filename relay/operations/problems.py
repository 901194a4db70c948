"""What is wrong now, or held on purpose, and what to do about each: for `relay doctor`, `relay stats`, the API and the console."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from relay.config import Config
from relay.operations.dead.look import group_heads
from relay.operations.drops import list_drops
from relay.operations.lanes import lane_option
from relay.operations.left_lanes import left_lanes
from relay.operations.moments import iso
from relay.outbox.delivery import Delivery
from relay.outbox.outbox import Outbox
from relay.outbox.processes import Process, lane_refused, read_processes
from relay.planhat.doctor_line import check_token_age

#: Causes are told of the newest letters: this is asked every few seconds.
LETTERS_READ: Final = 500
#: Causes that are told one by one.
CAUSES_TOLD: Final = 10


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


def standing_problems(
    outbox: Outbox,
    delivery: Delivery,
    *,
    config: Config | None = None,
    processes: Sequence[Process] | None = None,
    now_ms: int = 0,
) -> list[StandingProblem]:
    """Return all of them, the worst first. Causes that are muted are left out. `config`: None where it does not hold, or is not known.
    Raises OutboxUnavailable."""
    now_ms = now_ms or outbox.now_ms()
    if processes is None:
        processes = read_processes(outbox, now_ms=now_ms)
    alive = [process for process in processes if process.alive(now_ms)]
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    token = config.planhat.token_expires if config else ""
    option = lane_option(outbox.lane_name, config)
    return [
        *_refused_lane(lane_refused(alive, outbox.lane_name, now_ms=now_ms)),
        *_refused_config(alive),
        *_token(token, today),
        *_left(outbox, config),
        *_held(outbox, delivery, option),
        *_dropped(outbox, config),
        *_dead(outbox, option),
        *_releases(alive),
        *_newer(outbox.newer_count(now_ms=now_ms)),
    ]


def _left(outbox: Outbox, config: Config | None) -> Iterator[StandingProblem]:
    for left in left_lanes(outbox.home, config.lane_names) if config else ():
        yield StandingProblem("lanes", left.found, left.do, count=left.pending + left.dead)


def _dead(outbox: Outbox, option: str) -> Iterator[StandingProblem]:
    total = outbox.dead.count()
    if not total:
        return
    groups = group_heads(outbox, islice(outbox.dead.scan(), LETTERS_READ))
    loud = [group for group in groups if not group["muted"]]
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


def _held(outbox: Outbox, delivery: Delivery, option: str) -> Iterator[StandingProblem]:
    for source, pause in delivery.pauses().items():
        since = f" since {iso(pause.since_ms)}" if pause.since_ms else ""
        by = f" by {pause.by}" if pause.by else ""
        waits = outbox.pending_of(source) if source else outbox.pending_items()
        waiting = "1 conversation waits" if waits == 1 else f"{waits:,} conversations wait"
        yield StandingProblem(
            "held",
            f"{f'source {source}' if source else 'delivery'} is paused{since}{by}; {waiting}, nothing is lost",
            f"`relay resume{f' --source {source}' if source else ''}{option}`",
            count=waits,
            source=source,
        )


def _dropped(outbox: Outbox, config: Config | None) -> Iterator[StandingProblem]:
    known = {*config.sources, *outbox.sources()} if config else None
    for row in list_drops(outbox, known):
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
