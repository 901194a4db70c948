"""Redis set back again and again, to whatever copy, while senders say again what was forgotten, late and in any order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from relay.event import iso_time
from relay.outbox.items import Item, Pending
from relay.patch import Document, Patch
from workers.flush.doubt import has_all
from workers.flush.fold import FoldedItem, FoldedRead, nudge
from workers.flush.settle import LOOK_AGAIN_S

_TEXT: Final = re.compile(r"text-\d+-\d+")
_NOW_MS: Final = 1_800_000_000_000
LOOK_AGAIN_MS: Final = int(LOOK_AGAIN_S * 1000)
#: A call that was cut off takes effect within this, or never.
_LATE_MS: Final = LOOK_AGAIN_MS - 30_000


@dataclass(frozen=True)
class Said:
    """Event `number`, about the message `message`: `edit` 0 is the message itself, -1 its deletion."""

    number: int
    message: int
    edit: int
    at_ms: int

    @property
    def text(self) -> str:
        return f"text-{self.message}-{self.edit}"

    def patch(self) -> Patch:
        fields: Any = {"description": ("append", self.text), "type": ("replace", "Slack thread")}
        return Patch(
            external_id="x",
            event_id=f"evt_{self.number}",
            source="slack",
            version=self.at_ms * 1000,
            time=iso_time(1_700_000_000 + self.message),
            fields=fields if self.edit >= 0 else {},
            action="upsert" if self.edit >= 0 else "retract",
            message_id=f"m{self.message:03d}",
        )


@dataclass
class Copy:
    """What Redis holds of the conversation."""

    document: bytes | None = None
    pending: list[tuple[Said | None, int]] = field(default_factory=list)
    accepted: set[Said] = field(default_factory=set)
    crashes: int = 0
    #: When it is to be looked at again, 0: not.
    look_ms: int = 0

    def copy(self) -> Copy:
        return replace(self, pending=list(self.pending), accepted=set(self.accepted))


@dataclass
class World:
    redis: Copy = field(default_factory=Copy)
    copies: list[Copy] = field(default_factory=list)
    planhat: dict[str, Any] | None = None
    said: list[Said] = field(default_factory=list)
    life: int = 0
    since_ms: int = 0
    now_ms: int = _NOW_MS
    #: Calls may be cut off: one that lands last takes away what the next look brings back.
    slow: bool = False
    #: Calls that were cut off and are still under way: (when they were made, what they say).
    under_way: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def pass_time(self, ms: int) -> None:
        """Calls take effect late, but not later than a second look; then it is looked at."""
        self.now_ms += ms
        while self.under_way and self.under_way[0][0] + _LATE_MS < self.now_ms:
            self.land()
        redis = self.redis
        if redis.look_ms and redis.look_ms <= self.now_ms and redis.document:
            redis.look_ms = 0
            document = Document.decode(redis.document)
            if not has_all(document, self.planhat or {}):
                redis.pending.append((None, self.now_ms))
                self.deliver("settle")

    def land(self) -> None:
        """The oldest of the calls under way takes effect."""
        if self.under_way:
            self.planhat = {**(self.planhat or {}), **self.under_way.pop(0)[1]}

    def say(self, roll: int, *, arrives: bool) -> None:
        """A message; or the edit or the deletion of one."""
        number = len(self.said)
        gone = {said.message for said in self.said if said.edit < 0}
        live = [said.message for said in self.said if not said.edit and said.message not in gone]
        if not live or roll % 4:
            said = Said(number, number, 0, self.now_ms)
        else:
            message = live[roll // 4 % len(live)]
            edits = sum(said.message == message for said in self.said)
            said = Said(number, message, edits if roll % 8 else -1, self.now_ms)
        self.said.append(said)
        if arrives:
            self.arrive(number)

    def arrive(self, roll: int) -> None:
        """It is accepted where it is not known."""
        if self.said:
            said = self.said[roll % len(self.said)]
            if said not in self.redis.accepted:
                self.redis.accepted.add(said)
                self.redis.pending.append((said, self.now_ms))

    def deliver(self, end: str) -> None:
        """All that waits. `end`: "settle", or the worker dies after the call ("die"), or while it is under way ("slow")."""
        redis = self.redis
        if not redis.pending:
            return
        pending = tuple(
            nudge("x", "slack", at_ms)
            if said is None
            else Pending(f"evt_{said.number}", "slack", at_ms, said.patch().encode())
            for said, at_ms in redis.pending
        )
        item = Item(
            "x", "slack", "1", redis.crashes, 0, pending[0].accepted_ms, redis.document, pending,
            forgotten=redis.document is None and self.life > 0, life=self.life, since_ms=self.since_ms,
            doubted=redis.look_ms > 0,
        )  # fmt: skip
        folded = FoldedItem.of(item)
        if folded.need == "read":
            folded = FoldedItem.of(item, FoldedRead(self.planhat))
        before, sends = self.texts(), folded.need == "send"
        row = {**folded.fields, "_id": "u1", "externalId": "x", "companyId": "c1"}
        if sends and end == "slow":
            self.under_way.append((self.now_ms, row))
        elif sends:
            self.planhat = {**(self.planhat or {}), **row}
        self.check(before)
        redis.crashes = int(end != "settle")
        if end == "settle":
            redis.document = folded.outgoing().delivered("u1", {}) if sends else folded.document.encode()
            redis.pending = []
            if sends and (
                folded.doubtful or (folded.recalled and self.now_ms < self.since_ms + LOOK_AGAIN_MS)
            ):
                redis.look_ms = self.now_ms + LOOK_AGAIN_MS

    def texts(self) -> list[str]:
        return _TEXT.findall(str((self.planhat or {}).get("description", "")))

    def check(self, before: list[str]) -> None:
        """Nothing stands twice, and nothing is taken away but what somebody edited or deleted."""
        texts = self.texts()
        assert len(texts) == len(set(texts)), f"said twice: {texts}"
        changed = {said.message for said in self.redis.accepted if said.edit}
        kept = {text for text in before if int(text.split("-")[1]) not in changed}
        assert self.slow or kept <= set(texts), f"taken away: {kept - set(texts)}"

    def check_all(self) -> None:
        """What Redis knows all of stands there as it was said last; with calls that land late, what was never changed: the words
        from before a change may come back between words that are forgotten, and nobody knows them."""
        texts = self.texts()
        for message in {said.message for said in self.said}:
            about = [said for said in self.said if said.message == message]
            if self.redis.accepted.issuperset(about) and not (self.slow and len(about) > 1):
                expected = [about[-1].text] if about[-1].edit >= 0 else []
                found = [text for text in texts if text.split("-")[1] == str(message)]
                assert found == expected, f"{found} for {expected} in {texts}"

    def save(self) -> None:
        self.copies.append(self.redis.copy())

    def set_back(self, roll: int) -> None:
        """To any copy, and those after it are gone; the processes, who know more, note it."""
        if self.copies:
            del self.copies[roll % len(self.copies) + 1 :]
            self.redis = self.copies[-1].copy()
            self.life += 1
            self.since_ms = self.now_ms


_STEPS: Final = ("say", "say", "lost", "again", "again", "again", "wait", "die", "save", "back")
_SLOW_STEPS: Final = (*_STEPS, "slow", "slow", "land")


def _steps(names: Sequence[str]) -> st.SearchStrategy[list[tuple[str, int]]]:
    """`lost`: said, and not accepted yet; `again`: anything that was said comes, or comes again; `wait`: another waits with it;
    `slow`: that comes, and the call for it is cut off; `land`: a call that was cut off takes effect."""
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 99)), min_size=10, max_size=40)


def _play(world: World, steps: list[tuple[str, int]]) -> None:
    for what, roll in steps:
        world.pass_time(20_000)
        match what:
            case "say" | "lost":
                world.say(roll, arrives=what == "say")
            case "again" | "slow" | "wait":
                world.arrive(roll)
            case "save":
                world.save()
            case "back":
                world.set_back(roll)
            case "land":
                world.land()
        if what not in ("save", "back", "wait", "land"):
            world.deliver(what if what in ("die", "slow") else "settle")
    world.deliver("settle")
    for _ in range(3):
        world.pass_time(LOOK_AGAIN_MS)
    world.check_all()


@given(_steps(_STEPS))
def test_nothing_stands_twice_and_nothing_is_taken_away(steps: list[tuple[str, int]]) -> None:
    _play(World(), steps)


@given(_steps(_SLOW_STEPS))
def test_with_calls_that_take_effect_late_it_is_so_once_all_is_quiet(steps: list[tuple[str, int]]) -> None:
    _play(World(slow=True), steps)
