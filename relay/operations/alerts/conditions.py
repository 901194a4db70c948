"""What is wrong now, as alerts name it. Each is looked at in Redis; nothing here asks Planhat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from relay.config import Alerts, Config
from relay.lane_name import token_place
from relay.operations.dead.causes import cause_id, marks_of
from relay.operations.dead.counts import DeadCounts
from relay.operations.differences import difference_told, list_differences
from relay.operations.lanes import lane_option
from relay.operations.left_lanes import left_lanes
from relay.operations.moments import iso
from relay.operations.stats import SET_BACK_TOLD_MS
from relay.outbox.causes import cause_digest
from relay.outbox.delivery import Delivery
from relay.outbox.epoch import read_life
from relay.outbox.items import balanced
from relay.outbox.outbox import Outbox
from relay.outbox.processes import Process, delivering, lane_refused, read_processes

#: Differences at Planhat that are told by themselves; more are counted.
_DIFFERENCES: Final = 20
_TEXT_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong. `name` is the same as long as it is the same thing."""

    name: str
    kind: str
    title: str
    text: str = ""


def look_for_trouble(
    outbox: Outbox,
    delivery: Delivery,
    config: Config,
    causes: DeadCounts,
    *,
    damaged: Sequence[str] = (),
    now_ms: int = 0,
) -> dict[str, Condition]:
    """Give name -> what is wrong now, of what the config wants to be told. `damaged`: sentences on the process's own files. Raises
    OutboxUnavailable. Of several lanes each is looked at by itself, and what is of no lane with the first of them."""
    alerts = config.alerts
    if alerts is None:
        return {}
    lane, option = outbox.lane_name, lane_option(outbox.lane_name, config)
    #: Where the lane's token is written.
    place = token_place(lane, named=bool(config.lanes))
    first = lane == config.lane_names[0]
    now_ms = now_ms or outbox.now_ms()
    found: list[Condition] = []
    processes = read_processes(outbox, now_ms=now_ms)
    if "blocked" in alerts.about:
        found += _refused(lane_refused(processes, lane, now_ms=now_ms))
        found += _blocked(delivery, place)
    if "waiting" in alerts.about:
        found += _waiting(outbox, delivery, alerts, option, now_ms)
    if "new_cause" in alerts.about:
        found += _causes(outbox, causes, option, now_ms)
    if "damage" in alerts.about:
        found += _damage(outbox, now_ms)
    if "token" in alerts.about:
        found += _token(config.for_lane(lane).planhat.token_expires, alerts, place, now_ms)
    if config.lanes:
        found = [replace(condition, title=f"Lane {lane}: {condition.title}") for condition in found]
    if first:
        found += _of_the_installation(outbox, alerts, damaged, processes, now_ms)
        if "waiting" in alerts.about:
            found += _left(outbox, config.lane_names)
    return {condition.name: condition for condition in found}


def _of_the_installation(
    outbox: Outbox, alerts: Alerts, damaged: Sequence[str], processes: Sequence[Process], now_ms: int
) -> Iterator[Condition]:
    silent = delivering(outbox, processes, now_ms=now_ms).sentence(now_ms)
    if silent and "blocked" in alerts.about:
        yield Condition("workers", "blocked", "Nothing is delivered: no flush worker", f"{silent}.")
    for sentence in damaged if "damage" in alerts.about else ():
        yield Condition(
            f"file:{sentence[:80]}", "damage", "A file of the relay's is damaged", sentence[:_TEXT_CHARS]
        )


def _left(outbox: Outbox, lanes: Sequence[str]) -> Iterator[Condition]:
    for left in left_lanes(outbox.home, lanes):
        if not left.pending:
            continue
        title = f"Lane {left.name} is not in the config, and events wait there"
        yield Condition(
            f"left:{left.name}", "waiting", title, f"{_sentence(left.found)} {_sentence(left.do)}"
        )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _refused(why: str) -> Iterator[Condition]:
    if why:
        yield Condition("refused", "blocked", "Nothing is taken: the keys in Redis are another relay's", why)


def _blocked(delivery: Delivery, place: str) -> Iterator[Condition]:
    state = delivery.read()
    if state.state == "blocked":
        reason = state.reason or "Planhat refused the token"
        yield Condition(
            "blocked",
            "blocked",
            f"Delivery is blocked: {reason}"[:_TEXT_CHARS],
            f"Nothing is lost: events are accepted and wait. Put a valid token into {place}; delivery resumes by itself.",
        )


def _waiting(
    outbox: Outbox, delivery: Delivery, alerts: Alerts, option: str, now_ms: int
) -> Iterator[Condition]:
    oldest_ms = outbox.oldest_pending_ms(now_ms=now_ms)
    if oldest_ms is None or now_ms - oldest_ms <= alerts.waiting_over_s * 1000:
        return
    state, held = delivery.read(), sorted(delivery.paused_sources())
    why = {
        "paused": f"Delivery is paused by a person; `relay resume{option}` lets it go on.",
        "blocked": f"Delivery is blocked: {state.reason}.",
        "backing_off": f"Planhat does not take it now: {state.reason}.",
        "open": f"Delivery is open; `relay doctor{option}` says what is wrong.",
    }[state.state]
    if held:
        why += f" Held sources: {', '.join(held)[:_TEXT_CHARS]}."
    yield Condition(
        "waiting",
        "waiting",
        f"The oldest event has waited since {iso(oldest_ms)}",
        f"{why} {outbox.pending_items()} conversations wait.",
    )


def _causes(outbox: Outbox, causes: DeadCounts, option: str, now_ms: int) -> Iterator[Condition]:
    found: dict[str, tuple[int, str]] = {}
    for (cause, source), number in causes.look().items():
        found[cause] = (found.get(cause, (0, ""))[0] + number, source)
    marks = marks_of(outbox, list(found)) if found else {}
    for cause, (number, source) in found.items():
        if marks[cause].quiet(now_ms):
            continue
        short = cause_id(cause)
        yield Condition(
            f"dead-letters:{cause_digest(cause)}",
            "new_cause",
            f"Dead letters of a new cause ({short}): {cause[:_TEXT_CHARS]}",
            f"{number} so far, some of {source or 'an unknown source'}. Look: relay dead list --cause {short}{option}",
        )


def _damage(outbox: Outbox, now_ms: int) -> Iterator[Condition]:
    if wrong := [name for name, counts in outbox.ledger().items() if not balanced(counts)]:
        yield Condition(
            "books",
            "damage",
            "The books do not balance",
            f"Of {', '.join(wrong)[:_TEXT_CHARS]}: an event is in no state, or in two. Somebody changed Redis by hand, or set it back.",
        )
    life = read_life(outbox)
    if life.number and now_ms - life.at_ms < SET_BACK_TOLD_MS:
        yield Condition(
            f"life:{life.number}",
            "damage",
            f"Redis was {life.what}",
            f"Noticed {iso(life.at_ms)}: accepted events may be gone. What Planhat has of a conversation is read before anything of it is sent.",
        )
    rows = list_differences(outbox, now_ms=now_ms)
    for row in rows[:_DIFFERENCES]:
        yield Condition(
            f"difference:{row['rule']}:{row['field']}",
            "damage",
            f"Planhat keeps {row['field']} otherwise than it was sent",
            difference_told(row)[:_TEXT_CHARS],
        )


def _token(expires: str, alerts: Alerts, place: str, now_ms: int) -> Iterator[Condition]:
    ends = token_end(expires)
    if ends is None:
        return
    left_s = ends.timestamp() - now_ms / 1000
    if left_s > alerts.token_within_s:
        return
    title = f"Planhat's token ends on {expires}" if left_s > 0 else f"Planhat's token has ended on {expires}"
    yield Condition(
        f"token:{expires}" if left_s > 0 else f"token-ended:{expires}",
        "token",
        title,
        f"Make a new one in Planhat, put it into {place} (a file needs no restart), and set token_expires.",
    )


def token_end(expires: str) -> datetime | None:
    """Return the moment a token with this `token_expires` is no longer valid: the end of the day, in UTC. None: unknown."""
    try:
        day = datetime.fromisoformat(expires)
    except ValueError:
        return None
    whole_day = timedelta(days=1) if len(expires) == len("2026-01-01") else timedelta()
    return (day if day.tzinfo else day.replace(tzinfo=UTC)) + whole_day
