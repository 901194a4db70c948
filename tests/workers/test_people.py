"""People go out by Planhat's ids, never as bare texts and never as an empty list, within the budget and without delay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from relay.config import Config, People, PlanhatConfig
from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import Kit, patch
from workers.flush.fitting import fitting_of

ADA, BOB, JANE = (f"5e{n:022x}" for n in (1, 2, 3))
ALEX = f"5d{1:022x}"
ACME = "5f0000000000000000000001"


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Sandbox, str]]:
    sandbox = create_sandbox(quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield sandbox, url


@pytest.fixture
def kit(redis_client: redis.Redis, shared: tuple[Sandbox, str]) -> Kit:
    shared[0].reset()
    return Kit(redis_client, shared[1], sandbox=shared[0])


def said_by(kit: Kit, number: int, *emails: str, **more: Any) -> None:
    """Message `number` with these people, as the default rules name them: users and endusers alike."""
    people = [{"email": email} for email in emails]
    fields = {
        "type": ("replace", "Slack thread"),
        "description": ("append", f"text {number}"),
        "users": ("union", people),
        "endusers": ("union", [{**person, "name": "Somebody"} for person in people]),
    }
    kit.record(patch(number, thread="t", fields=fields, **more))


def people_of(kit: Kit) -> tuple[list[Any], list[Any]]:
    record = kit.at_planhat("slack-C1-t")
    return [who["id"] for who in record["users"]], [who["id"] for who in record["endusers"]]


def sent(kit: Kit) -> dict[str, Any]:
    return kit.store.records.find("extid-slack-C1-t").sent  # type: ignore[union-attr]


def test_customers_are_endusers_and_our_own_are_users(kit: Kit) -> None:
    said_by(kit, 1, "Ada@Example.com")
    said_by(kit, 2, "alex@ourteam.example")
    said_by(kit, 3, "bob@example.com")
    kit.run()
    assert people_of(kit) == ([ALEX], [ADA, BOB])
    assert sent(kit)["endusers"] == [{"id": ADA}, {"id": BOB}]
    # Our own are one list, and nobody of them is looked for among the customers.
    assert kit.looked_up.count("GET users") == 1
    assert kit.looked_up.count("GET endusers") == 2


def test_who_is_known_is_not_asked_for_again(kit: Kit) -> None:
    for number in range(5):
        said_by(kit, number, "ada@example.com", "alex@ourteam.example", "nobody@example.com")
        kit.run()
    assert kit.looked_up.count("GET users") == 1
    assert kit.looked_up.count("GET endusers") == 2


def test_nobody_found_leaves_out_the_list_and_clears_nothing(kit: Kit) -> None:
    kit.planhat.upsert(
        [
            {
                "companyId": "extid-acme",
                "externalId": "slack-C1-t",
                "users": [{"id": ALEX}],
                "endusers": [{"id": JANE}],
            }
        ]
    )
    said_by(kit, 1, "nobody@example.com")
    kit.run()
    assert people_of(kit) == ([ALEX], [JANE])


def test_one_address_in_two_companies_is_decided_by_the_conversations(kit: Kit) -> None:
    said_by(kit, 1, "kim@consultants.example", company_id="5f0000000000000000000004")
    kit.run()
    assert people_of(kit) == ([], [f"5e{8:022x}"])


def test_somebody_of_another_company_is_left_out(kit: Kit) -> None:
    said_by(kit, 1, "gil@globex.example", company_id=ACME)
    kit.run()
    assert people_of(kit) == ([], [])


@pytest.mark.parametrize(
    "person",
    [{"id": "U024BE7LH"}, {"name": "Ada"}, "ada@example.com", {"id": ""}, 7, {"email": "no address"}],
)
def test_who_has_no_id_of_planhats_never_goes_out(kit: Kit, person: Any) -> None:
    fields = {"type": ("replace", "Slack thread"), "endusers": ("replace", [person, {"_id": ADA}])}
    kit.record(patch(1, thread="t", fields=fields))
    kit.run()
    assert sent(kit)["endusers"] == [{"id": ADA}]


def test_it_can_be_switched_off(redis_client: redis.Redis, shared: tuple[Sandbox, str]) -> None:
    shared[0].reset()
    kit = Kit(redis_client, shared[1], sandbox=shared[0], resolve_people=False)
    said_by(kit, 1, "ada@example.com")
    kit.run()
    assert people_of(kit) == ([], [])
    assert "users" not in sent(kit)
    assert kit.looked_up == ["GET customfields"] or kit.looked_up == []


# -- within the budget -----------------------------------------------------------------------------------------


def test_many_strangers_at_once_do_not_hold_up_delivery_and_come_later(kit: Kit) -> None:
    for number in range(60):
        kit.record(
            patch(
                number,
                fields={
                    "type": ("replace", "Slack thread"),
                    "endusers": (
                        "union",
                        [{"email": "ada@example.com" if number == 59 else f"p{number}@example.com"}],
                    ),
                },
            )
        )
    kit.run()
    assert kit.books() == {"accepted": 60, "delivered": 60}
    assert len(kit.puts()) == 1
    asked = kit.looked_up.count("GET endusers")
    assert 0 < asked <= 10
    assert kit.outbox.redis.zcard(kit.outbox.prefix + "doubt") == 60 - asked
    for _ in range(20):
        # As if the minutes had passed.
        names: Any = kit.outbox.redis.zrange(kit.outbox.prefix + "doubt", 0, -1)
        for name in names:
            kit.outbox.redis.zadd(kit.outbox.prefix + "doubt", {name: 1})
        kit.run()
        kit.run()
    assert not kit.outbox.redis.zcard(kit.outbox.prefix + "doubt")
    assert [who["id"] for who in kit.at_planhat("slack-C1-59")["endusers"]] == [ADA]
    assert kit.books() == {"accepted": 60, "delivered": 60}


@pytest.mark.simulated
def test_look_ups_take_only_what_the_minute_has_to_spare(
    redis_client: redis.Redis, shared: tuple[Sandbox, str]
) -> None:
    shared[0].reset()
    kit = Kit(redis_client, shared[1], sandbox=shared[0], calls_per_minute=10)
    for _ in range(6):
        assert kit.delivery.take_call(100) == 0
    said_by(kit, 1, "ada@example.com")
    kit.run()
    assert kit.books() == {"accepted": 1, "delivered": 1}
    assert kit.looked_up == []
    assert people_of(kit) == ([], [])
    assert kit.document("slack-C1-t").sent_hash.endswith("~")


def test_a_look_up_that_fails_delays_nothing_and_is_left_alone_for_a_while(kit: Kit) -> None:
    kit.fault(operation="endusers", status=500)
    for number in range(4):
        said_by(kit, number, f"p{number}@example.com")
        kit.run()
    assert kit.books() == {"accepted": 4, "delivered": 4}
    assert kit.looked_up.count("PlanhatUnavailable") == 0
    assert len([call for call in kit.sandbox.calls if call["operation"] == "endusers"]) == 1  # type: ignore[union-attr]


# -- made where they are not known -----------------------------------------------------------------------------


def creating(kit: Kit, redis_client: redis.Redis) -> Kit:
    config = Config(planhat=kit.config.planhat, companies=kit.config.companies, people=People(create=True))
    kit.flush.tools.addressing._fitting = fitting_of(
        config,
        kit.outbox,
        kit.planhat,
        kit.pace,
        kit.metrics,
        counted=lambda operation, status: kit.looked_up.append(operation),
    )
    return kit


def test_who_is_unknown_is_made_an_enduser_by_choice(kit: Kit, redis_client: redis.Redis) -> None:
    creating(kit, redis_client)
    said_by(kit, 1, "new@example.com")
    kit.run()
    [row] = kit.planhat.endusers(email="new@example.com")
    assert (row["name"], row["companyId"]) == ("Somebody", ACME)
    assert people_of(kit) == ([], [row["_id"]])
    said_by(kit, 2, "new@example.com")
    kit.run()
    assert len(kit.planhat.endusers(email="new@example.com")) == 1
    assert kit.looked_up.count("PUT endusers") == 1


@pytest.mark.parametrize(
    "email", ["colleague@ourteam.example", "no-reply@example.com", "MAILER-DAEMON@example.com"]
)
def test_nobody_of_ours_and_no_program_is_made_a_customer(
    kit: Kit, redis_client: redis.Redis, email: str
) -> None:
    creating(kit, redis_client)
    said_by(kit, 1, email)
    kit.run()
    assert kit.planhat.endusers(email=email.lower()) == []
    assert "PUT endusers" not in kit.looked_up


def test_by_default_nobody_is_made(kit: Kit) -> None:
    assert Config(planhat=PlanhatConfig()).people.create is False
    said_by(kit, 1, "new@example.com")
    kit.run()
    assert kit.planhat.endusers(email="new@example.com") == []


# -- tags ------------------------------------------------------------------------------------------------------

RENEWAL = f"5b{3:022x}"


def tagged(kit: Kit, *tags: str) -> None:
    kit.record(
        patch(
            1, thread="t", fields={"type": ("replace", "Slack thread"), "activityTags": ("union", list(tags))}
        )
    )
    kit.run()


def test_tags_go_by_the_ids_of_the_tenants_list(kit: Kit) -> None:
    tagged(kit, "Renewal", "escalation", "unheard of", f"5b{9:022x}")
    assert sorted(sent(kit)["activityTags"]) == [f"5b{n:022x}" for n in (2, 3, 9)]


def test_without_such_a_list_tags_go_as_they_are(kit: Kit) -> None:
    """The API document calls them strings; where they are refused nothing else is."""
    kit.fault(operation="activitytags", status=404)
    tagged(kit, "Renewal", "free words")
    assert sorted(sent(kit)["activityTags"]) == ["Renewal", "free words"]
    assert kit.books() == {"accepted": 1, "delivered": 1}


def test_by_choice_tags_go_as_they_are(redis_client: redis.Redis, shared: tuple[Sandbox, str]) -> None:
    shared[0].reset()
    kit = Kit(redis_client, shared[1], sandbox=shared[0], activity_tags="names")
    tagged(kit, "Renewal", "free words")
    assert sent(kit)["activityTags"] == ["Renewal", "free words"]
