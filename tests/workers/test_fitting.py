"""Custom fields that the tenant does not have: warned of, left out, or refused, as `planhat.undefined_fields` says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import redis

from relay.operations.dead.look import list_dead
from relay.operations.selection import Selection
from relay.operations.stats import read_stats
from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import Kit, patch

FIELDS = {
    "custom_fields": [
        "Channel",
        {"name": "Due", "type": "date", "parent": "conversation"},
        {"name": "Seats", "type": "number", "parent": "conversation"},
        {"name": "Region", "type": "text", "parent": "company"},
    ]
}


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Sandbox, str]]:
    sandbox = create_sandbox(types=["Slack thread"], seed=FIELDS, quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield sandbox, url


@pytest.fixture
def kit(redis_client: redis.Redis, shared: tuple[Sandbox, str], request: pytest.FixtureRequest) -> Kit:
    shared[0].reset()
    choice = getattr(request, "param", "warn")
    return Kit(redis_client, shared[1], sandbox=shared[0], undefined_fields=choice)


def wrote(kit: Kit, number: int, custom: dict[str, Any], *, rule: str = "slack-thread") -> None:
    fields = {
        "type": ("replace", "Slack thread"),
        "subject": ("first", "s"),
        **{f"custom.{name}": ("replace", value) for name, value in custom.items()},
    }
    kit.record(patch(number, fields=fields, rule=rule))
    kit.run()


def told(kit: Kit) -> dict[str, dict[str, Any]]:
    rows = kit.outbox.redis.hgetall(kit.outbox.prefix + "warnings").values()
    return {row["field"]: row for row in map(orjson.loads, rows)}


def test_what_is_not_defined_goes_out_and_is_told_with_what_to_create(kit: Kit) -> None:
    wrote(kit, 1, {"Channel": "#acme", "Mood": "good"})
    assert kit.at_planhat("slack-C1-1")["custom"] == {"Channel": "#acme", "Mood": "good"}
    row = told(kit)["custom.Mood"]
    assert (row["rule"], row["type"]) == ("slack-thread", "Slack thread")
    assert "not defined" in row["what"]
    assert "called exactly 'Mood'" in row["do"]
    assert "good" not in str(row)
    assert set(told(kit)) == {"custom.Mood"}


@pytest.mark.parametrize("kit", ["drop"], indirect=True)
def test_by_choice_it_is_left_out_and_told_all_the_same(kit: Kit) -> None:
    wrote(kit, 1, {"Channel": "#acme", "Mood": "good"})
    wrote(kit, 2, {"Mood": "good"})
    assert kit.at_planhat("slack-C1-1")["custom"] == {"Channel": "#acme"}
    assert not kit.at_planhat("slack-C1-2").get("custom")
    assert set(told(kit)) == {"custom.Mood"}
    assert kit.books() == {"accepted": 2, "delivered": 2}


@pytest.mark.parametrize("kit", ["refuse"], indirect=True)
def test_by_choice_it_is_a_dead_letter_that_says_what_to_create(kit: Kit) -> None:
    wrote(kit, 1, {"Channel": "#acme", "Mood": "good"})
    wrote(kit, 2, {"Channel": "#acme"})
    assert kit.books() == {"accepted": 2, "delivered": 1, "dead": 1}
    [group] = list_dead(kit.outbox, Selection())["groups"]
    assert group["cause"] == "custom fields that Planhat does not have: Mood"
    letter = kit.outbox.dead.get(group["sample"])
    assert letter is not None
    assert "called exactly 'Mood'" in orjson.loads(letter.record)["reason"]
    assert kit.store.get("extid-slack-C1-1") is None


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("channel", "is called 'Channel' in Planhat: case counts"),
        ("Region", "is not defined in Planhat"),  # of companies, not of conversations
        ("Channel ", "is not defined in Planhat"),
    ],
)
def test_a_name_is_compared_exactly_and_for_conversations(kit: Kit, name: str, what: str) -> None:
    wrote(kit, 1, {name: "x"})
    assert what in told(kit)[f"custom.{name}"]["what"]


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("Due", "soon", "is of type date and got a text"),
        ("Seats", "many", "is of type number and got a text"),
        ("Seats", [1], "is of type number and got a list"),
        ("Seats", "12", ""),
        ("Due", "2026-03-01T00:00:00.000Z", ""),
        ("Channel", 7, ""),
    ],
)
def test_a_value_that_its_field_cannot_hold_is_told(kit: Kit, name: str, value: Any, what: str) -> None:
    wrote(kit, 1, {name: value})
    assert [row["what"] for row in told(kit).values()] == ([what] if what else [])


def test_what_was_told_is_taken_back_once_it_is_defined(
    kit: Kit, redis_client: redis.Redis, shared: tuple[Sandbox, str]
) -> None:
    wrote(kit, 1, {"Mood": "good", "Channel": "#acme"})
    wrote(kit, 2, {"Mood": "good"}, rule="another")
    assert len(kit.outbox.redis.hgetall(kit.outbox.prefix + "warnings")) == 2
    # That one conversation has no such value says nothing of the field.
    wrote(kit, 3, {"Channel": "#acme"})
    assert len(kit.outbox.redis.hgetall(kit.outbox.prefix + "warnings")) == 2

    row = {"at_ms": kit.outbox.now_ms(), "listed": {"Channel": "text", "Mood": "text"}}
    kit.outbox.redis.set(kit.outbox.prefix + "tenant:fields", orjson.dumps(row))
    # Another process, as after a restart.
    again = Kit(redis_client, shared[1], sandbox=kit.sandbox)
    wrote(again, 4, {"Mood": "good", "Channel": "#acme"})
    rows: Any = kit.outbox.redis.hgetall(kit.outbox.prefix + "warnings")
    assert [name.decode().split("|")[1] for name in rows] == ["another"]


def test_a_name_in_another_case_says_how_it_should_be_written_when_it_is_refused(
    redis_client: redis.Redis, shared: tuple[Sandbox, str]
) -> None:
    shared[0].reset()
    kit = Kit(redis_client, shared[1], sandbox=shared[0], undefined_fields="refuse")
    wrote(kit, 1, {"channel": "#acme"})
    [group] = list_dead(kit.outbox, Selection())["groups"]
    letter = kit.outbox.dead.get(group["sample"])
    assert letter is not None
    reason = orjson.loads(letter.record)["reason"]
    assert "write it as 'Channel'" in reason
    assert "create" not in reason


def test_it_stands_in_the_stats_as_a_sentence(kit: Kit) -> None:
    wrote(kit, 1, {"Mood": "good"})
    [sentence] = [s for s in read_stats(kit.outbox, kit.delivery)["warnings"] if "Mood" in s]
    assert sentence.startswith("Rule slack-thread (Slack thread): custom.Mood is not defined in Planhat")
    assert "create a custom field" in sentence.lower()
    assert "Planhat changed" not in sentence


def test_the_list_is_asked_for_once_in_ten_minutes(kit: Kit) -> None:
    for number in range(5):
        wrote(kit, number, {"Mood": "good"})
    assert kit.looked_up.count("GET customfields") == 1


@pytest.mark.parametrize("kit", ["refuse", "drop", "warn"], indirect=True)
def test_a_list_that_cannot_be_read_blames_nobody(kit: Kit) -> None:
    for _ in range(5):
        kit.fault(operation="customfields", status=500)
    wrote(kit, 1, {"Channel": "#acme", "Mood": "good"})
    assert kit.books() == {"accepted": 1, "delivered": 1}
    assert kit.at_planhat("slack-C1-1")["custom"] == {"Channel": "#acme", "Mood": "good"}
    assert told(kit) == {}
