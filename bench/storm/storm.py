"""One seed of the storm."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, Final, cast

import redis

from bench.storm.doomed import Crash, Doomed, DoomedPipe
from bench.storm.ending import check_end
from bench.storm.patches import make_patch
from bench.storm.shocks import Snapshot, fill_up, make_room, set_clock_back
from bench.storm.tally import Tally
from bench.storm.tenant import Planhat
from bench.storm.world import World
from relay.config import Batch, CompanyStep, Config, PlanhatConfig, Retry
from relay.errors import OutboxUnavailable
from relay.lane_name import MAIN
from relay.outbox import keys
from relay.outbox.delivery import Delivery
from relay.outbox.durability import examine_durability
from relay.outbox.epoch import Epoch, read_life
from relay.outbox.items import Entry, balanced
from relay.outbox.outbox import Outbox
from relay.outbox.room import nearly_full
from relay.outbox.shared_metrics import SharedMetrics
from relay.patch import Patch
from relay.planhat.report import Answer, Unavailable, read_report
from workers.companies.directory import CompanyDirectory
from workers.companies.lookup_cache import PlanhatLookUps
from workers.flush.ahead import Looking
from workers.flush.doubt import Doubts
from workers.flush.loop import Flush
from workers.flush.recall import Recall
from workers.pace.pace import Pace

STYLES: Final = ("string", "external_id", "index", "bare", "400")


class Storm:
    def __init__(
        self, seed: int, client: redis.Redis, tally: Tally, lane: str = MAIN, world: World | None = None
    ) -> None:
        self.chance = Random(seed)
        self.tally = tally
        self.client = client
        self.lane = lane
        self.world = world or World()
        self.world.storms.append(self)
        self.outbox = Outbox(client, lane=lane)
        self.paused = False
        self.planhat = Planhat(style=self.chance.choice(STYLES))
        self.patches: dict[str, list[Patch]] = defaultdict(list)
        self.calm = False
        self.depth = 0
        self.later_s = 0.0
        self.number = 0
        self.threads = [f"slack-C1-{n}" for n in range(self.chance.randint(1, 12))]
        self.planhat.bad = {x for x in self.threads if self.chance.random() < 0.15}
        self.wildness = self.chance.random()
        #: Calls that Planhat has not got round to yet.
        self.late: list[bytes] = []
        self.snapshot: tuple[Snapshot, set[str]] | None = None
        #: Events that were recorded and are in no state that Redis was set back to.
        self.forgotten: set[str] = set()
        self.was_set_back = False
        #: A message stands where it stood and no two versions are the same: what has moved is not found again in Planhat.
        self.steady = self.chance.random() < 0.5
        self.epoch = Epoch(self.outbox)
        self.epoch.look()

    # -- what happens ----------------------------------------------------------------------------------------

    def run(self) -> None:
        for _ in range(self.chance.randint(10, 40)):
            self.something()
        self.end()

    def end(self) -> None:
        """Nothing goes wrong any more: all is delivered, what was buried too, and all that must hold does."""
        self.calm = True
        self.room()
        self.drain()
        self.tally.dead += self.outbox.dead.count()
        check_end(self, with_dead=False)
        self.planhat.bad = set()
        for dead_id in self.outbox.dead.ids(limit=1000):
            self.outbox.dead.redrive(dead_id)
        self.drain()
        check_end(self, with_dead=True)
        self.tally.seeds += 1
        self.tally.events += self.number

    def something(self) -> None:
        roll = self.chance.random()
        if roll < 0.48:
            self.record()
        elif roll < 0.6:
            self.jump()
        elif roll < 0.68:
            self.shock()
        else:
            self.flush()
        self.hold_at_each_step()

    def shock(self) -> None:
        """Something is done to Redis as a whole. Not while a worker is at work: that one would be of another state."""
        what = self.chance.choices(("full", "room", "clock", "snapshot", "set back"), (2, 1, 2, 2, 4))[0]
        if what == "full":
            self.tally.full += 1
            self.world.full = True
            fill_up(self.client)
            # What is said of it.
            self.hold("nearly full" in nearly_full(examine_durability(self.client)), "full, and not said")
        elif what == "room":
            self.room()
        elif what == "clock":
            self.set_clock_back()
        elif self.steady and not self.depth and (what == "snapshot" or not self.snapshot):
            self.snapshot = Snapshot(self.client, self.outbox.prefix), self.recorded()
        elif what == "set back" and self.snapshot and not self.depth:
            self.set_back(*self.snapshot)

    def room(self) -> None:
        self.world.full = False
        make_room(self.client)

    def set_clock_back(self) -> None:
        """What was due is due at once, and delivery moves."""
        self.tally.clock_back += 1
        due = {name for name in self.threads if (self.outbox.due_ms(name) or 1e15) <= self.outbox.now_ms()}
        with self.roomy():
            set_clock_back(self.outbox)
        self.client.delete(self.outbox.prefix + keys.WAKE)
        self.outbox.lane.ring()
        self.client.delete(self.outbox.prefix + keys.WAKE)
        now_ms = self.outbox.now_ms()
        late = {name for name in due if (self.outbox.due_ms(name) or 1e15) > now_ms}
        self.hold(not late, f"due, and no more when the clock went back: {late}")
        self.hold(read_life(self.outbox).clock_back > 0, "the clock went back, and nobody says so")

    def set_back(self, snapshot: Snapshot, recorded: set[str]) -> None:
        """What came since is forgotten, and that is said, with the number."""
        self.room()
        self.epoch.look()
        accepted = sum(counts["accepted"] for counts in self.outbox.ledger().values())
        snapshot.put_back(self.client)
        now = sum(counts["accepted"] for counts in self.outbox.ledger().values())
        change = self.epoch.look()
        self.hold(
            change is not None and change.lost == accepted - now, f"{accepted - now} lost, said: {change}"
        )
        self.forgotten |= self.recorded() - recorded
        self.snapshot, self.was_set_back = None, True
        self.paused = Delivery(self.client, lane=self.lane).read().state == "paused"
        self.tally.set_back += 1
        self.tally.forgotten += accepted - now
        if self.chance.random() < 0.5:
            self.say_again()

    def recorded(self) -> set[str]:
        return {patch.event_id for patches in self.patches.values() for patch in patches} - self.forgotten

    def hold(self, true: bool, told: str) -> None:
        self.tally.statements += 1
        assert true, told

    def hold_at_each_step(self) -> None:
        """Balanced, and every event that was acknowledged is there."""
        books = self.outbox.ledger().values()
        self.hold(all(map(balanced, books)), f"{list(books)}")
        accepted = sum(counts["accepted"] for counts in books)
        known = len(self.recorded())
        self.hold(accepted == known, f"{known} acknowledged, {accepted} in the books")
        if not self.late:
            self.hold_delivered()

    def hold_delivered(self) -> None:
        """What is said to be delivered stands in Planhat, unless it was edited, deleted or archived since."""
        texts = {
            record["externalId"]: str(record.get("description")) for record in self.planhat.records.values()
        }
        for external_id, patches in self.patches.items():
            said = Counter(patch.message_id for patch in patches)
            ours = [
                patch
                for patch in patches
                if patch.action == "upsert"
                and said[patch.message_id] == 1
                and patch.event_id not in self.forgotten
            ]
            for patch, found in zip(
                ours, self.outbox.events.get_many([p.event_id for p in ours]), strict=True
            ):
                if found and found[0] == "delivered" and any(p.action == "archive" for p in patches) is False:
                    text = patch.fields["description"][1]
                    self.hold(f"{text}<" in f"{texts.get(external_id, '')}<", f"{text} of {external_id}")

    def record(self) -> None:
        number = self.number
        patches = [self.patch() for _ in range(self.chance.randint(1, 6))]
        try:
            self.accept(patches)
        except OutboxUnavailable:
            assert self.world.full
            # Nothing of it is kept, and no number is used up.
            self.number = number
            return
        for patch in patches:
            self.patches[patch.external_id].append(patch)
        if self.chance.random() < 0.2 and not self.world.full:
            self.accept(patches)

    def accept(self, patches: Sequence[Patch]) -> None:
        self.outbox.record(
            [
                Entry(p.event_id, p.source, "pending", (p.event_id,), b"{}", p.external_id, p.encode())
                for p in patches
            ]
        )

    def say_again(self) -> None:
        """Some of what Redis has forgotten is repeated by its senders."""
        again = [
            patch
            for patches in self.patches.values()
            for patch in patches
            if patch.event_id in self.forgotten and self.chance.random() < 0.5
        ]
        self.accept(again)
        self.forgotten -= {patch.event_id for patch in again}

    def patch(self) -> Patch:
        self.number += 1
        return make_patch(self.chance, self.number, self.threads, steady=self.steady, lane=self.lane)

    def jump(self) -> None:
        """So much time goes by that every wait and every lease is over; what was on its way to Planhat has arrived."""
        for body in self.late:
            self.planhat.upsert(body)
        self.late.clear()
        self.later_s += 100
        with self.roomy():
            for name in (*map(keys.due, self.outbox.sources()), keys.DOUBT):
                key = self.outbox.prefix + name
                names: Any = self.client.zrange(key, 0, -1)
                if names:
                    self.client.zadd(key, dict.fromkeys(names, 1))
            self.client.hset(self.outbox.prefix + keys.DELIVERY, "until_ms", 1)
            self.client.delete(self.outbox.prefix + keys.WAKE, self.outbox.prefix + keys.CALLS)

    @contextmanager
    def roomy(self) -> Iterator[None]:
        """For what no relay does."""
        make_room(self.client)
        yield
        if self.world.full:
            fill_up(self.client)

    def flush(self) -> None:
        """A worker, from its start to its end or its death."""
        client, hangs = Doomed(connection_pool=self.client.connection_pool), 0
        if not self.calm and self.chance.random() < 0.4 * self.wildness:
            client.fuse, client.after = self.chance.randint(1, 40), self.chance.random() < 0.5
            hangs = client.hangs = self.chance.choice((0, 0, 1, 3, 1000))
        outbox, delivery = Outbox(client, lane=self.lane), Delivery(client, lane=self.lane)
        if self.chance.random() < 0.5:
            outbox.lane.pipe = DoomedPipe(client, outbox.prefix)
        config = Config(
            planhat=PlanhatConfig(
                calls_per_minute=100_000,
                batch=Batch(max_items=self.chance.choice((3, 50, 5000))),
                retry=Retry(max_refusals=2),
            )
        )
        self.world.process.flushing += 1
        try:
            pace = Pace(
                delivery, config.planhat, now_ms=outbox.now_ms, wait=lambda seconds: False, chance=self.chance
            )
            no_lookups = cast(PlanhatLookUps, None)  # a default company is never looked up
            directory = CompanyDirectory(
                client,
                (CompanyStep("default", value="c1"),),
                no_lookups,
                call=lambda: True,
                now_ms=outbox.now_ms,
                lane=self.lane,
            )
            metrics = SharedMetrics(client, lane=self.lane)
            flush = Flush(
                config, outbox, pace, directory, self.upsert, bell=self, metrics=metrics, watch=self.epoch.look,
                recall=Recall(self.planhat, call=lambda: True, gap_ms=lambda: 1.0, metrics=metrics),
                doubts=Doubts(outbox, self.planhat, call=lambda: True, metrics=metrics),
                beside=self.beside, looking=Looking(self.chance.choice((1, 30)), 0.0), chance=self.chance, slice_s=self.chance.choice((0.0, 15.0)),
                clock=lambda: time.monotonic() + self.later_s,
            )  # fmt: skip
            generation = outbox.lane.ring() or int(self.client.get(outbox.prefix + keys.GENERATION) or 0)
            flush.run(generation)
        except Crash:
            self.tally.crashes += 1
            if self.world.process.flushing > 1 and self.chance.random() < 0.5:
                # The others are threads of the same process.
                self.tally.together += 1
                raise
        except OutboxUnavailable as error:
            self.hold(
                bool(hangs), f"a flush fails{' for want of memory' if self.world.full else ''}: {error}"
            )
            self.tally.hangs += 1
        finally:
            self.world.process.flushing -= 1
            if outbox.lane.pipe:
                # Its process is over, and so are its sockets.
                outbox.lane.pipe._break(redis.ConnectionError("died"))

    def beside(self, call: Callable[[], Answer], meanwhile: Callable[[], object]) -> Answer:
        """What is done while a call is under way is done before it or after it, as far as chance lets it get."""
        for _ in range(self.chance.randint(0, 4)):
            meanwhile()
        answer = call()
        for _ in range(self.chance.randint(0, 4)):
            meanwhile()
        return answer

    def ring_flush(self, generation: int) -> bool:
        return self.calm or self.chance.random() < 0.7

    def upsert(self, body: bytes, timeout_s: float) -> Answer:
        self.tally.calls += 1
        self.hold(not self.paused, f"a call to the Planhat of {self.lane} while it is held")
        roll = 1.0 if self.calm else self.chance.random() / max(self.wildness, 0.05)
        if roll < 0.06:
            raise Crash
        if roll < 0.12:
            self.tally.outages += 1
            return self.chance.choice(
                (
                    Unavailable(None, "no connection"),
                    read_report(503, {}, b"<html>", now_s=0),
                    read_report(429, {}, b"", now_s=0),
                    read_report(401, {}, b"", now_s=0),
                    read_report(403, {}, b"", now_s=0),
                )
            )
        if not self.calm and self.chance.random() < 0.3:
            self.record()
        if roll > 1 and self.chance.random() < 0.05 and not self.calm:
            # It takes effect after those that follow.
            self.tally.late += 1
            self.late.append(bytes(body))
            return Unavailable(None, "no whole answer")
        status, answer = self.planhat.upsert(body)
        self.tally.refusals += status != 200
        if roll < 0.18:
            raise Crash
        if roll < 0.28:
            self.tally.outages += 1
            return self.chance.choice(
                (
                    Unavailable(None, "no whole answer"),
                    read_report(502, {}, b"", now_s=0),
                    read_report(200, {}, answer[:9], now_s=0),
                )
            )
        if not self.calm and self.depth < 2 and self.chance.random() < 0.2:
            # This worker stands still until its lease is over, and others take its place.
            self.depth += 1
            self.tally.takeovers += 1
            try:
                self.jump()
                for _ in range(self.chance.randint(1, 3)):
                    self.chance.choice(self.world.storms).something()
            finally:
                self.depth -= 1
        return read_report(status, {}, answer, now_s=0)

    def drain(self) -> None:
        for _ in range(400):
            self.jump()
            self.flush()
            if not self.outbox.pending_items() and not self.client.zcard(self.outbox.prefix + keys.DOUBT):
                return
        raise AssertionError(f"{self.outbox.pending_items()} conversations do not settle")


def run_seed(seed: int, client: redis.Redis, tally: Tally) -> None:
    """Raises AssertionError."""
    client.flushdb()
    try:
        Storm(seed, client, tally).run()
    finally:
        make_room(client)
