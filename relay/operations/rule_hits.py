"""How many of the last events each rule took."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from relay.outbox.outbox import Outbox

#: Events that are looked at for it, the newest; and how far back.
COUNTED_AT_MOST = 2_000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class RuleHits:
    """`of` counts by (source, rule); `events` were looked at, `since_ms`: when the oldest of them came in."""

    of: Counter[tuple[str, str]]
    events: int = 0
    since_ms: int = 0

    def by(self, rule: str, source: str) -> int:
        return self.of[source, rule]


def count_rule_hits(outbox: Outbox, *, source: str = "") -> RuleHits:
    """Count hits out of the last events that are kept, of one source or of all: at most a day and 2,000 of them. Raises OutboxUnavailable."""
    now_ms = outbox.now_ms()
    found: Counter[tuple[str, str]] = Counter()
    events = since_ms = 0
    for minute, names in outbox.events.minutes(since_ms=now_ms - _DAY_MS, until_ms=now_ms, source=source):
        spans = [(name, minute, events - COUNTED_AT_MOST, -1) for name in names]
        for name, ids in zip(names, outbox.events.listed(spans), strict=True):
            for head in outbox.events.heads(ids):
                if head is not None:
                    events += 1
                    found[name, str(head.facts.get("rule") or "")] += 1
        since_ms = minute * 60_000
        if events >= COUNTED_AT_MOST:
            break
    return RuleHits(found, events, since_ms)
