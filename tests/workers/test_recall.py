"""Conversations that are forgotten here and stand in Planhat: read before anything is sent, and never overwritten."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
import redis

from relay.outbox.epoch import Epoch, read_life
from relay.outbox.items import Item, Later, Pending
from relay.outbox.scripts import run_script
from relay.outbox.shared_metrics import SharedMetrics
from relay.outbox.store import MARK_YEAR_S
from relay.patch import Patch
from relay.planhat.sandbox import NO_QUOTAS, create_sandbox
from relay.planhat.sandbox.server import running
from relay.registers import Way
from tests.flushing import Kit, patch
from workers.flush.fold import FoldedItem
from workers.flush.prepare import PART
from workers.flush.recall import READS_PER_PART, Recall
from workers.flush.recognise import recognise_delivered

_TEXT = re.compile(r"text \d+")


@pytest.fixture
def kit(redis_client: redis.Redis) -> Iterator[Kit]:
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        yield Kit(redis_client, url, sandbox=sandbox)


def say(kit: Kit, *numbers: int, thread: str = "t") -> None:
    for number in numbers:
        kit.record(patch(number, thread=thread))
        kit.run()


def texts(kit: Kit, thread: str = "t") -> list[str]:
    return _TEXT.findall(kit.at_planhat(f"slack-C1-{thread}")["description"])


def forget(kit: Kit, thread: str = "t") -> None:
    """As when `keep.documents` is over."""
    assert kit.outbox.redis.delete(f"{kit.outbox.prefix}document:slack-C1-{thread}")


def reads(kit: Kit) -> int:
    assert kit.sandbox
    return sum(call["operation"] == "get" for call in kit.sandbox.calls)


def snapshot(client: redis.Redis) -> dict[bytes, bytes]:
    keys: Any = client.keys("relay:*")
    return {key: client.dump(key) or b"" for key in keys}


def set_back(client: redis.Redis, held: dict[bytes, bytes]) -> None:
    client.flushall()
    for key, value in held.items():
        client.restore(key, 0, value, replace=True)
    client.delete("relay:{main}:wake")


def test_a_thread_that_slept_longer_than_its_document_goes_on(kit: Kit) -> None:
    say(kit, 1, 2, 3)
    forget(kit)
    say(kit, 4)
    assert texts(kit) == ["text 1", "text 2", "text 3", "text 4"]
    assert kit.at_planhat("slack-C1-t")["subject"] == "subject 1"
    assert (reads(kit), kit.books()) == (1, {"accepted": 4, "delivered": 4})
    # It is remembered again: the next one needs no reading.
    say(kit, 5)
    assert (texts(kit)[-1], reads(kit)) == ("text 5", 1)


@pytest.mark.parametrize("first", ["a deletion", "a status"])
def test_what_comes_first_of_a_forgotten_one_forgets_no_field_that_it_does_not_touch(
    kit: Kit, first: str
) -> None:
    """It was read for that; what the next one touches is read then."""
    say(kit, 1, 2)
    forget(kit)
    fields: dict[str, tuple[Way, Any]] = {"custom.Status": ("replace", "open")}
    if first == "a deletion":
        kit.record(patch(9, thread="t", kind="retract"))
    else:
        kit.record(patch(9, thread="t", fields=fields, message_id=""))
    kit.run()
    assert texts(kit) == ["text 1", "text 2"] and reads(kit) == 1
    say(kit, 3, 4)
    assert texts(kit) == ["text 1", "text 2", "text 3", "text 4"]
    assert (kit.at_planhat("slack-C1-t")["subject"], reads(kit)) == ("subject 1", 2)


def test_a_forgotten_one_whose_subject_stands_in_for_a_better_goes_on(kit: Kit) -> None:
    ways: list[tuple[int, Way]] = [(1, "fallback"), (2, "placeholder"), (3, "fallback")]
    for number, way in ways:
        said = patch(number, thread="t")
        kit.record(replace(said, fields={**said.fields, "subject": (way, f"stand-in {number}")}))
        kit.run()
        forget(kit)
    assert texts(kit) == ["text 1", "text 2", "text 3"]
    assert kit.books() == {"accepted": 3, "delivered": 3}


def test_what_is_new_needs_no_reading(kit: Kit) -> None:
    say(kit, 1, thread="a")
    say(kit, 2, thread="b")
    assert reads(kit) == 0


def test_a_forgotten_one_that_planhat_has_no_more_begins_anew(kit: Kit) -> None:
    say(kit, 1, 2)
    kit.planhat.delete(kit.at_planhat("slack-C1-t")["_id"])
    forget(kit)
    say(kit, 3)
    assert texts(kit) == ["text 3"]


def test_a_planhat_that_cannot_be_asked_overwrites_nothing(kit: Kit) -> None:
    say(kit, 1, 2)
    forget(kit)
    kit.fault(operation="get", status=503, times=1)
    kit.record(patch(3, thread="t"))
    kit.run()
    assert texts(kit) == ["text 1", "text 2"] and kit.books()["pending"] == 1
    assert kit.delivery.read().state == "backing_off"
    kit.due_now()
    kit.run()
    assert texts(kit) == ["text 1", "text 2", "text 3"]


@pytest.mark.parametrize("how", ["drop", "commit_then_drop"])
def test_a_call_that_is_cut_off_in_between_forgets_nothing_and_says_nothing_twice(kit: Kit, how: str) -> None:
    say(kit, 1, 2)
    forget(kit)
    kit.fault(operation="upsert", times=1, **{how: True})
    kit.record(patch(3, thread="t"))
    kit.run()
    for _ in range(2):
        kit.due_now()
        kit.run()
    assert texts(kit) == ["text 1", "text 2", "text 3"]
    # What the call that was cut off brought there needs no other.
    books = kit.books()
    assert books["accepted"] == 3 == books["delivered"] + books.get("unchanged", 0)


def test_a_refusal_in_between_forgets_nothing(kit: Kit) -> None:
    say(kit, 1, 2)
    forget(kit)
    kit.fault(operation="upsert", refuse="C1-t", times=1)
    kit.record(patch(3, thread="t"))
    kit.run()
    kit.due_now()
    kit.run()
    assert texts(kit) == ["text 1", "text 2", "text 3"]


def test_after_a_flush_all_of_redis_nothing_is_overwritten(kit: Kit, redis_client: redis.Redis) -> None:
    epoch = Epoch(kit.outbox)
    epoch.look()
    say(kit, 1, 2)
    redis_client.flushall()
    assert epoch.look()
    say(kit, 3)
    assert texts(kit) == ["text 1", "text 2", "text 3"]
    # What is new is created, after a look; and looked for no more once Planhat's list has been read.
    say(kit, 1, thread="new")
    assert texts(kit, "new") == ["text 1"] and reads(kit) == 2
    assert read_life(kit.outbox).unsure
    assert recognise_delivered(kit.outbox, kit.planhat, may_call=lambda: True, metrics=kit.metrics) == 2
    assert not read_life(kit.outbox).unsure
    say(kit, 1, thread="newer")
    assert reads(kit) == 2
    # But what stands there is known to stand there.
    forget(kit, "new")
    say(kit, 2, thread="new")
    assert texts(kit, "new") == ["text 1", "text 2"]


def test_a_long_list_is_read_in_parts_and_goes_on_where_it_ended(kit: Kit) -> None:
    epoch = Epoch(kit.outbox)
    epoch.look()
    kit.record(*(patch(number) for number in range(25)))
    kit.run()
    kit.outbox.redis.flushall()
    epoch.look()
    allowed = [3]

    def may_call() -> bool:
        allowed[0] -= 1
        return allowed[0] >= 0

    recognise_delivered(kit.outbox, kit.planhat, may_call=may_call, metrics=kit.metrics, page=5)
    assert read_life(kit.outbox).unsure and read_life(kit.outbox).offset == 9
    allowed[0] = 100
    recognise_delivered(kit.outbox, kit.planhat, may_call=may_call, metrics=kit.metrics, page=5)
    life = read_life(kit.outbox)
    assert not life.unsure
    year = int(kit.outbox.now_ms() // (MARK_YEAR_S * 1000))
    assert kit.outbox.redis.scard(f"{kit.outbox.prefix}delivered:{year}") == 25


def test_redis_set_back_says_nothing_twice_and_loses_nothing(kit: Kit, redis_client: redis.Redis) -> None:
    """An older document, and events that wait again though they were delivered since."""
    epoch = Epoch(kit.outbox)
    epoch.look()
    say(kit, 1, 2)
    kit.record(patch(3, thread="t"))
    held = snapshot(redis_client)
    kit.run()
    say(kit, 4)
    assert texts(kit) == ["text 1", "text 2", "text 3", "text 4"]
    epoch.look()
    set_back(redis_client, held)
    change = epoch.look()
    assert change and change.what == "restored to an older state"
    kit.run()
    assert texts(kit) == ["text 1", "text 2", "text 3", "text 4"]
    say(kit, 5)
    assert texts(kit) == ["text 1", "text 2", "text 3", "text 4", "text 5"]


@pytest.mark.parametrize("looked", [True, False])
def test_what_senders_say_again_after_redis_was_set_back_stands_once(
    kit: Kit, redis_client: redis.Redis, looked: bool
) -> None:
    """As docs/operating.md asks for; before somebody has looked, or after."""
    epoch = Epoch(kit.outbox)
    epoch.look()
    say(kit, 1, 2)
    held = snapshot(redis_client)
    say(kit, 3, 4)
    epoch.look()
    set_back(redis_client, held)
    epoch.look()
    say(kit, *([5] if looked else []), 3, 4)
    said = (
        ["text 1", "text 2", "text 3", "text 4", "text 5"]
        if looked
        else ["text 1", "text 2", "text 3", "text 4"]
    )
    assert texts(kit) == said
    # An edit of it finds it again; the same words that are new are new.
    kit.record(patch(6, thread="t", text="text 66", message_id="m3"))
    kit.run()
    assert texts(kit) == ["text 66" if text == "text 3" else text for text in said]
    now_us = kit.outbox.now_ms() * 1000 + 1_000_000
    kit.record(patch(7, thread="t", text="text 4", version=now_us))
    kit.run()
    assert sorted(texts(kit)) == sorted(
        [*("text 66" if text == "text 3" else text for text in said), "text 4"]
    )


def test_what_comes_again_out_of_order_after_redis_was_set_back_stands_once(
    kit: Kit, redis_client: redis.Redis
) -> None:
    """3 and 5 were delivered and forgotten; 4, that belongs between them, was refused while Redis hung, and comes now; then 5,
    whose sender never heard that it was accepted."""
    epoch = Epoch(kit.outbox)
    epoch.look()
    say(kit, 1, 2)
    held = snapshot(redis_client)
    say(kit, 3, 5)
    epoch.look()
    set_back(redis_client, held)
    epoch.look()
    say(kit, 6, 4, 5)
    assert texts(kit) == ["text 1", "text 2", "text 3", "text 4", "text 5", "text 6"]


def test_what_a_replaced_server_had_delivered_is_not_said_twice(kit: Kit, redis_client: redis.Redis) -> None:
    """A cluster's master hung and another took its place; it woke, took what lay in its socket, and had it delivered. The sender,
    who heard nothing, sends it again."""
    epoch = Epoch(kit.outbox)
    epoch.look()
    say(kit, 1, 2)
    held = snapshot(redis_client)
    epoch.look()
    say(kit, 3)
    set_back(redis_client, held)
    kit.record(patch(3, thread="t"))
    change = epoch.look()
    assert change and change.what == "restored to an older state"
    kit.run()
    assert texts(kit) == ["text 1", "text 2", "text 3"]


def test_a_worker_that_sees_an_old_claim_sends_nothing_before_it_has_looked(
    kit: Kit, redis_client: redis.Redis
) -> None:
    epoch = Epoch(kit.outbox)
    kit.flush._watch = lambda: (epoch.look(), None)[1]
    say(kit, 1, 2)
    held = snapshot(redis_client)
    say(kit, 3)
    set_back(redis_client, held)
    kit.record(patch(4, thread="t"))
    kit.flush._watch = lambda: None
    kit.run()
    assert texts(kit) == ["text 1", "text 2", "text 3"] and kit.outbox.lane.set_back
    kit.flush._watch = lambda: (epoch.look(), None)[1]
    kit.due_now()
    redis_client.delete(kit.outbox.prefix + "wake")
    kit.run()
    assert texts(kit) == ["text 1", "text 2", "text 3", "text 4"]


class Line:
    """So many forgotten conversations, claimed as they come due; each reading takes 3 ms, each job 100 ms beside."""

    def __init__(self, count: int, per_minute: int) -> None:
        self.now_ms, self.read_at_ms = 1_800_000_000_000, list[int]()
        self.due = {f"x{number}": self.now_ms for number in range(count)}
        self._recall = Recall(
            self, call=lambda: True, gap_ms=lambda: 120_000 / per_minute, metrics=cast("SharedMetrics", self)
        )

    def get(self, key: str, *, timeout_s: float | None = None) -> Mapping[str, Any]:
        self.now_ms += 3
        self.read_at_ms.append(self.now_ms)
        return {"_id": key}

    def add(self, name: str, labels: Mapping[str, str], number: float = 1) -> None:
        pass

    def job(self) -> None:
        self.now_ms = max(self.now_ms, min(self.due.values()))
        ready = [name for name, at_ms in self.due.items() if at_ms <= self.now_ms]
        for start in range(0, len(ready), PART):
            folded = [FoldedItem.of(self._item(name)) for name in ready[start : start + PART]]
            read, settlements, _ = self._recall.read(folded, self.now_ms)
            for item, _ in read:
                del self.due[item.external_id]
            for one in settlements:
                self.due[one.item.external_id] = one.due_ms if isinstance(one, Later) else 0
        self.now_ms += 100

    def _item(self, name: str) -> Item:
        said = Patch(name, "evt_1", "slack", 1, "", {"subject": ("first", "x")})
        pending = (Pending("evt_1", "slack", self.now_ms, said.encode()),)
        return Item(name, "slack", "1", 0, 0, self.now_ms, None, pending, forgotten=True, life=1)


@pytest.mark.parametrize(("count", "per_minute"), [(300, 200), (1_000, 6_000)])
def test_readings_take_half_the_budget_neither_more_nor_much_less(count: int, per_minute: int) -> None:
    """Also after the worker has stood still for a while, so that all are due at once."""
    line = Line(count, per_minute)
    began_ms = line.now_ms
    for _ in range(3):
        line.job()
        line.now_ms += 3_000
    while line.due:
        line.job()
    least_s = count * 120 / per_minute
    assert (line.now_ms - began_ms) / 1000 < 1.3 * least_s + 9
    half = per_minute / 2
    for number, at_ms in enumerate(line.read_at_ms):
        within = sum(began < at_ms + 60_000 for began in line.read_at_ms[number:])
        assert within <= half + 2 * READS_PER_PART


@pytest.mark.parametrize("count", [2_000, 20_000])
def test_a_mark_takes_at_most_64_bytes(kit: Kit, count: int) -> None:
    outbox = kit.outbox
    key = f"{outbox.prefix}delivered:{outbox.now_ms() // (MARK_YEAR_S * 1000)}"
    ids = [f"slack-C024BE91L-17000{number}.000100" for number in range(count)]
    for start in range(0, count, 1_000):
        run_script(outbox.redis, "mark", outbox.prefix, [0, 2, 0, 0, 0, *ids[start : start + 1_000]])
    assert outbox.redis.scard(key) == count
    taken: Any = outbox.redis.memory_usage(key, samples=0)
    assert taken / count <= 64


def test_marks_go_after_their_years(kit: Kit) -> None:
    say(kit, 1)
    keys: Any = kit.outbox.redis.keys(kit.outbox.prefix + "delivered:*")
    [key] = keys
    left_ms: Any = kit.outbox.redis.pttl(key)
    left_s = left_ms / 1000
    assert 2 * MARK_YEAR_S < left_s <= 3 * MARK_YEAR_S
