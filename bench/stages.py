"""(e) CPU per event by stage, in one process with a real Redis: the door's (verify, parse, match, render, record) and the
worker's (claim, fold, encode, settle); Redis's CPU apart from Python's.

The difference between these and what `bench.door` and `bench.drain` find for whole processes is HTTP, event loop, clients and
system. With --profile: the functions that cost most, instead.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import redis

from bench.figures import Cell, main, spin_ms
from bench.servers import redis_server
from bench.traffic import GROUP, inbounds, intake_of, slack_requests, write_config
from bench.usage import redis_cpu_s
from relay.door.house import Source
from relay.door.intake import Intake
from relay.outbox.items import Done, Entry, Item
from relay.outbox.outbox import Outbox
from workers.flush.fold import FoldedItem

PART = "stages"
CLAIM = 1_000
#: The largest batch of settlements in one script.
SETTLE = 250
_Made = TypeVar("_Made")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true", help="the functions that cost most, instead")


def run(chosen: argparse.Namespace) -> list[Cell]:
    python, server = Cell("Python, CPU us an event"), Cell("Redis, CPU us an event")
    with tempfile.TemporaryDirectory(prefix="rb-") as name:
        folder = Path(name)
        intake, source = intake_of(write_config(folder))
        with redis_server(folder) as store:
            client = redis.Redis.from_url(store.url)
            # The first run warms what is compiled at first use, and counts for nothing.
            for turn in range(chosen.runs + 1):
                client.flushall()
                threads = chosen.conversations if chosen.conversations < chosen.events else 0
                requests = slack_requests(chosen.events, start=turn * chosen.events, threads=threads)
                stages = Stages(client, intake, source)
                if chosen.profile:
                    _profile(stages, requests)
                    return []
                stages.run(requests)
                if turn:
                    python.add({**stages.python_us, "spin_ms": spin_ms()})
                    server.add(stages.redis_us)
    return [python, server]


def _profile(stages: Stages, requests: list[bytes]) -> None:
    profile = cProfile.Profile()
    profile.runcall(stages.run, requests)
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)


class Stages:
    """One pass of all stages over the same events. `python_us`, `redis_us`: CPU microseconds an event by stage."""

    def __init__(self, client: redis.Redis, intake: Intake, source: Source) -> None:
        self._client = client
        self._intake = intake
        self._source = source
        self._outbox = Outbox(client)
        self._events = 1
        self.python_us: dict[str, float] = {}
        self.redis_us: dict[str, float] = {}

    def run(self, requests: list[bytes]) -> None:
        self._events = len(requests)
        self._work(self._map(inbounds(requests)))

    def _map(self, things: list[Any]) -> list[Entry]:
        now_s = time.time()
        adapter, intake = self._source.adapter, self._intake
        self._each("verify", lambda inbound: adapter.verify(inbound, now_s=now_s), things)
        parsed = self._each("parse", lambda inbound: list(adapter.parse(inbound, now_s=now_s)), things)
        events = [event for some in parsed for event in some]
        self._each("match and render", intake.house.book.map, events)
        self._match(events)
        mapped = self._each(
            "map whole (parse to archive)",
            lambda inbound: intake.map(self._source, inbound, now_s=now_s),
            things,
        )
        return [entry for some, _ in mapped for entry in some]

    def _match(self, events: list[Any]) -> None:
        """Finding the rule alone. Reaches into the rules' inside: where that is built otherwise, the figure is left out."""
        book = self._intake.house.book
        try:
            from relay.rules.rule import scope_of

            def match(event: Any) -> Any:
                scope = scope_of(event)
                return next(rule for rule in book.rules_for(event.source) if rule.matches(scope))

            self._each("match", match, events)
        except (ImportError, AttributeError, TypeError):
            self.python_us.pop("match", None)
            return
        self.python_us["render"] = self.python_us["match and render"] - self.python_us["match"]

    def _work(self, entries: list[Entry]) -> None:
        outbox = self._outbox
        groups = [entries[at : at + GROUP] for at in range(0, len(entries), GROUP)]
        answers = self._each("record", outbox.record, groups)
        # The first group rang; nobody works here, so its generation is ours.
        generation = next(rung for rung, _ in answers if rung)
        outbox.lane.own(generation, 60_000)
        claims = self._each(
            "claim",
            lambda _: outbox.lane.claim(generation, CLAIM, lease_ms=600_000, wake_ms=60_000).items,
            range(-(-len(entries) // CLAIM)),
        )
        items: list[Item] = [item for claim in claims for item in claim]
        if sum(len(item.pending) for item in items) != len(entries):
            raise RuntimeError("not all of it was claimed")
        folded_items = self._each("fold", FoldedItem.of, items)
        self._each("encode", self._encode, folded_items)
        done = self._each("settlement", settlement, folded_items)
        self._each(
            "settle", outbox.lane.settle, [done[at : at + SETTLE] for at in range(0, len(done), SETTLE)]
        )

    @staticmethod
    def _encode(folded_item: FoldedItem) -> Any:
        folded_item.company_id = "extid-acme"
        return folded_item.outgoing()

    def _each(self, stage: str, work: Callable[[Any], _Made], things: Iterable[Any]) -> Sequence[_Made]:
        used, began = redis_cpu_s(self._client), time.process_time()
        made = [work(thing) for thing in things]
        python_s = time.process_time() - began
        used = redis_cpu_s(self._client) - used
        self.python_us[stage] = python_s / self._events * 1e6
        if stage in ("record", "claim", "settle"):
            self.redis_us[stage] = used / self._events * 1e6
        return made


def settlement(folded_item: FoldedItem) -> Done:
    """That it was delivered."""
    return Done(folded_item.item, folded_item.document.encode(), folded_item.events("delivered"))


if __name__ == "__main__":
    main(PART, (__doc__ or "").split("\n\n")[0], run, options)
