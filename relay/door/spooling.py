"""The door while Redis is away: verified requests go to the spool and come back through the same intake, in order.

Live traffic goes first: draining yields between small parts. A new process on the same folder drains before it takes
anything else.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

import orjson

from relay.door.house import Source
from relay.door.intake import Intake
from relay.door.mapping import parse_or_park
from relay.door.placing import record_placed
from relay.errors import NewerRecord, OutboxUnavailable, OverRate, RelayError, SourceError
from relay.event import Event
from relay.outbox.items import Entry
from relay.outbox.spool import Spool, Spooled
from relay.sources.base import Inbound
from relay.sources.large_json import TooDense
from relay.telemetry import log

SPOOL_SCHEMA = 1
#: Rows drained at once, fewer where they are large: where each write waits for the next sync, a part takes up to a second.
_PART = 500
#: After so many the event loop serves live requests.
_TURN = 25
#: Rows of lanes that take nothing that one drain goes past.
_PASSED = 2_000


def encode(source: str, inbound: Inbound, received_s: float) -> bytes:
    return orjson.dumps(
        {
            "v": SPOOL_SCHEMA,
            "source": source,
            "at": received_s,
            "method": inbound.method,
            "target": inbound.path_query,
            "query": dict(inbound.query),
            "headers": dict(inbound.headers),
            "body": base64.b64encode(inbound.body).decode(),
            "once": list(inbound.once),
        }
    )


def decode(row: bytes) -> tuple[str, Inbound, float]:
    """Read a row of the spool. Raises NewerRecord for a newer release's row, ValueError or KeyError for what is no row."""
    raw = orjson.loads(row)
    if isinstance(raw, dict) and isinstance(raw.get("v"), int) and raw["v"] > SPOOL_SCHEMA:
        raise NewerRecord(f"a spooled request of schema {raw['v']}; this release reads {SPOOL_SCHEMA}")
    if (
        not isinstance(raw, dict)
        or raw.get("v") not in (SPOOL_SCHEMA, SPOOL_SCHEMA - 1)
        or not isinstance(raw.get("headers"), dict)
        or not isinstance(raw.get("query"), dict)
    ):
        raise ValueError("not a spooled request")
    if (
        not isinstance(raw["body"], str)
        or not isinstance(raw["at"], (int, float))
        or not isinstance(raw["source"], str)
    ):
        raise ValueError("not a spooled request")
    inbound = Inbound(
        body=base64.b64decode(raw["body"]),
        headers=raw["headers"],
        method=raw["method"],
        path_query=raw["target"],
        query=raw["query"],
        once=tuple(str(key) for key in raw.get("once", ())),
    )
    return raw["source"], inbound, float(raw["at"])


#: (events, their externalIds, when they came in, their lane): whether somebody had what they concern erased there since then.
Covered = Callable[[Sequence[Event], Sequence[str], float, str], bool]


class _ErasedMeanwhile(Exception):
    """What a spooled mail belongs to was erased."""


class Spooler:
    """Group commit into the spool, and the way back. Runs in the web side's event loop. `covered` keeps what was erased
    meanwhile from coming back: a spool on another machine's disk is out of an erasure's reach. `refresh` is awaited before each part, so
    that `covered` knows of an erasure that came while much was brought back; it may raise OutboxUnavailable."""

    def __init__(
        self,
        spool: Spool,
        intake: Intake,
        *,
        covered: Covered | None = None,
        refresh: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.spool = spool
        self.covered = covered
        self._refresh = refresh
        #: Rows that only a newer release reads, as the last drain found them.
        self.newer = 0
        #: Where the next drain begins: the last one got so far past requests of lanes that took none.
        self._after = 0
        self._intake = intake
        self._waiting: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def spool_request(self, source: str, inbound: Inbound, received_s: float) -> None:
        """Returns once the request is on disk. Raises OutboxUnavailable where the spool cannot take it either."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((encode(source, inbound, received_s), future))
        if self._writer is None:
            self._writer = loop.create_task(self._write())
        await future

    async def _write(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), 500))]
                try:
                    await asyncio.to_thread(self.spool.append, [row for row, _ in group])
                except OutboxUnavailable as error:
                    for _, future in group:
                        if not future.done():
                            future.set_exception(OutboxUnavailable(str(error), error.retry_after_s))
                    continue
                for _, future in group:
                    if not future.done():
                        future.set_result(None)
        finally:
            self._writer = None

    async def drain(self) -> int:
        """Brings spooled requests back until none is left or every lane with some is away again; how many came. A newer release's are
        left where they are, and counted. A lane that takes nothing holds up no other: what is behind its requests comes all the
        same, some thousand rows a drain. Raises OutboxUnavailable where it cannot be asked what was erased."""
        came = newer = 0
        last, self._after = self._after, 0
        away: set[str] = set()
        lanes = set(self._intake.house.config.lane_names)
        passed = 0
        while self.spool.count:
            rows = await asyncio.to_thread(self.spool.oldest, _PART, after=last)
            if not rows:
                break
            last = rows[-1].row_id
            if self._refresh is not None:
                await self._refresh()
            done, left = await self._bring(rows, away)
            newer += left
            try:
                if done:
                    await asyncio.to_thread(self.spool.remove, done)
            except sqlite3.Error as error:
                # A full disk: they come again, and are duplicates then.
                log("spool.not_removed", level=logging.ERROR, error=type(error).__name__)
                break
            came += len(done)
            passed += len(rows) - len(done) if away else 0
            if away >= lanes or passed > _PASSED:
                self._after = 0 if away >= lanes else last
                break
        self.newer = newer
        if came:
            log("spool.drained", requests=came, left=self.spool.count, newer=newer)
        return came

    def _is_covered(
        self, source: Source, inbound: Inbound, entries: Sequence[Entry], received_s: float
    ) -> bool:
        if self.covered is None:
            return False
        parsed = parse_or_park(source.adapter, inbound, received_s)
        events = [one for one in parsed if isinstance(one, Event)]
        for lane in {entry.lane for entry in entries}:
            here = {entry.event_id: entry.external_id for entry in entries if entry.lane == lane}
            mine = [event for event in events if event.id in here]
            if self.covered(mine, list(here.values()), received_s, lane):
                return True
        return False

    async def _bring_one(
        self, source: Source, inbound: Inbound, entries: Sequence[Entry], received_s: float
    ) -> None:
        """Writes one request. A mail that turns out to belong to another thread is looked at once more: that one may be
        erased."""

        async def again(threads: Mapping[str, str]) -> Sequence[Entry]:
            mapped, _ = self._intake.map(source, inbound, now_s=received_s, threads=threads)
            if self._is_covered(source, inbound, mapped, received_s):
                raise _ErasedMeanwhile
            return mapped

        try:
            await record_placed(self._intake.records.record, entries, 0.0, again)
        except _ErasedMeanwhile:
            log("spool.erased", source=source.config.name)

    async def _bring(self, rows: Sequence[Spooled], away: set[str]) -> tuple[list[int], int]:
        """(rows that came, how many only a newer release reads). A part is written together. Lanes that take nothing are added to
        `away`; what is for them is not tried."""
        done: list[int] = []
        coming: list[tuple[int, str, Awaitable[object]]] = []
        newer = 0
        for at, spooled in enumerate(rows):
            if at % _TURN == 0:
                await asyncio.sleep(0)
            try:
                name, inbound, received_s = decode(spooled.row)
                source = self._intake.source(name)
                lane = source.config.lane
                if lane in away:
                    continue
                # An older release kept rows as they came.
                inbound = source.clean(inbound)
                entries = await self._intake.map_placed(source, inbound, now_s=received_s)
                if self._is_covered(source, inbound, entries, received_s):
                    log("spool.erased", source=name)
                    entries = []
            except OutboxUnavailable:
                # Whether it was erased is written there.
                away.add(lane)
            except NewerRecord:
                newer += 1
            except (SourceError, RelayError, TooDense, ValueError, KeyError) as error:
                # Its source has gone from the config, or its bytes make no sense any more: a person must look.
                log("spool.set_aside", level=logging.ERROR, why=type(error).__name__)
                await asyncio.to_thread(self.spool.put_aside, spooled.row_id, type(error).__name__)
            else:
                if entries:
                    bring = self._bring_one(source, inbound, entries, received_s)
                    coming.append((spooled.row_id, lane, bring))
                else:
                    done.append(spooled.row_id)
        outcomes = await asyncio.gather(*(record for _, _, record in coming), return_exceptions=True)
        for (row_id, lane, _), outcome in zip(coming, outcomes, strict=True):
            if isinstance(outcome, (OutboxUnavailable, OverRate)):
                away.add(lane)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                done.append(row_id)
        return done, newer
