"""What /metrics says of each lane. Where there are several, each of its series carries the lane's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from relay.config import Config
from relay.outbox import keys
from relay.outbox.delivery import Delivery
from relay.outbox.epoch import read_life
from relay.outbox.items import STATES, balanced
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import reaching_redis
from relay.outbox.shared_metrics import SharedMetrics, escape_label, exposition
from relay.web.gauges import Gauges

#: Counted together by all processes of the installation, and of no lane.
OF_NO_LANE: Final = ("relay_worker_deaths_total", "relay_rules_reload_failures_total")


class LaneMetrics:
    """One lane's. `rows` may raise OutboxUnavailable."""

    def __init__(self, outbox: Outbox, delivery: Delivery) -> None:
        self.outbox = outbox
        self._delivery = delivery
        self._stored = SharedMetrics(outbox.redis, lane=outbox.lane_name, base=outbox.base)
        self._gauges = Gauges(outbox, delivery)

    def rows(self, config: Config) -> Iterable[str]:
        """Prometheus text lines."""
        outbox, delivery = self.outbox, self._delivery
        now_ms = outbox.now_ms()
        ledger = outbox.ledger()
        yield "# HELP relay_events_total Events by the ledger's words; pending is what waits now"
        yield "# TYPE relay_events_total counter"
        for source, counts in ledger.items():
            name = escape_label(source)
            for word in ("accepted", "duplicate", "ignored", "rejected", *STATES):
                yield f'relay_events_total{{source="{name}",state="{word}"}} {counts[word]}'
        yield "# TYPE relay_books_balanced gauge"
        yield f"relay_books_balanced {int(all(map(balanced, ledger.values())))}"
        yield "# TYPE relay_signature_failures_total counter"
        for source, failures in self._signature_failures(list(ledger)):
            yield f'relay_signature_failures_total{{source="{escape_label(source)}"}} {failures}'
        yield from self._gauges.rows(config, now_ms)
        oldest = outbox.oldest_pending_ms(now_ms=now_ms)
        yield "# TYPE relay_oldest_pending_seconds gauge"
        yield f"relay_oldest_pending_seconds {max(0, now_ms - oldest) / 1000 if oldest else 0:.3f}"
        state = delivery.read()
        yield "# TYPE relay_delivery_state gauge"
        for word in ("open", "backing_off", "blocked", "paused"):
            yield f'relay_delivery_state{{state="{word}"}} {int(state.state == word)}'
        yield "# TYPE relay_calls_per_minute_used gauge"
        yield f"relay_calls_per_minute_used {delivery.calls_used(now_ms=now_ms)}"
        yield from self._of_life()
        with reaching_redis():
            stored = self._stored.read()
        yield from exposition({name: value for name, value in stored.items() if not _of_no_lane(name)})

    def _of_life(self) -> Iterable[str]:
        life = read_life(self.outbox)
        yield "# TYPE relay_conversations_unsure gauge"
        yield f"relay_conversations_unsure {int(life.unsure)}"
        yield "# TYPE relay_newer_records gauge"
        yield f"relay_newer_records {self.outbox.newer_count()}"
        yield "# TYPE relay_redis_clock_back_total counter"
        yield f"relay_redis_clock_back_total {life.clock_back}"

    def _signature_failures(self, sources: list[str]) -> list[tuple[str, int]]:
        pipe = self.outbox.redis.pipeline(transaction=False)
        for source in sources:
            pipe.hget(self.outbox.prefix + keys.ledger(source), "signature_failures")
        with reaching_redis():
            return [(source, int(value or 0)) for source, value in zip(sources, pipe.execute(), strict=True)]


def shared_counters(home: Outbox) -> Iterable[str]:
    """Return what is counted of no lane. Raises OutboxUnavailable."""
    with reaching_redis():
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
