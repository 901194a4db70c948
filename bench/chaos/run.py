"""One seed: load, what is done to the relay, and what must hold in the end."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from bench.chaos.breaks import break_something
from bench.chaos.house import House
from bench.chaos.said import Event, Said, Thread
from bench.chaos.senders import Senders
from bench.chaos.states import States
from bench.chaos.tally import Tally
from bench.chaos.witness import Witness
from relay.errors import OutboxUnavailable
from relay.outbox import keys
from relay.planhat.sandbox import Sandbox
from tests.alerting import Posts

_MESSAGE: Final = re.compile(r"msg-\d+-\d+")
_WELL: Final = (
    "redis",
    "redis durability",
    "redis writes",
    "redis memory",
    "clock against redis",
    "worker",
    "delivery",
    "held",
    "relay",
    "web",
)
_SIGNS_S: Final = 10.0
#: Something is delivered in each such time until all is: thousands of conversations that Redis has forgotten are read first, with
#: half of the calls a minute.
_SETTLED_S: Final = 90.0
_SETTLED_AT_MOST_S: Final = 300.0


class Run:
    """`only`: the states that are entered, all of them where it is empty."""

    def __init__(
        self,
        seed: int,
        seconds: float,
        house: House,
        sandbox: Sandbox,
        alerts: Posts,
        tally: Tally,
        only: Sequence[str],
    ) -> None:
        self.seconds, self.house, self.sandbox, self.tally = seconds, house, sandbox, tally
        self.chance = Random(seed)
        self.failed: list[str] = []
        self.said = Said(seed)
        self.witness = Witness(house, sandbox, self.said, tally, self.failed, Random(seed + 1))
        self.states = States(house, self.witness, self.chance, alerts)
        self.senders = Senders(seed, house.port, self.said, tally, self.failed, lambda: self.states.during)
        self.witness.senders = self.senders
        self.only = [name for name in only if name in self.states.names] or list(self.states.names)

    def run(self) -> list[str]:
        """What was wrong, a sentence each."""
        self.sandbox.reset()
        self.house.mend()
        self.witness.await_well("start")
        self.senders.start()
        try:
            self._break()
        finally:
            self.sandbox.faults.all.clear()
            self.house.mend()
            self.house.set_clock(0)
            self.states.forward()
            self.senders.stop()
        self._settle()
        self._check()
        self.tally.seeds += 1
        self.tally.events += self.said.count()
        return self.failed

    def _break(self) -> None:
        """Each of the states at least once, in any order, with other things between them, until the time is over."""
        until = time.monotonic() + self.seconds
        left: list[str] = []
        while time.monotonic() < until or left:
            left = left or self.chance.sample(self.only, len(self.only))
            self.states.during = "breaks"
            for _ in range(self.chance.randint(1, 4)):
                time.sleep(self.chance.uniform(0.1, 0.8))
                break_something(self.house, self.sandbox, self.chance, self.tally)
            # A page that nobody serves says nothing: the web side has come up again before the next.
            self.house.mend()
            self.witness.await_well("breaks")
            self.states.during = ""
            self.witness.step("breaks")
            what = left.pop()
            if what == "drained":
                self.sandbox.faults.all.clear()
            if what == "restored" and self.states.backup is None:
                left.insert(0, what)
            if what == "drained" and self.states.newer is not None:
                # What the next release wrote waits for it.
                continue
            self.states.enter(what)
            if time.monotonic() > until and "restored" not in left:
                return

    def _settle(self) -> None:
        """Everything is delivered, what was buried too."""
        began, least = time.monotonic(), -1
        deadline, books = began + _SETTLED_S, None
        while time.monotonic() < min(deadline, began + _SETTLED_AT_MOST_S):
            time.sleep(0.1)
            try:
                books = self.witness.books()
            except OutboxUnavailable:
                continue
            if books["dead"]:
                self.tally.dead += books["dead"]
                self.witness.ask("/api/v1/dead/replay", {"all": True})
            elif not books["pending"] and not self.house.spooled():
                self.tally.over["settled"].append(time.monotonic() - began)
                return
            if least < 0 or books["pending"] < least:
                least, deadline = books["pending"], time.monotonic() + _SETTLED_S
        outbox = self.house.outbox()
        held: Any = outbox.redis.hgetall(outbox.prefix + keys.DELIVERY)
        self.failed.append(
            f"not settled after {time.monotonic() - began:.0f} s: {books}, {self.house.spooled()} in the spool, {held}, "
            f"{self.witness.warnings()}"
        )

    # -- the end ---------------------------------------------------------------------------------------------

    def _check(self) -> None:
        sure, answered = self.said.count(sure=True), self.said.count()
        accepted = self.witness.books()["accepted"]
        if not sure <= accepted <= answered:
            self.tally.lost += max(0, sure - accepted)
            self.failed.append(f"{answered} were answered 202 ({sure} sure), {accepted} are in the books")
        self.witness.slack()
        self._check_doctor()
        stands = self._stands()
        for external_id, records in stands.items():
            if len(records) > 1:
                self.tally.twice += 1
                self.failed.append(f"{external_id} stands {len(records)} times in Planhat")
        for thread in self.said.threads:
            found = stands.get(thread.external_id)
            if thread.unsure:
                self._check_unsure(thread, found[0] if found else None)
            else:
                self._check_sure(thread, found[0] if found else None)

    def _check_doctor(self) -> None:
        """All is well, as soon as each process has given another sign of life, every 5 s."""
        until = time.monotonic() + _SIGNS_S
        while True:
            checks = self.witness.doctor()
            wrong = [name for name in _WELL if not checks.get(name, True)]
            if not wrong or time.monotonic() > until:
                self.witness.hold("doctor when all is well", not wrong, f"fails: {wrong}")
                return
            time.sleep(2)

    def _stands(self) -> dict[str, list[dict[str, Any]]]:
        """What the sandbox holds, by externalId."""
        store = self.sandbox.store
        stands: dict[str, list[dict[str, Any]]] = defaultdict(list)
        offset = 0
        while page := store.list_page({"limit": "2000", "offset": str(offset)}):
            offset += len(page)
            for record in page:
                stands[record.get("externalId", "")].append(store.get(record["_id"]) or {})
        return stands

    def _check_sure(self, thread: Thread, record: dict[str, Any] | None) -> None:
        expected = thread.expected()
        if record is None:
            if expected:
                self.tally.lost += 1
                self.failed.append(f"{thread.external_id} is not in Planhat")
            return
        found = _MESSAGE.findall(record.get("description") or "")
        if not expected:
            if record.get("archived") is not True:
                self.tally.stale += 1
                self.failed.append(f"{thread.external_id} should be archived")
        elif found != expected:
            self.tally.stale += 1
            self.failed.append(f"{thread.external_id}: {found}, not {expected}")

    def _check_unsure(self, thread: Thread, record: dict[str, Any] | None) -> None:
        """Redis has forgotten some of it: what it has not forgotten must be there, and what is there was said, once."""
        found = _MESSAGE.findall((record or {}).get("description") or "")
        messages = thread.messages()
        if len(set(found)) < len(found):
            self.tally.twice += 1
            self.failed.append(f"{thread.external_id}: {found} has a text twice")
        for said in messages.values():
            texts = [event.text for event in said if event.text in found]
            sure = not any(event.unsure for event in said)
            # An edit that was forgotten may stand beside what it replaced: nobody here knows that they are one.
            if sure and texts != [text for text in (said[-1].text,) if text is not None]:
                self._blame(thread, said, found)

    def _blame(self, thread: Thread, said: list[Event], found: list[str]) -> None:
        self.tally.stale += 1
        told = [event.text for event in said]
        self.failed.append(f"{thread.external_id}: of {told} there is {found}")
