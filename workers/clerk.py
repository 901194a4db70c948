"""What becomes of an item, as the outbox is told: done, later or buried. Decisions only; nothing is sent from here.

Only a verdict on the item charges the item: a refusal is spaced and counted, the last one buries. Whatever befalls the
whole call hands the items back as they were; they are given up on by age alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from random import Random

from relay.config import Config
from relay.outbox.items import Bury, Done, Item, Later, Settlement, State
from relay.telemetry import SharedMetrics, log
from workers.backoff import Backoff
from workers.draft import UNKNOWN, Draft, add_history, perhaps_sent, stored_document
from workers.letter import Letter, cause_of, dead_id
from workers.outcome import Delivered, Outcome, Postponed, Refused, Sent, Unchanged


@dataclass(frozen=True, slots=True)
class CallFacts:
    """The call that a verdict came with, for the history. `status` None: there was no answer."""

    batch: str = ""
    status: int | None = None
    took_ms: int = 0


class Clerk:
    """`facts` are the last call's; whoever calls sets them."""

    def __init__(self, config: Config, metrics: SharedMetrics, chance: Random) -> None:
        self.facts = CallFacts()
        self._config = config
        self._metrics = metrics
        self._chance = chance

    def settlement(self, draft: Draft, sent: Sent, outcome: Outcome, now_ms: int) -> Settlement:
        match outcome:
            case Delivered(planhat_id) | Unchanged(planhat_id):
                return self._done(draft, sent, planhat_id, isinstance(outcome, Delivered), now_ms)
            case Postponed(reason, hold, perhaps):
                return self.later(draft, reason, 0, now_ms, may_bury=hold is not None, perhaps=perhaps)
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
            status=self.facts.status, batch=self.facts.batch, took_ms=self.facts.took_ms,
        )  # fmt: skip
        state: State = "delivered" if changed else "unchanged"
        events = draft.events(state)
        ends = dict(events)
        for pending in draft.item.pending:
            if ends.get(pending.event_id) == taken and changed:
                waited_s = max(0, now_ms - pending.accepted_ms) / 1000
                self._metrics.observe("relay_end_to_end_seconds", {"source": pending.source}, waited_s)
        return Done(draft.item, document.encode(), events, document.planhat_id)

    def later(
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
        give_up_s = self._config.planhat.retry.give_up_after_s
        if may_bury and now_ms - draft.item.first_pending_ms > give_up_s * 1000:
            cause = f"given up after {_duration(give_up_s)}: {cause_of(reason, draft.fields)}"
            buried = self.bury(item, Letter("deliver", cause, reason), draft)
            return replace(buried, document=document)
        return Later(item, due_ms, document=document)

    def _refused(self, draft: Draft, refusal: Refused, now_ms: int) -> Settlement:
        retry = self._config.planhat.retry
        refusals = draft.item.refusals + 1
        cause = (
            "too large for Planhat"
            if refusal.too_large
            else f"refused: {cause_of(refusal.message, draft.fields)}"
        )
        entry = {
            "at_ms": now_ms, "what": "refused", "status": self.facts.status,
            "batch": self.facts.batch, "took_ms": self.facts.took_ms, "error": cause,
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

    def bury(self, item: Item, letter: Letter, draft: Draft | None = None) -> Bury:
        log(
            "item.buried",
            level=logging.WARNING,
            cause=letter.cause,
            stage=letter.stage,
            source=item.lane_source,
        )
        document = perhaps_sent(item) if draft and item.crashes else None
        return Bury(item, dead_id(item), letter.record(item, draft.document if draft else None), document)


def hand_back(item: Item, due_ms: int = 0) -> Later:
    """Handed back as it was, due at once or at `due_ms`."""
    return Later(item, due_ms, document=perhaps_sent(item) if item.crashes else None)


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"
