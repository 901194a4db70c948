"""What a claim took is enriched before it is folded: raw event, look-up, today's rules, on a real Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from relay.config import Config
from relay.door.house import furnish
from relay.door.intake import Intake
from relay.errors import TryLater
from relay.outbox.items import Item
from relay.outbox.outbox import Outbox
from relay.patch import Patch
from relay.rules.file.load import load
from relay.rules.rule import RuleBook
from relay.sources.base import Inbound
from tests.environ import WEAK
from workers.enrich.enricher import PATIENCE_S, Enricher, tools_of
from workers.enrich.lookups import EnrichOptions, Question

CONFIG = """
planhat: {types: [Help-desk ticket]}
sources:
  hs:
    adapter: hubspot
    secrets: [first-secret]
    public_url: https://hooks.example.com
    type: Help-desk ticket
    enrich: {token: t0ken}
companies: [{default: extid-acme}]
"""
ANSWER = {
    "text": "Does it export?",
    "senders": [{"name": "Kim", "deliveryIdentifier": {"value": "kim@customer.example.com"}}],
}


@dataclass
class OperatorContext:
    outbox: Outbox
    config: Config
    rulebook: RuleBook


class Asked:
    """Stands where `Lookups` stands: answers, or says later."""

    def __init__(self, answer: Mapping[str, Any] | None) -> None:
        self.answer = answer
        self.urls: list[str] = []

    def fetch(self, question: Question) -> Mapping[str, Any]:
        self.urls.append(question.url)
        if self.answer is None:
            raise TryLater("not now", 7.0)
        return self.answer


@pytest.fixture
def bench(outbox: Outbox, tmp_path: Path) -> OperatorContext:
    path = tmp_path / "relay.yaml"
    path.write_text(CONFIG)
    config, book = load(str(path), WEAK)
    return OperatorContext(outbox, config, book)


def claimed(bench: OperatorContext, *, serial: int = 1) -> Item:
    intake = Intake(furnish(bench.config, bench.rulebook), records=None)  # type: ignore[arg-type]
    source = intake.source("hs")
    sample = source.adapter.sample(serial=serial, now_s=1_772_611_200)
    entries, _ = intake.map(source, Inbound(sample.body, sample.headers), now_s=1_772_611_201)
    generation, _ = bench.outbox.record(entries)
    bench.outbox.lane.own(generation)
    (item,) = bench.outbox.lane.claim(generation, 10, lease_ms=20_000).items
    return item


def enricher(bench: OperatorContext, asked: Asked) -> Enricher:
    return Enricher(bench, {"hs": (EnrichOptions("hubspot", token=lambda: "t"), asked)})  # type: ignore[dict-item]


def test_a_thin_message_goes_out_with_the_text_that_was_looked_up(bench: OperatorContext) -> None:
    item, asked = claimed(bench), Asked(ANSWER)
    before = Patch.decode(item.pending[0].patch)
    assert "description" not in before.fields
    (found,), later = enricher(bench, asked).improve([item], item.first_pending_ms)
    patch = Patch.decode(found.pending[0].patch)
    assert later == []
    assert "Does it export?" in patch.fields["description"][1]
    assert patch.company["email"] == "kim@customer.example.com"
    same = ("external_id", "event_id", "version", "message_id", "revision")
    assert [getattr(patch, name) for name in same] == [getattr(before, name) for name in same]
    assert replace(found, pending=item.pending) == item
    assert len(asked.urls) == 1


def test_while_the_provider_cannot_answer_the_event_waits_and_then_goes_as_it_is(
    bench: OperatorContext,
) -> None:
    item, asked = claimed(bench), Asked(None)
    ready, later = enricher(bench, asked).improve([item], item.first_pending_ms + 1000)
    assert ready == []
    assert later == [(item, 7.0)]
    late_ms = item.first_pending_ms + int(PATIENCE_S * 1000)
    assert enricher(bench, asked).improve([item], late_ms) == ([item], [])


def test_what_the_provider_does_not_know_goes_as_it_is(bench: OperatorContext) -> None:
    item = claimed(bench)
    assert enricher(bench, Asked({})).improve([item], item.first_pending_ms) == ([item], [])


def test_a_source_without_enrich_costs_nothing(bench: OperatorContext) -> None:
    item = claimed(bench)
    assert Enricher(bench, {}).improve([item], 0) == ([item], [])


def test_looking_up_ends_with_its_budget(bench: OperatorContext) -> None:
    item = claimed(bench)
    moments = iter([0.0, 0.0, 99.0])
    asked = Asked(ANSWER)
    tools: Any = {"hs": (EnrichOptions("hubspot", token=lambda: "t"), asked)}
    slow = Enricher(bench, tools, clock=lambda: next(moments))
    ready, later = slow.improve([item, item], item.first_pending_ms)
    assert (len(ready), later) == (1, [(item, 1.0)])


def test_only_sources_that_say_so_have_tools(bench: OperatorContext) -> None:
    assert set(tools_of(bench.config)) == {"hs"}
    wrong = replace(bench.config.sources["hs"], enrich={"tokn": "x"})
    assert tools_of(replace(bench.config, sources={"hs": wrong})) == {}
