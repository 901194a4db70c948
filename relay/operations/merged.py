"""What several lanes answer to one question, put together in the shape of one answer: for whoever names no lane."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import orjson

#: lane -> its answer.
ByLane = Mapping[str, dict[str, Any]]
#: (lane, limit, after) -> a page: the rows under a key, and `next`.
AskPage = Callable[[str, int, str], dict[str, Any]]

#: The worst first: what a person should know of delivery as a whole.
_WORST: Final = ("blocked", "paused", "backing_off", "open")
#: Of the lanes that say the same.
_LANES_NAMED: Final = 8
_OWN: Final = (
    "balanced",
    "oldest_pending_seconds",
    "delivery",
    "pending_items",
    "dead_letters",
    "batch",
    "sources",
)


def merge_stats(
    answers: ByLane, *, of_no_lane: Collection[str] = (), away: Mapping[str, str] = {}
) -> dict[str, Any]:
    """Return the books of all lanes added up by source; `lanes` has each lane's own. What is of no lane is the same in all, and its
    warnings (`of_no_lane`) are told once. `away`: lanes that could not be asked, and why; what is theirs is not counted."""
    found = list(answers.values())
    gone = [f"{_named([lane])}: {why}; it is not counted here." for lane, why in away.items()]
    return {
        **found[0],
        "sources": _added(one["sources"] for one in found),
        "remarks": _added(one["remarks"] for one in found),
        "balanced": all(one["balanced"] for one in found),
        "oldest_pending_seconds": max(one["oldest_pending_seconds"] for one in found),
        "delivery": merge_delivery({lane: one["delivery"] for lane, one in answers.items()}),
        "pending_items": sum(one["pending_items"] for one in found),
        "dead_letters": sum(one["dead_letters"] for one in found),
        "newer_records": sum(one["newer_records"] for one in found),
        "batch": {},
        "problems": _problems(answers, of_no_lane),
        "warnings": [
            *gone,
            *_said({lane: one["warnings"] for lane, one in answers.items()}, of_no_lane),
            *of_no_lane,
        ],
        "lanes": {lane: {name: one[name] for name in _OWN} for lane, one in answers.items()},
        "away": dict(away),
    }


def merge_delivery(answers: ByLane) -> dict[str, Any]:
    """Return the state that is worst, with whose it is; calls are added up. `lanes`: each lane's state."""
    lane = min(answers, key=lambda name: _WORST.index(answers[name]["state"]))
    merged = {
        **answers[lane],
        "paused_sources": sorted({name for one in answers.values() for name in one["paused_sources"]}),
        "pauses": [{**pause, "lane": name} for name, one in answers.items() for pause in one["pauses"]],
        "lanes": {name: one["state"] for name, one in answers.items()},
    }
    if merged["state"] != "open":
        merged["reason"] = f"lane {lane}: {merged['reason'] or merged['state']}"
    if "calls_last_minute" in merged:
        merged["calls_last_minute"] = sum(one["calls_last_minute"] for one in answers.values())
    return merged


def merge_missing(answers: ByLane) -> dict[str, Any]:
    """Return a row for each lane and what was asked for there, the most frequent first; `yaml` lane by lane."""
    rows = [{**row, "lane": lane} for lane, one in answers.items() for row in one["missing"]]
    return {
        "missing": sorted(rows, key=lambda row: -row["count"]),
        "more": sum(one["more"] for one in answers.values()),
        "yaml": "".join(f"# lanes.{lane}\n{one['yaml']}" for lane, one in answers.items() if one["yaml"]),
        "truncated": any(one["truncated"] for one in answers.values()),
    }


def merge_counts(answers: ByLane) -> dict[str, Any]:
    """Merge what was done: numbers are added, lists joined, flags hold where one does; `lanes` has each lane's own answer."""
    merged: dict[str, Any] = {}
    for one in answers.values():
        for name, value in one.items():
            held = merged.get(name)
            if held is None:
                merged[name] = value
            elif isinstance(value, bool):
                merged[name] = held or value
            elif isinstance(value, int):
                merged[name] = held + value
            elif isinstance(value, list):
                merged[name] = [*held, *value]
    if "state" in merged:
        states = [one.get("state") for one in answers.values()]
        merged["state"] = next(
            (word for word in ("running", "failed", "cancelled") if word in states), "done"
        )
    return {**merged, "lanes": dict(answers)}


def merge_dead(lanes: Sequence[str], ask: AskPage, *, limit: int, after: str) -> dict[str, Any]:
    """Merge what `list_dead` answers: groups of one cause are one, with `lanes`; a page of the newest letters of all. Raises ValueError where
    `after` is no cursor."""
    page, answers = _page(lanes, ask, "items", "at", limit=limit, after=after)
    groups: dict[str, dict[str, Any]] = {}
    for lane, one in answers.items():
        for group in one["groups"]:
            held = groups.get(group["cause"])
            groups[group["cause"]] = (
                {**group, "lanes": [lane]} if held is None else _joined(held, group, lane)
            )
    return {
        "groups": sorted(groups.values(), key=lambda group: (-group["count"], group["cause"])),
        **page,
        "truncated": any(one["truncated"] for one in answers.values()),
        "nearest": list(dict.fromkeys(near for one in answers.values() for near in one["nearest"]))
        if not groups
        else [],
    }


def merge_events(lanes: Sequence[str], ask: AskPage, *, limit: int, after: str) -> dict[str, Any]:
    """Merge what `list_events` answers: a page of the newest of all. Raises ValueError where `after` is no cursor."""
    page, answers = _page(lanes, ask, "events", "received_at", limit=limit, after=after)
    searched = [one["searched_to"] for one in answers.values() if one["searched_to"]]
    return {**page, "searched_to": max(searched) if searched else None}


# -- pages ---------------------------------------------------------------------------------------------------------


def _page(
    lanes: Sequence[str], ask: AskPage, key: str, at: str, *, limit: int, after: str
) -> tuple[dict[str, Any], ByLane]:
    """A page of the newest rows of all lanes, and what each answered. The cursor holds each lane's own: of a lane whose rows are
    not all on the page, that behind those that are."""
    begins = _read_cursors(after) if after else dict.fromkeys(lanes, "")
    answers = {lane: ask(lane, limit, begins[lane]) for lane in lanes if lane in begins}
    rows = [(str(row[at] or ""), lane, row) for lane, one in answers.items() for row in one[key]]
    rows.sort(key=lambda found: found[0], reverse=True)
    shown = rows[:limit]
    cursors: dict[str, str] = {}
    for lane, one in answers.items():
        number = sum(of == lane for _, of, _ in shown)
        if number == len(one[key]):
            following = one["next"]
        elif number:
            following = ask(lane, number, begins[lane])["next"]
        else:
            following, cursors[lane] = None, begins[lane]
        if following:
            cursors[lane] = following
    page = [{**row, "lane": lane} for _, lane, row in shown]
    return {key: page, "next": _write_cursors(cursors) if cursors else None}, answers


def _write_cursors(cursors: Mapping[str, str]) -> str:
    return urlsafe_b64encode(orjson.dumps({"lanes": cursors})).decode().rstrip("=")


def _read_cursors(text: str) -> dict[str, str]:
    """Raises ValueError."""
    try:
        lanes = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))["lanes"]
        return {str(lane): str(cursor) for lane, cursor in lanes.items()}
    except (ValueError, AttributeError, TypeError, KeyError):
        raise ValueError(
            "not a cursor of this list: it was asked of one lane, or of none of this release"
        ) from None


# -- parts ---------------------------------------------------------------------------------------------------------


def _joined(held: dict[str, Any], group: dict[str, Any], lane: str) -> dict[str, Any]:
    newer = group if group["last_seen"] >= held["last_seen"] else held
    return {
        **held,
        "count": held["count"] + group["count"],
        "first_seen": min(held["first_seen"], group["first_seen"]),
        "last_seen": newer["last_seen"],
        "sample": newer["sample"],
        "lanes": [*held["lanes"], lane],
        # Where somebody has muted it in one lane alone, the others are to be told of.
        "muted": held["muted"] and group["muted"],
        **{name: sorted({*held[name], *group[name]}) for name in ("sources", "stages", "rules")},
    }


def _added(tables: Any) -> dict[str, dict[str, int]]:
    """name -> word -> number, summed."""
    total: dict[str, dict[str, int]] = {}
    for table in tables:
        for name, counts in table.items():
            held = total.setdefault(name, {})
            for word, number in counts.items():
                held[word] = held.get(word, 0) + number
    return dict(sorted(total.items()))


def _problems(answers: ByLane, of_no_lane: Collection[str]) -> list[dict[str, Any]]:
    """Each lane's own, with its lane; then what is of none."""
    own = [
        {**problem, "lane": lane, "sentence": f"{_named([lane])}: {problem['sentence']}"}
        for lane, one in answers.items()
        for problem in one["problems"]
        if problem["sentence"] not in of_no_lane
    ]
    first = next(iter(answers.values()))
    return [*own, *(problem for problem in first["problems"] if problem["sentence"] in of_no_lane)]


def _said(warnings: Mapping[str, Sequence[str]], of_no_lane: Collection[str]) -> list[str]:
    """What lanes say, each sentence once, with those that say it."""
    lanes: dict[str, list[str]] = {}
    for lane, sentences in warnings.items():
        for sentence in sentences:
            lanes.setdefault(sentence, []).append(lane)
    return [f"{_named(of)}: {sentence}" for sentence, of in lanes.items() if sentence not in of_no_lane]


def _named(lanes: Sequence[str]) -> str:
    """Lane a; Lanes a and b; Lanes a, b, c and 7 more."""
    if len(lanes) == 1:
        return f"Lane {lanes[0]}"
    shown = list(lanes[:_LANES_NAMED])
    last = f"{len(lanes) - len(shown)} more" if len(lanes) > len(shown) else shown.pop()
    return f"Lanes {', '.join(shown)} and {last}"
