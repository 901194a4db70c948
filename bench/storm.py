"""Interleavings by seed: `python -m bench.storm --seeds 200`. One process, a real Redis, a simulated Planhat; the rest
is chance: events in any order, edits and deletions, up to three flushes inside of one another, leases that run out
under a working flush, crashes before and after any Redis command and any call, every whole-batch failure, items that
Planhat refuses in every error style. The seed of a failure replays it.

What must hold in the end: the books balance, nothing is pending, every document and every record in Planhat equals
the fold of its events, and there is one record per externalId.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

import orjson
import redis

from relay.config import Batch, CompanyStep, Config, PlanhatConfig, Retry
from relay.event import event_id, iso_time
from relay.outbox import keys
from relay.outbox.delivery import Delivery
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.items import STATES, Entry
from relay.outbox.outbox import Outbox
from relay.outbox.pipe import Asked, Pipe
from relay.outbox.shared_metrics import SharedMetrics
from relay.patch import Document, Patch, fold
from relay.planhat.report import Answer, Unavailable, read_report
from workers.companies.directory import CompanyDirectory
from workers.companies.lookup_cache import PlanhatLookUps
from workers.flush.loop import Flush
from workers.pace.pace import Pace

STYLES = ("string", "external_id", "index", "bare", "400")


class Crash(BaseException):
    """kill -9: nothing above may catch it."""


class Doomed(redis.Redis):
    """A client whose process dies at its nth command, before or after Redis ran it."""

    fuse = 0
    after = False

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return self.doing(lambda: super(Doomed, self).execute_command(*args, **options))  # type: ignore[no-untyped-call]

    def doing(self, act: Callable[[], Any]) -> Any:
        if self.fuse and threading.current_thread() is threading.main_thread():
            self.fuse -= 1
            if not self.fuse:
                if self.after:
                    act()
                raise Crash
        return act()


class DoomedPipe(Pipe):
    """The same for what is sent without waiting, kept back, and read later."""

    client: Doomed

    def send(self, name: str, args: Sequence[Any], *, corked: bool = False) -> Asked:
        sent: Asked = self.client.doing(lambda: super(DoomedPipe, self).send(name, args, corked=corked))
        return sent

    def read_up_to(self, asked: Asked) -> None:
        self.client.doing(lambda: super(DoomedPipe, self).read_up_to(asked))


@dataclass
class Tally:
    seeds: int = 0
    events: int = 0
    crashes: int = 0
    calls: int = 0
    outages: int = 0
    takeovers: int = 0
    refusals: int = 0
    dead: int = 0


@dataclass
class Planhat:
    """What a tenant is, to a bulk upsert: records by company and externalId, addressed by `_id` first."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    style: str = "string"

    def upsert(self, body: bytes) -> tuple[int, bytes]:
        items = orjson.loads(body)
        wrong = [(i, item) for i, item in enumerate(items) if item["externalId"] in self.bad]
        if wrong and self.style == "400":
            return 400, b'"not acceptable"'
        answer: dict[str, Any] = {
            "created": 0,
            "updated": 0,
            "nonupdates": 0,
            "insertsKeys": [],
            "updatesKeys": [],
        }
        for item in items:
            if item["externalId"] in self.bad:
                continue
            held = self.records.get(item.get("_id", "")) or next(
                (
                    record
                    for record in self.records.values()
                    if (record["externalId"], record["companyId"]) == (item["externalId"], item["companyId"])
                ),
                None,
            )
            if held is None:
                key = f"{len(self.records) + 1:024x}"
                self.records[key] = {**item, "_id": key}
                answer["created"] += 1
                answer["insertsKeys"].append({"_id": key, "externalId": item["externalId"]})
            elif all(held.get(name) == value for name, value in item.items() if name != "_id"):
                answer["nonupdates"] += 1
            else:
                held.update({name: value for name, value in item.items() if name != "_id"})
                answer["updated"] += 1
                answer["updatesKeys"].append({"_id": held["_id"]})
        answer["createdErrors"] = [
            {
                "string": "no",
                "external_id": {"externalId": item["externalId"], "error": "no"},
                "index": {"index": i},
                "bare": {},
            }[self.style]
            for i, item in wrong
        ]
        return (206 if wrong else 200), orjson.dumps(answer)


class Storm:
    def __init__(self, seed: int, client: redis.Redis, tally: Tally) -> None:
        self.chance = Random(seed)
        self.tally = tally
        self.client = client
        client.flushdb()
        self.outbox = Outbox(client)
        self.planhat = Planhat(style=self.chance.choice(STYLES))
        self.patches: dict[str, list[Patch]] = defaultdict(list)
        self.calm = False
        self.depth = 0
        self.later_s = 0.0
        self.number = 0
        self.threads = [f"slack-C1-{n}" for n in range(self.chance.randint(1, 12))]
        self.planhat.bad = {x for x in self.threads if self.chance.random() < 0.15}
        self.wildness = self.chance.random()

    # -- what happens ----------------------------------------------------------------------------------------

    def run(self) -> None:
        for _ in range(self.chance.randint(10, 40)):
            self.something()
        self.calm = True
        self.drain()
        self.tally.dead += self.outbox.dead.count()
        self.check(with_dead=False)
        self.planhat.bad = set()
        for dead_id in self.outbox.dead.ids(limit=1000):
            self.outbox.dead.redrive(dead_id)
        self.drain()
        self.check(with_dead=True)
        self.tally.seeds += 1
        self.tally.events += self.number

    def something(self) -> None:
        roll = self.chance.random()
        if roll < 0.5:
            self.record()
        elif roll < 0.65:
            self.jump()
        else:
            self.flush()

    def record(self) -> None:
        entries = []
        for _ in range(self.chance.randint(1, 6)):
            patch = self.patch()
            self.patches[patch.external_id].append(patch)
            source = patch.source
            entries.append(
                Entry(
                    patch.event_id,
                    source,
                    "pending",
                    (patch.event_id,),
                    b"{}",
                    patch.external_id,
                    patch.encode(),
                )
            )
        self.outbox.record(entries)
        if self.chance.random() < 0.2:
            self.outbox.record(entries)

    def patch(self) -> Patch:
        self.number += 1
        chance = self.chance
        version = 1_700_000_000_000_000 + chance.randint(0, 60) * 1_000_000
        message = f"m{chance.randint(1, 8)}"
        action = chance.choices(("upsert", "retract", "archive"), (12, 2, 1))[0]
        fields: dict[str, Any] = {
            "type": ("replace", "Slack thread"),
            "subject": (chance.choice(("first", "replace")), f"subject {self.number}"),
            "description": ("append", f"text {self.number}"),
            "endusers": ("union", [{"id": f"p{chance.randint(1, 4)}"}]),
            f"custom.F{chance.randint(1, 3)}": ("replace", self.number),
        }
        return Patch(
            external_id=chance.choice(self.threads),
            event_id=event_id("slack", str(self.number)),
            source=chance.choice(("slack", "mail")),
            version=version,
            time=iso_time(version / 1e6),
            fields=fields if action == "upsert" else {},
            action=action,  # type: ignore[arg-type]
            message_id=message if action != "archive" else "",
            rule="r",
        )

    def jump(self) -> None:
        """So much time goes by that every wait and every lease is over."""
        for source in self.outbox.sources():
            key = self.outbox.prefix + keys.due(source)
            names: Any = self.client.zrange(key, 0, -1)
            if names:
                self.client.zadd(key, dict.fromkeys(names, 1))
        self.later_s += 100
        self.client.hset(self.outbox.prefix + keys.DELIVERY, "until_ms", 1)
        self.client.delete(self.outbox.prefix + keys.WAKE, self.outbox.prefix + keys.CALLS)

    def flush(self) -> None:
        """A worker, from its start to its end or its death."""
        client = Doomed(connection_pool=self.client.connection_pool)
        if not self.calm and self.chance.random() < 0.4 * self.wildness:
            client.fuse, client.after = self.chance.randint(1, 40), self.chance.random() < 0.5
        outbox, delivery = Outbox(client), Delivery(client)
        if self.chance.random() < 0.5:
            outbox.lane.pipe = DoomedPipe(client, outbox.prefix)
        config = Config(
            planhat=PlanhatConfig(
                calls_per_minute=100_000,
                batch=Batch(max_items=self.chance.choice((3, 50, 5000))),
                retry=Retry(max_refusals=2),
            )
        )
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
            )
            flush = Flush(
                config, outbox, pace, directory, self.upsert, bell=self, metrics=SharedMetrics(client),
                beside=self.beside, chance=self.chance, slice_s=self.chance.choice((0.0, 15.0)), clock=lambda: time.monotonic() + self.later_s,
            )  # fmt: skip
            generation = outbox.lane.ring() or int(client.get(outbox.prefix + keys.GENERATION) or 0)
            flush.run(generation)
        except Crash:
            self.tally.crashes += 1
        finally:
            if outbox.lane.pipe:
                # Its process is over, and so are its sockets.
                outbox.lane.pipe._break(redis.ConnectionError("died"))

    def beside(self, call: Callable[[], Answer], meanwhile: Callable[[], bool]) -> Answer:
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
            self.jump()
            for _ in range(self.chance.randint(1, 3)):
                self.something()
            self.depth -= 1
        return read_report(status, {}, answer, now_s=0)

    def drain(self) -> None:
        for _ in range(400):
            self.jump()
            self.flush()
            if not self.outbox.pending_items():
                return
        raise AssertionError(f"{self.outbox.pending_items()} conversations do not settle")

    # -- what must hold --------------------------------------------------------------------------------------

    def check(self, *, with_dead: bool) -> None:
        books: Counter[str] = Counter()
        for source, counts in self.outbox.ledger().items():
            assert counts["accepted"] == sum(counts[state] for state in STATES), (source, counts)
            assert counts["pending"] == 0, (source, counts)
            books.update(counts)
        assert books["accepted"] == self.number, books
        states = Counter(
            found[0]
            for found in self.outbox.events.get_many(
                [event_id("slack", str(n + 1)) for n in range(self.number)]
            )
            if found
        )
        assert all(states[state] == books[state] for state in STATES), (states, books)
        dead = {letter.external_id for letter in self.outbox.dead.get_many(self.outbox.dead.ids(limit=1000))}
        assert not (with_dead and dead), dead
        twice = Counter(record["externalId"] for record in self.planhat.records.values())
        assert not twice or max(twice.values()) == 1, twice
        stands = {record["externalId"]: record for record in self.planhat.records.values()}
        for external_id, patches in self.patches.items():
            if external_id in dead:
                continue
            expected = fold(Document(external_id), patches)
            stored = self.outbox.document(external_id)
            assert stored is not None, external_id
            held = Document.decode(stored)
            assert (held.registers, held.retracted, held.messages) == (
                expected.registers,
                expected.retracted,
                expected.messages,
            )
            if external_id in stands:
                for name, value in expected.render().items():
                    assert stands[external_id].get(name) == value, (
                        external_id,
                        name,
                        stands[external_id].get(name),
                        value,
                    )
            else:
                assert _nothing_to_have(expected), external_id


def _nothing_to_have(document: Document) -> bool:
    from workers.flush.fold import _need

    return _need(document, document.render(), "x") == "nothing"


def run_seed(seed: int, client: redis.Redis, tally: Tally) -> None:
    Storm(seed, client, tally).run()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.storm", description=__doc__.split("\n\n")[0] if __doc__ else ""
    )
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=200)
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    tally, failed = Tally(), []
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        server = EmbeddedServer(folder, appendfsync="no").start()
        client = redis.Redis.from_url(server.url)
        for seed in range(chosen.first, chosen.first + chosen.seeds):
            try:
                run_seed(seed, client, tally)
            except AssertionError as error:
                failed.append(seed)
                print(f"seed {seed}: {str(error)[:500]}", file=sys.stderr)
        server.stop()
    print(
        f"{tally.seeds} seeds, {tally.events} events, {tally.calls} calls, {tally.crashes} crashes, {tally.outages} outages, "
        f"{tally.takeovers} take-overs, {tally.refusals} answers with refusals, {tally.dead} dead letters replayed; "
        f"failed seeds: {failed or 'none'}; {time.monotonic() - began:.0f} s"
    )
    return 1 if failed else 0


__all__ = ["Storm", "main"]

if __name__ == "__main__":
    sys.exit(main())
