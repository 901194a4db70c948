"""claim -> fold -> send -> settle, on a real Redis and a real sandbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import orjson
import pytest
import redis

from relay.config import CompanyStep
from relay.event import event_mark
from relay.outbox.items import Item, Settlement
from relay.outbox.outbox import Outbox
from relay.planhat.report import Answer, Rejected, Report
from relay.planhat.sandbox import NO_QUOTAS, Sandbox, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import Kit, batch, patch, retry
from workers.flush.call import Meanwhile
from workers.flush.lane import Lane
from workers.flush.prepare import FOLDED_AT_ONCE, PART, Preparation
from workers.pace.pace import Limits


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Sandbox, str]]:
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield sandbox, url


@pytest.fixture
def sandbox(shared: tuple[Sandbox, str]) -> Sandbox:
    shared[0].reset()
    return shared[0]


@pytest.fixture
def kit(redis_client: redis.Redis, shared: tuple[Sandbox, str], sandbox: Sandbox) -> Kit:
    return Kit(redis_client, shared[1], sandbox=sandbox)


def test_events_of_one_thread_become_one_conversation_in_one_call(kit: Kit) -> None:
    kit.record(patch(2, thread="t"), patch(1, thread="t"), patch(3))

    assert kit.run() == 2

    assert kit.at_planhat("slack-C1-t")["description"] == "<p>text 1</p><p>text 2</p>"
    assert kit.at_planhat("slack-C1-t")["subject"] == "subject 1"
    assert kit.books() == {"accepted": 3, "delivered": 3}
    assert len(kit.puts()) == 1
    document = kit.document("slack-C1-t")
    assert document.planhat_id == kit.at_planhat("slack-C1-t")["_id"]
    assert document.company_id == "extid-acme"
    assert kit.outbox.external_id_of(document.planhat_id) == "slack-C1-t"
    # For the story of each event: which batch carried it.
    marks = {event_mark(patch(n, thread="t").event_id) for n in (1, 2)}
    assert set(document.history[-1]["of"]) == marks


def test_a_later_event_goes_by_the_pinned_id(kit: Kit) -> None:
    kit.record(patch(1, thread="t"))
    kit.run()
    kit.record(patch(2, thread="t"))
    kit.run()

    assert kit.at_planhat("slack-C1-t")["description"] == "<p>text 1</p><p>text 2</p>"
    assert kit.books()["delivered"] == 2
    assert len(kit.store) == 1
    assert [entry["what"] for entry in kit.document("slack-C1-t").history] == ["sent", "sent"]


def test_what_would_change_nothing_is_unchanged_and_not_sent(kit: Kit) -> None:
    kit.record(patch(1))
    kit.run()
    kit.record(patch(1, event_id="evt_" + "b" * 24))
    kit.run()

    assert kit.books() == {"accepted": 2, "delivered": 1, "unchanged": 1} or kit.books() == {
        "accepted": 2,
        "delivered": 1,
        "superseded": 1,
    }
    assert len(kit.puts()) == 1


def test_an_older_event_that_comes_late_overwrites_nothing(kit: Kit) -> None:
    fields = {"type": ("replace", "Slack thread"), "subject": ("replace", "new")}
    kit.record(patch(9, thread="t", fields=fields))
    kit.run()
    kit.record(patch(3, thread="t", fields={**fields, "subject": ("replace", "old")}))
    kit.run()

    assert kit.at_planhat("slack-C1-t")["subject"] == "new"
    assert kit.books() == {"accepted": 2, "delivered": 1, "superseded": 1}


def test_a_deletion_before_its_message_is_unchanged_and_the_message_superseded(kit: Kit) -> None:
    kit.record(patch(1, thread="t", kind="retract", message_id="m1"))
    kit.run()
    assert kit.books() == {"accepted": 1, "unchanged": 1}

    kit.record(patch(1, thread="t"))
    kit.run()

    assert kit.books() == {"accepted": 2, "unchanged": 1, "superseded": 1}
    assert kit.puts() == []


def test_a_deletion_takes_its_message_out_and_archives_when_nothing_is_left(kit: Kit) -> None:
    kit.record(patch(1, thread="t"), patch(2, thread="t"))
    kit.run()
    kit.record(patch(1, thread="t", kind="retract", message_id="m1"))
    kit.run()
    assert kit.at_planhat("slack-C1-t")["description"] == "text 2"
    kit.record(patch(2, thread="t", kind="retract", message_id="m2"))
    kit.run()

    assert kit.at_planhat("slack-C1-t")["archived"] is True
    assert kit.books() == {"accepted": 4, "delivered": 4}


def test_archiving_what_planhat_never_had_sends_nothing(kit: Kit) -> None:
    kit.record(patch(1, thread="t", kind="archive"))
    kit.run()

    assert kit.books() == {"accepted": 1, "unchanged": 1}
    assert kit.puts() == []


@pytest.mark.parametrize("style", ["string", "string_id", "external_id", "index", "nested", "bare"])
def test_one_bad_item_is_refused_twice_and_buried_and_the_others_go(kit: Kit, style: str) -> None:
    kit.fault(operation="upsert", refuse="C1-4$", style=style, message="subject is not acceptable")
    kit.record(*(patch(n) for n in range(8)))

    kit.run()
    assert kit.books() == {"accepted": 8, "delivered": 7, "pending": 1}
    kit.due_now()
    kit.run()

    assert kit.books() == {"accepted": 8, "delivered": 7, "dead": 1}
    [dead] = kit.outbox.dead.get_many(kit.outbox.dead.ids())
    record = orjson.loads(dead.record)
    assert record["stage"] == "deliver"
    assert record["cause"].startswith("refused: ")
    assert [attempt["status"] for attempt in record["attempts"]] == [206, 400]
    assert record["document"]["description"] == "text 4"
    assert dead.external_id == "slack-C1-4"


def test_a_cause_groups_and_holds_no_personal_data(kit: Kit) -> None:
    kit.fault(
        operation="upsert",
        refuse="C1-[12]$",
        style="string_id",
        message="enduser Ann <ann@example.com> unknown at 5f0a9b8c7d",
    )
    kit.record(*(patch(n, text="Ann says hello") for n in (1, 2)))
    for _ in range(2):
        kit.run()
        kit.due_now()

    causes = {
        orjson.loads(letter.record)["cause"] for letter in kit.outbox.dead.get_many(kit.outbox.dead.ids())
    }

    [cause] = causes
    assert not any(word in cause for word in ("Ann", "ann@", "5f0a", "C1"))


def test_a_refusal_waits_before_its_second_try(kit: Kit) -> None:
    kit.fault(operation="upsert", refuse=".", times=1)
    kit.record(patch(1))
    kit.run()

    due_ms = kit.outbox.due_ms("slack-C1-1")
    assert due_ms is not None
    assert 2_000 <= due_ms - kit.outbox.now_ms() <= 5_000
    assert kit.run() == 0


@pytest.mark.parametrize(
    ("fault", "state", "least_s", "most_s"),
    [
        ({"status": 429, "retry_after": 7}, "backing_off", 6.5, 7.1),
        ({"status": 429}, "backing_off", 59, 61),
        ({"status": 503, "retry_after": 3}, "backing_off", 2.5, 3.1),
        ({"status": 500}, "backing_off", 0, 5.1),
        ({"status": 401}, "blocked", 29, 30.1),
        ({"status": 403, "body": "html"}, "blocked", 29, 30.1),
        ({"status": 200, "body": "garbled"}, "backing_off", 0, 5.1),
        ({"drop": True}, "backing_off", 0, 5.1),
        ({"commit_then_drop": True}, "backing_off", 0, 5.1),
    ],
)
def test_an_outage_holds_delivery_and_charges_nobody(
    kit: Kit, fault: dict[str, object], state: str, least_s: float, most_s: float
) -> None:
    kit.fault(operation="upsert", times=1, **fault)
    kit.record(*(patch(n) for n in range(40)))

    kit.run()

    held = kit.delivery.read()
    wait_s = (held.until_ms - kit.outbox.now_ms()) / 1000
    assert held.state == state
    assert least_s <= wait_s <= most_s
    assert held.failures == 1
    assert kit.books() == {"accepted": 40, "pending": 40}
    assert kit.outbox.lane.ring() == 0 or wait_s <= 0
    kit.due_now()
    kit.run()
    assert kit.delivery.read().state == "open"
    assert sum(kit.books().get(word, 0) for word in ("delivered", "unchanged")) == 40
    assert kit.outbox.dead.count() == 0
    assert kit.puts()[1]["items"] == 25, "the first call after an outage is a small probe"


def test_what_alone_lacks_a_permission_is_buried_and_holds_nobody(kit: Kit) -> None:
    """Its second try goes alone, and an answer that refuses all of one item is no total 403."""
    kit.fault(operation="upsert", refuse="C1-1$", list="permissionErrors", message="no access")
    kit.record(*(patch(n) for n in range(4)))
    for _ in range(2):
        kit.run()
        assert kit.delivery.read().state == "open"
        kit.due_now()

    assert kit.books() == {"accepted": 4, "delivered": 3, "dead": 1}


def test_what_is_addressed_by_id_and_lacks_a_permission_holds_nobody(kit: Kit) -> None:
    """Its try by externalId goes alone as well."""
    kit.record(*(patch(n) for n in range(3)))
    kit.run()
    kit.fault(operation="upsert", refuse="C1-1$", list="permissionErrors", message="no access")
    kit.record(*(patch(n + 10, external_id=f"slack-C1-{n}") for n in range(3)))
    kit.run()

    assert kit.delivery.read().state == "open"
    assert kit.books()["pending"] == 1


def test_a_probe_that_fails_waits_longer(kit: Kit) -> None:
    kit.fault(operation="upsert", times=6, status=500)
    kit.record(patch(1))
    ceilings = []
    for _ in range(6):
        kit.run()
        ceilings.append(kit.delivery.read().failures)
        kit.due_now()

    assert ceilings == [1, 2, 3, 4, 5, 6]
    kit.run()
    assert kit.books() == {"accepted": 1, "delivered": 1}


def test_what_is_paused_stays_and_goes_on_resume(kit: Kit) -> None:
    kit.delivery.pause()
    kit.record(patch(1))
    assert kit.outbox.lane.ring() == 0
    assert kit.puts() == []
    kit.delivery.resume()
    kit.run()

    assert kit.books() == {"accepted": 1, "delivered": 1}


def test_an_item_past_its_age_is_given_up_on_only_after_another_failure(
    redis_client: redis.Redis, shared: tuple[Sandbox, str], sandbox: Sandbox
) -> None:
    kit = Kit(redis_client, shared[1], sandbox=sandbox, retry=retry(give_up_after_s=0.0))
    kit.record(patch(1))
    kit.fault(operation="upsert", times=1, status=503)
    kit.run()

    assert kit.books() == {"accepted": 1, "dead": 1}
    [letter] = kit.outbox.dead.get_many(kit.outbox.dead.ids())
    assert orjson.loads(letter.record)["cause"].startswith("given up after 0s")


def test_an_item_larger_than_a_batch_is_buried_naming_its_size(
    redis_client: redis.Redis, shared: tuple[Sandbox, str], sandbox: Sandbox
) -> None:
    kit = Kit(redis_client, shared[1], sandbox=sandbox, batch=batch(max_bytes=2_000))
    kit.record(patch(1, text="x" * 5_000), patch(2))
    kit.run()

    assert kit.books() == {"accepted": 2, "delivered": 1, "dead": 1}
    [letter] = kit.outbox.dead.get_many(kit.outbox.dead.ids())
    record = orjson.loads(letter.record)
    assert record["cause"] == "too large to send"
    assert "bytes alone" in record["reason"]


def test_a_batch_too_large_for_planhat_is_split_and_the_next_ones_are_smaller(kit: Kit) -> None:
    kit.fault(operation="upsert", body_limit_bytes=20_000)
    kit.record(*(patch(n, text="x" * 500) for n in range(60)))
    kit.run()

    assert kit.books() == {"accepted": 60, "delivered": 60}
    assert int(kit.delivery.tune()["bytes"]) < 30_000
    assert [call["status"] for call in kit.puts()].count(413) <= 2


def test_batches_are_cut_by_items_and_bytes(
    redis_client: redis.Redis, shared: tuple[Sandbox, str], sandbox: Sandbox
) -> None:
    kit = Kit(redis_client, shared[1], sandbox=sandbox, batch=batch(max_items=7, max_bytes=3_000))
    kit.record(*(patch(n, text="x" * 300) for n in range(20)))
    kit.run()

    assert kit.books() == {"accepted": 20, "delivered": 20}
    assert max(call["items"] for call in kit.puts()) <= 7
    assert max(call["bytes"] for call in kit.puts()) <= 3_000


def test_a_different_company_later_goes_by_id_and_is_noted(kit: Kit) -> None:
    kit.record(patch(1, thread="t", company_id="extid-acme"))
    kit.run()
    kit.record(patch(2, thread="t", company_id="extid-globex"))
    kit.run()

    assert len(kit.store) == 1
    assert kit.at_planhat("slack-C1-t")["companyName"] == "Acme"
    document = kit.document("slack-C1-t")
    assert document.company_id == "extid-acme"
    assert "company_differs" in [entry["what"] for entry in document.history]


def test_a_conversation_deleted_in_planhat_is_made_anew(kit: Kit) -> None:
    kit.record(patch(1, thread="t"))
    kit.run()
    record = kit.store.find("extid-slack-C1-t")
    assert record is not None
    kit.store.delete(record)
    kit.record(patch(2, thread="t"))
    kit.run()
    kit.due_now()
    kit.run()

    assert kit.at_planhat("slack-C1-t")["description"] == "<p>text 1</p><p>text 2</p>"
    assert kit.document("slack-C1-t").planhat_id == kit.at_planhat("slack-C1-t")["_id"]


def test_a_stored_patch_that_cannot_be_read_is_buried_and_the_others_go(kit: Kit) -> None:
    kit.record(patch(1), patch(2))
    kit.outbox.redis.lset(
        kit.outbox.prefix + "patches:slack-C1-1", 0, "evt_x\x1fslack\x1f1\x1f1\x1fj{not json"
    )
    kit.run()

    books = kit.outbox.ledger()["slack"]
    assert (books["delivered"], books["dead"]) == (1, 1)
    [letter] = kit.outbox.dead.get_many(kit.outbox.dead.ids())
    assert orjson.loads(letter.record)["cause"] == "cannot be read"


def test_an_item_that_kills_its_worker_is_sent_alone_at_the_third_try_and_then_buried(kit: Kit) -> None:
    kit.record(*(patch(n) for n in range(5)))
    for attempt in range(3):
        generation = kit.generation()
        items = kit.outbox.lane.claim(generation, 1000, lease_ms=20_000).items
        assert items, attempt
        kit.outbox.redis.delete(kit.outbox.prefix + "wake")
        if attempt == 2:
            assert len(items) == 1, "a suspect is handed out alone"
            suspect = items[0]
        kit.due_now()
    while kit.run():
        pass

    assert kit.books() == {"accepted": 5, "delivered": 4, "dead": 1}
    [letter] = kit.outbox.dead.get_many(kit.outbox.dead.ids())
    assert letter.external_id == suspect.external_id
    assert orjson.loads(letter.record)["cause"] == "killed its worker 3 times"


def test_events_that_arrive_during_the_call_are_delivered_next(kit: Kit) -> None:
    arrived: list[int] = []

    def upsert(body: bytes, timeout_s: float) -> object:
        if not arrived:
            arrived.append(1)
            kit.record(patch(2, thread="t"))
        return kit.planhat.upsert_raw(body, timeout_s=timeout_s)

    kit.flush.tools.upsert = upsert  # type: ignore[assignment]
    kit.record(patch(1, thread="t"))
    kit.run()

    assert kit.at_planhat("slack-C1-t")["description"] == "<p>text 1</p><p>text 2</p>"
    assert kit.books() == {"accepted": 2, "delivered": 2}
    assert len(kit.puts()) == 2


def leased(kit: Kit) -> int:
    """How many conversations are under a claim."""
    return int(kit.outbox.redis.hlen(kit.outbox.prefix + "held"))


def wait_for(what: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not what():
        assert time.monotonic() < ends, "it never came to be"
        time.sleep(0.005)


def test_while_a_call_is_under_way_the_next_batch_is_made_ready_and_the_last_one_settled(kit: Kit) -> None:
    calls: list[int] = []

    def upsert(body: bytes, timeout_s: float) -> object:
        calls.append(body.count(b'"externalId"'))
        if len(calls) == 1:
            # The first ten lie with this call, twice as many more are claimed although it is not answered.
            wait_for(lambda: leased(kit) == 30)
        if len(calls) == 2:
            # The first ten are settled beside this call.
            wait_for(lambda: kit.books().get("delivered") == 10 and leased(kit) == 20)
        return kit.planhat.upsert_raw(body, timeout_s=timeout_s)

    kit.flush.tools.upsert = upsert  # type: ignore[assignment]
    kit.pace.limits = lambda state, now_ms: Limits(10, 4_000_000)  # type: ignore[method-assign]
    kit.record(*(patch(n) for n in range(30)))
    kit.run()

    assert calls == [10, 10, 10]
    assert kit.books() == {"accepted": 30, "delivered": 30}
    assert leased(kit) == 0


def test_what_is_made_ready_suffices_where_the_next_call_may_carry_more(kit: Kit) -> None:
    """It did not: while calls were plentiful an excursion upwards never set out, and the one after a small call was small."""
    calls: list[int] = []

    def upsert(body: bytes, timeout_s: float) -> object:
        calls.append(body.count(b'"externalId"'))
        if len(calls) == 1:
            wait_for(lambda: leased(kit) == 30)
        return kit.planhat.upsert_raw(body, timeout_s=timeout_s)

    kit.flush.tools.upsert = upsert  # type: ignore[assignment]
    kit.flush.tools.gather_s = 0.0
    kit.pace.limits = lambda state, now_ms: Limits(20 if calls else 10, 4_000_000)  # type: ignore[method-assign]
    kit.record(*(patch(n) for n in range(40)))
    kit.run()

    assert calls == [10, 20, 10]


def test_a_slice_ends_with_a_full_call_and_hands_back_what_that_had_no_room_for(kit: Kit) -> None:
    """A call of what was left over, every 15 s, was one of ten where a call takes a second and more."""
    calls: list[int] = []
    now_s = [0.0]
    flush_metrics, idle = kit.flush.tools.metrics.flush, [0]

    def flush(*, force: bool = True) -> None:
        # Beside a call: once nothing is left to be made ready.
        idle[0] += not force and leased(kit) == 30
        flush_metrics(force=force)

    def upsert(body: bytes, timeout_s: float) -> object:
        calls.append(body.count(b'"externalId"'))
        if len(calls) == 1:
            # Claimed is not yet ready: its answer is read beside the call.
            wait_for(lambda: idle[0] > 0)
            now_s[0] += 60.0
        return kit.planhat.upsert_raw(body, timeout_s=timeout_s)

    kit.flush.tools.upsert = upsert  # type: ignore[assignment]
    kit.flush.tools.metrics.flush = flush  # type: ignore[method-assign]
    kit.flush.tools.clock = lambda: now_s[0]
    kit.pace.limits = lambda state, now_ms: Limits(12 if calls else 10, 4_000_000)  # type: ignore[method-assign]
    kit.record(*(patch(n) for n in range(40)))
    kit.run()

    assert calls == [10, 12]
    assert kit.books() == {"accepted": 40, "delivered": 22, "pending": 18}
    assert len(kit.bell.rung) == 1, "the successor goes on"
    items = kit.outbox.lane.claim(kit.bell.rung[0]).items
    assert [(item.crashes, item.refusals) for item in items] == [(0, 0)] * 18, "nobody is charged"


def test_what_comes_during_a_call_joins_the_next_where_nothing_else_waits(kit: Kit) -> None:
    """Natural batching: nothing is claimed ahead, so that the next call takes all that came meanwhile."""
    calls: list[int] = []

    def upsert(body: bytes, timeout_s: float) -> object:
        calls.append(body.count(b'"externalId"'))
        if len(calls) < 3:
            for n in range(5):
                kit.record(patch(100 * len(calls) + n))
            assert leased(kit) == calls[-1], "only what is in the call is claimed"
        return kit.planhat.upsert_raw(body, timeout_s=timeout_s)

    kit.flush.tools.upsert = upsert  # type: ignore[assignment]
    kit.record(patch(1))
    kit.run()

    assert calls == [1, 5, 5]
    assert kit.books() == {"accepted": 11, "delivered": 11}


def test_after_a_rush_each_call_again_takes_all_that_came_during_the_one_before(kit: Kit) -> None:
    """A batch made ahead left without what had come since, and with it the next was made ahead too: for good, each event
    waited a call longer than it had to."""
    calls: list[list[str]] = []
    arrived: dict[str, int] = {}

    def upsert(body: bytes, timeout_s: float) -> object:
        calls.append([row["externalId"] for row in orjson.loads(body)])
        number = len(calls)
        # What was made ready ahead is made ready now, at the beginning of the call: the event comes after that.
        wait_for(lambda: leased(kit) == len(calls[-1]) + (10 if number == 1 else 0) or number > 2)
        if number <= 6:
            kit.record(patch(1000 + number))
            arrived[f"slack-C1-{1000 + number}"] = number
        return kit.planhat.upsert_raw(body, timeout_s=timeout_s)

    kit.flush.tools.upsert = upsert  # type: ignore[assignment]
    kit.flush.tools.gather_s = 0.0
    kit.pace.limits = lambda state, now_ms: Limits(20, 4_000_000)  # type: ignore[method-assign]
    kit.record(*(patch(n) for n in range(30)))
    kit.run()

    went = {name: number for number, call in enumerate(calls, 1) for name in call if name in arrived}
    assert went == {name: number + 1 for name, number in arrived.items()}


def test_an_outage_hands_back_what_was_made_ready_ahead(kit: Kit) -> None:
    def upsert(body: bytes, timeout_s: float) -> object:
        wait_for(lambda: leased(kit) == 30)
        return kit.planhat.upsert_raw(body, timeout_s=timeout_s)

    kit.flush.tools.upsert = upsert  # type: ignore[assignment]
    kit.pace.limits = lambda state, now_ms: Limits(10, 4_000_000)  # type: ignore[method-assign]
    kit.fault(operation="upsert", status=503, times=1)
    kit.record(*(patch(n) for n in range(30)))
    kit.run()

    assert kit.books() == {"accepted": 30, "pending": 30}
    assert kit.delivery.read().state == "backing_off"
    kit.due_now()
    items = kit.outbox.lane.claim(kit.generation()).items
    assert [(item.crashes, item.refusals) for item in items] == [(0, 0)] * 30, "nobody is charged"


def test_what_one_call_has_no_room_for_fills_the_next(kit: Kit) -> None:
    """No small left-over call between two large ones: calls are scarce."""
    kit.record(*(patch(n, text="x" * 900) for n in range(40)))
    kit.pace.limits = lambda state, now_ms: Limits(1000, 10_000)  # type: ignore[method-assign]
    kit.run()

    assert kit.books() == {"accepted": 40, "delivered": 40}
    sizes = [call["items"] for call in kit.puts()]
    assert len(set(sizes[:-1])) == 1 and sizes[-1] <= sizes[0], sizes


def test_a_stop_hands_the_rest_back_uncharged(kit: Kit) -> None:
    def upsert(body: bytes, timeout_s: float) -> object:
        kit.stop = True
        return kit.planhat.upsert_raw(body, timeout_s=timeout_s)

    kit.flush.tools.upsert = upsert  # type: ignore[assignment]
    kit.pace.sizes.most = 10
    kit.record(*(patch(n) for n in range(30)))
    kit.run()

    assert kit.books() == {"accepted": 30, "delivered": 10, "pending": 20}
    assert kit.outbox.lane.ring(), "the lane is free at once"
    kit.outbox.redis.delete(kit.outbox.prefix + "wake")
    kit.stop = False
    kit.flush.tools.upsert = lambda body, timeout_s: kit.planhat.upsert_raw(body, timeout_s=timeout_s)
    kit.run()
    assert kit.books() == {"accepted": 30, "delivered": 30}


def test_a_slice_ends_in_a_successor(kit: Kit) -> None:
    kit.flush.tools.slice_s = 0.0
    kit.record(patch(1))
    kit.run()

    assert len(kit.bell.rung) == 1
    kit.flush.tools.slice_s = 15.0
    kit.flush.run(kit.bell.rung[0])
    assert kit.books() == {"accepted": 1, "delivered": 1}


def test_a_generation_of_the_past_does_nothing_while_another_owns_the_lane(kit: Kit) -> None:
    kit.record(patch(1))
    current = int(kit.outbox.redis.get(kit.outbox.prefix + "generation") or 0)
    assert kit.outbox.lane.begin(current) == current

    assert kit.flush.run(current - 1) == 0
    assert kit.flush.run(current) == 1


def test_a_job_that_waited_too_long_in_the_queue_delivers_all_the_same(kit: Kit) -> None:
    """Of many lanes each is rung for again after 5 s. Where the queue is longer than that, no job would ever be the newest."""
    kit.record(patch(1))
    first = int(kit.outbox.redis.get(kit.outbox.prefix + "generation") or 0)
    kit.outbox.redis.delete(kit.outbox.prefix + "wake")
    newest = kit.outbox.lane.ring()
    assert newest == first + 1

    assert kit.flush.run(first) == 1
    assert kit.flush.run(newest) == 0
    assert kit.books() == {"accepted": 1, "delivered": 1}


@pytest.mark.simulated
@pytest.mark.parametrize("number", [4_999, 5_000, 5_001])
def test_no_call_holds_more_than_5000_items(
    redis_client: redis.Redis, shared: tuple[Sandbox, str], sandbox: Sandbox, number: int
) -> None:
    kit = Kit(redis_client, shared[1], sandbox=sandbox, gather_s=60.0, batch=batch(max_bytes=50_000_000))
    kit.pace.sizes.first = 5_000.0
    kit.record(*(patch(n) for n in range(number)))
    kit.run()

    assert kit.books() == {"accepted": number, "delivered": number}
    assert [call["items"] for call in kit.puts()] == ([number] if number <= 5_000 else [5_000, 1])


def test_while_calls_are_plentiful_none_waits_for_a_full_batch(
    redis_client: redis.Redis, shared: tuple[Sandbox, str], sandbox: Sandbox
) -> None:
    kit = Kit(redis_client, shared[1], sandbox=sandbox, gather_s=0.0)
    kit.pace.sizes.first = 1_000.0
    kit.record(*(patch(n) for n in range(700)))
    kit.run()

    assert kit.books() == {"accepted": 700, "delivered": 700}
    assert kit.puts()[0]["items"] == PART, "a part was ready, and Planhat had nothing to do"


@pytest.mark.simulated
def test_where_calls_are_scarce_each_carries_what_it_can(
    redis_client: redis.Redis, shared: tuple[Sandbox, str], sandbox: Sandbox
) -> None:
    kit = Kit(redis_client, shared[1], sandbox=sandbox, gather_s=0.0, calls_per_minute=10)
    kit.pace.sizes.first = 1_000.0
    for _ in range(6):
        kit.delivery.take_call(10, now_ms=kit.outbox.now_ms() - 30_000)
    kit.record(*(patch(n) for n in range(700)))
    kit.run()

    assert [call["items"] for call in kit.puts()] == [700]


def test_what_is_unsettled_does_not_pile_up_where_calls_are_quicker_than_settling(
    redis_client: redis.Redis,
) -> None:
    """It did once: some parts more with each batch, 100 MB of them after 300,000 items."""
    batches, items = 20, 2 * PART
    prefix = Outbox(redis_client).prefix
    unsettled: list[int] = []

    def upsert(body: bytes, timeout_s: float) -> Answer:
        unsettled.append(redis_client.hlen(prefix + "held"))
        return Report(items, 0, 0, (), (), (), (), (), 200)

    kit = Kit(redis_client, "http://127.0.0.1:9", upsert=upsert, gather_s=60.0, batch=batch(max_items=items))
    kit.pace.sizes.first = float(items)
    kit.record(*(patch(n) for n in range(batches * items)))
    kit.run()

    assert kit.books() == {"accepted": batches * items, "delivered": batches * items}
    assert max(unsettled) <= 5 * items, (
        "two batches' verdicts, the batch under way, what is ready or on its way"
    )
    used = kit.delivery.calls_used(now_ms=kit.outbox.now_ms())
    assert used == len(unsettled), "each call has one place in the minute, seized or taken"


@pytest.mark.parametrize("quick", [0, 2, 3, 4, 99])
def test_what_is_sent_again_is_whole_whatever_was_done_beside_the_calls_before(
    redis_client: redis.Redis, quick: int
) -> None:
    """It was not where the items of a call, too quick for anything to be done beside it, began to share its body when some
    of them had been settled."""
    bodies: list[list[dict[str, object]]] = []

    def upsert(body: bytes, timeout_s: float) -> Answer:
        bodies.append(orjson.loads(body))
        names = [item["externalId"] for item in bodies[-1]]
        if "slack-C1-5" in names or "slack-C1-9" in names:
            return Rejected(400, "no such type")
        return Report(len(names), 0, 0, (), (), (), (), (), 200)

    def beside(call: Callable[[], Answer], meanwhile: Meanwhile) -> Answer:
        answer = call()
        for _ in range(9 if len(bodies) > quick else 0):
            meanwhile()
        return answer

    kit = Kit(redis_client, "http://127.0.0.1:9", upsert=upsert)
    kit.flush.tools.beside = beside
    kit.record(*(patch(n) for n in range(16)))
    kit.run()

    assert kit.books() == {"accepted": 16, "delivered": 14, "pending": 2}
    sent = {str(item["externalId"]): item for item in bodies[0]}
    assert len(sent) == 16
    assert all(sent[str(item["externalId"])] == item for body in bodies for item in body)


class NothingToAdd:
    """An enricher, as each worker has one, where no source needs it."""

    def improve(self, items: Sequence[Item], now_ms: int) -> tuple[list[Item], list[tuple[Item, float]]]:
        return list(items), []


def test_a_drain_asks_redis_for_the_time_less_often_than_it_calls_planhat(kit: Kit) -> None:
    """Asked between two parts, it waited for the claim and the settlement that were on their way: half of a drain's time."""
    kit.flush.tools.enricher = NothingToAdd()
    kit.record(*(patch(n) for n in range(5 * PART)))
    kit.outbox.redis.config_resetstat()
    kit.run()
    asked = kit.outbox.redis.info("commandstats")
    scripts = sum(row["calls"] for name, row in asked.items() if name in ("cmdstat_evalsha", "cmdstat_eval"))
    # Each script looks at the clock itself.
    assert asked["cmdstat_time"]["calls"] - scripts <= len(kit.puts())
    assert kit.books() == {"accepted": 5 * PART, "delivered": 5 * PART}


def test_what_is_half_made_when_the_job_must_end_goes_back_as_it_was(kit: Kit) -> None:
    kit.record(*(patch(n) for n in range(2 * FOLDED_AT_ONCE)))
    lost: list[Settlement] = []
    generation = kit.generation()
    assert kit.outbox.lane.own(generation)
    with Lane(kit.outbox, generation, lease_s=20.0) as lane:
        preparation = Preparation(
            lane,
            kit.flush.tools.addressing,
            kit.flush.tools.settling,
            lost.extend,
            enricher=None,
            recall=None,
            now_ms=kit.outbox.now_ms,
        )
        limits = Limits(1_000, 1_000_000)
        assert preparation.step(limits), "claimed"
        assert preparation.step(limits), "half of it folded"
        assert not preparation.between_parts
        assert not preparation.dry
        back = preparation.put_away()
    kit.outbox.lane.settle(back)

    assert len(back) == 2 * FOLDED_AT_ONCE
    assert not lost
    kit.run()
    assert kit.books() == {"accepted": 2 * FOLDED_AT_ONCE, "delivered": 2 * FOLDED_AT_ONCE}


def test_with_nothing_due_nobody_is_called(kit: Kit) -> None:
    assert kit.flush.run(1) == 0
    assert kit.sandbox is not None
    assert kit.sandbox.call_count == 0


def test_an_outage_of_the_look_up_holds_delivery_and_buries_nothing(
    redis_client: redis.Redis, shared: tuple[Sandbox, str], sandbox: Sandbox
) -> None:
    kit = Kit(redis_client, shared[1], sandbox=sandbox, steps=(CompanyStep("enduser_email"),))
    kit.fault(operation="endusers", status=503, times=1)
    kit.record(*(patch(n, company={"email": "ada@example.com"}) for n in range(10)))
    kit.run()

    assert kit.delivery.read().state == "backing_off"
    assert kit.books() == {"accepted": 10, "pending": 10}
    kit.due_now()
    kit.run()
    assert kit.books() == {"accepted": 10, "delivered": 10}
    assert kit.delivery.read().state == "open"


def test_people_go_by_their_planhat_ids_where_the_config_asks_for_it(
    redis_client: redis.Redis, shared: tuple[Sandbox, str], sandbox: Sandbox
) -> None:
    kit = Kit(redis_client, shared[1], sandbox=sandbox, resolve_people=True)
    fields = {
        "type": ("replace", "Slack thread"),
        "endusers": ("union", [{"email": "ada@example.com", "name": "Ada"}]),
        "users": ("union", [{"email": "sam@ourteam.example"}]),
    }
    kit.record(patch(1, fields=fields))
    kit.run()

    record = kit.at_planhat("slack-C1-1")
    assert [person["id"] for person in record["endusers"]] == ["5e0000000000000000000001"]
    assert [person["id"] for person in record["users"]] == ["5d0000000000000000000003"]


def test_a_call_that_was_cut_off_is_not_taken_for_known(kit: Kit) -> None:
    """Sent and committed, the answer lost; then a deletion brings the text back to what was acknowledged before."""
    kit.record(patch(1, thread="t"))
    kit.run()
    kit.fault(operation="upsert", commit_then_drop=True, times=1)
    kit.record(patch(2, thread="t"))
    kit.run()
    assert kit.at_planhat("slack-C1-t")["description"] == "<p>text 1</p><p>text 2</p>"
    kit.record(patch(2, thread="t", kind="retract", message_id="m2"))
    kit.due_now()
    kit.run()

    assert kit.at_planhat("slack-C1-t")["description"] == "text 1"


def test_eight_workers_at_once_make_one_call_at_a_time_and_one_conversation_each(
    redis_url: str, shared: tuple[Sandbox, str], sandbox: Sandbox
) -> None:
    under_way: list[int] = []
    most: list[int] = []

    def turn(kit: Kit, generation: int) -> None:
        # As the door and the sweep do: only whoever took a new generation works on it.
        generation = generation or kit.outbox.lane.ring()
        if generation:
            kit.flush.run(generation)

    def worker(number: int) -> None:
        with redis.Redis.from_url(redis_url) as client:
            kit = Kit(client, shared[1], sandbox=sandbox, batch=batch(max_items=40))

            def upsert(body: bytes, timeout_s: float) -> Answer:
                under_way.append(number)
                most.append(len(under_way))
                try:
                    return kit.planhat.upsert_raw(body, timeout_s=timeout_s)
                finally:
                    under_way.remove(number)

            kit.flush.tools.upsert = upsert
            for n in range(number, 400, 8):
                turn(kit, kit.record(patch(n, thread=str(n % 50))))
            for _ in range(20):
                turn(kit, 0)

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with redis.Redis.from_url(redis_url) as client:
        kit = Kit(client, shared[1], sandbox=sandbox)
        client.delete(kit.outbox.prefix + "wake")
        kit.run()

        assert max(most) == 1
        assert "pending" not in kit.books()
        assert kit.books()["accepted"] == 400
        assert len(sandbox.store) == 50
        for thread_number in range(50):
            record = kit.at_planhat(f"slack-C1-{thread_number}")
            expected = "".join(f"<p>text {n}</p>" for n in range(thread_number, 400, 50))
            assert record["description"] == expected
