"""The core: claim what is due, fold, find the company, send, settle. One flush job owns the lane at a time.

    claim -> fold -> nothing new?  -> settle as unchanged
                  -> no company?   -> dead letter (stage resolve), or later where the look-up failed
                  -> batches by items and bytes -> one call at a time within the fleet's pace
                  -> one outcome per item -> settle

While a call is under way, the batch before it is settled and the one after it is made ready, where more than one call's
worth is due. Otherwise each call waits for nothing but the answer to the one before: what comes meanwhile is its batch.
While calls are plentiful what is ready goes, be it a full batch or not (`GATHER_S`).

Only a verdict on the item charges the item: a refusal is spaced and counted, the last one buries. Whatever befalls
the whole call changes the state of delivery and hands the items back as they were.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Final, Protocol, TypeVar

from relay.config import Config
from relay.outbox.delivery import CallPermit, DeliveryState
from relay.outbox.items import Settled, Settlement
from relay.outbox.outbox import Outbox
from relay.planhat.report import Answer, Garbled, Rejected, Report, Throttled, TooLarge, Unavailable
from relay.planhat.resolve import Delivered, Hold, Outcome, Refused, Resolution, Row
from relay.telemetry import SharedMetrics, log
from workers.companies.directory import Directory
from workers.flush.address import Addressing
from workers.flush.fold import OutgoingItem
from workers.flush.lane import Lane
from workers.flush.prepare import Enriches, Preparation, parts
from workers.flush.settle import CallFacts, Settlements, hand_back
from workers.pace.pace import Limits, Pace

#: A job drains for so long and then hands over to a successor, so that RQ sees jobs end.
SLICE_S: Final = 15.0
#: No further call of a batch begins later than this into the job: RQ ends a job at 180 s, and one call may take 60.
LAST_CALL_S: Final = 100.0
#: While calls are plentiful none waits for a full batch much longer than this after the one before: Planhat would have
#: nothing to do meanwhile. A call costs the worker 5 ms beside its items.
GATHER_S: Final = 0.15
_LOOK_AGAIN_S: Final = 0.1
#: So many parts may be on their way to Redis unanswered.
_UNANSWERED: Final = 4
_DONE: Final = object()
#: What a proxy in front of Planhat answers where Planhat takes too long.
_GATEWAY_GAVE_UP: Final = frozenset({408, 502, 504, 524})

_T = TypeVar("_T")


class Bells(Protocol):
    def ring_flush(self, generation: int) -> bool: ...


class Reader(Protocol):
    """Reads back what was delivered (see `readback.py`)."""

    def consider(self, outgoing: OutgoingItem, planhat_id: str) -> None: ...

    def look(self) -> None: ...


class Beside:
    """Makes a call in a thread of its own, and goes on with something else: `meanwhile()` does a little of it, and is
    False where there is nothing left to do."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "call")

    def __call__(self, call: Callable[[], Answer], meanwhile: Callable[[], bool]) -> Answer:
        answer = self._thread.submit(call)
        while not answer.done() and meanwhile():
            pass
        return answer.result()


class Flush:
    """One process's flushing. `upsert(body, timeout_s)` makes the call; `stopping()` is True once the process is to
    end; `overdue()` once it should have ended."""

    def __init__(
        self,
        config: Config,
        outbox: Outbox,
        pace: Pace,
        directory: Directory,
        upsert: Callable[[bytes, float], Answer],
        *,
        bell: Bells,
        metrics: SharedMetrics,
        reader: Reader | None = None,
        enricher: Enriches | None = None,
        beside: Callable[[Callable[[], Answer], Callable[[], bool]], Answer] | None = None,
        stopping: Callable[[], bool] = lambda: False,
        overdue: Callable[[], bool] = lambda: False,
        chance: Random | None = None,
        slice_s: float = SLICE_S,
        gather_s: float = GATHER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self._outbox = outbox
        self._pace = pace
        self._settling = Settlements(config, metrics, chance or Random())  # noqa: S311 - jitter, no secret
        self._addressing = Addressing(config, outbox, directory, self._settling, metrics)
        self._upsert = upsert
        self._bell = bell
        self._metrics = metrics
        self._reader = reader
        self._enricher = enricher
        self._beside = beside or Beside()
        self._stopping = stopping
        self._overdue = overdue
        self._slice_s = slice_s
        self._gather_s = gather_s
        self._clock = clock
        self._began = self._taken_at = 0.0
        self._batch = ""
        self._batches = 0
        #: What is left to do for the batch before: its verdicts, a part a step.
        self._chores: deque[Iterator[None]] = deque()
        self._unanswered: deque[Callable[[], Settled]] = deque()
        #: Makes a part of the next batch ready. None: it is not to be made ahead.
        self._ahead: Callable[[], bool] | None = None
        #: Lets the items of the call under way share its body. None: they do, or none is under way.
        self._unshared: Callable[[], None] | None = None

    # -- the job ---------------------------------------------------------------------------------------------

    def run(self, generation: int) -> int:
        """Drains the lane for one slice; how many items were claimed. Raises OutboxUnavailable when Redis stays away."""
        self._began = self._taken_at = self._clock()
        self._forget()
        if not self._outbox.own(generation):
            return 0
        lease_s = self.config.planhat.lease_s
        with Lane(
            self._outbox, generation, lease_s=lease_s, overdue=self._overdue, clock=self._clock
        ) as lane:
            preparation = Preparation(
                lane,
                self._addressing,
                self._settling,
                partial(self._settle, lane),
                enricher=self._enricher,
                now_ms=self._outbox.about_ms,
            )
            self._drain(lane, preparation)
        self._metrics.flush()
        return preparation.claimed

    def _forget(self) -> None:
        """What a job that was cut off has left: its items are due again after their lease."""
        self._ahead = self._unshared = None
        self._chores.clear()
        self._unanswered.clear()
        if self._outbox.pipe:
            self._outbox.pipe.reset()

    def _drain(self, lane: Lane, preparation: Preparation) -> None:
        plain, limits, last = False, None, False
        while True:
            late = self._late()
            # What is ready when the slice ends goes with one more call, a full one; what that has no room for goes back.
            done = late and (last or not len(preparation)) and not preparation.suspects
            if self._stopping() or lane.lost or done:
                self._end(lane, preparation, hand_over=late and not self._stopping())
                return
            # Where a batch is ready one question is enough: whether it may go, and that it goes.
            seize = plain and limits is not None and self._ready(preparation, limits)
            permit, now_ms = self._pace.permit(seize=seize), self._outbox.about_ms()
            state, linger_s = permit.state, self._pace.linger_s(permit)
            plain = state.state == "open" and not (permit.spent or permit.scarce or linger_s)
            if self._pace.held(state, now_ms):
                self._end(lane, preparation)
                return
            if permit.spent:
                # What arrives until the minute has room joins the next call.
                self._finish_chores()
                self._pace.pause_s(_LOOK_AGAIN_S)
                continue
            limits = self._pace.limits(state, now_ms)
            if linger_s:
                self._finish_chores()
                if self._pace.pause_s(linger_s):
                    continue
            claimed = preparation.claimed
            if not late or (len(preparation) and not last):
                self._fill(preparation, limits, patience_s=LAST_CALL_S if permit.scarce else self._gather_s)
            if preparation.hold:
                self._hold(preparation.hold)
                self._end(lane, preparation)
                return
            if not len(preparation) and preparation.suspects:
                self._finish_chores()
                preparation.take_in([preparation.suspects.pop(0)])
            elif not len(preparation) and preparation.claimed == claimed:
                if not self._chores:
                    self._end(lane, preparation)
                    return
                # What is settled now may be due again: an event came while it was sent.
                self._finish_chores()
            while len(self._chores) > 1:
                # Where settling falls behind folding, what is unsettled would pile up batch by batch.
                self._chore()
            if len(preparation):
                self._deliver(lane, preparation, permit, limits)
                last = late
            if self._reader:
                self._reader.look()
            self._metrics.flush(force=False)

    def _late(self) -> bool:
        return self._clock() - self._began >= self._slice_s

    def _ready(self, preparation: Preparation, limits: Limits) -> bool:
        """Whether a batch would go at once, calls being plentiful."""
        return preparation.full(limits) or (
            len(preparation) > 0 and self._clock() - self._taken_at >= self._gather_s
        )

    def _fill(self, preparation: Preparation, limits: Limits, *, patience_s: float) -> None:
        """Makes a batch ready, and settles the one before it alongside: folding is our time, settling is Redis's. With
        something at hand it goes on for no longer than `patience_s` after the batch before was taken."""
        preparation.begin()
        while not (len(preparation) and self._clock() - self._taken_at >= patience_s) and preparation.step(
            limits
        ):
            if self._chores and preparation.between_parts:
                self._chore()

    def _end(self, lane: Lane, preparation: Preparation, *, hand_over: bool = False) -> None:
        """Nothing more is sent in this slice: what is at hand goes back, and the lane to whoever comes next."""
        self._settle(lane, preparation.put_away())
        self._pace.keep()
        self._finish_chores()
        if lane.lost:
            return
        if hand_over:
            successor = lane.hand_over()
            if successor:
                self._bell.ring_flush(successor)
        else:
            lane.let_go()

    # -- beside a call ---------------------------------------------------------------------------------------

    def _meanwhile(self) -> bool:
        """A little of what can be done while a call is under way. False: there is nothing."""
        self._pace.keep()
        if self._unshared:
            share, self._unshared = self._unshared, None
            share()
            return True
        if self._ahead is not None and self._ahead():
            return True
        if self._chores:
            self._chore()
            return True
        self._outbox.push()
        return False

    def _make_ahead(
        self, preparation: Preparation, state: DeliveryState, limits: Limits
    ) -> Callable[[], bool] | None:
        """Makes the next batch ready, but only where more than one is due already: else what comes while the call is
        under way would wait for the call after the next."""
        if preparation.dry or state.state != "open" or self._late():
            return None
        # The next call may be allowed more than this one, as size is learned: what is there by then is what it carries.
        limits = Limits(min(self.config.planhat.batch.max_items, 2 * limits.items), limits.bytes)

        def step() -> bool:
            if self._stopping():
                return False
            if self._chores and preparation.between_parts:
                # In turns, a part each: what is folded is our time, what is settled is Redis's.
                self._chore()
            return preparation.step(limits)

        return step

    def _chore(self) -> None:
        while self._chores and next(self._chores[0], _DONE) is _DONE:
            self._chores.popleft()

    def _finish_chores(self) -> None:
        while self._chores:
            self._chore()
        while self._unanswered:
            self._hear()

    # -- one batch -------------------------------------------------------------------------------------------

    def _deliver(self, lane: Lane, preparation: Preparation, permit: CallPermit, limits: Limits) -> None:
        """One batch of what is in preparation. Its verdicts may be left for the next call's time."""
        piece, state = preparation.take(limits), permit.state
        self._taken_at = self._clock()
        if self._over(lane) if permit.taken else not self._may_call(lane):
            self._settle(lane, [hand_back(outgoing.item) for outgoing in piece])
            return
        self._batches += 1
        self._batch = f"{lane.generation}-{self._batches}"
        self._metrics.observe("relay_batch_items", {}, len(piece))
        self._ahead = self._make_ahead(preparation, state, limits)
        refused = self._resolve(lane, piece, state, last=False)
        self._ahead = None
        if refused:
            # Addressed by an `_id` that Planhat may no longer have: one try by externalId, then the verdict stands.
            if self._may_call(lane):
                self._resolve(lane, [outgoing.by_external_id() for outgoing in refused], state, last=True)
            else:
                self._settle(lane, [hand_back(outgoing.item) for outgoing in refused])
        if preparation.dry and not len(preparation):
            self._finish_chores()

    def _resolve(
        self, lane: Lane, piece: Sequence[OutgoingItem], state: DeliveryState, *, last: bool
    ) -> list[OutgoingItem]:
        """Finds out what became of one batch, and leaves its verdicts to `_chores`. What was refused under an `_id`
        comes back, unless it is the `last` try."""
        began = self._clock()
        by_id: list[OutgoingItem] = []
        resolution = Resolution(
            [outgoing.row for outgoing in piece],
            lambda items: self._call(items, state),
            stop=lambda: not self._may_call(lane),
        )
        counts = Counter(delivered=0, unchanged=0, refused=0, postponed=0)
        for news in resolution.run():
            if resolution.hold:
                self._hold(resolution.hold)
            now_ms = self._outbox.about_ms()
            kinds = Counter(map(type, news.values()))
            if Refused not in kinds:
                # Its body is needed no more, and a batch of them is 4 MB.
                for position in news:
                    piece[position].row.body = b""
            known = deque(zip(map(piece.__getitem__, news), news.values(), strict=True))
            if Refused in kinds and not last:
                known, again = deque(), known
                for outgoing, outcome in again:
                    if isinstance(outcome, Refused) and outgoing.row.planhat_id and not outcome.too_large:
                        by_id.append(outgoing)
                    else:
                        known.append((outgoing, outcome))
                kinds[Refused] -= len(by_id)
            for kind, number in kinds.items():
                counts[kind.__name__.lower()] += number
            self._chores.append(self._verdicts(lane, known, self._settling.facts, now_ms))
        log(
            "batch.sent",
            batch=self._batch,
            items=len(piece),
            calls=resolution.calls,
            took_ms=round((self._clock() - began) * 1000),
            status=self._settling.facts.status,
            hold=resolution.hold.kind if resolution.hold else "",
            **counts,
        )
        if resolution.hold:
            self._settle(lane, [hand_back(outgoing.item) for outgoing in by_id])
            return []
        return by_id

    def _verdicts(
        self, lane: Lane, known: deque[tuple[OutgoingItem, Outcome]], facts: CallFacts, now_ms: int
    ) -> Iterator[None]:
        """Settles `known`, a part a step. Planhat waits for its next call meanwhile, so that little is done beforehand."""
        for part in parts(_taken_from(known), lambda one: len(one[0].fold)):
            settlements = []
            self._outbox.read_available()
            for outgoing, outcome in part:
                settlements.append(self._settling.settlement(outgoing, outcome, facts, now_ms))
                if self._reader and isinstance(outcome, Delivered):
                    self._reader.consider(outgoing, outcome.planhat_id or outgoing.row.planhat_id)
            self._settling.count_waits()
            self._settle(lane, settlements)
            yield

    def _settle(self, lane: Lane, settlements: Sequence[Settlement]) -> None:
        """Tells Redis; that it heard is looked at later."""
        for part in parts(settlements, lambda what: len(what.document or b"")):
            lane.settled(what.item.external_id for what in part)
            self._unanswered.append(self._outbox.begin_settle(part))
            if len(self._unanswered) > _UNANSWERED:
                self._hear()

    def _hear(self) -> None:
        lost = self._unanswered.popleft()().lost
        if lost:
            log("lease.lost", level=logging.WARNING, items=len(lost))

    # -- one call --------------------------------------------------------------------------------------------

    def _may_call(self, lane: Lane) -> bool:
        """A place in the fleet's minute is taken: a call must follow. False: stop here."""
        if self._over(lane):
            return False
        return self._pace.take_call(stop=lambda: self._over(lane)) and not self._over(lane)

    def _over(self, lane: Lane) -> bool:
        return lane.lost or lane.slipped() or self._stopping() or self._clock() - self._began > LAST_CALL_S

    def _call(self, items: Sequence[Row], state: DeliveryState) -> Answer:
        body = _joined(items)
        began = self._clock()
        self._unshared = partial(_share, items, body)
        answer = self._beside(partial(self._upsert, body, self.config.planhat.timeout_s), self._meanwhile)
        self._unshared = None
        took_s = self._clock() - began
        status = _status(answer)
        self._settling.facts = CallFacts(self._batch, status, round(took_s * 1000))
        labels = {"operation": "PUT conversations"}
        self._metrics.add("relay_planhat_requests_total", {**labels, "status": str(status or "none")})
        self._metrics.observe("relay_planhat_request_seconds", labels, took_s)
        if isinstance(answer, TooLarge):
            self._pace.too_large(len(body))
        elif isinstance(answer, Unavailable) and (status is None or status in _GATEWAY_GAVE_UP):
            self._pace.cut_off(state, items=len(items), took_s=took_s)
        if isinstance(answer, (Rejected, TooLarge)) or (
            isinstance(answer, Report) and not answer.wholly_forbidden
        ):
            self._pace.went_through(
                self._pace.state() if state.state != "open" else state,
                items=len(items),
                took_s=took_s,
                size=len(body),
                taken=isinstance(answer, Report),
            )
        return answer

    def _hold(self, hold: Hold) -> None:
        until_ms = self._pace.hold(hold)
        log("delivery.held", level=logging.WARNING, kind=hold.kind, reason=hold.reason, until_ms=until_ms)


def _joined(items: Sequence[Row]) -> bytes:
    """The body of a call. Planhat waits for it: one pass, and no step of Python's for an item."""
    pieces: list[bytes | memoryview] = [b","] * (2 * len(items) + 1)
    pieces[0], pieces[-1] = b"[", b"]"
    pieces[1::2] = [item.body for item in items]
    return b"".join(pieces)


def _share(items: Sequence[Row], body: bytes) -> None:
    """What may be 4 MB need not be there twice: each item is left with its place in the body. Only while the call is under
    way: afterwards some have lost theirs."""
    view, at = memoryview(body), 1
    for item in items:
        end = at + len(item.body)
        item.body = view[at:end]
        at = end + 1


def _taken_from(things: deque[_T]) -> Iterator[_T]:
    """Each leaves as it is given: what is settled lies in memory no longer."""
    while things:
        yield things.popleft()


def _status(answer: Answer) -> int | None:
    match answer:
        case Throttled():
            return 429
        case TooLarge():
            return 413
        case (
            Report(status=status)
            | Rejected(status=status)
            | Unavailable(status=status)
            | Garbled(status=status)
        ):
            return status
    return 401 if type(answer).__name__ == "Unauthorized" else 403
