"""A flush on a real Redis against a real sandbox, with what a test wants to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import redis

from relay.config import Batch, CompanyStep, Config, PlanhatConfig, Retry
from relay.event import event_id, iso_time
from relay.outbox.delivery import Delivery
from relay.outbox.items import Entry
from relay.outbox.outbox import Outbox
from relay.outbox.shared_metrics import SharedMetrics
from relay.patch import Document, Patch
from relay.planhat.client import Planhat
from relay.planhat.report import Answer
from relay.planhat.sandbox import Fault, Sandbox
from relay.planhat.sandbox.store import Store
from workers.companies.directory import CompanyDirectory
from workers.flush.doubt import Doubts
from workers.flush.fitting import fitting_of
from workers.flush.loop import GATHER_S, Flush
from workers.flush.recall import Recall
from workers.pace.pace import Pace

STATES = ("pending", "delivered", "unchanged", "superseded", "filtered", "dead", "discarded")
DEFAULT = (CompanyStep("default", value="extid-acme"),)


@dataclass
class Rings:
    rung: list[int] = field(default_factory=list)

    def ring_flush(self, generation: int) -> bool:
        self.rung.append(generation)
        return True


class Kit:
    """`now_ms` is only what the policy believes; the scripts keep Redis's own time unless `at` shifts it."""

    def __init__(
        self,
        client: redis.Redis,
        url: str,
        *,
        sandbox: Sandbox | None = None,
        steps: tuple[CompanyStep, ...] = DEFAULT,
        upsert: Callable[[bytes, float], Answer] | None = None,
        gather_s: float = GATHER_S,
        **planhat: Any,
    ) -> None:
        planhat.setdefault("calls_per_minute", 100_000)
        self.config = Config(planhat=PlanhatConfig(types=("Slack thread",), **planhat), companies=steps)
        self.outbox = Outbox(client, piped=True)
        self.delivery = Delivery(client)
        self.planhat = Planhat(url, "token")
        self.sandbox = sandbox
        self.metrics = SharedMetrics(client)
        self.bell = Rings()
        self.stop = False
        self.looked_up: list[str] = []
        self.pace = Pace(
            self.delivery,
            self.config.planhat,
            now_ms=self.outbox.now_ms,
            about_ms=self.outbox.about_ms,
            wait=lambda seconds: self.stop,
            chance=Random(7),
        )
        self.directory = CompanyDirectory(
            client,
            steps,
            self.planhat,
            call=lambda: self.pace.take_call(patience_s=1),
            now_ms=self.outbox.now_ms,
            counted=lambda operation, status: self.looked_up.append(operation),
        )
        self.flush = Flush(
            self.config,
            self.outbox,
            self.pace,
            self.directory,
            upsert or (lambda body, timeout_s: self.planhat.upsert_raw(body, timeout_s=timeout_s)),
            fitting=fitting_of(
                self.config,
                self.outbox,
                self.planhat,
                self.pace,
                self.metrics,
                counted=lambda operation, status: self.looked_up.append(operation),
            ),
            bell=self.bell,
            metrics=self.metrics,
            stopping=lambda: self.stop,
            gather_s=gather_s,
            chance=Random(7),
            recall=Recall(
                self.planhat,
                call=lambda: self.pace.take_call(patience_s=1),
                gap_ms=lambda: 100.0,
                metrics=self.metrics,
            ),
            doubts=Doubts(
                self.outbox,
                self.planhat,
                call=lambda: self.pace.take_call(patience_s=0),
                metrics=self.metrics,
            ),
        )

    def record(self, *patches: Patch, raw: bytes = b"{}") -> int:
        """The generation to ring for, 0 where somebody owns the lane. `raw`: what is archived of each."""
        generation, _ = self.outbox.record(
            [
                Entry(p.event_id, p.source, "pending", (p.event_id,), raw, p.external_id, p.encode())
                for p in patches
            ]
        )
        return generation

    def generation(self) -> int:
        return self.outbox.lane.ring() or int(self.outbox.redis.get(self.outbox.prefix + "generation") or 0)

    def run(self) -> int:
        return self.flush.run(self.generation())

    def books(self) -> dict[str, int]:
        total = dict.fromkeys(("accepted", *STATES), 0)
        for counts in self.outbox.ledger().values():
            assert counts["accepted"] == sum(counts[state] for state in STATES), counts
            for word in total:
                total[word] += counts[word]
        return {word: number for word, number in total.items() if number}

    def state(self, event: str) -> str:
        found = self.outbox.events.get(event)
        assert found is not None
        return found[0]

    def document(self, external_id: str) -> Document:
        stored = self.outbox.document(external_id)
        assert stored is not None
        return Document.decode(stored)

    @property
    def store(self) -> Store:
        assert self.sandbox is not None, "a Kit with a sandbox"
        return self.sandbox.store

    def at_planhat(self, external_id: str) -> dict[str, Any]:
        assert self.sandbox is not None
        record = self.sandbox.store.get(f"extid-{external_id}")
        assert record is not None, f"{external_id} is not in the sandbox"
        return record

    def puts(self) -> list[dict[str, Any]]:
        assert self.sandbox is not None
        return [call for call in self.sandbox.calls if call["operation"] == "upsert"]

    def fault(self, **given: Any) -> None:
        assert self.sandbox is not None
        self.sandbox.faults.all.append(Fault.read(given))

    def due_now(self) -> None:
        """As if every wait were over."""
        for source in self.outbox.sources():
            key = self.outbox.prefix + "due:" + source
            names: list[Any] = self.outbox.redis.zrange(key, 0, -1)
            for name in names:
                self.outbox.redis.zadd(key, {name: 1})
        self.outbox.redis.hset(self.outbox.prefix + "delivery", "until_ms", 1)


def patch(number: int, *, thread: str = "", text: str = "", kind: str = "upsert", **more: Any) -> Patch:
    """Message `number` of a thread; its version and time grow with it."""
    external_id = f"slack-C1-{thread or number}"
    fields: dict[str, Any] = {
        "type": ("replace", "Slack thread"),
        "subject": ("first", f"subject {number}"),
        "date": ("first", iso_time(1_700_000_000 + number)),
        "description": ("append", text or f"text {number}"),
    }
    more.setdefault("message_id", f"m{number}")
    return Patch(
        external_id=more.pop("external_id", external_id),
        event_id=more.pop("event_id", event_id("slack", f"{thread}/{number}/{kind}")),
        source=more.pop("source", "slack"),
        version=more.pop("version", 1_700_000_000_000_000 + number * 1000 + (1 if kind != "upsert" else 0)),
        time=iso_time(1_700_000_000 + number),
        fields=more.pop("fields", fields if kind == "upsert" else {}),
        action=kind,  # type: ignore[arg-type]
        rule=more.pop("rule", "slack-thread"),
        **more,
    )


def retry(**given: Any) -> Retry:
    return Retry(**given)


def batch(**given: Any) -> Batch:
    return Batch(**given)
