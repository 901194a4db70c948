"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, get_args

import orjson
from prometheus_client import generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from relay.config import Config
from relay.door.spooling import Spooler
from relay.errors import OutboxUnavailable
from relay.outbox import keys
from relay.outbox.delivery import Delivery
from relay.outbox.durability import Confirmed, Durability
from relay.outbox.epoch import read_life
from relay.outbox.items import STATES, balanced
from relay.outbox.outbox import Outbox
from relay.outbox.processes import delivering, read_processes
from relay.outbox.scripts import reaching_redis
from relay.outbox.shared_metrics import SharedMetrics, escape_label, exposition
from relay.telemetry import with_help
from relay.web.gauges import Gauges
from relay.web.tally import Tally
from relay.web.watch import NO_ANSWER, RedisWatch, Seen

#: What `/metrics` takes at most, whatever Redis does, and what it leaves for reading there.
_ANSWER_S: Final = 2.7
_LEAST_S: Final = 0.3


class Health:
    """`stopping` is set on SIGTERM, so that no new traffic comes while what is held is finished."""

    def __init__(
        self,
        outbox: Outbox,
        delivery: Delivery,
        tally: Tally,
        watch: RedisWatch,
        *,
        damaged_secrets: Callable[[], list[str]] = list,
        config: Callable[[], Config] = Config,
    ) -> None:
        self._outbox = outbox
        self._delivery = delivery
        self._tally = tally
        self._watch = watch
        self._metrics = SharedMetrics(outbox.redis, lane=outbox.lane_name, base=outbox.base)
        #: Sentences on secrets whose last good value is in use: said, but no reason to refuse events.
        self._damaged_secrets = damaged_secrets
        self._config = config
        self._gauges = Gauges(outbox, delivery)
        self.stopping = False
        #: Takes what Redis does not: with one, the relay is ready while Redis is away or full.
        self.spooler: Spooler | None = None

    async def healthz(self, request: Request) -> Response:
        return Response(b'{"status":"alive"}', media_type="application/json")

    async def readyz(self, request: Request) -> Response:
        problems = ("stopping",) if self.stopping else self.problems(await self._watch.seen())
        said = [*problems, *await run_in_threadpool(self._damaged_secrets)]
        body = orjson.dumps({"ready": not problems, "problems": said})
        return Response(body, status_code=503 if problems else 200, media_type="application/json")

    def problems(self, seen: Seen) -> tuple[str, ...]:
        """Why events cannot be durably accepted now; empty: they can."""
        if seen.away and not self._spool_takes():
            return (*seen.problems, seen.away)
        return seen.problems

    def _spool_takes(self) -> bool:
        return self.spooler is not None and not self.spooler.spool.full()

    async def metrics(self, request: Request) -> Response:
        began = time.monotonic()
        seen = await self._watch.seen()
        reading = asyncio.ensure_future(run_in_threadpool(self.exposition, seen))
        # A look that has used up the time leaves a moment: Redis answers, or it hangs.
        left_s = max(_LEAST_S, _ANSWER_S - (time.monotonic() - began))
        done, _ = await asyncio.wait([reading], timeout=left_s)
        if not done:
            reading.add_done_callback(asyncio.Future.exception)
            reading = asyncio.ensure_future(run_in_threadpool(self.exposition, Seen(away=NO_ANSWER)))
        text = await reading
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    def exposition(self, seen: Seen | None = None) -> bytes:
        """Everything /metrics says, as Prometheus text. What Redis holds is left out where it does not answer."""
        seen = seen or self._watch.look()
        parts = [generate_latest(self._tally.registry)]
        ready = int(not self.stopping and not self.problems(seen))
        parts.append(f"# TYPE relay_ready gauge\nrelay_ready {ready}\n".encode())
        try:
            if seen.durability is None:
                raise OutboxUnavailable(seen.away)
            with reaching_redis():
                parts.append("\n".join([*self._from_redis(seen.durability), ""]).encode())
        except OutboxUnavailable:
            parts.append(b"# TYPE relay_redis_up gauge\nrelay_redis_up 0\n")
        damaged = len(self._damaged_secrets())
        parts.append(f"# TYPE relay_damaged_secrets gauge\nrelay_damaged_secrets {damaged}\n".encode())
        if self.spooler is not None:
            spool = self.spooler.spool
            for name, kind, number in (
                ("relay_spool_requests", "gauge", spool.count),
                ("relay_spool_bytes", "gauge", spool.size_bytes),
                ("relay_spool_newer_requests", "gauge", self.spooler.newer),
                ("relay_spool_set_aside_total", "counter", spool.set_aside),
            ):
                parts.append(f"# TYPE {name} {kind}\n{name} {number}\n".encode())
        return with_help(b"".join(parts).decode()).encode()

    def _from_redis(self, durability: Durability) -> Iterable[str]:
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
        yield "# TYPE relay_books_balanced gauge"
        yield f"relay_books_balanced {int(all(map(balanced, ledger.values())))}"
        yield "# TYPE relay_signature_failures_total counter"
        for source, failures in self._signature_failures(list(ledger)):
            yield f'relay_signature_failures_total{{source="{escape_label(source)}"}} {failures}'
        yield from self._gauges.rows(self._config(), now_ms)
        oldest = outbox.oldest_pending_ms(now_ms=now_ms)
        yield "# TYPE relay_oldest_pending_seconds gauge"
        yield f"relay_oldest_pending_seconds {max(0, now_ms - oldest) / 1000 if oldest else 0:.3f}"
        state = delivery.read()
        yield "# TYPE relay_delivery_state gauge"
        for word in ("open", "backing_off", "blocked", "paused"):
            yield f'relay_delivery_state{{state="{word}"}} {int(state.state == word)}'
        yield "# TYPE relay_calls_per_minute_used gauge"
        yield f"relay_calls_per_minute_used {delivery.calls_used(now_ms=now_ms)}"
        yield from _of_durability(durability)
        yield "# TYPE relay_redis_memory_bytes gauge"
        yield f"relay_redis_memory_bytes {durability.used_bytes}"
        yield "# TYPE relay_redis_memory_max_bytes gauge"
        yield f"relay_redis_memory_max_bytes {durability.max_bytes}"
        yield from self._of_processes(now_ms)
        yield from self._of_life()
        yield from exposition(self._metrics.read())

    def _of_life(self) -> Iterable[str]:
        life = read_life(self._outbox)
        yield "# TYPE relay_conversations_unsure gauge"
        yield f"relay_conversations_unsure {int(life.unsure)}"
        yield "# TYPE relay_newer_records gauge"
        yield f"relay_newer_records {self._outbox.newer_count()}"
        yield "# TYPE relay_redis_clock_back_total counter"
        yield f"relay_redis_clock_back_total {life.clock_back}"

    def _signature_failures(self, sources: list[str]) -> list[tuple[str, int]]:
        pipe = self._outbox.redis.pipeline(transaction=False)
        for source in sources:
            pipe.hget(self._outbox.prefix + keys.ledger(source), "signature_failures")
        return [(source, int(value or 0)) for source, value in zip(sources, pipe.execute(), strict=True)]

    def _of_processes(self, now_ms: int) -> Iterable[str]:
        processes = read_processes(self._outbox, now_ms=now_ms)
        found = delivering(self._outbox, processes, now_ms=now_ms)
        age_s = float("inf") if found.asked_ms is None else max(0, now_ms - found.asked_ms) / 1000
        yield "# TYPE relay_worker_heartbeat_age_seconds gauge"
        yield f"relay_worker_heartbeat_age_seconds {age_s:.3f}"
        yield "# TYPE relay_flush_alive gauge"
        yield f"relay_flush_alive {int(found.alive)}"
        yield "# TYPE relay_processes gauge"
        running = Counter((p.role, p.release) for p in processes if p.alive(now_ms))
        for (role, release), number in sorted(running.items()):
            yield f'relay_processes{{role="{role}",release="{escape_label(release)}"}} {number}'


def _of_durability(found: Durability) -> Iterable[str]:
    """Whether what Redis took is on disk when it says so, and who vouches for that."""
    yield "# TYPE relay_redis_durable gauge"
    yield f"relay_redis_durable {int(not found.problems)}"
    yield "# TYPE relay_redis_fsync_confirmed gauge"
    for word in get_args(Confirmed):
        yield f'relay_redis_fsync_confirmed{{by="{word}"}} {int(found.confirmed_by == word)}'
