"""What /metrics says of each lane. Where there are several, each of its series carries the lane's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from relay.config import Config
from relay.errors import OutboxUnavailable
from relay.operations.differences import reading_differences
from relay.outbox.books import (
    Books,
    reading_books,
    reading_moment,
    reading_newer,
    reading_oldest,
    reading_pending,
)
from relay.outbox.delivery import Delivery, DeliveryFacts
from relay.outbox.epoch import Life, reading_life
from relay.outbox.items import STATES, balanced
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.outbox.reading import Reading, together
from relay.outbox.shared_metrics import SharedMetrics, escape_label, exposition
from relay.web.gauges import AuditSaid, Gauges

#: Counted together by all processes of the installation, and of no lane.
OF_NO_LANE: Final = ("relay_worker_deaths_total", "relay_rules_reload_failures_total")


class LaneMetrics:
    """One lane's."""

    def __init__(self, outbox: Outbox, delivery: Delivery) -> None:
        self.outbox = outbox
        self._delivery = delivery
        self._stored = SharedMetrics(outbox.redis, lane=outbox.lane_name, base=outbox.base)
        self._gauges = Gauges(outbox)

    def reading(self, configured: Sequence[str], audit: AuditSaid) -> Reading[list[str]]:
        """Prometheus text lines. `configured`: the sources whose events go here; `audit` may be asked here and now."""
        outbox = self.outbox
        now_ms, names = yield from reading_moment(outbox)
        known = sorted({*configured, *names})
        books, pending, oldest, delivery, life, newer, dead, differences, stored = yield from together(
            reading_books(outbox, names),
            reading_pending(outbox, known),
            reading_oldest(outbox, names, now_ms),
            self._delivery.reading(now_ms),
            reading_life(outbox),
            reading_newer(outbox, now_ms),
            self._gauges.dead(),
            reading_differences(outbox, now_ms),
            self._stored.reading(),
        )
        oldest_s = max(0, now_ms - oldest) / 1000 if oldest else 0
        return [
            *_of_books(books),
            *self._gauges.pending(pending),
            *self._gauges.dead_letters(*dead),
            *self._gauges.held(delivery, audit),
            "# TYPE relay_planhat_differences gauge",
            f"relay_planhat_differences {len(differences)}",
            "# TYPE relay_oldest_pending_seconds gauge",
            f"relay_oldest_pending_seconds {oldest_s:.3f}",
            *_of_delivery(delivery),
            *_of_life(life, newer),
            *exposition({name: value for name, value in stored.items() if not _of_no_lane(name)}),
        ]


def _of_books(books: Books) -> Iterable[str]:
    ledger = books.ledger()
    yield "# HELP relay_events_total Events by the ledger's words; pending is what waits now"
    yield "# TYPE relay_events_total counter"
    for source, counts in ledger.items():
        name = escape_label(source)
        for word in ("accepted", "duplicate", "ignored", "rejected", *STATES):
            yield f'relay_events_total{{source="{name}",state="{word}"}} {counts[word]}'
    yield "# TYPE relay_books_balanced gauge"
    yield f"relay_books_balanced {int(all(map(balanced, ledger.values())))}"
    yield "# TYPE relay_signature_failures_total counter"
    for source, failures in books.of("signature_failures").items():
        yield f'relay_signature_failures_total{{source="{escape_label(source)}"}} {failures}'


def _of_delivery(found: DeliveryFacts) -> Iterable[str]:
    yield "# TYPE relay_delivery_state gauge"
    for word in ("open", "backing_off", "blocked", "paused"):
        yield f'relay_delivery_state{{state="{word}"}} {int(found.state.state == word)}'
    yield "# TYPE relay_calls_per_minute_used gauge"
    yield f"relay_calls_per_minute_used {found.calls_used}"


def _of_life(life: Life, newer: int) -> Iterable[str]:
    yield "# TYPE relay_conversations_unsure gauge"
    yield f"relay_conversations_unsure {int(life.unsure)}"
    yield "# TYPE relay_newer_records gauge"
    yield f"relay_newer_records {newer}"
    yield "# TYPE relay_redis_clock_back_total counter"
    yield f"relay_redis_clock_back_total {life.clock_back}"


def rows_together(
    servers: LaneServers, lanes: Sequence[LaneMetrics], config: Config, audit: AuditSaid, *, limit_s: float
) -> list[list[str] | OutboxUnavailable]:
    """Return each lane's Prometheus text lines, one round trip a question for each server; of one that did not answer the error."""
    here: dict[str, list[str]] = {}
    for name, source in config.sources.items():
        here.setdefault(source.lane, []).append(name)
    return servers.read(
        [lane.outbox for lane in lanes],
        lambda place: lanes[place].reading(here.get(lanes[place].outbox.lane_name, ()), audit),
        limit_s=limit_s,
    )


def shared_counters(home: Outbox) -> Iterable[str]:
    """Return what is counted of no lane. Raises OutboxUnavailable."""
    stored = SharedMetrics(home.redis, base=home.base).read()
    return exposition({name: value for name, value in stored.items() if _of_no_lane(name)})


def _of_no_lane(field: str) -> bool:
    return field.partition("|")[0] in OF_NO_LANE


def with_lane(rows: Mapping[str, Iterable[str]]) -> Iterable[str]:
    """Return the rows of several lanes: each family once, its samples labelled with their lane."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    for lane, lines in rows.items():
        label = f'lane="{escape_label(lane)}"'
        heads: list[str] = []
        samples: list[str] = []
        for line in lines:
            if line.startswith("# HELP "):
                heads = [line]
            elif line.startswith("# TYPE "):
                heads = [*heads, line] if heads and heads[-1].startswith("# HELP ") else [line]
                _, samples = families.setdefault(line.split(" ")[2], (heads, []))
            elif line:
                samples.append(_labelled(line, label))
    for heads, samples in families.values():
        yield from heads
        yield from samples


def _labelled(sample: str, label: str) -> str:
    name, brace, rest = sample.partition("{")
    if not brace:
        name, _, value = sample.partition(" ")
        return f"{name}{{{label}}} {value}"
    return sample if rest.startswith('lane="') or ',lane="' in rest else f"{name}{{{label},{rest}"
