"""What /metrics says by source and lane: what waits, what is dead and why, what a person has held or drops, when the token ends."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final

from relay.config import Config
from relay.operations.alerts.conditions import token_end
from relay.operations.dead.counts import DeadCounts
from relay.outbox.audit import AuditLine, read_audit
from relay.outbox.delivery import DeliveryFacts, Pause
from relay.outbox.outbox import Outbox
from relay.outbox.reading import Reading
from relay.outbox.shared_metrics import escape_label
from relay.release import release

#: A label is no place for more.
_ROWS: Final = 100
_CAUSE_CHARS: Final = 100
_OTHERS: Final = "others"
#: Letters that a scrape looks at; those beyond are counted as others.
_LETTERS: Final = 10_000
_AUDIT_LINES: Final = 200


class AuditSaid:
    """Who held what, by the audit's newest lines; read at most once, and only where that is asked. Raises OutboxUnavailable."""

    def __init__(self, home: Outbox) -> None:
        self._home = home

    @cached_property
    def _lines(self) -> Sequence[AuditLine]:
        return read_audit(self._home, limit=_AUDIT_LINES)[0]

    def pause(self, source: str) -> Pause:
        """Return since when a source ("": all delivery) is held, and by whom."""
        for line in self._lines:
            if line.what == "pause" and (line.of.get("source") or "") == source:
                return Pause(line.at_ms, line.who)
        return Pause()


class Gauges:
    """One lane's."""

    def __init__(self, outbox: Outbox) -> None:
        self._dead = DeadCounts(outbox, most=_LETTERS)
        self._lane = escape_label(outbox.lane_name)

    def dead(self) -> Reading[tuple[Mapping[tuple[str, str], int], int]]:
        """The dead letters, as `DeadCounts.reading`."""
        return self._dead.reading()

    def pending(self, counts: Mapping[str, int]) -> Iterable[str]:
        """Yield what waits, by source."""
        yield "# TYPE relay_pending_items gauge"
        for name, number in counts.items():
            yield f'relay_pending_items{{lane="{self._lane}",source="{escape_label(name)}"}} {number}'

    def dead_letters(self, by_cause: Mapping[tuple[str, str], int], total: int) -> Iterable[str]:
        """Yield the dead letters by source and cause, all of them."""
        shown: Counter[tuple[str, str]] = Counter()
        by_size = sorted(by_cause.items(), key=lambda pair: (-pair[1], pair[0]))
        for n, ((cause, source), number) in enumerate(by_size):
            shown[(cause[:_CAUSE_CHARS], source) if n < _ROWS else (_OTHERS, "")] += number
        rest = total - shown.total()
        if rest > 0:
            shown[_OTHERS, ""] += rest
        yield "# TYPE relay_dead_letters gauge"
        for (cause, source), number in sorted(shown.items()):
            labels = f'lane="{self._lane}",source="{escape_label(source)}",cause="{escape_label(cause)}"'
            yield f"relay_dead_letters{{{labels}}} {number}"

    def held(self, delivery: DeliveryFacts, audit: AuditSaid) -> Iterable[str]:
        """Yield since when and by whom, of what is held; time 0: nobody says. The audit is asked where the lane does not tell."""
        yield "# TYPE relay_paused_timestamp_seconds gauge"
        for source, pause in delivery.pauses.items():
            said = pause if pause.by else audit.pause(source)
            labels = f'lane="{self._lane}",source="{escape_label(source)}",by="{escape_label(said.by)}"'
            yield f"relay_paused_timestamp_seconds{{{labels}}} {said.since_ms // 1000}"


def of_no_lane(home: Outbox, config: Config) -> Iterable[str]:
    """Return the release, when each lane's token ends, what is dropped now. Raises OutboxUnavailable."""
    yield "# TYPE relay_build_info gauge"
    python = ".".join(map(str, sys.version_info[:2]))
    yield f'relay_build_info{{version="{escape_label(release())}",python="{python}"}} 1'
    yield "# TYPE relay_token_expiry_timestamp_seconds gauge"
    for lane in config.lane_names:
        ends = token_end(config.for_lane(lane).planhat.token_expires)
        if ends is not None:
            yield f'relay_token_expiry_timestamp_seconds{{lane="{escape_label(lane)}"}} {ends.timestamp():.0f}'
    yield "# TYPE relay_drop_ends_timestamp_seconds gauge"
    for row in home.drops()[:_ROWS]:
        labels = f'drop="{escape_label(str(row["id"]))}",source="{escape_label(str(row["source"]))}"'
        yield f"relay_drop_ends_timestamp_seconds{{{labels}}} {int(row['until_ms']) / 1000:.0f}"
