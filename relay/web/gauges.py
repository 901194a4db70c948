"""What /metrics says by source and lane: what waits, what is dead and why, what a person has held or drops, when the token ends."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from relay.config import Config
from relay.operations.alerts.conditions import token_end
from relay.operations.dead.counts import DeadCounts
from relay.operations.differences import list_differences
from relay.outbox import keys
from relay.outbox.audit import read_audit
from relay.outbox.delivery import Delivery
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis
from relay.outbox.shared_metrics import escape_label
from relay.release import release

#: A label is no place for more.
_ROWS: Final = 100
_CAUSE_CHARS: Final = 100
_OTHERS: Final = "others"
#: Letters that a scrape looks at; those beyond are counted as others.
_LETTERS: Final = 10_000
_AUDIT_LINES: Final = 200


class Gauges:
    def __init__(self, outbox: Outbox, delivery: Delivery) -> None:
        self._outbox = outbox
        self._delivery = delivery
        self._dead = DeadCounts(outbox, most=_LETTERS)
        self._lane = escape_label(outbox.lane_name)

    def rows(self, config: Config, now_ms: int) -> Iterable[str]:
        """Yield Prometheus text lines. Raises OutboxUnavailable."""
        yield from self._pending(config)
        yield from self._dead_letters()
        yield from self._held(now_ms)
        yield "# TYPE relay_planhat_differences gauge"
        yield f"relay_planhat_differences {len(list_differences(self._outbox, now_ms=now_ms))}"

    def _pending(self, config: Config) -> Iterable[str]:
        lane = self._outbox.lane_name
        here = (name for name, source in config.sources.items() if source.lane == lane)
        names = sorted({*here, *self._outbox.sources()})
        with reaching_redis():
            pipe = self._outbox.redis.pipeline(transaction=False)
            for name in names:
                pipe.zcard(self._outbox.prefix + keys.due(name))
            counts: list[Any] = pipe.execute()
        yield "# TYPE relay_pending_items gauge"
        for name, number in zip(names, counts, strict=True):
            yield f'relay_pending_items{{lane="{self._lane}",source="{escape_label(name)}"}} {number}'

    def _dead_letters(self) -> Iterable[str]:
        shown: Counter[tuple[str, str]] = Counter()
        by_size = sorted(self._dead.look().items(), key=lambda pair: (-pair[1], pair[0]))
        for n, ((cause, source), number) in enumerate(by_size):
            shown[(cause[:_CAUSE_CHARS], source) if n < _ROWS else (_OTHERS, "")] += number
        rest = self._outbox.dead.count() - shown.total()
        if rest > 0:
            shown[_OTHERS, ""] += rest
        yield "# TYPE relay_dead_letters gauge"
        for (cause, source), number in sorted(shown.items()):
            labels = f'lane="{self._lane}",source="{escape_label(source)}",cause="{escape_label(cause)}"'
            yield f"relay_dead_letters{{{labels}}} {number}"

    def _held(self, now_ms: int) -> Iterable[str]:
        """When and by whom; the audit is asked only while something is held. Time 0: the audit does not say."""
        held = sorted(self._delivery.paused_sources())
        if self._delivery.read().state == "paused":
            held = ["", *held]
        yield "# TYPE relay_paused_timestamp_seconds gauge"
        if not held:
            return
        lines, _ = read_audit(self._outbox, until_ms=now_ms, limit=_AUDIT_LINES)
        for source in held:
            line = next(
                (one for one in lines if one.what == "pause" and (one.of.get("source") or "") == source), None
            )
            who, at_s = (line.who, line.at_ms / 1000) if line else ("", 0.0)
            labels = f'lane="{self._lane}",source="{escape_label(source)}",by="{escape_label(who)}"'
            yield f"relay_paused_timestamp_seconds{{{labels}}} {at_s:.0f}"


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
