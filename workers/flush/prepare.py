"""What the next calls will carry: claimed, folded and addressed, a part at a time, also while a call is under way.

Redis hands out the next part while this one is folded. What a call has no room for stays for the next, under its lease.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

from relay.errors import NewerRecord
from relay.outbox.items import Claim, Done, Item, Settlement
from relay.planhat.outcomes import Hold
from relay.telemetry import log
from workers.flush.address import Addressing
from workers.flush.dead_record import DeadRecord
from workers.flush.fold import FoldedItem, FoldedRead, OutgoingItem
from workers.flush.lane import Lane
from workers.flush.settle import Settlements, hand_back
from workers.pace.pace import Limits

#: A claim that ran out unsettled so often has killed its worker.
CRASHES: Final = 3
#: Claimed, folded and settled at one time: short enough for Redis and for who waits for this worker.
PART: Final = 125
#: The same in stored bytes: while it is folded or settled, a part takes several times its size.
PART_BYTES: Final = 500_000
#: Claims on their way at one time: Redis has the next to do while this one's answer is read.
ASKED_AT_ONCE: Final = 2
#: Folded in one step: who waits for Planhat's answer looks for it between two.
FOLDED_AT_ONCE: Final = 50


_T = TypeVar("_T")


class Enriches(Protocol):
    """Adds what a webhook left out (see `enricher.py`)."""

    def improve(self, items: Sequence[Item], now_ms: int) -> tuple[list[Item], list[tuple[Item, float]]]: ...


class Recalls(Protocol):
    """Reads what Planhat has of a conversation (see `recall.py`)."""

    def read(
        self, items: Sequence[FoldedItem], now_ms: int
    ) -> tuple[list[tuple[Item, FoldedRead]], list[Settlement], Hold | None]: ...


class Preparation:
    """Makes the next calls' items ready, within one slice. `settle` takes what needs no call. `hold`: a look-up found that delivery as a whole must wait."""

    def __init__(
        self,
        lane: Lane,
        addressing: Addressing,
        settling: Settlements,
        settle: Callable[[Sequence[Settlement]], None],
        *,
        enricher: Enriches | None,
        recall: Recalls | None,
        now_ms: Callable[[], int],
    ) -> None:
        self.suspects: list[Item] = []
        self.hold: Hold | None = None
        self.claimed = 0
        self._all_had = False
        #: Of the part at hand: what is to be folded, what is folded, what needs no call.
        self._unfolded: deque[Item] = deque()
        self._folded_items: list[FoldedItem] = []
        self._settlements: list[Settlement] = []
        self._newer: list[str] = []
        #: Something was handed back because only a newer release reads it.
        self.met_newer = False
        self._outgoing_items: deque[OutgoingItem] = deque()
        self._size = 0
        self._lane = lane
        self._addressing = addressing
        self._settling = settling
        self._settle = settle
        self._enricher = enricher
        self._recall = recall
        self._now_ms = now_ms
        #: (most items, most bytes, the answer) of each claim on its way.
        self._asked: deque[tuple[int, int, Callable[[], Claim]]] = deque()
        #: How many of those were asked before `begin`: what has come since is not among their items.
        self._asked_before = 0
        self._caught_up = False
        #: The last claim left something due; since the batch before was taken one left nothing.
        self._left_due = False
        self._end_reached = True

    def __len__(self) -> int:
        return len(self._outgoing_items)

    def full(self, limits: Limits) -> bool:
        """Tell whether there is as much as a call may carry."""
        return len(self._outgoing_items) >= limits.items or self._size >= limits.bytes

    @property
    def all_had(self) -> bool:
        """The last claim got less than it asked for."""
        return self._all_had

    @property
    def dry(self) -> bool:
        """Nothing more is due than what is here, and all of it is ready."""
        return self._all_had and not self._unfolded

    @property
    def between_parts(self) -> bool:
        return not self._unfolded

    @property
    def caught_up(self) -> bool:
        """A claim that was asked for since `begin` is taken in: what was due then is here, as far as there was room. True as well where
        there is no catching up: a whole call long each claim has left something due, and what came last is far behind that."""
        return not self._end_reached or (self._caught_up and not self._unfolded)

    def begin(self) -> None:
        """Begin again: there may be something due."""
        self._all_had = self._caught_up = False
        self._asked_before = len(self._asked)

    def ask(self, limits: Limits) -> None:
        """Ask for the first part, if none is on its way. Where nothing is at hand this waits for the answer."""
        if not self._asked and not self._unfolded and self._wanting(limits):
            self._ask(limits, 0, 0)

    def _wanting(self, limits: Limits) -> bool:
        return not (self._all_had or self.hold or self.suspects or self._lane.lost or self.full(limits))

    def step(self, limits: Limits) -> bool:
        """Do a little of a part: it is claimed, folded `FOLDED_AT_ONCE` by `FOLDED_AT_ONCE`, and ends among the outgoing items. False:
        there is enough, or no more to be had now."""
        if self._unfolded:
            self._fold()
            return True
        if not self._asked:
            if not self._wanting(limits):
                return False
            self._ask(limits, 0, 0)
        claim = self._asked.popleft()[2]()
        if self._asked_before:
            self._asked_before -= 1
        else:
            self._caught_up = True
        items: Sequence[Item] = claim.items
        self.claimed += len(items)
        self._all_had = not claim.more
        self._left_due = claim.more
        self._end_reached = self._end_reached or not claim.more
        alone = [item for item in items if item.crashes >= 2]
        if claim.more and not alone and not self.hold:
            coming_bytes = _weight(items)
            while len(self._asked) < ASKED_AT_ONCE and self._ask(limits, len(items), coming_bytes):
                pass
        if alone:
            # At hand when a worker died, twice: each goes alone, after everything else.
            self.suspects += alone
            items = [item for item in items if item.crashes < 2]
        self._begin_part(items)
        return True

    def _ask(self, limits: Limits, coming_items: int, coming_bytes: int) -> bool:
        """Asks for one part more, if there is room for it beside what is here and what is coming."""
        room = (
            limits.items - len(self._outgoing_items) - coming_items - sum(asked[0] for asked in self._asked)
        )
        room_bytes = limits.bytes - self._size - coming_bytes - sum(asked[1] for asked in self._asked)
        if room <= 0 or room_bytes <= 0:
            return False
        most, most_bytes = min(PART, room), min(PART_BYTES, room_bytes)
        stay = bool(self._outgoing_items or coming_items) or self._lane.has_claims
        self._asked.append((most, most_bytes, self._lane.claim(most, max_bytes=most_bytes, stay=stay)))
        return True

    def take_in(self, items: Sequence[Item]) -> None:
        """Take in a whole part at once."""
        self._begin_part(items)
        while self._unfolded:
            self._fold()

    def _begin_part(self, items: Sequence[Item]) -> None:
        if self.hold:
            self._settle([hand_back(item) for item in items])
            return
        unreadable = [item for item in items if item.unreadable]
        if unreadable:
            now_ms = self._now_ms()
            self._newer += [item.external_id for item in unreadable if item.newer]
            self._settlements += [
                self._settling.newer(item, now_ms) if item.newer else self._settling.unreadable(item, now_ms)
                for item in unreadable
            ]
            items = [item for item in items if not item.unreadable]
        if self._enricher and items:
            now_ms = self._now_ms()
            items, waiting = self._enricher.improve(items, now_ms)
            self._settlements += [hand_back(item, now_ms + int(wait_s * 1000)) for item, wait_s in waiting]
        self._unfolded.extend(items)
        if not items:
            self._end_part()

    def _fold(self) -> None:
        self._lane.read_available()
        for _ in range(min(FOLDED_AT_ONCE, len(self._unfolded))):
            made = self._fold_item(self._unfolded.popleft())
            if isinstance(made, FoldedItem):
                self._folded_items.append(made)
            else:
                self._settlements.append(made)
        if not self._unfolded:
            self._end_part()

    def _end_part(self) -> None:
        """Addresses; settles what needs no call, or can have none."""
        folded_items, self._folded_items = self._folded_items, []
        settlements, self._settlements = self._settlements, []
        if "read" in [folded_item.need for folded_item in folded_items]:
            folded_items = self._read(folded_items, settlements)
        if self.hold:
            settlements += [hand_back(folded_item.item) for folded_item in folded_items]
        elif folded_items:
            ready, self.hold = self._addressing.address(folded_items, settlements)
            if self.hold:
                settlements += [hand_back(folded_item.item) for folded_item in ready]
            else:
                for outgoing in self._addressing.outgoing_items(ready, settlements):
                    self._outgoing_items.append(outgoing)
                    self._size += len(outgoing.row.body) + 1
        self._settle(settlements)
        if self._newer:
            self.met_newer = True
            self._lane.note_newer(self._newer)
            self._newer = []

    def _read(self, folded_items: list[FoldedItem], settlements: list[Settlement]) -> list[FoldedItem]:
        """Those that are, or now can be, sent; the rest is settled."""
        sure = [folded_item for folded_item in folded_items if folded_item.need != "read"]
        unsure = [folded_item for folded_item in folded_items if folded_item.need == "read"]
        if self._recall is None:
            settlements += [hand_back(one.item, self._now_ms() + 5_000) for one in unsure]
            return sure
        read, rest, self.hold = self._recall.read(unsure, self._now_ms())
        settlements += rest
        for item, stands in read:
            folded_item = self._fold_item(item, stands)
            if isinstance(folded_item, FoldedItem):
                sure.append(folded_item)
            else:
                settlements.append(folded_item)
        return sure

    def take(self, limits: Limits) -> list[OutgoingItem]:
        """Return what goes with the next call: in order, at most so many items and, as a JSON array, so many bytes; what is
        larger than that alone goes alone."""
        self._end_reached = not self._left_due
        if len(self._outgoing_items) <= limits.items and self._size + 2 <= limits.bytes:
            taken = list(self._outgoing_items)
            self._outgoing_items.clear()
            self._size = 0
            return taken
        taken, size = [], 2
        while self._outgoing_items and len(taken) < limits.items:
            more = len(self._outgoing_items[0].row.body) + 1
            if taken and size + more > limits.bytes:
                break
            taken.append(self._outgoing_items.popleft())
            size += more
            self._size -= more
        return taken

    def put_away(self) -> list[Settlement]:
        """Hand back everything here, as it was."""
        items = [outgoing.item for outgoing in self._outgoing_items] + self.suspects
        items += [folded_item.item for folded_item in self._folded_items]
        items += self._unfolded
        while self._asked:
            items += self._asked.popleft()[2]().items
        settlements = [*self._settlements, *(hand_back(item) for item in items)]
        for part in (
            self._outgoing_items,
            self._folded_items,
            self._unfolded,
            self._settlements,
            self.suspects,
        ):
            part.clear()
        self._size = 0
        return settlements

    def _fold_item(self, item: Item, stands: FoldedRead | None = None) -> FoldedItem | Settlement:
        """`stands`: what Planhat has of it, where that was read. What cannot be folded is one item's fault: it must not end the
        job, which would begin with it again."""
        if item.crashes >= CRASHES:
            dead_record = DeadRecord(
                "deliver", f"killed its worker {CRASHES} times", "Each claim on it ended with the worker."
            )
            # Not even looked into: what kills may do it while being read.
            return self._settling.bury(item, dead_record)
        try:
            folded_item = FoldedItem.of(item, stands)
        except NewerRecord:
            self._newer.append(item.external_id)
            return self._settling.newer(item, self._now_ms())
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            log("item.unreadable", level=logging.ERROR, error=type(error).__name__)
            return self._settling.bury(
                item, DeadRecord("deliver", "cannot be read", f"What was stored cannot be read: {error}")
            )
        return folded_item if folded_item.need in ("send", "read") else _needs_no_call(folded_item)


def _needs_no_call(folded_item: FoldedItem) -> Done:
    return Done(folded_item.item, folded_item.document.encode(), folded_item.events("unchanged"))


def parts(things: Iterable[_T], size_of: Callable[[_T], int]) -> Iterator[list[_T]]:
    """Yield parts in order, each at most `PART` long and, in bytes, hardly more than `PART_BYTES`."""
    part: list[_T] = []
    size = 0
    for thing in things:
        part.append(thing)
        size += size_of(thing)
        if len(part) >= PART or size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _weight(items: Sequence[Item]) -> int:
    documents = sum([len(item.document) for item in items if item.document])
    return documents + sum([len(pending.patch) for item in items for pending in item.pending])
