"""The backtest: two books of rules over the same events, and what would differ in Planhat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from relay.cli import cli
from relay.door.house import furnish
from relay.door.intake import Intake
from relay.event import Event
from relay.operations import backtest as operation
from relay.operations.backtest import Order
from relay.outbox.outbox import Outbox
from relay.rules.backtest import ChangesPage, compare_rules, pack_rows, unpack_rows
from relay.rules.examples import example_event
from relay.rules.file.load import load
from relay.rules.rule import RuleBook
from relay.sources.base import Inbound
from tests.environ import WEAK

CONVERSATION = {
    "type": "T",
    "externalId": "{{ event.source }}-{{ event.thread }}",
    "subject": "{{ event.text }}",
}
RULE: dict[str, Any] = {
    "name": "thread",
    "source": "slack",
    "when": 'event.kind == "message.created"',
    "conversation": CONVERSATION,
}


def write(path: Path, *rules: dict[str, Any]) -> Path:
    base = {
        "planhat": {"types": ["T"]},
        "sources": {"slack": {"adapter": "slack", "secrets": ["s"]}},
        "companies": [{"default": "extid-a"}],
    }
    path.write_text(yaml.safe_dump({**base, "rules": list(rules)}, sort_keys=False))
    return path


def book(folder: Path, *rules: dict[str, Any]) -> RuleBook:
    return load(str(write(folder / "rules.yaml", *rules)), WEAK)[1]


def changed(**conversation: Any) -> dict[str, Any]:
    return {**RULE, "conversation": {**CONVERSATION, **conversation}}


def event(serial: int, **given: Any) -> Event:
    values = {
        "id": f"evt_{serial:024x}",
        "version": serial,
        "thread": f"t{serial // 2}",
        "message_id": f"m{serial}",
        "text": f"text {serial}",
    }
    return example_event({**values, **given}, source="slack", adapter="slack")


def test_the_same_rules_differ_in_nothing(tmp_path: Path) -> None:
    rules = book(tmp_path, RULE)
    told = compare_rules([(event(n), event(n)) for n in range(10)], rules, rules)
    assert told["conversations"] == {"same": 5, "new": 0, "changed": 0, "dropped": 0}
    assert (told["events"], told["moves"], told["fields"]) == (10, [], {})


def test_a_changed_field_is_told_with_both_its_values(tmp_path: Path) -> None:
    old = book(tmp_path, RULE)
    new = book(tmp_path, changed(subject="Re: {{ event.text }}", custom={"Channel": "{{ event.kind }}"}))
    told = compare_rules([(event(n), event(n)) for n in range(4)], old, new)
    assert told["conversations"] == {"same": 0, "new": 0, "changed": 2, "dropped": 0}
    assert told["fields"] == {"subject": 2, "custom.Channel": 2}
    changes = {sample["externalId"]: sample["changes"] for sample in told["samples"]["changed"]}
    assert changes["slack-t0"] == {
        "subject": {"old": "text 1", "new": "Re: text 1"},
        "custom.Channel": {"new": "message.created"},
    }


def test_only_what_stands_at_the_end_counts(tmp_path: Path) -> None:
    """The first message of each thread maps differently; the second overwrites it in both."""
    old = book(tmp_path, RULE)
    new = book(tmp_path, changed(subject="{{ event.text if event.version % 2 else 'other' }}"))
    told = compare_rules([(event(n), event(n)) for n in range(4)], old, new)
    assert told["conversations"]["same"] == 2
    assert told["conversations"]["changed"] == 0


def test_new_and_dropped_conversations_are_told_by_rule(tmp_path: Path) -> None:
    old = book(tmp_path, RULE)
    deleted = {**RULE, "name": "other", "when": 'event.kind == "ticket.created"'}
    new = book(
        tmp_path, {**RULE, "name": "no", "when": 'event.kind == "message.created"', "action": "drop"}, deleted
    )
    told = compare_rules([(event(0), event(0)), (event(2, kind="ticket.created"),) * 2], old, new)
    assert told["conversations"] == {"same": 0, "new": 1, "changed": 0, "dropped": 1}
    assert told["by_rule"]["other"]["new"] == 1
    assert told["by_rule"]["thread"]["dropped"] == 1
    moves = {(move["from"], move["to"]): move["events"] for move in told["moves"]}
    assert moves == {("rule thread", "dropped by no"): 1, ("no rule", "rule other"): 1}
    assert told["samples"]["new"][0]["changes"]["subject"] == {"new": "text 2"}


def test_a_new_external_id_is_one_dropped_and_one_new(tmp_path: Path) -> None:
    told = compare_rules(
        [(event(0), event(0))],
        book(tmp_path, RULE),
        book(tmp_path, changed(externalId="x-{{ event.thread }}")),
    )
    assert told["conversations"] == {"same": 0, "new": 1, "changed": 0, "dropped": 1}


def test_what_new_rules_cannot_map_is_counted_by_cause(tmp_path: Path) -> None:
    told = compare_rules(
        [(event(n), event(n)) for n in range(3)],
        book(tmp_path, RULE),
        book(tmp_path, changed(snippet="{{ 1 / 0 }}")),
    )
    assert [failure["count"] for failure in told["failures"]] == [3]
    assert "divides by zero" in told["failures"][0]["cause"]
    assert told["conversations"]["dropped"] == 2


def test_rows_survive_the_way_between_processes(tmp_path: Path) -> None:
    rows = [("a", 3, 0, 10), ("x" * 128, 1, 10**12, 4_000_000)]
    with (tmp_path / "f").open("w+b") as file:
        assert unpack_rows(pack_rows(ChangesPage(file, rows=rows))) == rows


# -- over stored events ------------------------------------------------------------------------------------------


def record(outbox: Outbox, config_file: Path, count: int) -> None:
    house = furnish(*load(str(config_file), WEAK))
    source = house.sources["slack"]
    intake = Intake(house=house, records=None)  # type: ignore[arg-type]
    now_s = outbox.now_ms() / 1000
    entries = []
    for serial in range(count):
        sample = source.adapter.sample(serial=serial, now_s=now_s)
        found, _ = intake.map(source, Inbound(body=sample.body, headers=sample.headers), now_s=now_s)
        entries += found
    outbox.record(entries)


@pytest.mark.parametrize("jobs", [1, 2])
def test_stored_events_are_compared_alone_and_in_processes(
    jobs: int, tmp_path: Path, outbox: Outbox, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write(tmp_path / "old.yaml", RULE)
    new = write(tmp_path / "new.yaml", changed(subject="Re: {{ event.text }}"))
    record(outbox, old, 30)
    monkeypatch.setattr(operation, "ALONE_BELOW", 0)
    order = Order(redis_url=redis_url, old_file=str(old), new_file=str(new), environ=WEAK)
    told = operation.backtest(order, since_ms=0, until_ms=outbox.now_ms() + 1000, jobs=jobs)
    assert told["events"] == 30
    assert told["conversations"] == {"same": 0, "new": 0, "changed": 30, "dropped": 0}
    assert told["by_source"]["slack"]["changed"] == 30


def test_the_command_shows_the_diff_and_sends_nothing(
    tmp_path: Path, outbox: Outbox, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write(tmp_path / "old.yaml", RULE)
    new = write(tmp_path / "new.yaml", changed(subject="Re: {{ event.text }}"))
    record(outbox, old, 3)
    before = outbox.ledger()
    monkeypatch.setenv("RELAY_REDIS_URL", redis_url)
    monkeypatch.setenv("RELAY_CONFIG", str(old))
    words = ["backtest", str(new), "--since", "1h"]
    shown = CliRunner().invoke(cli, words)
    assert shown.exit_code == 0
    assert "3 events; conversations: 0 new, 3 changed, 0 dropped, 0 same" in shown.stdout
    assert "+ subject" in shown.stdout
    told = json.loads(CliRunner().invoke(cli, [*words, "--json"]).stdout)
    assert told["fields"] == {"subject": 3}
    few = CliRunner().invoke(cli, [*words, "--limit", "1"]).stdout
    assert (few.count("changed slack-"), "and 2 more changed" in few) == (1, True)
    assert CliRunner().invoke(cli, [*words, "--all"]).stdout.count("changed slack-") == 3
    lines = [
        json.loads(line) for line in CliRunner().invoke(cli, [*words, "--json-lines"]).stdout.splitlines()
    ]
    assert [line.get("kind") for line in lines] == ["changed"] * 3 + [None]
    assert lines[-1]["summary"]["conversations"]["changed"] == 3
    assert outbox.ledger() == before
