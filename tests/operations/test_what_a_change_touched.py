"""After rules have changed: which conversations no event makes any more, everything listed, and stories that keep the first delivery."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.door.house import furnish
from relay.operations.dead.discard import discard_dead
from relay.operations.dead.replay import replay_dead
from relay.operations.replay import replay_events
from relay.operations.selection import Selection
from relay.operations.trace import event_story, find
from relay.operations.waited import Waited
from relay.outbox.items import Done, State
from relay.patch import Document, Patch, fold
from relay.rules.file.load import load
from tests.environ import WEAK
from tests.operating import NOON, Shop
from tests.operations.test_search import shop

__all__ = ["shop"]

OLD = "slack-C024BE91L-1800000000.000100"
NEW = "chat-C024BE91L-1800000000.000100"
MINUTE = 60_000


def change(shop: Shop, was: str, becomes: str) -> None:
    file = shop.folder / "relay.yaml"
    text = file.read_text()
    assert was in text
    file.write_text(text.replace(was, becomes))
    shop.house = furnish(*load(str(file), WEAK))


def rename(shop: Shop) -> None:
    """The rule gives its conversations another externalId from now on."""
    change(shop, '"slack-{{ event.thread }}"', '"chat-{{ event.thread }}"')


def replay(shop: Shop, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"since_ms": NOON - 1000, "until_ms": NOON + MINUTE, **more}
    return replay_events(shop.context, wait=lambda seconds: None, now_ms=NOON + 3 * MINUTE, **given)


def later(shop: Shop) -> int:
    return shop.deliver(shop.outbox.redis.time()[0] * 1000 + 10_000)


def document(shop: Shop, external_id: str) -> Document:
    stored = shop.outbox.document(external_id)
    assert stored is not None
    return Document.decode(stored)


# -- conversations that no event makes any more --------------------------------------------------------------------------


def test_what_no_event_makes_any_more_is_named_and_archived(shop: Shop) -> None:
    shop.arrive("hello")
    shop.arrive("more", number=2, ts="1800000001.000200", thread="1800000000.000100", now_ms=NOON + 10)
    shop.arrive("apart", number=3, ts="1800000002.000300", source="second", now_ms=NOON + 20)
    shop.deliver()
    assert replay(shop)["orphans"] == []
    rename(shop)

    dry = replay(shop, dry_run=True, archive_orphans=True)
    [orphan] = dry["orphans"]
    assert (orphan["externalId"], orphan["events"], orphan["sure"], orphan["archived"]) == (
        OLD,
        2,
        True,
        False,
    )
    assert orphan["planhat_link"].endswith(orphan["planhat_id"])
    assert shop.counts()["delivered"] == 2

    [orphan] = replay(shop, archive_orphans=True)["orphans"]
    assert orphan["archived"] is True
    assert shop.counts() == {"accepted": 2, "pending": 2}
    assert later(shop) == 2
    assert shop.counts() == {"accepted": 2, "delivered": 2}
    assert document(shop, OLD).render()["archived"] is True
    assert "archived" not in document(shop, NEW).render()
    # It is seen to; and nothing is archived twice.
    assert replay(shop, archive_orphans=True)["orphans"] == []


def test_without_the_option_a_later_run_still_names_it(shop: Shop) -> None:
    shop.arrive("hello")
    shop.deliver()
    rename(shop)
    assert [one["archived"] for one in replay(shop)["orphans"]] == [False]
    later(shop)
    assert [one["externalId"] for one in replay(shop)["orphans"]] == [OLD]


def test_what_today_is_dropped_leaves_its_conversation_too(shop: Shop) -> None:
    shop.arrive("hello")
    shop.deliver()
    change(shop, 'event.text != "drop me"', 'event.text == "never"')
    found = replay(shop, archive_orphans=True)
    assert (found["filtered"], [one["archived"] for one in found["orphans"]]) == (1, [True])
    later(shop)
    assert document(shop, OLD).render()["archived"] is True
    assert shop.counts() == {"accepted": 1, "delivered": 1}


@pytest.mark.parametrize(
    ("why", "told"),
    [("still makes it", []), ("expired", [(False, False)]), ("cannot be mapped", [(False, False)])],
)
def test_what_another_event_may_still_make_stays(shop: Shop, why: str, told: list[tuple[bool, bool]]) -> None:
    shop.arrive("hello")
    other = shop.arrive(
        "stay", number=2, ts="1800000001.000200", thread="1800000000.000100", now_ms=NOON + 2 * MINUTE
    )
    shop.deliver(NOON + 2 * MINUTE + 500)
    # The first has another home today; the second is not among those that the run looks at.
    stays = "{{ 'slack' if event.text == 'stay' else 'chat' }}"
    if why == "cannot be mapped":
        stays = "{{ payload.no.such if event.text == 'stay' else 'chat' }}"
    change(shop, '"slack-{{ event.thread }}"', f'"{stays}-{{{{ event.thread }}}}"')
    if why == "expired":
        shop.outbox.redis.delete(f"{shop.outbox.prefix}event:{other}")
    found = replay(shop, archive_orphans=True)
    assert [(one["sure"], one["archived"]) for one in found["orphans"]] == told
    later(shop)
    assert "archived" not in document(shop, OLD).render()


# -- everything is listed ------------------------------------------------------------------------------------------------


def test_each_change_is_told_whatever_the_sample_holds(shop: Shop) -> None:
    for n in range(30):
        shop.arrive(f"m{n}", number=n, ts=f"1800000000.{n:06d}", now_ms=NOON + n)
    shop.deliver()
    shop.change_rules("new: {{ event.text }}")
    told: list[Any] = []
    found = replay(shop, dry_run=True, limit=3, listed=told.append)
    assert (found["changed"], len(found["sample"]), len(told)) == (30, 3, 30)
    assert found["sample"] == told[:3]
    assert len(replay(shop, dry_run=True)["sample"]) == 20


# -- stories ---------------------------------------------------------------------------------------------------------------


def deliver_as(shop: Shop, batch: str, at_ms: int, of: list[str] | None, took_ms: int = 40) -> None:
    """What is due goes out as the workers note it."""
    items = shop.claim(at_ms)
    for item in items:
        held = Document.decode(item.document) if item.document else Document(item.external_id)
        fold(held, (Patch.decode(pending.patch) for pending in item.pending))
        held.planhat_id = "0" * 24
        entry = {"at_ms": at_ms, "what": "sent", "status": 200, "batch": batch, "took_ms": took_ms}
        held.history.append(entry if of is None else {**entry, "of": of})
        ends: list[tuple[str, State]] = [(p.event_id, "delivered") for p in item.pending if p.counted]
        shop.outbox.lane.settle([Done(item, held.encode(), ends, planhat_id=held.planhat_id)], now_ms=at_ms)
    shop.outbox.redis.delete(shop.outbox.prefix + "wake")


def batches(shop: Shop, event_id: str) -> list[str]:
    return [step["batch"] for step in event_story(shop.outbox, event_id)["history"] if step.get("batch")]


@pytest.mark.parametrize("named", [True, False])
def test_a_story_shows_its_own_batches_alone(shop: Shop, named: bool) -> None:
    first = shop.arrive("one", now_ms=NOON)
    deliver_as(shop, "b1", NOON + 1500, [first[4:12]] if named else None)
    second = shop.arrive(
        "two", number=2, ts="1800000001.000200", thread="1800000000.000100", now_ms=NOON + 2000
    )
    deliver_as(shop, "b2", NOON + 5000, [second[4:12]] if named else None)
    assert batches(shop, first) == ["b1"]
    assert batches(shop, second) == ["b2"]
    # How many it carried is told, not which.
    [sent] = [step for step in event_story(shop.outbox, second)["history"] if step["what"] == "sent"]
    assert (sent.get("events"), "of" in sent) == (1 if named else None, False)


@pytest.mark.parametrize("named", [True, False])
def test_a_replay_keeps_the_first_delivery(shop: Shop, named: bool) -> None:
    event_id = shop.arrive("one", now_ms=NOON)
    deliver_as(shop, "b1", NOON + 1500, [event_id[4:12]] if named else None)
    other = shop.arrive(
        "two", number=2, ts="1800000001.000200", thread="1800000000.000100", now_ms=NOON + 10_000
    )
    deliver_as(shop, "b2", NOON + 20_000, [other[4:12]] if named else None)
    shop.change_rules("new: {{ event.text }}")
    assert replay(shop, ids=[event_id])["changed"] == 1
    waiting = event_story(shop.outbox, event_id)
    assert (waiting["state"], waiting["end_to_end_ms"]) == ("pending", 1500)
    assert batches(shop, event_id) == ["b1"]
    again_ms = NOON + 10 * MINUTE
    deliver_as(shop, "b3", again_ms, [event_id[4:12]] if named else None)
    story = event_story(shop.outbox, event_id)
    assert batches(shop, event_id) == ["b1", "b3"]
    assert story["end_to_end_ms"] == 1500
    [replayed] = [step for step in story["history"] if step["what"] == "replayed"]
    assert (replayed["was"], "was_at_ms" in replayed) == ("delivered", False)
    # Where the conversation's history has forgotten the batch, that it was delivered then is still told.
    held = document(shop, OLD)
    held.history = held.history[-1:]
    shop.outbox.redis.set(f"{shop.outbox.prefix}document:{OLD}", shop.outbox.vault.seal(held.encode()))
    steps = [(step["what"], step["at"]) for step in event_story(shop.outbox, event_id)["history"]]
    assert ("delivered", "2027-01-15T08:00:01.500Z") in steps


def test_a_dead_letter_that_was_replayed_or_discarded_is_still_known(shop: Shop) -> None:
    first = shop.arrive("one")
    [replayed] = shop.bury("no")
    assert replay_dead(shop.context, Selection(ids=(replayed,)), by="ann")["replayed"] == 1
    shop.deliver(NOON + 5000)
    assert [event["id"] for event in find(shop.outbox, replayed, [])["events"]] == [first]
    second = shop.arrive("two", number=2, ts="1800000009.000900")
    [gone] = shop.bury("no", now_ms=NOON + 9000)
    discard_dead(shop.outbox, Selection(ids=(gone,)), by="ann")
    assert second in [event["id"] for event in find(shop.outbox, gone, [])["events"]]


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 1000)), max_size=5),
    st.integers(0, 1000),
    st.integers(0, 12_000),
)
def test_spans_follow_each_other_and_an_unnamed_batch_is_within_one(
    replays: list[tuple[int, int]], last: int, at_ms: int
) -> None:
    at, notes = 100, []
    for waited, stood in replays:
        notes.append({"was": "delivered", "was_at_ms": at + waited, "at_ms": at + waited + stood})
        at += waited + stood
    found = Waited.of(100, notes, at + last)
    assert len(found.spans) == len(replays) + 1
    assert all(start <= end for start, end in found.spans)
    assert [end for end, _ in found.ends] == [note["was_at_ms"] for note in notes]
    entry = {"at_ms": at_ms, "took_ms": 0}
    if found.carried_by(entry, "evt_0123456789"):
        assert 100 <= at_ms <= at + last + 2_000
    assert not found.carried_by({**entry, "of": ["ffffffff"]}, "evt_0123456789")
    assert found.carried_by({**entry, "of": ["01234567"]}, "evt_0123456789")
    assert orjson.dumps(found.ends_without([]))
