"""What operators rely on: the books, one id's whole story, letters that get fixed, replays that change only what differs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import redis

from relay.door.intake import Intake
from relay.errors import MappingFailed, NotFound
from relay.operations.dead.discard import discard_dead
from relay.operations.dead.edit import edit_dead
from relay.operations.dead.look import list_dead, show_dead
from relay.operations.dead.replay import redrive_one, replay_dead
from relay.operations.moments import iso, parse_moment
from relay.operations.plots import accepted_per_minute, read_samples, take_sample, take_samples
from relay.operations.progress import Operation
from relay.operations.replay import replay_events
from relay.operations.selection import InputInvalid, Selection, read_selection
from relay.operations.source_rows import read_sources
from relay.operations.stats import read_stats
from relay.operations.trace import event_story, find
from relay.outbox.lane_servers import LaneServers
from relay.patch import Document, Patch
from relay.sources.base import Inbound
from tests.operating import BROKEN_SUBJECT, NOON, Nowhere, Shop, shop_with_mail
from tests.places import ROOT


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    return Shop(redis_client, tmp_path)


# -- stats -------------------------------------------------------------------------------------------------------


def test_stats_have_the_contracts_shape_and_balance(shop: Shop) -> None:
    shop.arrive("one")
    shop.arrive("drop me", number=2, ts="1800000000.000200")

    stats = read_stats(shop.outbox, shop.delivery, now_ms=NOON + 2_500)

    slack = stats["sources"]["slack"]
    assert (slack["accepted"], slack["pending"], slack["filtered"], slack["duplicate"]) == (2, 1, 1, 0)
    assert stats["balanced"] is True
    assert stats["oldest_pending_seconds"] == 2.5
    assert stats["delivery"]["state"] == "open"
    assert stats["delivery"]["until"] is None
    assert stats["delivery"]["calls_last_minute"] == 0
    assert any("No worker serves the queue flush" in warning for warning in stats["warnings"])


def test_nothing_waiting_is_no_age(shop: Shop) -> None:
    stats = read_stats(shop.outbox, shop.delivery, now_ms=NOON)
    assert stats["oldest_pending_seconds"] == 0
    assert stats["sources"] == {}
    assert stats["balanced"] is True


def test_a_blocked_delivery_says_until_when_and_why(shop: Shop) -> None:
    shop.delivery.block(NOON + 30_000, "401: the token was refused")

    stats = read_stats(shop.outbox, shop.delivery, now_ms=NOON)

    assert stats["delivery"]["until"] == "2027-01-15T08:00:30.000Z"
    assert any("401: the token was refused" in warning for warning in stats["warnings"])


def test_books_that_do_not_balance_are_said_so(shop: Shop) -> None:
    shop.arrive("one")
    shop.outbox.redis.hincrby(shop.outbox.prefix + "ledger:slack", "pending", -1)

    assert read_stats(shop.outbox, shop.delivery, now_ms=NOON)["balanced"] is False


def test_the_plots_are_fed_at_most_every_ten_seconds(shop: Shop) -> None:
    shop.arrive("one")
    before_ms = shop.outbox.now_ms()
    shop.delivery.take_call(60, now_ms=before_ms)
    take_sample(shop.outbox)
    take_sample(shop.outbox)

    take_samples(LaneServers(), [shop.outbox])
    [sample] = read_samples(shop.outbox)
    assert read_samples(shop.outbox, since_ms=sample["at_ms"] + 1) == []
    assert before_ms <= sample.pop("at_ms") <= shop.outbox.now_ms()
    stats = read_stats(shop.outbox, shop.delivery)
    assert 0 <= sample.pop("oldest_s") <= stats["oldest_pending_seconds"]
    assert sample == {"pending": 1, "delivered": 0, "calls": 1, "dead": 0}
    assert stats["delivery"]["calls_last_minute"] == 1


def test_rates_are_counted_by_the_minute(shop: Shop) -> None:
    shop.arrive("one", now_ms=NOON)
    shop.arrive("two", number=2, ts="1800000000.000200", now_ms=NOON + 1)
    shop.arrive("three", number=3, ts="1800000060.000300", now_ms=NOON + 60_000)

    assert accepted_per_minute(shop.outbox, now_ms=NOON + 60_000, minutes=3) == {"slack": [0, 2, 1]}


def test_each_source_tells_its_last_event_and_its_refusals(shop: Shop) -> None:
    shop.arrive("one")
    refused = {"source": "slack", "reason": "signature", "kind": "NotAuthentic", "at_ms": NOON + 5}
    shop.outbox.redis.lpush(shop.outbox.prefix + "rejected", orjson.dumps(refused))
    shop.outbox.redis.hincrby(shop.outbox.prefix + "ledger:slack", "signature_failures", 1)

    rows = {
        row["name"]: row
        for row in read_sources(shop.outbox, {"slack": "slack", "second": "slack"}, NOON + 60_000)
    }

    assert rows["slack"]["last_event_at"] == iso(NOON)
    assert rows["slack"]["refusals"] == [("NotAuthentic: signature", 1)]
    assert rows["slack"]["signature_failures"] == 1
    assert rows["second"]["last_event_at"] is None


# -- trace -------------------------------------------------------------------------------------------------------


def test_an_events_story_runs_from_the_door_to_planhat(shop: Shop) -> None:
    event_id = shop.arrive("hello")
    shop.deliver(NOON + 1500)

    story = event_story(shop.outbox, event_id)

    assert (story["id"], story["source"], story["state"]) == (event_id, "slack", "delivered")
    assert story["externalId"] == "slack-C024BE91L-1800000000.000100"
    assert story["rule"] == "slack-thread"
    assert story["received_at"] == iso(NOON)
    assert story["settled_at"] == iso(NOON + 1500)
    assert story["end_to_end_ms"] == 1500
    assert story["planhat_id"]
    assert story["traceparent"].startswith("00-aaaa")
    assert [step["what"] for step in story["history"]] == [
        "received",
        "parsed",
        "mapped",
        "queued",
        "delivered",
    ]
    assert story["history"][0]["verify_ms"] == 0.42


def test_every_id_finds_the_same_conversation(shop: Shop) -> None:
    event_id = shop.arrive("hello")
    shop.arrive("a reply", number=2, ts="1800000001.000200", thread="1800000000.000100", now_ms=NOON + 100)
    shop.deliver(NOON + 1500)
    planhat_id = event_story(shop.outbox, event_id)["planhat_id"]

    for some_id in (event_id, "Ev0000000001", "slack-C024BE91L-1800000000.000100", planhat_id):
        found = find(shop.outbox, some_id, ["slack"])
        assert found["conversation"]["externalId"] == "slack-C024BE91L-1800000000.000100"
        assert found["conversation"]["planhat_id"] == planhat_id
        assert [event["state"] for event in found["events"]] == ["delivered", "delivered"]
    assert found["conversation"]["fields"]["description"] == "<p>hello</p><p>a reply</p>"


def test_what_still_waits_tells_what_it_will_be(shop: Shop) -> None:
    event_id = shop.arrive("hello")

    found = find(shop.outbox, event_id, ["slack"])

    assert found["conversation"]["waiting"] == 1
    assert found["conversation"]["fields"]["subject"] == "hello"
    assert found["events"][0]["settled_at"] is None


def test_a_filtered_event_has_a_story_without_a_conversation(shop: Shop) -> None:
    event_id = shop.arrive("drop me")

    found = find(shop.outbox, event_id, ["slack"])

    assert found["conversation"]["externalId"] is None
    assert found["events"][0]["state"] == "filtered"
    assert found["events"][0]["history"][-1]["what"] == "filtered"


@pytest.mark.parametrize(
    "unknown", ["evt_000000000000000000000000", "dead_x", "nothing", "", "\x00", "a/b?c*", "x" * 5000]
)
def test_an_id_that_nobody_knows_is_not_found(shop: Shop, unknown: str) -> None:
    with pytest.raises(NotFound):
        find(shop.outbox, unknown, ["slack"])
    with pytest.raises(NotFound):
        event_story(shop.outbox, unknown)


# -- dead letters --------------------------------------------------------------------------------------------------


def test_dead_letters_are_grouped_by_cause(shop: Shop) -> None:
    shop.arrive("one")
    [first] = shop.bury("subject is too long", now_ms=NOON + 1000)
    shop.arrive("two", number=2, ts="1800000000.000200")
    [second] = shop.bury("subject is too long", now_ms=NOON + 2000)
    shop.arrive("three", number=3, ts="1800000000.000300", source="second")
    [third] = shop.bury("no such company 123456", now_ms=NOON + 3000, stage="resolve")

    found = list_dead(shop.outbox, Selection())

    large, small = found["groups"]
    assert {k: large[k] for k in ("cause", "count", "sources", "first_seen", "last_seen", "sample")} == {
        "cause": "subject is too long",
        "count": 2,
        "sources": ["slack"],
        "first_seen": iso(NOON + 1000),
        "last_seen": iso(NOON + 2000),
        "sample": second,
    }
    assert small["cause"] == "no such company <n>"
    assert [item["id"] for item in found["items"]] == [third, second, first]
    assert found["items"][0]["stage"] == "resolve"
    assert found["next"] is None


def test_pages_of_dead_letters_neither_skip_nor_repeat(shop: Shop) -> None:
    for number in range(7):
        shop.arrive(str(number), number=number, ts=f"18000000{number:02}.000100")
    wanted = shop.bury("no", now_ms=NOON + 1000)

    seen: list[str] = []
    after = ""
    while True:
        page = list_dead(shop.outbox, Selection(), limit=3, after=after)
        seen += [item["id"] for item in page["items"]]
        if not page["next"]:
            break
        after = page["next"]

    assert sorted(seen) == sorted(wanted)
    assert len(seen) == 7
    with pytest.raises(ValueError, match="cursor"):
        list_dead(shop.outbox, Selection(), after="nonsense")


def test_one_letter_in_full(shop: Shop) -> None:
    event_id = shop.arrive("hello")
    [dead_id] = shop.bury("subject is too long")

    found = show_dead(shop.context, dead_id)

    assert found["attempts"] == [
        {"at": "2027-01-15T08:00:01.000Z", "status": 400, "error": "subject is too long"}
    ]
    assert found["answer"] == '{"error":"no"}'
    assert found["event"]["id"] == event_id
    assert found["event"]["text"] == "hello"
    assert found["document"]["subject"] == "hello"
    assert orjson.loads(found["raw"]["body"])["event"]["text"] == "hello"
    assert found["raw"]["target"] == "/hooks/slack"
    assert found["raw"]["encoding"] == "utf-8"


def test_a_replay_maps_again_with_todays_rules_and_the_books_follow(shop: Shop) -> None:
    event_id = shop.arrive("hello")
    [dead_id] = shop.bury("subject is too long")
    shop.change_rules("mended: {{ event.text }}")

    assert shop.counts() == {"accepted": 1, "dead": 1}
    found = replay_dead(shop.context, Selection(ids=(dead_id,)), by="test", now_ms=NOON + 5000)

    assert (found["count"], found["replayed"], found["failed"]) == (1, 1, 0)
    assert shop.counts() == {"accepted": 1, "pending": 1}
    assert shop.outbox.dead.get(dead_id) is None
    shop.deliver(shop.outbox.now_ms() + 5)
    conversation = find(shop.outbox, event_id, [])["conversation"]
    assert conversation["fields"]["subject"] == "mended: hello"
    assert "replayed" in [step["what"] for step in event_story(shop.outbox, event_id)["history"]]


def test_an_event_that_could_not_be_mapped_is_found_under_its_new_conversation(
    redis_client: redis.Redis, tmp_path: Path
) -> None:
    shop = Shop(redis_client, tmp_path, subject=BROKEN_SUBJECT)
    event_id = shop.arrive("hello")
    [item] = list_dead(shop.outbox, Selection())["items"]
    assert item["stage"] == "map"
    assert shop.counts() == {"accepted": 1, "dead": 1}

    with pytest.raises(MappingFailed):
        redrive_one(shop.context, item["id"])
    assert show_dead(shop.context, item["id"])["attempts"][0]["status"] == "map"

    shop.change_rules("{{ event.text }}")
    assert redrive_one(shop.context, item["id"]) == 1

    story = event_story(shop.outbox, event_id)
    assert (story["state"], story["externalId"]) == ("pending", "slack-C024BE91L-1800000000.000100")
    assert find(shop.outbox, story["externalId"], [])["events"][0]["id"] == event_id
    assert redrive_one(shop.context, item["id"]) == 0


def test_an_expired_raw_event_goes_out_with_its_stored_patch(shop: Shop) -> None:
    event_id = shop.arrive("hello")
    [dead_id] = shop.bury("no")
    shop.outbox.redis.delete(shop.outbox.prefix + "event:" + event_id)

    assert redrive_one(shop.context, dead_id) == 1
    assert shop.counts() == {"accepted": 1, "pending": 1}


def test_an_expired_event_that_was_never_mapped_stays_dead(redis_client: redis.Redis, tmp_path: Path) -> None:
    shop = Shop(redis_client, tmp_path, subject=BROKEN_SUBJECT)
    event_id = shop.arrive("hello")
    shop.change_rules("{{ event.text }}")
    shop.outbox.redis.delete(shop.outbox.prefix + "event:" + event_id)

    found = replay_dead(shop.context, Selection(everything=True), by="test")

    assert (found["replayed"], found["failed"]) == (0, 1)
    assert shop.counts() == {"accepted": 1, "dead": 1}


def test_a_dry_run_moves_nothing_and_tells_the_change(shop: Shop) -> None:
    shop.arrive("hello")
    [dead_id] = shop.bury("subject is too long")
    shop.change_rules("mended: {{ event.text }}")

    found = replay_dead(shop.context, Selection(cause="subject is too long"), by="test", dry_run=True)

    assert (found["count"], found["ready"], found["failing"]) == (1, 1, 0)
    assert found["sample"][0]["changes"]["subject"] == {"from": "hello", "to": "mended: hello"}
    assert shop.outbox.dead.get(dead_id) is not None
    assert shop.counts() == {"accepted": 1, "dead": 1}


def test_only_the_group_that_is_named_is_replayed(shop: Shop) -> None:
    shop.arrive("one")
    shop.bury("first cause")
    shop.arrive("two", number=2, ts="1800000000.000200")
    [other] = shop.bury("second cause")

    replay_dead(shop.context, Selection(cause="first cause"), by="test")

    assert shop.outbox.dead.ids() == [other]


def test_a_cancelled_replay_stops_and_leaves_the_rest_dead(shop: Shop) -> None:
    for number in range(25):
        shop.arrive(str(number), number=number, ts=f"18000000{number:02}.000100")
    shop.bury("no")
    operation = Operation.begin(shop.outbox, "dead replay", "test", {})
    operation.cancel()

    found = replay_dead(shop.context, Selection(everything=True), by="test", operation=operation)

    assert found["cancelled"] is True
    assert found["replayed"] == 0
    assert operation.read()["state"] == "cancelled"
    assert shop.counts() == {"accepted": 25, "dead": 25}


def test_an_edited_payload_is_what_the_rules_see_and_the_original_is_kept(shop: Shop) -> None:
    event_id = shop.arrive("way too long")
    [dead_id] = shop.bury("subject is too long")

    found = edit_dead(shop.context, dead_id, payload={"event.text": "short"}, by="ann", now_ms=NOON + 9000)

    assert found["edits"] == [
        {
            "at": iso(NOON + 9000),
            "by": "ann",
            "what": "payload",
            "path": "event.text",
            "from": "way too long",
            "to": "short",
        }
    ]
    assert found["event"]["text"] == "short"
    assert orjson.loads(found["raw"]["body"])["event"]["text"] == "way too long"
    assert redrive_one(shop.context, dead_id) == 1
    shop.deliver(shop.outbox.now_ms() + 5)
    assert find(shop.outbox, event_id, [])["conversation"]["fields"]["description"] == "short"


def test_an_edited_field_and_company_reach_the_patch(shop: Shop) -> None:
    shop.arrive("hello", channel="C0UNKNOWN1")
    [dead_id] = shop.bury("no company found", stage="resolve")

    edit_dead(
        shop.context,
        dead_id,
        fields={"subject": "Better", "custom.Team": "EU"},
        company="extid-acme",
        by="ann",
    )
    redrive_one(shop.context, dead_id)

    [pending] = shop.outbox.waiting_patches("slack-C0UNKNOWN1-1800000000.000100")
    patch = Patch.decode(pending.patch)
    assert patch.company_id == "extid-acme"
    assert patch.fields["subject"] == ("first", "Better")
    assert patch.fields["custom.Team"] == ("replace", "EU")


def test_an_edit_of_an_expired_event_still_wins(shop: Shop) -> None:
    event_id = shop.arrive("hello")
    [dead_id] = shop.bury("no")
    shop.outbox.redis.delete(shop.outbox.prefix + "event:" + event_id)

    edit_dead(shop.context, dead_id, payload={"subject": "Better"}, by="ann")
    redrive_one(shop.context, dead_id)

    [pending] = shop.outbox.waiting_patches("slack-C024BE91L-1800000000.000100")
    document = Document("x")
    document.absorb(Patch.decode(pending.patch))
    assert document.render()["subject"] == "Better"


@pytest.mark.parametrize(
    ("payload", "fields", "where"),
    [
        ({"event.nothing": 1}, {}, "payload.event.nothing"),
        ({}, {"externalId": "other"}, "fields.externalId"),
        ({}, {"_id": "x"}, "fields._id"),
        ({}, {"nonsense": 1}, "fields.nonsense"),
        ({}, {"type": "email"}, "fields.type"),
        ({}, {"type": "No such type"}, "fields.type"),
        ({}, {"starred": "yes"}, "fields.starred"),
        ({}, {"subject": ["a"]}, "fields.subject"),
        ({}, {"date": "some day"}, "fields.date"),
        ({}, {"endusers": 5.5}, "fields.endusers"),
        ({}, {"custom.Team": {"a": 1}}, "fields.custom.Team"),
        ({}, {"companyId": "acme"}, "company"),
    ],
)
def test_an_edit_that_makes_no_sense_names_the_path(
    shop: Shop, payload: dict[str, object], fields: dict[str, object], where: str
) -> None:
    shop.arrive("hello")
    [dead_id] = shop.bury("no")

    with pytest.raises(InputInvalid) as caught:
        edit_dead(shop.context, dead_id, payload=payload, fields=fields, by="ann")

    assert caught.value.path == where
    assert not show_dead(shop.context, dead_id)["edits"]


def test_a_discarded_letter_tells_why_in_the_events_story(shop: Shop) -> None:
    event_id = shop.arrive("hello")
    [dead_id] = shop.bury("no")

    assert discard_dead(shop.outbox, Selection(ids=(dead_id,)), by="ann", dry_run=True)["count"] == 1
    found = discard_dead(shop.outbox, Selection(ids=(dead_id,)), by="ann", reason="a test")

    assert (found["count"], found["discarded"]) == (1, 1)
    assert shop.counts() == {"accepted": 1, "discarded": 1}
    said = [step for step in event_story(shop.outbox, event_id)["history"] if step["what"] == "discarded"]
    assert [(step["by"], step["reason"]) for step in said] == [("ann", "a test")]


def test_named_letters_that_do_not_exist_are_not_found(shop: Shop) -> None:
    acts: tuple[Callable[[], object], ...] = (
        lambda: replay_dead(shop.context, Selection(ids=("dead_x",)), by="t"),
        lambda: discard_dead(shop.outbox, Selection(ids=("dead_x",)), by="t"),
        lambda: show_dead(shop.context, "dead_x"),
    )
    for act in acts:
        with pytest.raises(NotFound):
            act()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, ""),
        ({"ids": []}, "ids"),
        ({"ids": "dead_1"}, "ids"),
        ({"ids": [1]}, "ids"),
        ({"ids": ["a"], "all": True}, "all"),
        ({"all": "yes"}, "all"),
        ({"all": False}, ""),
        ({"since": "tomorrow"}, "since"),
        ({"since": [1]}, "since"),
        ({"cause": {}}, "cause"),
    ],
)
def test_a_selection_that_names_nothing_clear_is_refused(body: dict[str, object], path: str) -> None:
    with pytest.raises(InputInvalid) as caught:
        read_selection(body, NOON)
    assert caught.value.path == path


def test_moments_are_durations_ago_or_iso() -> None:
    assert parse_moment("2h", NOON) == NOON - 7_200_000
    assert parse_moment("1h30m", NOON) == parse_moment("1h 30m ago", NOON) == NOON - 5_400_000
    assert parse_moment("2027-01-15T08:00:00Z", 0) == NOON
    assert parse_moment("2027-01-15T08:00:00", 0) == NOON
    assert parse_moment("2027-01-15T09:00:00+01:00", 0) == NOON
    assert parse_moment("now", NOON) == NOON
    for wrong in ("", "2x", "tomorrow", "99999-01-01", "٣h"):
        with pytest.raises(ValueError, match="is no time"):
            parse_moment(wrong, NOON)
    assert iso(NOON) == "2027-01-15T08:00:00.000Z"
    assert iso(0) is None
    assert iso(10**20) is None


# -- replay of stored events -------------------------------------------------------------------------------------


def replay_noon(shop: Shop, **more: object) -> dict[str, object]:
    return replay_events(
        shop.context,
        since_ms=NOON - 1000,
        until_ms=NOON + 60_000,
        wait=lambda seconds: None,
        now_ms=NOON + 100_000,
        **more,  # type: ignore[arg-type]
    )


def test_a_replay_under_the_same_rules_changes_nothing(shop: Shop) -> None:
    shop.arrive("hello")
    shop.deliver()

    found = replay_noon(shop)

    assert (found["count"], found["changed"]) == (1, 0)
    assert shop.counts() == {"accepted": 1, "delivered": 1}


def test_a_replay_under_new_rules_sends_what_differs_once(shop: Shop) -> None:
    event_id = shop.arrive("hello")
    shop.deliver()
    shop.change_rules("new: {{ event.text }}")

    dry = replay_noon(shop, dry_run=True)
    assert (dry["count"], dry["changed"]) == (1, 1)
    assert dry["sample"] == [
        {
            "id": event_id,
            "externalId": "slack-C024BE91L-1800000000.000100",
            "changes": {"subject": {"from": "hello", "to": "new: hello"}},
        }
    ]
    assert shop.counts() == {"accepted": 1, "delivered": 1}

    assert replay_noon(shop)["changed"] == 1
    assert shop.counts() == {"accepted": 1, "pending": 1}
    shop.deliver(shop.outbox.now_ms() + 5)
    assert find(shop.outbox, event_id, [])["conversation"]["fields"]["subject"] == "new: hello"
    assert replay_noon(shop)["changed"] == 0


def test_a_replay_never_lets_older_win(shop: Shop) -> None:
    shop.arrive("old", source="second")
    shop.arrive("new", source="second", number=2, ts="1800000005.000200", thread="1800000000.000100")
    shop.deliver()
    shop.change_rules("v2 {{ event.text }}")

    replay_noon(shop, source="second")
    shop.deliver(shop.outbox.now_ms() + 5)

    found = find(shop.outbox, "second-C024BE91L-1800000000.000100", [])
    assert found["conversation"]["fields"]["subject"] == "v2 new"


def test_a_replay_keeps_to_its_source_rule_and_ids(shop: Shop) -> None:
    first = shop.arrive("one")
    shop.arrive("two", source="second", number=2)
    shop.deliver()
    shop.change_rules("new {{ event.text }}")

    assert replay_noon(shop, source="second", dry_run=True)["count"] == 1
    assert replay_noon(shop, rule="slack-thread", dry_run=True)["changed"] == 1
    assert replay_noon(shop, ids=[first], dry_run=True)["count"] == 1


def test_a_replay_stands_aside_while_live_traffic_waits(shop: Shop) -> None:
    shop.arrive("hello")
    shop.deliver()
    shop.change_rules("new: {{ event.text }}")
    waits: list[float] = []
    old = shop.outbox.now_ms() - 60_000
    shop.arrive("waits for long", number=9, ts="1800000009.000900", now_ms=old)

    def wait(seconds: float) -> None:
        waits.append(seconds)
        assert len(waits) < 10
        if len(waits) == 3:
            shop.deliver(shop.outbox.now_ms())

    found = replay_events(
        shop.context, since_ms=NOON - 1000, until_ms=NOON + 1000, wait=wait, now_ms=NOON + 5000
    )

    assert len(waits) == 3
    assert found["changed"] == 1


def test_a_cancelled_replay_can_be_taken_up_again(shop: Shop) -> None:
    for minute in range(3):
        shop.arrive(str(minute), number=minute, ts=f"180000000{minute}.000100", now_ms=NOON + minute * 60_000)
    shop.deliver(NOON + 200_000)
    shop.change_rules("new: {{ event.text }}")
    operation = Operation.begin(shop.outbox, "replay", "test", {"since": NOON})

    def cancel_after_first(count: int, changed: int) -> None:
        operation.cancel()

    first = replay_events(
        shop.context, since_ms=NOON, until_ms=NOON + 200_000, operation=operation, progress=cancel_after_first,
        wait=lambda s: None, now_ms=NOON + 300_000,
    )  # fmt: skip
    assert first["cancelled"] is True
    assert first["changed"] == 1

    cursor = int(operation.resume()["cursor"])
    rest = replay_events(
        shop.context, since_ms=cursor, until_ms=NOON + 200_000, operation=operation, wait=lambda s: None,
        now_ms=NOON + 300_000,
    )  # fmt: skip
    assert rest["cancelled"] is False
    assert rest["changed"] == 2
    assert operation.read()["state"] == "done"


def test_dead_and_unmappable_events_are_counted_apart(shop: Shop) -> None:
    shop.arrive("one")
    shop.bury("no")
    shop.arrive("two", number=2, ts="1800000002.000100")
    shop.deliver()
    shop.change_rules(BROKEN_SUBJECT)

    found = replay_noon(shop, dry_run=True)

    assert (found["count"], found["dead"], found["unmapped"], found["changed"]) == (2, 1, 1, 0)
    assert found["causes"][0]["count"] == 1  # type: ignore[index]


# -- killed in the middle ------------------------------------------------------------------------------------------

_REPLAY_ALL = """
import sys
from pathlib import Path
import redis
from relay.operations.dead.replay import replay_dead
from relay.operations.selection import Selection
from tests.operating import Shop
shop = Shop(redis.Redis.from_url(sys.argv[1]), Path(sys.argv[2]))
print("ready", flush=True)
replay_dead(shop.context, Selection(everything=True), by="killed")
"""


@pytest.mark.process
@pytest.mark.parametrize("after", [1, 20, 60])
def test_a_replay_killed_in_the_middle_loses_nothing(
    redis_client: redis.Redis, redis_url: str, tmp_path: Path, after: int
) -> None:
    shop = Shop(redis_client, tmp_path)
    for number in range(120):
        shop.arrive(str(number), number=number, ts=f"1800000{number:03}.000100")
    shop.bury("no")
    process = subprocess.Popen(
        [sys.executable, "-c", _REPLAY_ALL, redis_url, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    while process.poll() is None and shop.outbox.dead.count() > 120 - after:
        pass
    process.kill()
    process.wait()
    process.stdout.close()

    counts = shop.counts()
    assert counts["pending"] + counts.get("dead", 0) == 120
    assert counts["pending"] >= after
    replay_dead(shop.context, Selection(everything=True), by="again")
    assert shop.counts() == {"accepted": 120, "pending": 120}
    waiting = [
        p.event_id
        for n in range(120)
        for p in shop.outbox.waiting_patches(f"slack-C024BE91L-1800000{n:03}.000100")
    ]
    assert len(waiting) == len(set(waiting)) == 120


def test_a_mail_is_found_by_its_message_id_and_by_its_providers_id(shop: Shop) -> None:
    shop.house = shop_with_mail(shop.folder)
    mail = {
        "MessageID": "a1b2c3d4-0000-4000-8000-000000000001",
        "From": "ann@example.com",
        "FromFull": {"Email": "ann@example.com", "Name": "Ann", "MailboxHash": ""},
        "Subject": "Help",
        "TextBody": "It broke.",
        "Date": "Fri, 15 Jan 2027 08:00:00 +0000",
        "Headers": [{"Name": "Message-ID", "Value": "<m1@example.com>"}],
    }
    inbound = Inbound(
        body=orjson.dumps(mail), headers={"content-type": "application/json"}, path_query="/hooks/mail"
    )
    intake = Intake(house=shop.house, records=Nowhere())
    [entry], _ = intake.map(shop.source("mail"), inbound, now_s=NOON / 1000)
    shop.outbox.record([entry], now_ms=NOON)

    for some_id in ("<m1@example.com>", "m1@example.com", "a1b2c3d4-0000-4000-8000-000000000001"):
        assert [event["id"] for event in find(shop.outbox, some_id, ["mail"])["events"]] == [entry.event_id]
