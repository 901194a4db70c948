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
from dataclasses import replace
from random import Random
from typing import Any, Final, Protocol

from relay.config import Config
from relay.outbox.delivery import DeliveryState
from relay.outbox.items import Bury, Done, Item, Later, Settlement, State
from relay.outbox.outbox import Outbox
from relay.planhat.report import Answer, Garbled, Rejected, Report, Throttled, TooLarge, Unavailable
from relay.telemetry import SharedMetrics, log
from workers.backoff import Backoff
from workers.directory import Ambiguous, Directory, Found, Missing, Unsure
from workers.draft import UNKNOWN, Draft, Parcel, add_history, cut, perhaps_sent, stored_document
from workers.lease import Lane
from workers.letter import Letter, cause_of, dead_id
from workers.outcome import Delivered, Hold, Outcome, Postponed, Refused, Resolution, Sent, Unchanged
from workers.pace import Limits, Pace

#: A job drains for so long and then hands over to a successor, so that RQ sees jobs end.
SLICE_S: Final = 15.0
#: No further call of a batch begins later than this into the job: RQ ends a job at 180 s, and one call may take 60.
LAST_CALL_S: Final = 100.0
#: A claim that ran out unsettled so often has killed its worker.
CRASHES: Final = 3
_CLAIM: Final = 1_000
_LOOK_AGAIN_S: Final = 0.1
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
        self._directory = directory
        self._upsert = upsert
        self._bell = bell
        self._metrics = metrics
        self._reader = reader
        self._enricher = enricher
        self._stopping = stopping
        self._overdue = overdue
        self._chance = chance or Random()  # noqa: S311 - jitter, no secret
        self._slice_s = slice_s
        self._clock = clock
        self._began = 0.0
        self._batch = ""
        self._batches = 0
        self._status: int | None = None
        self._took_ms = 0

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
            self._settle(lane, [_back(item) for item in items])
            return
        parcels: list[Parcel] = []
        hold: Hold | None = None
        for start in range(0, len(items), _AT_A_TIME):
            part = items[start : start + _AT_A_TIME]
            settlements: list[Settlement] = []
            if hold:
                settlements += [_back(item) for item in part]
            else:
                ready, hold = self._address(self._drafts(part, settlements), settlements)
                if hold:
                    self._hold(hold)
                    settlements += [_back(draft.item) for draft in ready]
                else:
                    parcels += self._parcels(ready, settlements)
            self._settle(lane, settlements)
        if hold:
            self._settle(lane, [_back(parcel.item) for parcel in parcels])
            return
        pieces = cut(parcels, items=limits.items, size_bytes=limits.bytes)
        del parcels
        while pieces:
            if self._may_call(lane) and self._send_batch(lane, pieces.pop(0), state):
                state = self._pace.state()
                continue
            self._settle(lane, [_back(parcel.item) for piece in pieces for parcel in piece])
            return

    def _drafts(self, items: Sequence[Item], settlements: list[Settlement]) -> list[Draft]:
        if self._enricher:
            now_ms = self._outbox.now_ms()
            items, waiting = self._enricher.improve(items, now_ms)
            settlements += [_back(item, now_ms + int(wait_s * 1000)) for item, wait_s in waiting]
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
            return self._bury(item, letter)
        try:
            draft = Draft.of(item)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            log("item.unreadable", level=logging.ERROR, error=type(error).__name__)
            return self._bury(
                item, Letter("deliver", "cannot be read", f"What was stored cannot be read: {error}")
            )
        if draft.need == "send":
            return draft
        return Done(item, draft.document.encode(), draft.events("unchanged"))

    def _address(
        self, drafts: Sequence[Draft], settlements: list[Settlement]
    ) -> tuple[list[Draft], Hold | None]:
        """Those whose company is known, in order. The rest is settled: buried, or later."""
        ready: list[Draft] = []
        hold: Hold | None = None
        unknown = [draft for draft in drafts if not draft.company_id]
        verdicts = dict(
            zip(
                (draft.item.external_id for draft in unknown),
                self._directory.resolve([draft.asks() for draft in unknown]) if unknown else (),
                strict=True,
            )
        )
        moved = [draft for draft in drafts if draft.company_id and draft.asks(new_only=True)]
        self._note_moves(moved)
        parked: list[str] = []
        now_ms = self._outbox.now_ms() if unknown else 0
        for draft in drafts:
            verdict = verdicts.get(draft.item.external_id)
            if verdict is None:
                ready.append(draft)
            elif isinstance(verdict, Found):
                draft.company_id = verdict.company_id
                ready.append(draft)
            elif isinstance(verdict, Unsure):
                hold = hold or verdict.hold
                wait_ms = 0 if verdict.hold else int(verdict.wait_s * 1000)
                settlements.append(
                    self._later(draft, verdict.reason, now_ms + wait_ms if wait_ms else 0, now_ms)
                )
            else:
                letter = _homeless(verdict)
                parked.append(dead_id(draft.item))
                settlements.append(self._bury(draft.item, letter, draft))
        self._directory.park(parked)
        return ready, hold

    def _note_moves(self, drafts: Sequence[Draft]) -> None:
        """A company other than the pinned one changes nothing in Planhat: it is noted and counted."""
        for draft, verdict in zip(
            drafts,
            self._directory.resolve([d.asks(new_only=True) for d in drafts], offline=True),
            strict=True,
        ):
            pinned = draft.document.company_id
            if isinstance(verdict, Found) and verdict.via != "default" and verdict.company_id != pinned:
                kind = verdict.company_id.partition("-")[0] if "-" in verdict.company_id else ""
                if kind == (pinned.partition("-")[0] if "-" in pinned else ""):
                    draft.note(
                        self._outbox.now_ms(),
                        "company_differs",
                        error=f"{verdict.company_id}, pinned {pinned}",
                    )
                    self._metrics.add("relay_company_conflicts_total", {"source": draft.item.lane_source})

    def _parcels(self, ready: Sequence[Draft], settlements: list[Settlement]) -> list[Parcel]:
        people = self._people(ready)
        most = self.config.planhat.batch.max_bytes
        fitting: list[Parcel] = []
        for draft in ready:
            parcel = draft.parcel(people(draft))
            size = len(parcel.sent.body)
            if size + 2 > most:
                reason = f"It is {size} bytes alone; planhat.batch.max_bytes allows {most}."
                settlements.append(
                    self._bury(draft.item, Letter("deliver", "too large to send", reason), draft)
                )
            else:
                fitting.append(parcel)
        return fitting

    def _people(self, drafts: Sequence[Draft]) -> Callable[[Draft], dict[str, Any] | None]:
        if not self.config.planhat.resolve_people:
            return lambda draft: None
        known = {
            kind: self._directory.people(
                kind, [p["email"] for draft in drafts for p in draft.fields.get(kind, ()) if _by_email(p)]
            )
            for kind in ("users", "endusers")
        }

        def found(draft: Draft) -> dict[str, Any]:
            out: dict[str, Any] = {}
            for kind, ids in known.items():
                people = draft.fields.get(kind)
                if people:
                    out[kind] = [
                        {**{k: v for k, v in p.items() if k != "email"}, "id": ids[p["email"].casefold()]}
                        if _by_email(p) and p["email"].casefold() in ids
                        else p
                        for p in people
                        # Planhat wants ids: whom it does not know is left out.
                        if not _by_email(p) or p["email"].casefold() in ids
                    ]
            return out

        return found

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
                self._settle(lane, [_back(parcel.item) for parcel in refused])
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
                settlements.append(self._settlement(parcel.draft(), parcel.sent, outcome, now_ms))
                if len(settlements) >= _AT_A_TIME:
                    self._settle(lane, settlements)
                    settlements = []
            self._settle(lane, settlements)
        if resolution.too_large:
            self._pace.too_large(sum(len(parcel.sent.body) for parcel in piece))
        log(
            "batch.sent",
            batch=self._batch,
            items=len(piece),
            calls=resolution.calls,
            took_ms=round((self._clock() - began) * 1000),
            status=self._status,
            hold=resolution.hold.kind if resolution.hold else "",
            **counts,
        )
        if resolution.hold:
            self._settle(lane, [_back(parcel.item) for parcel in by_id])
            return None
        return by_id

    def _settlement(self, draft: Draft, sent: Sent, outcome: Outcome, now_ms: int) -> Settlement:
        match outcome:
            case Delivered(planhat_id) | Unchanged(planhat_id):
                return self._done(draft, sent, planhat_id, isinstance(outcome, Delivered), now_ms)
            case Postponed(reason, hold, perhaps):
                return self._later(draft, reason, 0, now_ms, may_bury=hold is not None, perhaps=perhaps)
            case Refused():
                return self._refused(draft, outcome, now_ms)

    def _done(self, draft: Draft, sent: Sent, planhat_id: str, changed: bool, now_ms: int) -> Settlement:
        document, taken = draft.document, "delivered" if changed else "unchanged"
        document.sent_hash = draft.hash
        document.company_id = draft.company_id
        # Sent by externalId although an `_id` was known: that one is gone.
        document.planhat_id = planhat_id or sent.planhat_id
        draft.note(
            now_ms, "sent" if changed else "unchanged",
            status=self._status, batch=self._batch, took_ms=self._took_ms,
        )  # fmt: skip
        state: State = "delivered" if changed else "unchanged"
        events = draft.events(state)
        ends = dict(events)
        for pending in draft.item.pending:
            if ends.get(pending.event_id) == taken and changed:
                waited_s = max(0, now_ms - pending.accepted_ms) / 1000
                self._metrics.observe("relay_end_to_end_seconds", {"source": pending.source}, waited_s)
        if changed and self._reader:
            self._reader.consider(draft)
        return Done(draft.item, document.encode(), events, document.planhat_id)

    def _later(
        self,
        draft: Draft,
        reason: str,
        due_ms: int,
        now_ms: int,
        *,
        may_bury: bool = True,
        perhaps: bool = False,
    ) -> Settlement:
        item = draft.item
        # Handing it back forgets that it crashed; what that means for Planhat must not be forgotten.
        document = perhaps_sent(item) if perhaps or item.crashes else None
        give_up_s = self.config.planhat.retry.give_up_after_s
        if may_bury and now_ms - draft.item.first_pending_ms > give_up_s * 1000:
            cause = f"given up after {_duration(give_up_s)}: {cause_of(reason, draft.fields)}"
            buried = self._bury(item, Letter("deliver", cause, reason), draft)
            return replace(buried, document=document)
        return Later(item, due_ms, document=document)

    def _refused(self, draft: Draft, refusal: Refused, now_ms: int) -> Settlement:
        retry = self.config.planhat.retry
        refusals = draft.item.refusals + 1
        cause = (
            "too large for Planhat"
            if refusal.too_large
            else f"refused: {cause_of(refusal.message, draft.fields)}"
        )
        entry = {
            "at_ms": now_ms, "what": "refused", "status": self._status,
            "batch": self._batch, "took_ms": self._took_ms, "error": cause,
        }  # fmt: skip
        # The document as it stood: what is not delivered is not folded in for good, or a discarded letter would be.
        stood = stored_document(draft.item)
        if draft.item.crashes:
            stood.sent_hash = UNKNOWN
        add_history(stood, entry)
        add_history(draft.document, entry)
        if refusals >= retry.max_refusals or refusal.too_large:
            letter = Letter("deliver", cause, refusal.message, refusal.raw)
            return Bury(
                draft.item, dead_id(draft.item), letter.record(draft.item, draft.document), stood.encode()
            )
        wait_s = Backoff(retry.first_s, retry.cap_s).wait_at_least_s(refusals, self._chance)
        return Later(draft.item, now_ms + int(wait_s * 1000), refused=True, document=stood.encode())

    def _bury(self, item: Item, letter: Letter, draft: Draft | None = None) -> Bury:
        log(
            "item.buried",
            level=logging.WARNING,
            cause=letter.cause,
            stage=letter.stage,
            source=item.lane_source,
        )
        document = perhaps_sent(item) if draft and item.crashes else None
        return Bury(item, dead_id(item), letter.record(item, draft.document if draft else None), document)

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
        self._took_ms = round(took_s * 1000)
        self._status = _status(answer)
        labels = {"operation": "PUT conversations"}
        self._metrics.add("relay_planhat_requests_total", {**labels, "status": str(self._status or "none")})
        self._metrics.observe("relay_planhat_request_seconds", labels, took_s)
        if isinstance(answer, (Rejected, TooLarge)) or (
            isinstance(answer, Report) and not answer.wholly_forbidden
        ):
            self._pace.went_through(
                self._pace.state() if state.state != "open" else state, items=len(items), took_s=took_s
            )
        return answer

    def _hold(self, hold: Hold) -> None:
        until_ms = self._pace.hold(hold)
        log("delivery.held", level=logging.WARNING, kind=hold.kind, reason=hold.reason, until_ms=until_ms)


def _back(item: Item, due_ms: int = 0) -> Later:
    """Handed back as it was, due at once or at `due_ms`."""
    return Later(item, due_ms, document=perhaps_sent(item) if item.crashes else None)


def _homeless(verdict: Missing | Ambiguous) -> Letter:
    if isinstance(verdict, Missing):
        asked = ", ".join(verdict.asked) or "nothing"
        return Letter(
            "resolve",
            f"no company found (asked with: {asked})",
            "Neither the tables nor Planhat know its company. Add it to `companies:` or in Planhat: it goes by itself.",
        )
    return Letter(
        "resolve",
        f"several companies fit ({verdict.via})",
        f"Not guessed. Candidates: {', '.join(verdict.candidates)}. Name one in a table under `companies:`.",
    )


def _by_email(person: Any) -> bool:
    return isinstance(person, dict) and isinstance(person.get("email"), str) and not person.get("id")


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


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"
