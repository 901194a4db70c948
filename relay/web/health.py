"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import orjson
from prometheus_client import generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from relay.errors import OutboxUnavailable
from relay.outbox.delivery import Delivery
from relay.outbox.durability import Durability, examine, refuses_writes
from relay.outbox.heartbeat import last_beat_ms
from relay.outbox.items import STATES
from relay.outbox.outbox import Outbox
from relay.outbox.spool import Spool
from relay.telemetry import SharedMetrics, escape_label, exposition, with_help
from relay.web.tally import Tally

#: What is asked of Redis for readiness is asked at most this often, however many probes come.
READY_FOR_S = 1.0


class Health:
    """`stopping` is set on SIGTERM, so that no new traffic comes while what is held is finished."""

    def __init__(
        self,
        outbox: Outbox,
        delivery: Delivery,
        tally: Tally,
        *,
        require_durable: bool,
        damaged_secrets: Callable[[], list[str]] = list,
    ) -> None:
        self._outbox = outbox
        self._delivery = delivery
        self._tally = tally
        self._metrics = SharedMetrics(outbox.redis, lane=outbox.lane)
        self._require_durable = require_durable
        #: Sentences on secrets whose last good value is in use: said, but no reason to refuse events.
        self._damaged_secrets = damaged_secrets
        self._checked_at = 0.0
        self._problems: tuple[str, ...] = ("not checked yet",)
        self.stopping = False
        self.durability: Durability | None = None
        #: Takes what Redis does not: with one, the relay is ready while Redis is away.
        self.spool: Spool | None = None

    async def healthz(self, request: Request) -> Response:
        return Response(b'{"status":"alive"}', media_type="application/json")

    async def readyz(self, request: Request) -> Response:
        problems = ("stopping",) if self.stopping else await run_in_threadpool(self.check)
        said = [*problems, *await run_in_threadpool(self._damaged_secrets)]
        body = orjson.dumps({"ready": not problems, "problems": said})
        return Response(body, status_code=503 if problems else 200, media_type="application/json")

    def check(self) -> tuple[str, ...]:
        """Why events cannot be durably accepted now; empty: they can."""
        if time.monotonic() - self._checked_at > READY_FOR_S:
            self._problems = self._examine()
            self._checked_at = time.monotonic()
        return self._problems

    def expire(self) -> None:
        """What was found is no longer true: ask again at the next probe."""
        self._checked_at = 0.0

    def _examine(self) -> tuple[str, ...]:
        try:
            found = self.durability = examine(self._outbox.redis)
        except OutboxUnavailable as error:
            return () if self._spool_takes() else (str(error),)
        problems = list(found.problems) if self._require_durable else []
        if found.max_bytes and found.used_bytes >= found.max_bytes:
            problems.append("Redis is over its memory limit; raise maxmemory or lower keep:")
        refusal = refuses_writes(self._outbox.redis)
        if refusal and not self._spool_takes():
            problems.append(refusal)
        return tuple(problems)

    def _spool_takes(self) -> bool:
        return self.spool is not None and not self.spool.full()

    async def metrics(self, request: Request) -> Response:
        text = await run_in_threadpool(self.exposition)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    def exposition(self) -> bytes:
        """Everything /metrics says, as Prometheus text."""
        parts = [generate_latest(self._tally.registry)]
        try:
            parts.append("\n".join([*self._from_redis(), ""]).encode())
        except OutboxUnavailable:
            parts.append(b"# TYPE relay_redis_up gauge\nrelay_redis_up 0\n")
        damaged = len(self._damaged_secrets())
        parts.append(f"# TYPE relay_damaged_secrets gauge\nrelay_damaged_secrets {damaged}\n".encode())
        if self.spool is not None:
            parts.append(
                f"# TYPE relay_spool_requests gauge\nrelay_spool_requests {self.spool.count}\n"
                f"# TYPE relay_spool_bytes gauge\nrelay_spool_bytes {self.spool.size_bytes}\n"
                f"# TYPE relay_spool_set_aside_total counter\nrelay_spool_set_aside_total {self.spool.set_aside}\n".encode()
            )
        return with_help(b"".join(parts).decode()).encode()

    def _from_redis(self) -> Iterable[str]:
        outbox, delivery = self._outbox, self._delivery
        now_ms = outbox.now_ms()
        yield "# TYPE relay_redis_up gauge"
        yield "relay_redis_up 1"
        ledger = outbox.ledger()
        yield "# HELP relay_events_total Events by the ledger's words; pending is what waits now"
        yield "# TYPE relay_events_total counter"
        for source, counts in ledger.items():
            name = escape_label(source)
            for word in ("accepted", "duplicate", "ignored", "rejected", *STATES):
                yield f'relay_events_total{{source="{name}",state="{word}"}} {counts[word]}'
        balanced = all(c["accepted"] == sum(c[state] for state in STATES) for c in ledger.values())
        yield "# TYPE relay_books_balanced gauge"
        yield f"relay_books_balanced {int(balanced)}"
        yield "# TYPE relay_signature_failures_total counter"
        for source, failures in self._signature_failures(list(ledger)):
            yield f'relay_signature_failures_total{{source="{escape_label(source)}"}} {failures}'
        yield "# TYPE relay_pending_items gauge"
        yield f"relay_pending_items {outbox.pending_items()}"
        oldest = outbox.oldest_pending_ms(now_ms=now_ms)
        yield "# TYPE relay_oldest_pending_seconds gauge"
        yield f"relay_oldest_pending_seconds {max(0, now_ms - oldest) / 1000 if oldest else 0:.3f}"
        yield "# TYPE relay_dead_letters gauge"
        causes = self._dead_causes()
        for cause, number in sorted(causes.items()):
            yield f'relay_dead_letters{{cause="{escape_label(cause)}"}} {number}'
        state = delivery.read()
        yield "# TYPE relay_delivery_state gauge"
        for word in ("open", "backing_off", "blocked", "paused"):
            yield f'relay_delivery_state{{state="{word}"}} {int(state.state == word)}'
        yield "# TYPE relay_calls_per_minute_used gauge"
        yield f"relay_calls_per_minute_used {delivery.calls_used(now_ms=now_ms)}"
        durability = examine(outbox.redis)
        yield "# TYPE relay_redis_memory_bytes gauge"
        yield f"relay_redis_memory_bytes {durability.used_bytes}"
        yield "# TYPE relay_redis_memory_max_bytes gauge"
        yield f"relay_redis_memory_max_bytes {durability.max_bytes}"
        yield "# TYPE relay_worker_heartbeat_age_seconds gauge"
        yield f"relay_worker_heartbeat_age_seconds {self._heartbeat_age_s(now_ms):.3f}"
        yield from exposition(self._metrics.read())

    def _signature_failures(self, sources: list[str]) -> list[tuple[str, int]]:
        pipe = self._outbox.redis.pipeline(transaction=False)
        for source in sources:
            pipe.hget(f"{self._outbox.prefix}ledger:{source}", "signature_failures")
        return [(source, int(value or 0)) for source, value in zip(sources, pipe.execute(), strict=True)]

    def _dead_causes(self) -> dict[str, int]:
        """Dead letters by cause; only the newest thousand are read, a label is no place for more."""
        causes: dict[str, int] = {}
        for letter in self._outbox.dead_letters(self._outbox.dead_ids(limit=1000)):
            cause = str(orjson.loads(letter.record).get("cause", ""))[:100]
            causes[cause] = causes.get(cause, 0) + 1
        return causes

    def _heartbeat_age_s(self, now_ms: int) -> float:
        """Seconds since any worker's last sign of life; +Inf where there is none."""
        newest = last_beat_ms(self._outbox)
        return float("inf") if newest is None else max(0, now_ms - newest) / 1000
