"""The outbox's values: what is written at the door, what a claim hands out, what a settlement says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from relay.lane_name import MAIN
from relay.thread_ids import ThreadIds
from relay.value import value_class

#: The states of the ledger, beside `pending`; each accepted event ends in exactly one.
State = Literal["pending", "delivered", "unchanged", "superseded", "filtered", "dead", "discarded"]
STATES: tuple[State, ...] = (
    "pending",
    "delivered",
    "unchanged",
    "superseded",
    "filtered",
    "dead",
    "discarded",
)


def balanced(counts: Mapping[str, int]) -> bool:
    """Tell whether one source's books balance: each accepted event is in exactly one state. A count below nothing is no count,
    even where the sum is right."""
    states = [counts.get(state, 0) for state in STATES]
    return counts.get("accepted", 0) == sum(states) and min(states) >= 0


#: Before a remark's word: when it was last counted, in ms.
LAST = "last:"
_REMARKS = ("skipped:", "empty:")


#: Before a drop's id: a remark that is counted with the drop, not with the source.
DROPPED_BY = "dropped:"


def is_remark(word: str) -> bool:
    """Tell whether a count of a source is one beside the books: see `Outbox.remarks`."""
    return word.startswith(_REMARKS) or word == "privacy_unsaid"


@value_class(frozen=True, slots=True)
class Entry:
    """One event as the door writes it. `verdict`:

    - `pending`: `patch` waits under `external_id`;
    - `filtered`: accepted, dropped by a rule or matched by none;
    - `dead`: accepted, but cannot be mapped: `dead` is the dead letter's record;
    - `noted`: no event: its keys are remembered, and nothing else.

    `threading` is that of a mail, which was mapped for `thread`; where it belongs to another, nothing is kept and it is to be
    mapped again. `known_as` is the provider's own id of the delivery, where the event id is not made of it: a trace finds it by that.
    `seen_keys` are the dedupe keys, the event's own id first; `kept_keys` are remembered as long as documents. `record` is the archived raw event (already packed).
    `remarks` are words to count it by, outside of the books ("empty:no_text"); they are not stored with it.
    """

    event_id: str
    source: str
    verdict: Literal["pending", "filtered", "dead", "noted"]
    seen_keys: tuple[str, ...]
    record: bytes
    external_id: str = ""
    patch: bytes = b""
    dead: bytes = b""
    known_as: str = ""
    kept_keys: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    #: `record`, `patch` and `dead` are as the vault seals them already.
    sealed: bool = False
    thread: str = ""
    threading: ThreadIds | None = None
    #: Whose it is: it is written there and nowhere else.
    lane: str = MAIN


@value_class(frozen=True, slots=True)
class Recorded:
    """`duplicate_of` is the id under which the same delivery was accepted before, "" where it is new. `thread`: nothing was
    kept, since the event belongs to this one."""

    event_id: str
    duplicate_of: str = ""
    thread: str = ""

    @classmethod
    def of(cls, event_id: str, verdict: bytes) -> Recorded:
        """Return what `record` says of an entry, unless it is over its rate."""
        if not verdict:
            return cls(event_id)
        if verdict[:1] == b"~":
            return cls(event_id, thread=verdict[1:].decode("utf-8", "surrogatepass"))
        return cls(event_id, verdict.decode())


@dataclass(slots=True)
class Pending:
    """One patch that waits. `counted` is False for a patch that must not move the ledger (its event is counted
    by another patch that waits already). `patch` is empty after `release`."""

    event_id: str
    source: str
    accepted_ms: int
    patch: bytes
    counted: bool = True

    def release(self) -> None:
        """Lets go of the patch's bytes: whoever has folded it needs them no more. Redis has them until it is settled."""
        self.patch = b""


@value_class(frozen=True, slots=True)
class Item:
    """One conversation under a claim: `document` is the fold so far (None: never delivered), `pending` what is not
    yet folded. `crashes` is how often a claim on it ran out unsettled; `refusals` Planhat's verdicts so far. `unreadable`
    says why its stored values cannot be opened, a key that is gone for one ("": they could be): then nothing of it is here."""

    external_id: str
    lane_source: str
    token: str
    crashes: int
    refusals: int
    first_pending_ms: int
    document: bytes | None
    pending: tuple[Pending, ...]
    unreadable: str = ""
    #: There is no document any more, and Planhat has this conversation, or may have it.
    forgotten: bool = False
    #: How often this Redis was set back or flushed, and until when what was accepted may have been delivered before that.
    life: int = 0
    since_ms: int = 0
    #: `unreadable` because a newer release wrote it.
    newer: bool = False
    #: It is to be looked at again: a call that was cut off may have taken effect after the one that delivered it.
    doubted: bool = False


@value_class(frozen=True, slots=True)
class Claim:
    """`owned` False: another flush job owns the lane, stop. No items: nothing is due and the lane was let go of (unless
    it was to be kept). `more`: what was asked for, in items or bytes, was had; there may be more due."""

    owned: bool
    items: tuple[Item, ...] = ()
    now_ms: int = 0
    more: bool = False


@value_class(frozen=True, slots=True)
class Done:
    """Delivered, unchanged or superseded, event by event. `document` replaces the stored one."""

    item: Item
    document: bytes
    events: Sequence[tuple[str, State]]
    planhat_id: str = ""
    #: A mark is left that outlives the document.
    mark: bool = False
    #: When to look again at what Planhat has (epoch ms; 0: not).
    look_ms: int = 0


@dataclass(frozen=True, slots=True)
class Later:
    """Due again at `due_ms` (Redis's clock, epoch ms). `refused` charges the item one refusal; an outage charges
    nothing, not even the claim. `document` (optional) replaces the stored one, for attempts' history."""

    item: Item
    due_ms: int
    refused: bool = False
    document: bytes | None = None


@dataclass(frozen=True, slots=True)
class Bury:
    """Given up on: all pending events of the item become one dead letter. `record` is JSON bytes with at least
    `cause`, `stage`; the patches are kept with it by the script."""

    item: Item
    dead_id: str
    record: bytes
    document: bytes | None = None


Settlement = Done | Later | Bury


@dataclass(frozen=True, slots=True)
class Settled:
    """`lost` are externalIds whose lease had run out and was taken by someone else: whoever holds them decides."""

    lost: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`record` is what `Bury`/`Entry.dead` stored; `patches` wait to be replayed. `amended`: how often the record was changed,
    by which whoever changes it, or acts on it, knows that it is still the one that was read."""

    dead_id: str
    source: str
    external_id: str
    at_ms: int
    record: bytes
    patches: tuple[Pending, ...] = field(default=())
    events: tuple[str, ...] = ()
    amended: int = 0
