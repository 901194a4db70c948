"""What becomes of an item, as the outbox is told: done, later or buried. Decisions only; nothing is sent from here.

Only a verdict on the item charges the item: a refusal is spaced and counted, the last one buries. Whatever befalls the
whole call hands the items back as they were; they are given up on by age alone.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final, Protocol

from relay.config import Config
from relay.event import event_mark
from relay.outbox.items import Bury, Done, Item, Later, Pending, Settlement, State
from relay.outbox.shared_metrics import SharedMetrics
from relay.outbox.store import MARK_YEAR_S
from relay.patch import Document
from relay.planhat.outcomes import Delivered, Outcome, Postponed, Refused, Unchanged
from relay.telemetry import log
from workers.flush.dead_record import DeadRecord, cause_of, dead_id
from workers.flush.fold import UNKNOWN, OutgoingItem, add_history, is_nudge, perhaps_sent, stored_document
from workers.pace.backoff import Backoff

#: How long what cannot be opened waits before it is looked at again: its key may have come back.
_UNREADABLE_S = 60.0
#: What only a newer release reads is offered so often: to whichever worker asks, and one of that release will.
NEWER_WAITS_MS: Final = 5_000
#: So long after a delivery, a call for it having been cut off before, what Planhat has is looked at again.
LOOK_AGAIN_S: Final = 120.0
#: Of so many events at most a delivery names which it carried: one of hundreds says nothing of each.
_MOST_CARRIED: Final = 20
#: Who could not be looked up is asked for again after one to ten times this.
ASK_AGAIN_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class CallFacts:
    """The call that a verdict came with, for the history. `status` None: there was no answer."""

    batch: str = ""
    status: int | None = None
    took_ms: int = 0


class Folded(Protocol):
    """A folded or an outgoing item: a claimed item and what its patches make of it."""

    item: Item

    def whole(self) -> Document: ...


class NotesSettled(Protocol):
    """Is told what became of events, for traces."""

    def settled(
        self, pending: Sequence[Pending], outcome: Outcome, batch: str, status: int | None, took_ms: int, now_ms: int
    ) -> None: ...  # fmt: skip


class Settlements:
    """Decides; `count_waits` reports how long the delivered events had waited."""

    def __init__(
        self, config: Config, metrics: SharedMetrics, chance: Random, traces: NotesSettled | None = None
    ) -> None:
        self._traces = traces
        self._config = config
        self._metrics = metrics
        self._chance = chance
        # What was cut off may still take effect for as long as Planhat works on it.
        self._look_again_ms = int(max(LOOK_AGAIN_S, 2 * config.planhat.timeout_s) * 1000)
        self._waited_s: defaultdict[str, list[float]] = defaultdict(list)

    def count_waits(self) -> None:
        """Put into the metrics how long events waited, since this was last asked for."""
        for source, waited_s in self._waited_s.items():
            self._metrics.observe_all("relay_end_to_end_seconds", {"source": source}, waited_s)
        self._waited_s.clear()

    def settlement(
        self, outgoing: OutgoingItem, outcome: Outcome, facts: CallFacts, now_ms: int
    ) -> Settlement:
        if self._traces is not None:
            self._traces.settled(
                outgoing.item.pending, outcome, facts.batch, facts.status, facts.took_ms, now_ms
            )
        # First what is nearly always the case: a pattern of classes takes four times as long.
        if isinstance(outcome, (Delivered, Unchanged)):
            changed = isinstance(outcome, Delivered)
            return self._done(outgoing, outcome.planhat_id, changed, facts, now_ms)
        match outcome:
            case Postponed(reason, hold, perhaps):
                return self.later(outgoing, reason, 0, now_ms, may_bury=hold is not None, perhaps=perhaps)
            case Refused():
                return self._refused(outgoing, outcome, facts, now_ms)

    def _done(
        self, outgoing: OutgoingItem, planhat_id: str, changed: bool, facts: CallFacts, now_ms: int
    ) -> Settlement:
        item = outgoing.item
        entry = {
            "at_ms": now_ms, "what": "sent" if changed else "unchanged",
            "status": facts.status, "batch": facts.batch, "took_ms": facts.took_ms, **carried(item),
        }  # fmt: skip
        state: State = "delivered" if changed else "unchanged"
        events = outgoing.events(state)
        if changed:
            ends = dict(events)
            for pending in item.pending:
                if ends.get(pending.event_id) == state:
                    self._waited_s[pending.source].append(max(0, now_ms - pending.accepted_ms) / 1000)
        year = now_ms // (MARK_YEAR_S * 1000)
        return Done(
            item,
            outgoing.delivered(planhat_id, entry, year),
            events,
            planhat_id or outgoing.row.planhat_id,
            outgoing.marked != year,
            self._look_ms(outgoing, now_ms),
        )

    def _look_ms(self, outgoing: OutgoingItem, now_ms: int) -> int:
        """When it is to be looked at again: once a call that was cut off is quiet, or somebody can be looked up; 0: not."""
        # A call that was under way when Redis was set back is unknown here, and may have taken effect after the reading.
        lately = outgoing.recalled and now_ms - outgoing.item.since_ms < self._look_again_ms
        if outgoing.doubtful or lately:
            return now_ms + self._look_again_ms
        # Spread: of many that nobody could look up at once, a minute's budget has room for some.
        return now_ms + int(ASK_AGAIN_MS * (1 + 9 * self._chance.random())) if outgoing.unasked else 0

    def later(
        self,
        folded: Folded,
        reason: str,
        due_ms: int,
        now_ms: int,
        *,
        may_bury: bool = True,
        perhaps: bool = False,
    ) -> Settlement:
        item = folded.item
        # Handing it back forgets that it crashed; what that means for Planhat must not be forgotten.
        document = perhaps_sent(item) if perhaps or item.crashes else None
        give_up_s = self._config.planhat.retry.give_up_after_s
        if may_bury and now_ms - item.first_pending_ms > give_up_s * 1000:
            cause = f"given up after {_duration(give_up_s)}: {cause_of(reason, folded.whole().render())}"
            buried = self.bury(item, DeadRecord("deliver", cause, reason), folded)
            return replace(buried, document=document)
        return Later(item, due_ms, document=document)

    def _refused(self, outgoing: OutgoingItem, refusal: Refused, facts: CallFacts, now_ms: int) -> Settlement:
        retry, item, document = self._config.planhat.retry, outgoing.item, outgoing.whole()
        refusals = item.refusals + 1
        cause = (
            "too large for Planhat"
            if refusal.too_large
            else f"refused: {cause_of(refusal.message, document.render())}"
        )
        entry = {
            "at_ms": now_ms, "what": "refused", "status": facts.status,
            "batch": facts.batch, "took_ms": facts.took_ms, "error": cause, **carried(item),
        }  # fmt: skip
        # The document as it stood: what is not delivered is not folded in for good, or a discarded letter would be.
        stood = stored_document(item)
        if item.crashes:
            stood.sent_hash = UNKNOWN
        add_history(stood, entry)
        add_history(document, entry)
        if refusals >= retry.max_refusals or refusal.too_large:
            dead_record = DeadRecord("deliver", cause, refusal.message, refusal.raw)
            return Bury(item, dead_id(item), dead_record.record(item, document), stood.encode())
        wait_s = Backoff(retry.first_s, retry.cap_s).wait_at_least_s(refusals, self._chance)
        return Later(item, now_ms + int(wait_s * 1000), refused=True, document=stood.encode())

    def unreadable(self, item: Item, now_ms: int) -> Settlement:
        """Return a key may come back, so what is sealed with it waits; as long as anything else, then it is a dead letter."""
        give_up_s = self._config.planhat.retry.give_up_after_s
        log("item.unreadable", level=logging.ERROR, source=item.lane_source, why=item.unreadable)
        if now_ms - item.first_pending_ms > give_up_s * 1000:
            return self.bury(item, DeadRecord("deliver", "cannot be read", item.unreadable))
        return hand_back(item, now_ms + int(_UNREADABLE_S * 1000))

    def bury(self, item: Item, dead_record: DeadRecord, folded: Folded | None = None) -> Bury:
        log(
            "item.buried",
            level=logging.WARNING,
            cause=dead_record.cause,
            stage=dead_record.stage,
            source=item.lane_source,
        )
        document = perhaps_sent(item) if folded and item.crashes else None
        return Bury(
            item, dead_id(item), dead_record.record(item, folded.whole() if folded else None), document
        )

    def newer(self, item: Item, now_ms: int) -> Later:
        """Return a newer release wrote something of it: handed back as it is, for that one's workers to take."""
        self._metrics.add("relay_newer_records_total", {"source": item.lane_source})
        return Later(item, now_ms + NEWER_WAITS_MS)


def carried(item: Item) -> dict[str, list[str]]:
    """Return which events went with it, for their stories; nothing where they are many."""
    marks = [event_mark(pending.event_id) for pending in item.pending if not is_nudge(pending.event_id)]
    return {"of": marks} if 0 < len(marks) <= _MOST_CARRIED else {}


def hand_back(item: Item, due_ms: int = 0) -> Later:
    """Hand it back as it was, due at once or at `due_ms`."""
    known = item.crashes and not item.unreadable
    return Later(item, due_ms, document=perhaps_sent(item) if known else None)


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"
