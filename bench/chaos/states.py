"""What lasts for a while, and must be said as long as it does: Redis full, hanging, gone, set back, with another clock or no
disk; two releases beside one another; a person who pauses."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from bench.chaos.house import ROOT, House, next_release
from bench.chaos.witness import ANSWER_S, NOTICED_S, Witness
from relay.errors import OutboxUnavailable
from relay.outbox.epoch import read_life
from tests.alerting import Posts

#: A lane at its memory limit is empty within this.
DRAINED_S: Final = 40.0
#: A call that was under way when somebody paused has ended by then.
_UNDER_WAY_S: Final = 3.0


@dataclass
class States:
    """One seed's. `during`: what is done to the relay at this moment."""

    house: House
    witness: Witness
    chance: Random
    alerts: Posts
    during: str = ""
    backup: Path | None = None
    #: Before this event all were in the copy.
    backed_up: int = 0
    copied_life: int = 0
    newer: Path | None = None
    names: dict[str, Callable[[], None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        means = self.house.means
        self.names = {
            "gone": self.gone,
            "full": self.full,
            "drained": self.drained,
            "hang": self.hang,
            "restored": self.restored,
            "releases": self.releases,
            "paused": self.paused,
            **({"disk": self.disk} if means.disk else {}),
            **({"clock": self.clock} if means.clock else {}),
        }

    def enter(self, what: str) -> None:
        self.witness.tally.injected[what] += 1
        self.during = what
        try:
            self.names[what]()
        finally:
            self.during = ""
        self.witness.step(f"after {what}")

    # -- Redis takes nothing ---------------------------------------------------------------------------------

    def _takes_nothing(self, what: str, words: str, seconds: float) -> None:
        """While Redis takes nothing: said, in time; the spool stands in where there is one."""
        witness, house = self.witness, self.house
        until = time.monotonic() + seconds
        if house.spool_folder is None:
            witness.await_said(what, lambda: witness.ready() is not True)
        else:
            witness.await_said(what, lambda: words in str(witness.ask("/metrics")[1]) + witness.warnings())
        witness.answers_in_time(what)
        if self.chance.random() < 0.5:
            checks = witness.doctor()
            well = all(on for name, on in checks.items() if name.startswith("redis"))
            witness.hold("doctor on Redis", not well, f"all is well with Redis during {what}: {checks}")
        while time.monotonic() < until:
            witness.step(what)
            time.sleep(0.2)
        if house.spool_folder is not None:
            witness.hold(
                "ready", witness.ready() is not False, f"not ready although the spool has room, during {what}"
            )

    def gone(self) -> None:
        self.house.redis_server.kill()
        self._takes_nothing("gone", "relay_redis_up 0", self.chance.uniform(0.5, 3))
        self.house.redis_server.spawn()
        self.witness.await_well("gone")

    def hang(self) -> None:
        pid = self.house.redis_server.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            self._takes_nothing("hang", "relay_redis_up 0", self.chance.uniform(2, 5))
        finally:
            os.kill(pid, signal.SIGCONT)
        self.witness.await_well("hang")

    def _limit(self) -> int:
        """Redis is full to the last byte; its limit."""
        client = self.house.outbox().redis
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", used)
        return used

    def full(self) -> None:
        self._limit()
        self._takes_nothing("full", "nearly full", self.chance.uniform(1, 4))
        self.house.outbox().redis.config_set("maxmemory", 0)
        self.witness.await_well("full")

    def drained(self) -> None:
        """At the limit all that waits is delivered; nobody raises it."""
        client, witness = self.house.outbox().redis, self.witness
        limit = self._limit()
        began = time.monotonic()
        while left := witness.books()["pending"]:
            if time.monotonic() - began > DRAINED_S:
                witness.hold("drains at the limit", False, f"{left} pending after {DRAINED_S:.0f} s")
                break
            time.sleep(0.1)
        else:
            witness.tally.over["drained at the limit"].append(time.monotonic() - began)
            witness.hold(
                "drains at the limit",
                str(client.config_get("maxmemory")["maxmemory"]) == str(limit),
                "limit changed",
            )
        witness.delivered()
        client.config_set("maxmemory", 0)
        witness.await_well("drained")

    def disk(self) -> None:
        """No room on Redis's disk, and room again."""
        house = self.house
        folder = house.folder / "redis"
        filler = folder / "filler"
        # What is left in the buffer fails once more when the file is closed.
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(b"x" * 65_536)
                file.flush()
        try:
            self._takes_nothing("disk", "relay_re", self.chance.uniform(1, 4))
            house.spawn_redis()
        finally:
            filler.unlink()
        deadline = time.monotonic() + 10
        while not house.spawn_redis() and time.monotonic() < deadline:
            time.sleep(0.2)
        self.witness.await_well("disk")

    # -- Redis is another --------------------------------------------------------------------------------------

    def back_up(self) -> None:
        """A copy of Redis's folder, with all in it that was answered so far."""
        house = self.house
        finished = self.witness.said.finished()
        if house.spooled():
            return
        self.copied_life = read_life(house.outbox()).number
        house.redis_server.stop()
        copy = house.folder / "backup"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(house.folder / "redis" / "data", copy)
        house.redis_server.start()
        self.backup, self.backed_up = copy, finished

    def restored(self) -> None:
        """The copy is put back: what was accepted since may be forgotten, but not in silence."""
        house, witness = self.house, self.witness
        if self.backup is None:
            self.back_up()
            return
        accepted = witness.books()["accepted"]
        told = len(self.alerts.bodies)
        house.redis_server.kill()
        house.redis_server.stop()
        witness.tally.forgotten += witness.said.forget_since(self.backed_up)
        data = house.folder / "redis" / "data"
        shutil.rmtree(data)
        shutil.copytree(self.backup, data)
        house.redis_server.start()
        lost = accepted - witness.books()["accepted"]
        witness.await_said("set back: noticed", lambda: self._life() > self.copied_life)
        witness.await_said("set back: shown", lambda: "Redis was " in witness.warnings())
        witness.await_said(
            "set back: counted", lambda: "relay_redis_epoch_changes_total" in str(witness.ask("/metrics")[1])
        )
        witness.await_said(
            "set back: alerted", lambda: any(b"Redis was" in body for body in self.alerts.bodies[told:])
        )
        checks = witness.doctor()
        witness.hold("doctor: set back", not checks.get("redis history", True), f"{lost} are gone: {checks}")
        self.backup = None
        witness.await_well("restored")

    def _life(self) -> int:
        try:
            return read_life(self.house.outbox()).number
        except OutboxUnavailable:
            return -1

    def clock(self) -> None:
        """Redis's clock jumps; what is accepted then is delivered all the same."""
        house, witness = self.house, self.witness
        ahead_s = self.chance.choice((0, 5, 60, 3600, -5, -60, -3600))
        back = house.clock_ahead_s - ahead_s
        before = read_life(house.outbox()).clock_back
        house.set_clock(ahead_s)
        # A step of a few seconds is none: the clock that Redis had is noted every five.
        if back > 10:
            witness.await_said(
                "clock back", lambda: read_life(house.outbox()).clock_back > before, NOTICED_S + 1
            )
        else:
            time.sleep(1.2)
        if abs(ahead_s) > 40:
            checks = witness.doctor()
            witness.hold("doctor on the clock", not checks.get("clock against redis", True), str(checks))
        witness.answers_in_time("clock")
        witness.moves(f"clock {-back:+d} s")

    # -- ours and people -------------------------------------------------------------------------------------------

    def releases(self) -> None:
        """The next release beside this one, and back again."""
        house, witness = self.house, self.witness
        if self.newer is None:
            self.newer = house.folder / "next"
            next_release(self.newer)
        order = ["web", "work"]
        self.chance.shuffle(order)
        house.end(order[0], signal.SIGTERM, to=self.newer)
        witness.await_well("next release")
        witness.await_said("two releases", lambda: "everal releases are running" in witness.warnings(), 15)
        if order[0] == "web":
            witness.await_said("waits for a newer release", lambda: "newer release" in witness.warnings(), 15)
        witness.step("two releases")
        house.end(order[1], signal.SIGTERM, to=self.newer)
        witness.await_well("next release")
        time.sleep(self.chance.uniform(0, 2))
        self.chance.shuffle(order)
        for what in order:
            house.end(what, signal.SIGTERM, to=ROOT)
            witness.await_well("rolled back")
            witness.step("rolled back")

    def forward(self) -> None:
        """All of the next release, where it has written anything."""
        if self.newer is not None:
            for what in ("work", "web"):
                self.house.end(what, signal.SIGTERM, to=self.newer)
            self.witness.await_well("next release")

    def paused(self) -> None:
        """After the answer, and what was under way, nothing goes out until it is resumed."""
        witness = self.witness
        status, _, _ = witness.ask("/api/v1/pause", {})
        if status != 200:
            return
        time.sleep(_UNDER_WAY_S)
        since = time.time()
        if self.chance.random() < 0.5:
            self.house.kill_worker(self.chance)
        time.sleep(self.chance.uniform(1, 2))
        made = [
            call
            for call in list(witness.sandbox.calls)
            if call["operation"] == "upsert" and call["at"] > since
        ]
        witness.hold("paused", not made, f"{len(made)} calls were made")
        witness.hold("paused is shown", "is paused" in witness.warnings(), witness.warnings()[:300])
        status, _, took_s = witness.ask("/api/v1/resume", {})
        witness.hold("resume", status == 200 and took_s < ANSWER_S, f"{status} after {took_s:.1f} s")
