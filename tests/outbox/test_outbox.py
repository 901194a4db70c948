"""The outbox's promises, each kept on a real server; on Debian's redis-server too, where it is installed."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from relay.outbox.delivery import Delivery
from relay.outbox.items import Bury, Done, Entry, Item, Later, State
from relay.outbox.notes import Note, write_notes
from relay.outbox.outbox import Outbox
from relay.outbox.store import Retention
from relay.outbox.vault import Vault
from tests.conftest import _server

NOON = 1_800_000_000_000


@pytest.fixture(scope="module", params=["embedded", "redis-server"])
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "embedded":
        yield from _server()
    else:
        found = shutil.which("redis-server")
        if not found:
            pytest.skip("no redis-server on the PATH")
        yield from _server(found)


@pytest.fixture
def redis_client(server_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def outbox(redis_client: redis.Redis) -> Outbox:
    return Outbox(redis_client)


def entry(number: int, *, source: str = "slack", external_id: str = "", verdict: str = "pending") -> Entry:
    return Entry(
        event_id=f"evt_{number:024x}",
        source=source,
        verdict=verdict,  # type: ignore[arg-type]
        seen_keys=(f"evt_{number:024x}",),
        record=b"raw %d" % number,
        external_id=external_id or f"slack-{number}",
        patch=b"patch %d" % number if verdict == "pending" else b"",
        dead=b'{"cause":"no"}' if verdict == "dead" else b"",
    )


def claim(outbox: Outbox, now_ms: int, limit: int = 1000) -> list[Item]:
    generation = outbox.lane.ring(now_ms=now_ms) or int(outbox.redis.get(outbox.prefix + "generation") or 0)
    outbox.lane.own(generation)
    return list(outbox.lane.claim(generation, limit, lease_ms=20_000, now_ms=now_ms).items)


def done(item: Item, state: State = "delivered") -> Done:
    return Done(item, b"doc", [(p.event_id, state) for p in item.pending if p.counted])


def balance(outbox: Outbox) -> dict[str, dict[str, int]]:
    books = outbox.ledger()
    for counts in books.values():
        states = ("pending", "delivered", "unchanged", "superseded", "filtered", "dead", "discarded")
        assert counts["accepted"] == sum(counts[state] for state in states), counts
    return books


def test_what_is_recorded_can_be_claimed_once(outbox: Outbox) -> None:
    generation, recorded = outbox.record([entry(1), entry(2)], now_ms=NOON)
    assert generation == 1 and [r.duplicate_of for r in recorded] == ["", ""]

    items = claim(outbox, NOON)

    assert [item.pending[0].patch for item in items] == [b"patch 1", b"patch 2"]
    assert claim(outbox, NOON + 1) == []


def test_the_same_delivery_twice_is_one_event(outbox: Outbox) -> None:
    outbox.record([entry(1)], now_ms=NOON)
    _, again = outbox.record([entry(1), entry(1)], now_ms=NOON + 1)

    assert [r.duplicate_of for r in again] == [entry(1).event_id] * 2
    assert (
        balance(outbox)["slack"] | {"accepted": 1, "duplicate": 2, "pending": 1} == balance(outbox)["slack"]
    )
    [item] = claim(outbox, NOON + 2)
    assert len(item.pending) == 1


def seen_by_id(outbox: Outbox) -> list[int]:
    """Of which events there is a dedupe key of their own id, as an older release wants it."""
    names: list[bytes] = outbox.redis.keys(outbox.prefix + "seen:slack:evt_*")  # type: ignore[assignment]
    return sorted(int(name.rpartition(b"_")[2], 16) for name in names)


@pytest.mark.parametrize("rate", [0, 100])
@pytest.mark.parametrize("further", [(), ("a",), ("a", "b")])
def test_whatever_one_of_its_keys_says_is_a_duplicate(
    outbox: Outbox, further: tuple[str, ...], rate: float
) -> None:
    def arrives(event: Entry) -> str:
        [verdict] = outbox.run("record", outbox.record_args([(event, rate)], now_ms=NOON))[4:]
        return str(verdict.decode())

    first = replace(entry(1), seen_keys=(entry(1).event_id, *further))
    assert arrives(first) == ""
    assert arrives(first) == arrives(entry(1)) == first.event_id
    for key in further:
        assert arrives(replace(entry(2), seen_keys=(entry(2).event_id, key))) == first.event_id
    # What is a duplicate of another leaves nothing behind.
    assert outbox.events.get(entry(2).event_id) is None
    assert arrives(entry(2)) == ""
    assert balance(outbox)["slack"]["accepted"] == 2
    assert seen_by_id(outbox) == []
    assert outbox.events.find([("slack", "unknown"), ("slack", first.event_id)]) == first.event_id


def test_an_older_release_beside_finds_its_dedupe_keys_for_an_hour(outbox: Outbox) -> None:
    outbox.redis.sadd(outbox.prefix + "sources", "slack")
    outbox.record([entry(1)], now_ms=NOON)
    outbox.record([entry(2)], now_ms=NOON + 3_599_999)
    outbox.record([entry(3)], now_ms=NOON + 3_600_000)
    assert seen_by_id(outbox) == [1, 2]


def test_what_is_known_for_longer_than_its_event_has_a_key_of_its_own(redis_client: redis.Redis) -> None:
    outbox = Outbox(redis_client, retention=Retention(events_s=100, dedupe_s=1_000))
    outbox.record([entry(1)], now_ms=NOON)
    outbox.redis.delete(outbox.prefix + "event:" + entry(1).event_id)
    _, [again] = outbox.record([entry(1)], now_ms=NOON)
    assert again.duplicate_of == entry(1).event_id


def test_a_verdict_makes_nothing_of_an_event_that_went_meanwhile(outbox: Outbox) -> None:
    outbox.record([entry(1), entry(2), entry(3)], now_ms=NOON)
    items = claim(outbox, NOON)
    gone, expired = (outbox.prefix + "event:" + entry(number).event_id for number in (1, 2))
    outbox.redis.set(gone, "", keepttl=True)
    outbox.redis.delete(expired)
    outbox.lane.settle([done(item) for item in items], now_ms=NOON)
    assert outbox.redis.get(gone) == b"" and outbox.redis.ttl(gone) > 0
    assert not outbox.redis.exists(expired)
    assert outbox.events.get(entry(3).event_id) == ("delivered", NOON, b"raw 3")
    assert balance(outbox)["slack"]["delivered"] == 3


def test_a_conversations_events_are_the_last_thousand_whoever_wrote_them(outbox: Outbox) -> None:
    ids = [entry(number).event_id for number in range(1_500)]
    outbox.redis.rpush(outbox.prefix + "events:x", "evt_of_another_form", ids[0])
    outbox.redis.expire(outbox.prefix + "events:x", 1_000)
    for start in range(0, 1_500, 100):
        outbox.record([entry(number, external_id="x") for number in range(start, start + 100)])
    assert outbox.events.of("x", 3) == ids[-3:]
    assert outbox.events.of("x", 5_000) == ids[-1_000:]
    stored = outbox.prefix + "ids:x"
    assert outbox.redis.strlen(stored) <= 1_200 * 12
    assert outbox.redis.ttl(stored) >= outbox.retention.events_s
    outbox.record([replace(entry(1), event_id="evt_odd", seen_keys=("evt_odd",), external_id="y")])
    outbox.record([entry(2_000, external_id="y")])
    assert outbox.events.of("y") == ["evt_odd", entry(2_000).event_id]


def test_how_long_a_conversations_events_are_known_is_said_again_in_time(outbox: Outbox) -> None:
    outbox.record([entry(1, external_id="x")])
    outbox.redis.expire(outbox.prefix + "ids:x", outbox.retention.events_s - 1)
    outbox.record([entry(2, external_id="x")])
    assert outbox.redis.ttl(outbox.prefix + "ids:x") > outbox.retention.events_s


_WORDS = b"the words of a message that the patch repeats " * 9


def wordy(number: int, external_id: str) -> Entry:
    """An event whose patch is stored as its end."""
    return replace(entry(number, external_id=external_id), record=b"raw " + _WORDS, patch=b"patch " + _WORDS)


def lives(outbox: Outbox, number: int) -> int:
    life: int = outbox.redis.ttl(outbox.prefix + "event:" + entry(number).event_id)
    return life


def test_an_event_stays_for_as_long_as_its_patch_needs_it(outbox: Outbox) -> None:
    outbox.record([wordy(1, "x"), wordy(2, "x"), wordy(3, "y"), entry(4)], now_ms=NOON)
    assert [lives(outbox, number) for number in (1, 2, 3)] == [-1] * 3 and lives(outbox, 4) > 0
    [stored] = outbox.redis.lrange(outbox.prefix + "patches:y", 0, -1)
    assert len(stored) < 100
    # A repetition changes nothing of it.
    outbox.record([replace(wordy(3, "y"), record=b"raw other " * 9, patch=b"patch other " * 9)], now_ms=NOON)
    items = {item.external_id: item for item in claim(outbox, NOON)}
    assert [p.patch for p in items["x"].pending] == [b"patch " + _WORDS] * 2
    assert [p.patch for p in outbox.waiting_patches("x")] == [b"patch " + _WORDS] * 2
    outbox.lane.settle([done(items["x"]), Later(items["y"], NOON + 1)], now_ms=NOON)
    assert 0 < lives(outbox, 1) <= outbox.retention.events_s and lives(outbox, 2) > 0
    assert lives(outbox, 3) == -1
    assert outbox.events.get(entry(1).event_id) == ("delivered", NOON, b"raw " + _WORDS)
    [again] = claim(outbox, NOON + 1)
    assert again.pending[0].patch == b"patch " + _WORDS
    assert balance(outbox)["slack"]["delivered"] == 2


def test_a_dead_letter_needs_no_event(outbox: Outbox) -> None:
    outbox.record([wordy(1, "x"), entry(2, external_id="x")], now_ms=NOON)
    [item] = claim(outbox, NOON)
    outbox.lane.settle([Bury(item, "dead_1", b'{"cause":"no"}')], now_ms=NOON)
    assert lives(outbox, 1) > 0
    outbox.redis.delete(outbox.prefix + "event:" + entry(1).event_id)
    letter = outbox.dead.get("dead_1")
    assert letter and [p.patch for p in letter.patches] == [b"patch " + _WORDS, b"patch 2"]
    assert outbox.dead.redrive("dead_1", now_ms=NOON) == 2
    [item] = claim(outbox, NOON)
    assert [p.patch for p in item.pending] == [b"patch " + _WORDS, b"patch 2"]


def test_a_patch_whose_event_is_gone_is_said_to_be_unreadable(outbox: Outbox) -> None:
    outbox.record([wordy(1, "x"), wordy(2, "y")], now_ms=NOON)
    outbox.redis.delete(outbox.prefix + "event:" + entry(1).event_id)
    items = {item.external_id: item for item in claim(outbox, NOON)}
    assert "gone" in items["x"].unreadable and not items["x"].newer
    assert not items["y"].unreadable


def test_news_that_arrive_in_flight_are_due_again_at_once(outbox: Outbox) -> None:
    outbox.record([entry(1, external_id="x")], now_ms=NOON)
    [item] = claim(outbox, NOON)
    outbox.record([entry(2, external_id="x")], now_ms=NOON + 1)
    assert claim(outbox, NOON + 1) == []

    outbox.lane.settle([done(item)], now_ms=NOON + 2)

    [next_item] = claim(outbox, NOON + 2)
    assert [p.patch for p in next_item.pending] == [b"patch 2"]
    assert next_item.document == b"doc"
    assert balance(outbox)["slack"]["delivered"] == 1


def test_a_dead_workers_items_come_back_and_its_late_word_is_refused(outbox: Outbox) -> None:
    outbox.record([entry(1)], now_ms=NOON)
    [first] = claim(outbox, NOON)
    assert claim(outbox, NOON + 19_999) == []

    [second] = claim(outbox, NOON + 20_000)
    late = outbox.lane.settle([done(first)], now_ms=NOON + 20_001)

    assert (second.crashes, set(late.lost)) == (1, {"slack-1"})
    assert balance(outbox)["slack"]["pending"] == 1
    outbox.lane.settle([done(second)], now_ms=NOON + 20_002)
    assert balance(outbox)["slack"]["delivered"] == 1
    assert outbox.pending_items() == 0


def test_settling_twice_is_settling_once(outbox: Outbox) -> None:
    outbox.record([entry(1)], now_ms=NOON)
    [item] = claim(outbox, NOON)
    outbox.lane.settle([done(item)], now_ms=NOON)

    again = outbox.lane.settle([done(item)], now_ms=NOON)

    assert again.lost == {"slack-1"}
    assert balance(outbox)["slack"]["delivered"] == 1


def test_renewing_keeps_a_lease_and_names_what_is_lost(outbox: Outbox) -> None:
    outbox.record([entry(1)], now_ms=NOON)
    [item] = claim(outbox, NOON)
    assert outbox.lane.renew([item], now_ms=NOON + 15_000) == frozenset()
    assert claim(outbox, NOON + 30_000) == []
    claim(outbox, NOON + 36_000)
    assert outbox.lane.renew([item], now_ms=NOON + 36_001) == {"slack-1"}


def test_an_outage_charges_nothing_and_a_refusal_one(outbox: Outbox) -> None:
    outbox.record([entry(1)], now_ms=NOON)
    [item] = claim(outbox, NOON)
    outbox.lane.settle([Later(item, NOON + 5_000)], now_ms=NOON)
    assert claim(outbox, NOON + 4_999) == []
    [again] = claim(outbox, NOON + 5_000)
    assert (again.crashes, again.refusals) == (0, 0)
    outbox.lane.settle([Later(again, NOON + 9_000, refused=True)], now_ms=NOON + 5_000)
    [third] = claim(outbox, NOON + 9_000)
    assert (third.crashes, third.refusals, third.first_pending_ms) == (0, 1, NOON)


def test_a_suspect_is_handed_out_alone(outbox: Outbox) -> None:
    outbox.record([entry(1), entry(2), entry(3)], now_ms=NOON)
    claim(outbox, NOON)
    claim(outbox, NOON + 20_000)
    alone = [claim(outbox, NOON + 40_000) for _ in range(3)]
    assert [[item.crashes for item in items] for items in alone] == [[2], [2], [2]]
    assert {items[0].external_id for items in alone} == {"slack-1", "slack-2", "slack-3"}


def test_sources_share_a_claim_fairly_and_a_paused_one_is_held(outbox: Outbox) -> None:
    outbox.record([entry(n, source="noisy") for n in range(50)], now_ms=NOON)
    outbox.record([entry(100 + n, source="quiet") for n in range(3)], now_ms=NOON + 1)

    items = claim(outbox, NOON + 2, limit=10)

    assert len(items) == 10
    assert sum(item.lane_source == "quiet" for item in items) == 3
    Delivery(outbox.redis).pause("noisy")
    assert claim(outbox, NOON + 3) == []
    Delivery(outbox.redis).resume("noisy")
    assert len(claim(outbox, NOON + 4)) == 43


def test_nothing_due_lets_the_lane_go_in_the_same_step(outbox: Outbox) -> None:
    generation, _ = outbox.record([entry(1)], now_ms=NOON)
    assert outbox.lane.own(generation) and not outbox.lane.own(generation + 1)
    [item] = outbox.lane.claim(generation, now_ms=NOON).items
    outbox.lane.settle([done(item)], now_ms=NOON)
    assert outbox.lane.claim(generation, now_ms=NOON).items == ()
    next_generation, _ = outbox.record([entry(2)], now_ms=NOON)
    assert next_generation == generation + 1
    assert outbox.lane.claim(generation, now_ms=NOON).owned is False


def test_a_buried_item_is_a_dead_letter_and_can_be_replayed(outbox: Outbox) -> None:
    outbox.record([entry(1, external_id="x"), entry(2, external_id="x")], now_ms=NOON)
    [item] = claim(outbox, NOON)
    outbox.lane.settle([Bury(item, "dead_1", b'{"cause":"bad"}')], now_ms=NOON)
    assert balance(outbox)["slack"]["dead"] == 2
    letter = outbox.dead.get("dead_1")
    assert letter and letter.record == b'{"cause":"bad"}' and len(letter.patches) == 2
    assert outbox.dead.unposted() == ["dead_1"] and outbox.dead.of("x") == ["dead_1"]

    assert outbox.dead.redrive("dead_1", now_ms=NOON + 1) == 2

    assert outbox.dead.redrive("dead_1", now_ms=NOON + 1) == -1
    [again] = claim(outbox, NOON + 1)
    assert [p.patch for p in again.pending] == [b"patch 1", b"patch 2"]
    assert balance(outbox)["slack"]["pending"] == 2


def test_an_unmappable_event_is_dead_at_the_door_and_comes_back_mapped(outbox: Outbox) -> None:
    outbox.record([entry(7, verdict="dead")], now_ms=NOON)
    [dead_id] = outbox.dead.ids()
    assert outbox.dead.redrive(dead_id, now_ms=NOON) == 0
    assert balance(outbox)["slack"]["dead"] == 1

    event_id = entry(7).event_id
    assert outbox.dead.redrive(dead_id, [(event_id, "slack", "pending", "y", b"mapped")], now_ms=NOON) == 1

    [item] = claim(outbox, NOON)
    assert (item.external_id, item.pending[0].patch) == ("y", b"mapped")
    assert balance(outbox)["slack"]["dead"] == 0


def test_discarding_moves_the_books(outbox: Outbox) -> None:
    outbox.record([entry(7, verdict="dead")], now_ms=NOON)
    assert outbox.dead.discard(outbox.dead.ids()[0], now_ms=NOON) == 1
    assert balance(outbox)["slack"]["discarded"] == 1
    state = outbox.events.get(entry(7).event_id)
    assert state and state[0] == "discarded"


def test_a_replayed_event_is_counted_once(outbox: Outbox) -> None:
    outbox.record([entry(1, external_id="x")], now_ms=NOON)
    [item] = claim(outbox, NOON)
    assert outbox.replay([(entry(1).event_id, "slack", "x", b"newer")], now_ms=NOON) == 1
    outbox.lane.settle([done(item)], now_ms=NOON + 1)
    [again] = claim(outbox, NOON + 1)
    assert [(p.patch, p.counted) for p in again.pending] == [(b"newer", False)]
    outbox.lane.settle([done(again)], now_ms=NOON + 2)
    assert outbox.replay([(entry(1).event_id, "slack", "x", b"third")], now_ms=NOON + 3) == 1
    assert balance(outbox)["slack"]["pending"] == 1
    [third] = claim(outbox, NOON + 3)
    outbox.lane.settle([done(third, "unchanged")], now_ms=NOON + 4)
    assert balance(outbox)["slack"] | {"unchanged": 1, "delivered": 0} == balance(outbox)["slack"]


def test_the_oldest_pending_counts_held_and_leased_items(outbox: Outbox) -> None:
    assert outbox.oldest_pending_ms(now_ms=NOON) is None
    outbox.record([entry(1)], now_ms=NOON)
    assert outbox.oldest_pending_ms(now_ms=NOON + 5) == NOON
    [item] = claim(outbox, NOON + 10)
    outbox.lane.settle([Later(item, NOON + 900_000, refused=True)], now_ms=NOON + 10)
    outbox.record([entry(2)], now_ms=NOON + 50)
    assert outbox.oldest_pending_ms(now_ms=NOON + 60) == NOON


def test_the_call_budget_is_exact_over_any_minute(outbox: Outbox) -> None:
    delivery = Delivery(outbox.redis)
    assert [delivery.take_call(3, now_ms=NOON + n) for n in range(3)] == [0, 0, 0]
    assert delivery.take_call(3, now_ms=NOON + 10) == 59_991
    assert delivery.take_call(3, now_ms=NOON + 60_001) == 0
    assert delivery.take_call(3, now_ms=NOON + 60_001) == 0
    assert delivery.take_call(3, now_ms=NOON + 60_001) > 0


def test_a_source_over_its_rate_keeps_nothing(outbox: Outbox) -> None:
    from relay.outbox.scripts import run_script

    def record(number: int, now_ms: int) -> bytes:
        args = outbox.record_args([(entry(number), 2.0)], now_ms=now_ms)
        verdict: bytes = run_script(outbox.redis, "record", outbox.prefix, args)[4]
        return verdict

    assert [record(n, NOON) for n in range(3)] == [b"", b"", b"!"]
    assert record(2, NOON + 600) == b""
    assert balance(outbox)["slack"]["accepted"] == 3


def test_forgotten_scripts_are_loaded_again(outbox: Outbox) -> None:
    outbox.record([entry(1)], now_ms=NOON)
    outbox.redis.script_flush()
    assert len(claim(outbox, NOON)) == 1


def test_payloads_at_rest_are_encrypted_with_either_key_of_a_rotation(redis_client: redis.Redis) -> None:
    from cryptography.fernet import Fernet

    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    keys = [old]
    outbox = Outbox(redis_client, vault=Vault(lambda: ",".join(keys)))
    outbox.record([entry(1, external_id="x")], now_ms=NOON)
    keys[:] = [new, old]
    outbox.record([entry(2, external_id="x")], now_ms=NOON)

    [item] = claim(outbox, NOON)

    assert [p.patch for p in item.pending] == [b"patch 1", b"patch 2"]
    stored = str(redis_client.lrange(outbox.prefix + "patches:x", 0, -1))
    assert "patch" not in stored


def test_a_claim_takes_no_more_bytes_than_asked_for_but_always_one(outbox: Outbox) -> None:
    entries = [replace(entry(n), patch=random.Random(n).randbytes(1000)) for n in range(6)]
    generation, _ = outbox.record(entries, now_ms=NOON)

    claim = outbox.lane.claim(generation, now_ms=NOON, max_bytes=3_300)
    assert len(claim.items) == 3 and claim.more
    claim = outbox.lane.claim(generation, now_ms=NOON, max_bytes=10)
    assert len(claim.items) == 1 and claim.more
    claim = outbox.lane.claim(generation, now_ms=NOON)
    assert len(claim.items) == 2 and not claim.more


def test_an_empty_claim_lets_the_lane_go_unless_it_is_to_be_kept(outbox: Outbox) -> None:
    generation, _ = outbox.record([entry(1)], now_ms=NOON)
    [item] = outbox.lane.claim(generation, now_ms=NOON).items

    assert outbox.lane.claim(generation, now_ms=NOON, stay=True).items == ()
    assert outbox.lane.own(generation), "kept"
    outbox.lane.settle([done(item)], now_ms=NOON)
    assert outbox.lane.claim(generation, now_ms=NOON).items == ()
    assert outbox.record([entry(2)], now_ms=NOON)[0] == generation + 1, "let go of: the next one rings"


def test_a_settlement_said_twice_in_one_breath_counts_once(outbox: Outbox) -> None:
    outbox.record([entry(1)], now_ms=NOON)
    [item] = claim(outbox, NOON)

    assert outbox.lane.settle([done(item), done(item)], now_ms=NOON).lost == {item.external_id}
    assert balance(outbox)["slack"]["delivered"] == 1


def test_an_event_whose_archive_has_expired_is_settled_and_leaves_no_stump(outbox: Outbox) -> None:
    outbox.record([entry(1), entry(2)], now_ms=NOON)
    items = claim(outbox, NOON)
    outbox.redis.delete(outbox.prefix + "event:" + entry(1).event_id)

    outbox.lane.settle([done(item) for item in items], now_ms=NOON)

    assert balance(outbox)["slack"]["delivered"] == 2
    assert outbox.events.get(entry(1).event_id) is None
    found = outbox.events.get(entry(2).event_id)
    assert found is not None and found[0] == "delivered"


def test_what_people_do_makes_no_story_longer_than_its_events(outbox: Outbox) -> None:
    """A replay says whose an event is each time; once is enough, and of very many the newest stay."""
    outbox.record([entry(number, external_id="slack-1") for number in range(1, 4)])
    first, *others = outbox.events.of("slack-1")
    for _ in range(3):
        write_notes(outbox, [Note(first, {"what": "replayed"}, "slack-1")] * 500)
    assert outbox.events.of("slack-1") == [first, *others]
    key = outbox.prefix + "ids:slack-1"
    assert outbox.redis.strlen(key) == 36
    ttl_s = outbox.redis.ttl(key)
    moved = [Note(f"evt_{number:024x}", {"what": "replayed"}, "slack-1") for number in range(10, 1_510)]
    write_notes(outbox, moved)
    assert 12_000 <= outbox.redis.strlen(key) <= 14_400
    assert outbox.events.of("slack-1", 1_000) == [note.event_id for note in moved[-1_000:]]
    assert ttl_s - 60 < outbox.redis.ttl(key) <= ttl_s, "kept as long as it was"
    write_notes(outbox, [Note("of another form", {"what": "replayed"}, "slack-1")])
    assert outbox.redis.lrange(outbox.prefix + "events:slack-1", 0, -1) == [b"of another form"]
