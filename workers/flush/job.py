"""One flush job: everything that a slice of draining changes. It dies with the job, and nothing of it is kept."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from relay.outbox.delivery import CallPermit, DeliveryState
from relay.planhat.outcomes import Hold, Refused
from relay.planhat.resolve import Resolution
from relay.telemetry import log
from workers.flush.ahead import Ahead
from workers.flush.call import Caller
from workers.flush.fold import OutgoingItem
from workers.flush.lane import Lane
from workers.flush.prepare import PART, Preparation
from workers.flush.settle import hand_back
from workers.flush.step import Permission, Situation, Step, next_step
from workers.flush.tools import Tools
from workers.flush.verdicts import Verdicts
from workers.pace.pace import Limits

#: No further call of a batch begins later than this into the job: RQ ends a job at 180 s, and one call may take 60.
LAST_CALL_S: Final = 100.0
_LOOK_AGAIN_S: Final = 0.1
#: Calls were plentiful so short a time ago: one more is counted while it is made, and not before.
_FRESH_S: Final = 0.1


@dataclass(slots=True)
class _Round:
    """What one round has found out so far."""

    late: bool
    claimed: int
    permit: CallPermit | None = None
    permission: Permission | None = None
    limits: Limits | None = None
    linger_s: float = 0.0
    asked_at: float = 0.0
    claim_begun: bool = False
    filled: bool = False
    found: bool = False


class Job:
    """Drains one lane for one slice. `Job(tools, lane).run()`; `claimed` is how many items were claimed."""

    def __init__(self, tools: Tools, lane: Lane) -> None:
        self._tools = tools
        self._lane = lane
        self._pace = tools.pace
        self._began = self._taken_at = tools.clock()
        self._verdicts = Verdicts(lane, tools.outbox, tools.settling, tools.reader)
        self._preparation = Preparation(
            lane,
            tools.addressing,
            tools.settling,
            self._verdicts.settle,
            enricher=tools.enricher,
            recall=tools.recall,
            now_ms=tools.outbox.about_ms,
        )
        self._caller = Caller(
            tools.upsert,
            tools.beside,
            self._meanwhile,
            pace=tools.pace,
            metrics=tools.metrics,
            timeout_s=tools.config.planhat.timeout_s,
            clock=tools.clock,
        )
        self._batches = 0
        self._final_call_made = False
        #: Calls were plentiful when it was last asked, and what a call might carry then.
        self._plentiful = False
        self._limits: Limits | None = None
        #: What Redis says to a call that was counted while it was made, until it is heard.
        self._counted: Callable[[], object] | None = None
        #: Makes the next batch ready. None: it is not to be made ahead.
        self._ahead: Ahead | None = None

    @property
    def claimed(self) -> int:
        return self._preparation.claimed

    @property
    def met_newer(self) -> bool:
        return self._preparation.met_newer

    def run(self) -> None:
        """Takes step after step until the lane is given back or handed over. Raises OutboxUnavailable."""
        here = self._new_round()
        while True:
            step = next_step(self._situation(here))
            match step:
                case Step.ASK:
                    self._ask(here)
                case Step.LINGER:
                    self._verdicts.finish()
                    assert here.permit
                    if self._pace.pause_s(here.linger_s) or here.permit.wait_ms > here.linger_s * 1000:
                        # No call may be made yet: what is due is claimed when one may, or it would leave without what comes.
                        here = self._new_round()
                    else:
                        here.permission = Permission.GRANTED
                case Step.FILL:
                    self._fill(here)
                case Step.SUSPECT:
                    self._verdicts.finish()
                    self._preparation.take_in([self._preparation.suspects.pop(0)])
                    here.found = True
                case Step.WAIT:
                    # What arrives until the minute has room joins the next call.
                    self._verdicts.finish()
                    self._pace.pause_s(_LOOK_AGAIN_S)
                    here = self._new_round()
                case Step.CALL | Step.SETTLE | Step.AGAIN:
                    if step is Step.CALL:
                        self._deliver(here)
                    elif step is Step.SETTLE:
                        self._verdicts.finish()
                    self._look_about()
                    here = self._new_round()
                case Step.HOLD:
                    assert self._preparation.hold
                    self._hold(self._preparation.hold)
                    self._end()
                    return
                case Step.GIVE_BACK | Step.HAND_OVER:
                    self._end(hand_over=step is Step.HAND_OVER)
                    return

    # -- a round ---------------------------------------------------------------------------------------------

    def _new_round(self) -> _Round:
        return _Round(late=self._late(), claimed=self._preparation.claimed)

    def _situation(self, here: _Round) -> Situation:
        return Situation(
            stopping=self._tools.stopping(),
            lane_lost=self._lane.lost,
            let_go=self._lane.let_go_of,
            late=here.late,
            final_call_made=self._final_call_made,
            ready=len(self._preparation),
            suspects=len(self._preparation.suspects),
            permission=here.permission,
            filled=here.filled,
            look_up_held=self._preparation.hold is not None,
            found=here.found or self._preparation.claimed != here.claimed,
            unsettled=len(self._verdicts) > 0,
        )

    def _ask(self, here: _Round) -> None:
        # Where a batch is ready one question is enough: whether it may go, and that it goes.
        seize = self._plentiful and self._limits is not None and self._batch_ready(self._limits)
        here.asked_at = self._tools.clock()
        asked = self._pace.begin_permit(self._tools.outbox.lane.begin, seize=seize)
        if self._plentiful and self._limits is not None and not here.late:
            # The answer will hardly be another than the last: what is due is claimed in the same step.
            here.claim_begun = True
            self._preparation.begin()
            self._preparation.ask(self._limits)
        permit, now_ms = asked(), self._tools.outbox.about_ms()
        self._hear_count()
        here.permit, here.linger_s = permit, self._pace.linger_s(permit)
        self._plentiful = permit.state.state == "open" and not (
            permit.spent or permit.scarce or here.linger_s
        )
        if self._pace.held(permit.state, now_ms):
            here.permission = Permission.HELD
        elif permit.spent:
            here.permission = Permission.SPENT
        else:
            here.permission = Permission.LINGER if here.linger_s else Permission.GRANTED
            self._limits = here.limits = self._pace.limits(permit.state, now_ms)

    def _fill(self, here: _Round) -> None:
        """Makes a batch ready, and settles the one before it alongside: folding is our time, settling is Redis's. With
        something at hand it goes on for no longer than its patience after the batch before was taken, but always until what
        is due now is among it: else a batch made ahead would leave without it, and each event would wait a call longer."""
        assert here.permit
        assert here.limits
        patience_s = LAST_CALL_S if here.permit.scarce else self._tools.gather_s
        here.filled = True
        preparation = self._preparation
        if not here.claim_begun:
            preparation.begin()
        while not self._enough(patience_s) and preparation.step(here.limits):
            if len(self._verdicts) and preparation.between_parts:
                self._verdicts.step()

    def _enough(self, patience_s: float) -> bool:
        preparation = self._preparation
        return len(preparation) > 0 and preparation.caught_up and self._since_taken_s() >= patience_s

    def _look_about(self) -> None:
        if self._tools.reader:
            self._tools.reader.look()
        self._tools.metrics.flush(force=False)

    def _end(self, *, hand_over: bool = False) -> None:
        """Nothing more is sent in this slice: what is at hand goes back, and the lane to whoever comes next."""
        self._verdicts.settle(self._preparation.put_away())
        self._pace.save()
        self._verdicts.finish()
        self._hear_count()
        if self._lane.lost:
            return
        if hand_over:
            successor = self._lane.hand_over()
            if successor:
                self._tools.bell.ring_flush(successor)
        else:
            self._lane.let_go()

    def _late(self) -> bool:
        return self._tools.clock() - self._began >= self._tools.slice_s

    def _since_taken_s(self) -> float:
        """Seconds since the batch before was taken."""
        return self._tools.clock() - self._taken_at

    def _batch_ready(self, limits: Limits) -> bool:
        """Whether a batch would go at once, calls being plentiful."""
        return self._preparation.full(limits) or (
            len(self._preparation) > 0 and self._since_taken_s() >= self._tools.gather_s
        )

    # -- beside a call ---------------------------------------------------------------------------------------

    def _meanwhile(self) -> float | None:
        """A little of what can be done while a call is under way: as `Meanwhile` says."""
        self._pace.save()
        wait_s = self._ahead.step() if self._ahead else None
        if wait_s == 0.0:
            return wait_s
        if len(self._verdicts):
            self._verdicts.step()
            return 0.0
        self._tools.outbox.lane.push()
        self._tools.metrics.flush(force=False)
        return wait_s

    def _make_ahead(self, state: DeliveryState, limits: Limits, carried: int) -> Ahead | None:
        """What makes the next batch ready beside a call with `carried` items."""
        looking = self._tools.looking
        look = self._plentiful and carried >= looking.from_items
        if (self._preparation.dry and not look) or state.state != "open" or self._late():
            return None
        return Ahead(
            self._preparation,
            self._verdicts,
            # The next call may be allowed more than this one, as size is learned: what is there by then is what it carries.
            Limits(min(self._tools.config.planhat.batch.max_items, 2 * limits.items), limits.bytes),
            look_apart_s=looking.apart_s(self._pace.sizes.curve.took_s(carried)) if look else None,
            stopping=self._tools.stopping,
            clock=self._tools.clock,
        )

    # -- one batch -------------------------------------------------------------------------------------------

    def _deliver(self, here: _Round) -> None:
        """One batch of what is in preparation. Its verdicts may be left for the next call's time."""
        assert here.permit
        assert here.limits
        while len(self._verdicts) > 1:
            # Where settling falls behind folding, what is unsettled would pile up batch by batch.
            self._verdicts.step()
        self._final_call_made = here.late
        piece, state = self._preparation.take(here.limits), here.permit.state
        self._taken_at = self._tools.clock()
        if not self._may_make(here):
            self._verdicts.settle([hand_back(outgoing.item) for outgoing in piece])
            return
        self._batches += 1
        self._tools.metrics.observe("relay_batch_items", {}, len(piece))
        self._ahead = self._make_ahead(state, here.limits, len(piece))
        refused = self._resolve(piece, state, last=False)
        self._ahead = None
        if refused:
            # Addressed by an `_id` that Planhat may no longer have: one try by externalId, then the verdict stands.
            if self._may_call():
                self._resolve([outgoing.by_external_id() for outgoing in refused], state, last=True)
            else:
                self._verdicts.settle([hand_back(outgoing.item) for outgoing in refused])
        if self._preparation.all_had and (not len(self._preparation) or len(piece) <= PART):
            # Before the next claim, which may find more of these; both are one step for Redis.
            self._verdicts.begin_finish()

    def _resolve(
        self, piece: Sequence[OutgoingItem], state: DeliveryState, *, last: bool
    ) -> list[OutgoingItem]:
        """Finds out what became of one batch, and leaves its verdicts to be settled. What was refused under an `_id`
        comes back, unless it is the `last` try."""
        began, batch = self._tools.clock(), f"{self._lane.generation}-{self._batches}"
        by_id: list[OutgoingItem] = []
        resolution = Resolution(
            [outgoing.row for outgoing in piece],
            partial(self._caller.call, state=state, batch=batch),
            stop=lambda: not self._may_call(),
            forbidden_before=last or all(map(_forbidden_before, piece)),
        )
        counts = Counter(delivered=0, unchanged=0, refused=0, postponed=0)
        for news in resolution.run():
            if resolution.hold:
                self._hold(resolution.hold)
            now_ms = self._tools.outbox.about_ms()
            kinds = Counter(map(type, news.values()))
            if Refused not in kinds:
                for position in news:
                    piece[position].row.release()
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
            self._verdicts.add(known, self._caller.facts, now_ms)
        log(
            "batch.sent",
            batch=batch,
            items=len(piece),
            calls=resolution.calls,
            took_ms=round((self._tools.clock() - began) * 1000),
            status=self._caller.facts.status,
            hold=resolution.hold.kind if resolution.hold else "",
            **counts,
        )
        if resolution.hold:
            self._verdicts.settle([hand_back(outgoing.item) for outgoing in by_id])
            return []
        return by_id

    # -- whether another call may be made --------------------------------------------------------------------

    def _may_make(self, here: _Round) -> bool:
        """A batch's first call. Where calls were plentiful a moment ago it is counted while it is made: Redis writes that to disk,
        and Planhat would wait for it."""
        assert here.permit
        if here.permit.taken:
            return not self._over()
        if not self._plentiful or self._tools.clock() - here.asked_at > _FRESH_S:
            return self._may_call()
        if self._over():
            return False
        self._counted = self._pace.begin_call(self._tools.outbox.lane.begin)
        return True

    def _hear_count(self) -> None:
        counted, self._counted = self._counted, None
        if counted:
            counted()

    def _may_call(self) -> bool:
        """A place in the fleet's minute is taken: a call must follow. False: stop here."""
        if self._over():
            return False
        return self._pace.take_call(stop=self._over) and not self._over()

    def _over(self) -> bool:
        return (
            self._lane.lost
            or self._lane.slipped()
            or self._tools.stopping()
            or self._tools.clock() - self._began > LAST_CALL_S
        )

    def _hold(self, hold: Hold) -> None:
        self._plentiful = False
        until_ms = self._pace.hold(hold)
        log("delivery.held", level=logging.WARNING, kind=hold.kind, reason=hold.reason, until_ms=until_ms)


def _forbidden_before(outgoing: OutgoingItem) -> bool:
    """Tell whether Planhat's last verdict on it was a 403 of its own: a total 403 is none, and leaves nothing here."""
    refused = (entry for entry in reversed(outgoing.history) if entry["what"] == "refused")
    return bool(outgoing.item.refusals) and next(refused, {"status": None})["status"] == 403
