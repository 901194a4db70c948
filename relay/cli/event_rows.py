"""An event as a line, and what is said where none fits."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from typing import Any, Final

from relay.cli.output import cut_to, shown, state
from relay.operations.moments import iso
from relay.rules.file.shape import did_you_mean

#: Columns that line up; longer values are cut on a terminal alone.
_WIDTHS: Final = {"source": 14, "kind": 16, "state": 10, "sender": 24}
_SUBJECT_LEAST: Final = 24
_GAP: Final = "  "


def event_line(row: Mapping[str, Any], width: int | None = None) -> str:
    """Time, source, kind, state, sender, subject, conversation, id. In a pipe nothing is left out; on a terminal (`width` columns)
    the subject gives way, then the conversation and the kind, which `relay trace ID` tells too."""
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    columns = {
        "at": row["received_at"] or "-",
        **({"lane": f"{row['lane']:<10}"} if "lane" in row else {}),
        **{name: _padded(row[name] or "-", size, width) for name, size in _WIDTHS.items()},
        "subject": shown(row["subject"] or "-"),
        "home": row["externalId"] or "-",
        "id": row["id"],
    }
    if width:
        for name in ("home", "kind"):
            if _taken(columns) + _SUBJECT_LEAST > width:
                del columns[name]
        columns["subject"] = cut_to(columns["subject"], max(_SUBJECT_LEAST, width - _taken(columns)))
        columns["subject"] = columns["subject"].ljust(width - _taken(columns))
    columns["state"] = state(row["state"]) + columns["state"][len(row["state"]) :]
    return _GAP.join(columns.values())


def _padded(value: str, size: int, width: int | None) -> str:
    text = shown(value)
    return (cut_to(text, size) if width else text).ljust(size)


def _taken(columns: Mapping[str, str]) -> int:
    """What all but the subject take."""
    return sum(len(text) + len(_GAP) for name, text in columns.items() if name != "subject")


def none_fits(context: Any, asked: Mapping[str, str]) -> str:
    """Return why: a name that is unknown, or what is kept at all."""
    source, rule = asked.get("source", ""), asked.get("rule", "")
    known = sorted(context.known_sources)
    if source and source not in known:
        return f"no event fits: no source is called {source[:80]!r}{did_you_mean(source, known)}"
    config = context.config_or_none if rule else None
    rules = sorted(
        {one.name for name in config.sources for one in context.rulebook.rules_for(name)} if config else ()
    )
    if config and rule not in rules:
        return f"no event fits: no rule of today is called {rule[:80]!r}{did_you_mean(rule, rules)}"
    oldest = min(filter(None, (_oldest_minute(lane.outbox) for lane in context.each_lane())), default=None)
    if oldest is None:
        return "no event fits: none is kept (`relay send` posts a sample)"
    words = "; --text and names in --from find whole words" if "text" in asked or "from" in asked else ""
    return f"no event fits; the oldest that is kept came at {(iso(oldest * 60_000) or '')[:16]}Z{words}"


def _oldest_minute(outbox: Any) -> int | None:
    """The first minute of which something is kept."""
    now_ms = outbox.now_ms()
    kept_ms = now_ms - outbox.retention.events_s * 1000
    for minute, _ in outbox.events.minutes(since_ms=kept_ms, until_ms=now_ms, oldest_first=True):
        return int(minute)
    return None
