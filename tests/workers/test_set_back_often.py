"""Redis set back again and again, to whatever copy, while senders say again what was forgotten, late and in any order."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from relay.event import iso_time
from relay.outbox.items import Item, Pending
from relay.patch import Patch
from workers.flush.fold import FoldedItem, FoldedRead

_TEXT: Final = re.compile(r"text-\d+-\d+")
_NOW_MS: Final = 1_800_000_000_000


@dataclass(frozen=True)
class Said:
    """Event `number`, about the message `message`: `edit` 0 is the message itself, -1 its deletion."""

    number: int
    message: int
    edit: int

    @property
    def text(self) -> str:
        return f"text-{self.message}-{self.edit}"

    def patch(self) -> Patch:
        """As long before Redis's clock as all of it is."""
        fields: Any = {"description": ("append", self.text), "type": ("replace", "Slack thread")}
        return Patch(
            external_id="x",
            event_id=f"evt_{self.number}",
            source="slack",
            version=1_700_000_000_000_000 + self.number,
            time=iso_time(1_700_000_000 + self.message),
            fields=fields if self.edit >= 0 else {},
            action="upsert" if self.edit >= 0 else "retract",
            message_id=f"m{self.message:03d}",
        )


@dataclass
class Copy:
    """What Redis holds of the conversation."""

    document: bytes | None = None
    pending: list[tuple[Said, int]] = field(default_factory=list)
    accepted: set[Said] = field(default_factory=set)
    crashes: int = 0

    def copy(self) -> Copy:
        return Copy(self.document, list(self.pending), set(self.accepted), self.crashes)


@dataclass
class World:
    redis: Copy = field(default_factory=Copy)
    copies: list[Copy] = field(default_factory=list)
    planhat: dict[str, Any] | None = None
    said: list[Said] = field(default_factory=list)
    life: int = 0
    since_ms: int = 0
    now_ms: int = _NOW_MS

    def say(self, roll: int, *, arrives: bool) -> None:
        """A message; or the edit or the deletion of one."""
        number = len(self.said)
        gone = {said.message for said in self.said if said.edit < 0}
        live = [said.message for said in self.said if not said.edit and said.message not in gone]
        if not live or roll % 4:
            said = Said(number, number, 0)
        else:
            message = live[roll // 4 % len(live)]
            edits = sum(said.message == message for said in self.said)
            said = Said(number, message, edits if roll % 8 else -1)
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

    def deliver(self, *, settles: bool) -> None:
        """All that waits. Unless it `settles`, the worker dies after the call."""
        redis = self.redis
        if not redis.pending:
            return
        pending = tuple(
            Pending(f"evt_{said.number}", "slack", at_ms, said.patch().encode())
            for said, at_ms in redis.pending
        )
        item = Item(
            "x", "slack", "1", redis.crashes, 0, pending[0].accepted_ms, redis.document, pending,
            forgotten=redis.document is None and self.life > 0, life=self.life, since_ms=self.since_ms,
        )  # fmt: skip
        folded = FoldedItem.of(item)
        if folded.need == "read":
            folded = FoldedItem.of(item, FoldedRead(self.planhat))
        before = self.texts()
        if folded.need == "send":
            row = {**folded.fields, "_id": "u1", "externalId": "x", "companyId": "c1"}
            self.planhat = {**(self.planhat or {}), **row}
        self.check(before)
        redis.crashes = 0 if settles else 1
        if settles:
            sent = folded.need == "send"
            redis.document = folded.outgoing().delivered("u1", {}) if sent else folded.document.encode()
            redis.pending = []

    def texts(self) -> list[str]:
        return _TEXT.findall(str((self.planhat or {}).get("description", "")))

    def check(self, before: list[str]) -> None:
        """Nothing stands twice, and nothing is taken away but what somebody edited or deleted."""
        texts = self.texts()
        assert len(texts) == len(set(texts)), f"said twice: {texts}"
        changed = {said.message for said in self.redis.accepted if said.edit}
        kept = {text for text in before if int(text.split("-")[1]) not in changed}
        assert kept <= set(texts), f"taken away: {kept - set(texts)}"

    def check_all(self) -> None:
        """What Redis knows all of stands there as it was said last."""
        texts = self.texts()
        for message in {said.message for said in self.said}:
            about = [said for said in self.said if said.message == message]
            if self.redis.accepted.issuperset(about):
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


@given(st.lists(st.tuples(st.sampled_from(_STEPS), st.integers(0, 99)), min_size=10, max_size=40))
def test_nothing_stands_twice_and_nothing_is_taken_away(steps: list[tuple[str, int]]) -> None:
    """`lost`: said, and not accepted yet; `again`: anything that was said comes, or comes again; `wait`: another waits with it."""
    world = World()
    for what, roll in steps:
        world.now_ms += 200_000
        match what:
            case "say" | "lost":
                world.say(roll, arrives=what == "say")
            case "again":
                world.arrive(roll)
            case "wait":
                world.arrive(roll)
                continue
            case "save":
                world.save()
            case "back":
                world.set_back(roll)
        if what not in ("save", "back"):
            world.deliver(settles=what != "die")
    world.deliver(settles=True)
    world.check_all()
