"""The core: claim what is due, fold, find the company, send, settle. One flush job owns the lane at a time.

    claim -> fold -> nothing new?  -> settle as unchanged
                  -> no company?   -> dead letter (stage resolve), or later where the look-up failed
                  -> batches by items and bytes -> one call at a time within the fleet's pace
                  -> one outcome per item -> settle after every call, so that a crash costs one call's knowledge at most

Only a verdict on the item charges the item: a refusal is spaced and counted, the last one buries. Whatever befalls
the whole call changes the state of delivery and hands the items back as they were.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, Protocol

from relay.config import Config
from relay.outbox.delivery import DeliveryState
from relay.outbox.items import Done, Item, Settlement
from relay.outbox.outbox import Outbox
from relay.planhat.report import Answer, Garbled, Rejected, Report, Throttled, TooLarge, Unavailable
from relay.telemetry import SharedMetrics, log
from workers.addressing import Addressing
from workers.clerk import CallFacts, Clerk, hand_back
from workers.directory import Directory
from workers.draft import Draft, Parcel, cut
from workers.lease import Lane
from workers.letter import Letter
from workers.outcome import Delivered, Hold, Outcome, Refused, Resolution, Sent
from workers.pace import Limits, Pace

#: A job drains for so long and then hands over to a successor, so that RQ sees jobs end.
SLICE_S: Final = 15.0
#: No further call of a batch begins later than this into the job: RQ ends a job at 180 s, and one call may take 60.
LAST_CALL_S: Final = 100.0
#: A claim that ran out unsettled so often has killed its worker.
CRASHES: Final = 3
_CLAIM: Final = 1_000
_LOOK_AGAIN_S: Final = 0.1
#: What a proxy in front of Planhat answers where Planhat takes too long.
_GATEWAY_GAVE_UP: Final = frozenset({408, 502, 504, 524})
#: Drafts and settlements held at one time.
_AT_A_TIME: Final = 250


class Bells(Protocol):
    def ring_flush(self, generation: int) -> bool: ...


class Reader(Protocol):
    """Reads back what was delivered (see `readback.py`)."""

    def consider(self, draft: Draft) -> None: ...

    def look(self) -> None: ...


class Enriches(Protocol):
    """Adds what a webhook left out (see `enricher.py`)."""

    def improve(self, items: Sequence[Item], now_ms: int) -> tuple[list[Item], list[tuple[Item, float]]]: ...


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
        stopping: Callable[[], bool] = lambda: False,
        overdue: Callable[[], bool] = lambda: False,
        chance: Random | None = None,
        slice_s: float = SLICE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self._outbox = outbox
        self._pace = pace
        self._clerk = Clerk(config, metrics, chance or Random())  # noqa: S311 - jitter, no secret
        self._addressing = Addressing(config, outbox, directory, self._clerk, metrics)
        self._upsert = upsert
        self._bell = bell
        self._metrics = metrics
        self._reader = reader
        self._enricher = enricher
        self._stopping = stopping
        self._overdue = overdue
        self._slice_s = slice_s
        self._clock = clock
        self._began = 0.0
        self._batch = ""
        self._batches = 0

    # -- the job ---------------------------------------------------------------------------------------------

    def run(self, generation: int) -> int:
        """Drains the lane for one slice; how many items were claimed. Raises OutboxUnavailable when Redis stays away."""
        self._began = self._clock()
        if not self._outbox.own(generation):
            return 0
        lease_s = self.config.planhat.lease_s
        claimed = 0
        with Lane(
            self._outbox, generation, lease_s=lease_s, overdue=self._overdue, clock=self._clock
        ) as lane:
            while True:
                if self._stopping():
                    lane.let_go()
                    break
                if self._clock() - self._began >= self._slice_s:
                    successor = lane.hand_over()
                    if successor:
                        self._bell.ring_flush(successor)
                    break
                state, now_ms = self._pace.state(), self._outbox.now_ms()
                if self._pace.held(state, now_ms):
                    lane.let_go()
                    break
                if self._pace.exhausted(now_ms):
                    # What arrives until the minute has room joins the next call.
                    self._pace.pause_s(_LOOK_AGAIN_S)
                    continue
                limits = self._pace.limits(state, now_ms)
                linger_s = self._pace.linger_s(state, now_ms)
                if linger_s and self._pace.pause_s(linger_s):
                    continue
                items, suspects = self._claim(lane, limits)
                if not items and not suspects:
                    break
                claimed += len(items) + len(suspects)
                self._deliver(lane, items, state, limits)
                for suspect in suspects:
                    self._deliver(lane, [suspect], state, limits)
                del items, suspects
                if self._reader:
                    self._reader.look()
                self._metrics.flush(force=False)
        self._metrics.flush()
        return claimed

    def _claim(self, lane: Lane, limits: Limits) -> tuple[list[Item], list[Item]]:
        """Up to a batch of due items, and what is to go alone because it was at hand when a worker died."""
        items: list[Item] = []
        suspects: list[Item] = []
        size = 0
        while len(items) < limits.items and size < limits.bytes and not suspects:
            wanted = min(_CLAIM, limits.items - len(items))
            got = lane.claim(wanted).items
            if not got:
                if items and not lane.own():
                    lane.lost = True
                break
            for item in got:
                (suspects if item.crashes >= 2 else items).append(item)
                size += len(item.document or b"") + sum(len(pending.patch) for pending in item.pending)
            if len(got) < wanted:
                break
        return items, suspects

    # -- one claim -------------------------------------------------------------------------------------------

    def _deliver(self, lane: Lane, items: Sequence[Item], state: DeliveryState, limits: Limits) -> None:
        if not items:
            return
        if lane.lost:
            self._settle(lane, [hand_back(item) for item in items])
            return
        parcels: list[Parcel] = []
        hold: Hold | None = None
        for start in range(0, len(items), _AT_A_TIME):
            part = items[start : start + _AT_A_TIME]
            settlements: list[Settlement] = []
            if hold:
                settlements += [hand_back(item) for item in part]
            else:
                ready, hold = self._addressing.address(self._drafts(part, settlements), settlements)
                if hold:
                    self._hold(hold)
                    settlements += [hand_back(draft.item) for draft in ready]
                else:
                    parcels += self._addressing.parcels(ready, settlements)
            self._settle(lane, settlements)
        if hold:
            self._settle(lane, [hand_back(parcel.item) for parcel in parcels])
            return
        pieces = cut(parcels, items=limits.items, size_bytes=limits.bytes)
        if len(pieces) > 1 and len(pieces[-1]) < len(pieces[0]) / 2:
            # What is left over by bytes joins the next claim: a call costs too much for a few items.
            self._settle(lane, [hand_back(parcel.item) for parcel in pieces.pop()])
        del parcels
        while pieces:
            if self._may_call(lane) and self._send_batch(lane, pieces.pop(0), state):
                state = self._pace.state()
                continue
            self._settle(lane, [hand_back(parcel.item) for piece in pieces for parcel in piece])
            return

    def _drafts(self, items: Sequence[Item], settlements: list[Settlement]) -> list[Draft]:
        if self._enricher:
            now_ms = self._outbox.now_ms()
            items, waiting = self._enricher.improve(items, now_ms)
            settlements += [hand_back(item, now_ms + int(wait_s * 1000)) for item, wait_s in waiting]
        drafts: list[Draft] = []
        for item in items:
            made = self._draft(item)
            if isinstance(made, Draft):
                drafts.append(made)
            else:
                settlements.append(made)
        return drafts

    def _draft(self, item: Item) -> Draft | Settlement:
        if item.crashes >= CRASHES:
            letter = Letter(
                "deliver", f"killed its worker {CRASHES} times", "Each claim on it ended with the worker."
            )
            # Not even looked into: what kills may do it while being read.
            return self._clerk.bury(item, letter)
        try:
            draft = Draft.of(item)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            log("item.unreadable", level=logging.ERROR, error=type(error).__name__)
            return self._clerk.bury(
                item, Letter("deliver", "cannot be read", f"What was stored cannot be read: {error}")
            )
        if draft.need == "send":
            return draft
        return Done(item, draft.document.encode(), draft.events("unchanged"))

    # -- one batch -------------------------------------------------------------------------------------------

    def _send_batch(self, lane: Lane, piece: Sequence[Parcel], state: DeliveryState) -> bool:
        """True where the next batch may follow."""
        self._batches += 1
        self._batch = f"{lane.generation}-{self._batches}"
        self._metrics.observe("relay_batch_items", {}, len(piece))
        refused = self._resolve(lane, piece, state, last=False)
        if refused:
            # Addressed by an `_id` that Planhat may no longer have: one try by externalId, then the verdict stands.
            if self._may_call(lane):
                refused = self._resolve(
                    lane, [parcel.by_external_id() for parcel in refused], state, last=True
                )
            else:
                self._settle(lane, [hand_back(parcel.item) for parcel in refused])
        return refused is not None

    def _resolve(
        self, lane: Lane, piece: Sequence[Parcel], state: DeliveryState, *, last: bool
    ) -> list[Parcel] | None:
        """Settles one batch. What was refused under an `_id` comes back, unless it is the `last` try. None: stop."""
        began = self._clock()
        by_id: list[Parcel] = []
        resolution = Resolution(
            [parcel.sent for parcel in piece],
            lambda items: self._call(items, state),
            stop=lambda: not self._may_call(lane),
        )
        counts = {"delivered": 0, "unchanged": 0, "refused": 0, "postponed": 0}
        for news in resolution.run():
            if resolution.hold:
                self._hold(resolution.hold)
            now_ms = self._outbox.now_ms()
            settlements: list[Settlement] = []
            for position, outcome in news.items():
                parcel = piece[position]
                if (
                    isinstance(outcome, Refused)
                    and parcel.sent.planhat_id
                    and not last
                    and not outcome.too_large
                ):
                    by_id.append(parcel)
                    continue
                counts[type(outcome).__name__.lower()] += 1
                settlements.append(self._verdict(parcel, outcome, now_ms))
                if len(settlements) >= _AT_A_TIME:
                    self._settle(lane, settlements)
                    settlements = []
            self._settle(lane, settlements)
        log(
            "batch.sent",
            batch=self._batch,
            items=len(piece),
            calls=resolution.calls,
            took_ms=round((self._clock() - began) * 1000),
            status=self._clerk.facts.status,
            hold=resolution.hold.kind if resolution.hold else "",
            **counts,
        )
        if resolution.hold:
            self._settle(lane, [hand_back(parcel.item) for parcel in by_id])
            return None
        return by_id

    def _verdict(self, parcel: Parcel, outcome: Outcome, now_ms: int) -> Settlement:
        draft = parcel.draft()
        settlement = self._clerk.settlement(draft, parcel.sent, outcome, now_ms)
        if self._reader and isinstance(outcome, Delivered):
            self._reader.consider(draft)
        return settlement

    def _settle(self, lane: Lane, settlements: Sequence[Settlement]) -> None:
        if not settlements:
            return
        lost = self._outbox.settle(settlements).lost
        lane.settled(what.item.external_id for what in settlements)
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

    def _call(self, items: Sequence[Sent], state: DeliveryState) -> Answer:
        body = b"[" + b",".join(item.body for item in items) + b"]"
        began = self._clock()
        answer = self._upsert(body, self.config.planhat.timeout_s)
        took_s = self._clock() - began
        status = _status(answer)
        self._clerk.facts = CallFacts(self._batch, status, round(took_s * 1000))
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
