"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias, get_args

import orjson
from prometheus_client import generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from relay.config import Config
from relay.door.spooling import Spooler
from relay.errors import OutboxUnavailable
from relay.outbox.durability import Confirmed, Durability
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.outbox.processes import delivering, read_processes
from relay.outbox.scripts import reaching_redis
from relay.outbox.shared_metrics import escape_label
from relay.telemetry import with_help
from relay.web.gauges import AuditSaid, of_no_lane
from relay.web.lane_metrics import LaneMetrics, rows_together, shared_counters, with_lane
from relay.web.lanes import WebLanes
from relay.web.tally import Tally
from relay.web.watch import NO_ANSWER, RedisWatch, Seen

#: What `/metrics` takes at most, whatever Redis does, and what it leaves for reading there.
_ANSWER_S: Final = 2.7
_LEAST_S: Final = 0.3
#: What a server of the lanes is waited for.
_LANES_S: Final = 2.0

#: A lane, and its Prometheus text lines, or why there are none.
LaneRows: TypeAlias = tuple[str, list[str] | OutboxUnavailable]


class Health:
    """`stopping` is set on SIGTERM, so that no new traffic comes while what is held is finished."""

    def __init__(
        self,
        home: Outbox,
        lanes: WebLanes,
        tally: Tally,
        watch: RedisWatch,
        *,
        damaged_secrets: Callable[[], list[str]] = list,
        config: Callable[[], Config] = Config,
    ) -> None:
        self._home = home
        self._lanes = lanes
        self._tally = tally
        self._watch = watch
        self._metrics: dict[str, LaneMetrics] = {}
        self._servers = LaneServers()
        #: Sentences on secrets whose last good value is in use: said, but no reason to refuse events.
        self._damaged_secrets = damaged_secrets
        self._config = config
        self.stopping = False
        #: Takes what Redis does not: with one, the relay is ready while Redis is away or full.
        self.spooler: Spooler | None = None

    async def healthz(self, request: Request) -> Response:
        return Response(b'{"status":"alive"}', media_type="application/json")

    async def readyz(self, request: Request) -> Response:
        seen = self._watch.last if self.stopping else await self._watch.seen()
        problems = ("stopping",) if self.stopping else self.problems(seen)
        said = [*problems, *await run_in_threadpool(self._damaged_secrets)]
        found: dict[str, Any] = {"ready": not problems, "problems": said}
        if self._lanes.named:
            # One lane that takes nothing is no reason to send the others' events away.
            found["lanes"] = {lane.name: seen.strangers.get(lane.name, "") for lane in self._lanes}
        body = orjson.dumps(found)
        return Response(body, status_code=503 if problems else 200, media_type="application/json")

    def problems(self, seen: Seen) -> tuple[str, ...]:
        """Return why events cannot be durably accepted now; empty: they can."""
        if seen.away and not seen.elsewhere and not self._spool_takes():
            return (*seen.problems, seen.away)
        return seen.problems

    def _spool_takes(self) -> bool:
        return self.spooler is not None and not self.spooler.spool.full()

    async def metrics(self, request: Request) -> Response:
        began = time.monotonic()
        # Beside the look: where that waits for a server that hangs, the lanes on others are told of all the same.
        lanes = asyncio.ensure_future(run_in_threadpool(self._read_lanes, _LANES_S))
        lanes.add_done_callback(asyncio.Future.exception)
        seen = await self._watch.seen()
        # A look that has used up the time leaves a moment: Redis answers, or it hangs.
        await asyncio.wait([lanes], timeout=_left_s(began))
        read = lanes.result() if lanes.done() else []
        reading = asyncio.ensure_future(run_in_threadpool(self.exposition, seen, read))
        done, _ = await asyncio.wait([reading], timeout=_left_s(began))
        if not done:
            reading.add_done_callback(asyncio.Future.exception)
            reading = asyncio.ensure_future(run_in_threadpool(self.exposition, Seen(away=NO_ANSWER), read))
        text = await reading
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    def exposition(self, seen: Seen | None = None, lanes: Sequence[LaneRows] | None = None) -> bytes:
        """Give everything /metrics says, as Prometheus text. What Redis holds is left out where it does not answer. `lanes`: what was
        read of them; None: it is read now."""
        seen = seen or self._watch.look()
        lanes = self._read_lanes(_LANES_S) if lanes is None else lanes
        parts = [generate_latest(self._tally.registry)]
        ready = int(not self.stopping and not self.problems(seen))
        parts.append(f"# TYPE relay_ready gauge\nrelay_ready {ready}\n".encode())
        try:
            told = self._lanes.named or any(isinstance(rows, list) for _, rows in lanes)
            if seen.durability is None or not told:
                raise OutboxUnavailable(seen.away)
            with reaching_redis():
                parts.append("\n".join([*self._from_redis(seen.durability), ""]).encode())
        except OutboxUnavailable:
            parts.append(b"# TYPE relay_redis_up gauge\nrelay_redis_up 0\n")
        parts.append("\n".join([*self._of_lanes(lanes), ""]).encode())
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
        home, config = self._home, self._config()
        yield "# TYPE relay_redis_up gauge"
        yield "relay_redis_up 1"
        yield from of_no_lane(home, config)
        yield from _of_durability(durability)
        yield "# TYPE relay_redis_memory_bytes gauge"
        yield f"relay_redis_memory_bytes {durability.used_bytes}"
        yield "# TYPE relay_redis_memory_max_bytes gauge"
        yield f"relay_redis_memory_max_bytes {durability.max_bytes}"
        yield from self._of_processes(home.now_ms())
        yield from shared_counters(home)

    def _read_lanes(self, limit_s: float) -> list[LaneRows]:
        """Each lane's name, and what it says or why it does not."""
        held, made = self._metrics, {}
        lanes = tuple(self._lanes) if self._lanes.named else (self._lanes.first,)
        for lane in lanes:
            known = held.get(lane.name)
            if known is None or known.outbox is not lane.outbox:
                known = LaneMetrics(lane.outbox, lane.delivery)
            made[lane.name] = known
        self._metrics = made
        audit = AuditSaid(self._home)
        rows = rows_together(self._servers, list(made.values()), self._config(), audit, limit_s=limit_s)
        return [(lane.name, own) for lane, own in zip(lanes, rows, strict=True)]

    def _of_lanes(self, lanes: Sequence[LaneRows]) -> Iterable[str]:
        told = {name: rows for name, rows in lanes if isinstance(rows, list)}
        if not self._lanes.named:
            yield from next(iter(told.values()), [])
            return
        yield "# TYPE relay_lane_redis_up gauge"
        answered = {name: name in told for name, _ in lanes} or dict.fromkeys(
            (lane.name for lane in self._lanes), False
        )
        for name, up in answered.items():
            yield f'relay_lane_redis_up{{lane="{escape_label(name)}"}} {int(up)}'
        yield from with_lane(told)

    def _of_processes(self, now_ms: int) -> Iterable[str]:
        processes = read_processes(self._home, now_ms=now_ms)
        found = delivering(self._home, processes, now_ms=now_ms)
        age_s = float("inf") if found.asked_ms is None else max(0, now_ms - found.asked_ms) / 1000
        yield "# TYPE relay_worker_heartbeat_age_seconds gauge"
        yield f"relay_worker_heartbeat_age_seconds {age_s:.3f}"
        yield "# TYPE relay_flush_alive gauge"
        yield f"relay_flush_alive {int(found.alive)}"
        yield "# TYPE relay_processes gauge"
        running = Counter((p.role, p.release) for p in processes if p.alive(now_ms))
        for (role, release), number in sorted(running.items()):
            yield f'relay_processes{{role="{role}",release="{escape_label(release)}"}} {number}'


def _left_s(began: float) -> float:
    """What is left of the time for an answer that began then."""
    return max(_LEAST_S, _ANSWER_S - (time.monotonic() - began))


def _of_durability(found: Durability) -> Iterable[str]:
    """Whether what Redis took is on disk when it says so, and who vouches for that."""
    yield "# TYPE relay_redis_durable gauge"
    yield f"relay_redis_durable {int(not found.problems)}"
    yield "# TYPE relay_redis_fsync_confirmed gauge"
    for word in get_args(Confirmed):
        yield f'relay_redis_fsync_confirmed{{by="{word}"}} {int(found.confirmed_by == word)}'
