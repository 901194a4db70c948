"""What companies were asked for and not found: the addresses, domains, channels and keys of the dead letters that wait for one,
and the YAML that would answer them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from relay.free_mail import FREE_MAIL
from relay.operations.dead.causes import LOOKED_AT_MOST
from relay.operations.moments import iso
from relay.outbox.dead import DeadHead
from relay.outbox.outbox import Outbox

#: What a person has to put an id for: `relay check` refuses it as it stands.
STAND_IN: Final = '"?"'


@dataclass(slots=True)
class _Missing:
    """One thing that was asked with. Heads come newest first: the first is the last in time, and the sample."""

    key: str
    value: str
    last_ms: int
    sample: str
    first_ms: int = 0
    letters: set[str] = field(default_factory=set)
    events: int = 0
    sources: set[str] = field(default_factory=set)

    def add(self, head: DeadHead) -> None:
        self.letters.add(head.dead_id)
        self.events += len(head.events)
        self.first_ms = head.at_ms
        self.sources.add(head.source)


def missing_companies(
    outbox: Outbox, *, source: str = "", since_ms: int = 0, limit: int = 500
) -> dict[str, Any]:
    """Return `missing`, the most frequent first: `key`, `asked_for` (the value), `count` of letters, `events`, `sources`, `first_seen`,
    `last_seen`, `sample` (a letter), `yaml` (the line to paste); `more`: how many were left out; `yaml`: all of them as steps of `companies:`; `truncated`: only the newest letters were looked at.

    A letter that is replayed, or goes by itself, is no longer among them."""
    found: dict[tuple[str, str], _Missing] = {}
    truncated = False
    for seen, head in enumerate(outbox.dead.scan(since_ms=since_ms)):
        if seen >= LOOKED_AT_MOST:
            truncated = True
            break
        if source and head.source != source:
            continue
        for key, value in _asked(head.facts):
            row = found.setdefault((key, value), _Missing(key, value, head.at_ms, head.dead_id))
            row.add(head)
    rows = sorted(found.values(), key=lambda row: (-len(row.letters), -row.last_ms, row.key, row.value))
    return {
        "missing": [_told(row) for row in rows[:limit]],
        "more": max(0, len(rows) - limit),
        "yaml": companies_yaml(rows[:limit]),
        "truncated": truncated,
    }


def _asked(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Each pair once, addresses and domains without their case."""
    pairs: dict[tuple[str, str], None] = {}
    for one in facts.get("asked_for") or ():
        key, value = str(one.get("key") or ""), str(one.get("value") or "").strip()
        if key and value:
            pairs[key, value.casefold() if key in ("email", "domain") else value] = None
    return pairs


def _told(row: _Missing) -> dict[str, Any]:
    table, name = map(_word, _answer(row))
    return {
        "key": row.key,
        "asked_for": row.value,
        "count": len(row.letters),
        "events": row.events,
        "sources": sorted(row.sources),
        "first_seen": iso(row.first_ms),
        "last_seen": iso(row.last_ms),
        "sample": row.sample,
        "yaml": f"- table: {{{table}: {{{name}: {STAND_IN}}}}}",
    }


def _domain(row: _Missing) -> str:
    """The domain that a company has to itself; "" for anything but an address there."""
    domain = row.value.rpartition("@")[2].rstrip(".") if row.key == "email" and "@" in row.value else ""
    return domain if "." in domain and domain not in FREE_MAIL else ""


def _answer(row: _Missing) -> tuple[str, str]:
    """The table and the row that answer the most with one line: the domain, where one stands for a company."""
    domain = _domain(row)
    return ("domain", domain) if domain else (row.key, row.value)


def companies_yaml(rows: Iterable[_Missing]) -> str:
    """Return the steps of `companies:` that would answer all of these, each with how many letters wait for it; "" for none."""
    tables: dict[str, dict[str, set[str]]] = {}
    answered: set[tuple[str, str, int]] = set()
    for row in rows:
        # One letter may ask by several names for the same value: one answer is enough.
        asked = (row.value, row.sample, len(row.letters))
        if asked in answered:
            continue
        answered.add(asked)
        table, name = _answer(row)
        # A letter that asks by an address asks by its domain as well, and waits once.
        tables.setdefault(table, {}).setdefault(name, set()).update(row.letters)
    if not tables:
        return ""
    lines = [
        '  # Under `companies:`, before its other steps; with an id (extid-..., srcid-..., Planhat\'s) for each "?".'
    ]
    for table, names in tables.items():
        lines += ["  - table:", f"      {_word(table)}:"]
        for name, letters in names.items():
            waits = "1 letter waits" if len(letters) == 1 else f"{len(letters):,} letters wait"
            lines.append(f"        {_word(name)}: {STAND_IN}    # {waits}")
    return "\n".join(lines) + "\n"


def _word(text: str) -> str:
    """As a YAML key in a flow or a block: JSON's quotes are YAML's too."""
    plain = text.replace("-", "").replace("_", "").replace(".", "").replace("@", "")
    if text[:1].isalpha() and plain.isascii() and plain.isalnum() and text.casefold() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off"})
