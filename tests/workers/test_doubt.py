"""A call that was cut off and takes effect after the one that followed it: what Planhat has then is found, and mended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from relay.outbox.epoch import Epoch
from relay.patch import Document, fold
from relay.planhat.report import Answer, Unavailable
from relay.planhat.sandbox import NO_QUOTAS, create_sandbox
from relay.planhat.sandbox.server import running
from tests.flushing import Kit, patch
from workers.flush.doubt import Doubts, has_all
from workers.flush.fold import nudge

_TEXT = re.compile(r"text \d+")


class Slow:
    """Planhat, which keeps a call to itself where it is told to, and takes it up later."""

    def __init__(self) -> None:
        self.kit: Kit | None = None
        self.keep = 0
        self.kept: list[bytes] = []

    def __call__(self, body: bytes, timeout_s: float) -> Answer:
        assert self.kit
        if self.keep:
            self.keep -= 1
            self.kept.append(bytes(body))
            return Unavailable(None, "no whole answer")
        return self.kit.planhat.upsert_raw(body, timeout_s=timeout_s)

    def take_up(self) -> None:
        """What was kept takes effect now."""
        assert self.kit
        for body in self.kept:
            self.kit.planhat.upsert_raw(body, timeout_s=5)
        self.kept.clear()


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def kit(redis_client: redis.Redis, slow: Slow) -> Iterator[Kit]:
    sandbox = create_sandbox(types=["Slack thread"], quotas=NO_QUOTAS)
    with running(sandbox) as url:
        slow.kit = Kit(redis_client, url, sandbox=sandbox, upsert=slow)
        yield slow.kit


def texts(kit: Kit, thread: str = "t") -> list[str]:
    return _TEXT.findall(kit.at_planhat(f"slack-C1-{thread}")["description"])


def run(kit: Kit) -> None:
    """As if every wait were over, that of a second look too."""
    kit.due_now()
    key = kit.outbox.prefix + "doubt"
    names: Any = kit.outbox.redis.zrange(key, 0, -1)
    for name in names:
        kit.outbox.redis.zadd(key, {name: 1})
    kit.run()


def doubted(kit: Kit) -> int:
    return int(kit.outbox.redis.zcard(kit.outbox.prefix + "doubt"))


def test_an_old_call_that_lands_last_is_found_and_mended(kit: Kit, slow: Slow) -> None:
    kit.record(patch(1, thread="t"))
    kit.run()
    slow.keep = 1
    kit.record(patch(2, thread="t"))
    kit.run()
    kit.record(patch(3, thread="t"))
    kit.due_now()
    kit.run()
    assert texts(kit) == ["text 1", "text 2", "text 3"] and doubted(kit) == 1
    slow.take_up()
    assert texts(kit) == ["text 1", "text 2"], "the old call landed last"
    run(kit)
    run(kit)
    assert texts(kit) == ["text 1", "text 2", "text 3"] and doubted(kit) == 0
    assert kit.books() == {"accepted": 3, "delivered": 3}


def test_a_call_that_redis_has_forgotten_and_that_lands_last_is_found_and_mended(
    kit: Kit, slow: Slow
) -> None:
    """It was under way when Redis was set back, and nobody knows of it any more."""
    epoch = Epoch(kit.outbox)
    epoch.look()
    kit.record(patch(1, thread="t"))
    kit.run()
    slow.keep = 1
    kit.record(patch(2, thread="t"))
    kit.run()
    kit.outbox.redis.flushall()
    epoch.look()
    kit.record(patch(3, thread="t"))
    kit.run()
    assert texts(kit) == ["text 1", "text 3"] and doubted(kit) == 1
    slow.take_up()
    assert texts(kit) == ["text 1", "text 2"], "the old call landed last"
    run(kit)
    run(kit)
    # What nobody here knows of gives way: it is counted among what Redis has forgotten.
    assert texts(kit) == ["text 1", "text 3"]
    run(kit)
    assert doubted(kit) == 0 and kit.books() == {"accepted": 1, "delivered": 1}


def test_a_deletion_that_an_old_call_has_undone_is_done_again(kit: Kit, slow: Slow) -> None:
    for number in (1, 2):
        kit.record(patch(number, thread="t"))
        kit.run()
    slow.keep = 1
    kit.record(patch(3, thread="t"))
    kit.run()
    kit.record(patch(2, thread="t", kind="retract"))
    kit.due_now()
    kit.run()
    assert texts(kit) == ["text 1", "text 3"]
    slow.take_up()
    assert texts(kit) == ["text 1", "text 2", "text 3"], "the old call landed last"
    run(kit)
    run(kit)
    assert texts(kit) == ["text 1", "text 3"] and doubted(kit) == 0


def test_a_look_that_finds_all_of_it_sends_nothing(kit: Kit, slow: Slow) -> None:
    slow.keep = 1
    kit.record(patch(1, thread="t"))
    kit.run()
    run(kit)
    assert doubted(kit) == 1
    slow.take_up()
    # What a person has added is no less.
    record = kit.at_planhat("slack-C1-t")
    kit.planhat.update(record["_id"], {"description": record["description"] + "<p>ours</p>"})
    puts = len(kit.puts())
    run(kit)
    assert (len(kit.puts()), doubted(kit)) == (puts, 0)
    assert "ours" in kit.at_planhat("slack-C1-t")["description"]


def test_the_bell_rings_for_a_look_that_is_due(kit: Kit, slow: Slow) -> None:
    slow.keep = 1
    kit.record(patch(1, thread="t"))
    kit.run()
    kit.due_now()
    kit.run()
    kit.outbox.redis.delete(kit.outbox.prefix + "wake")
    assert kit.outbox.lane.ring() == 0
    kit.outbox.redis.zadd(kit.outbox.prefix + "doubt", {"slack-C1-t": 1})
    assert kit.outbox.lane.ring() > 0


def test_what_waits_anyway_is_not_sent_twice(kit: Kit, slow: Slow) -> None:
    slow.keep = 1
    kit.record(patch(1, thread="t"))
    kit.run()
    kit.due_now()
    kit.run()
    kit.record(patch(2, thread="t"))
    puts = len(kit.puts())
    kit.outbox.doubts.conclude("slack-C1-t", "again", nudge=nudge("slack-C1-t", "slack", 1))
    run(kit)
    assert texts(kit) == ["text 1", "text 2"] and len(kit.puts()) == puts + 1
    assert kit.books() == {"accepted": 2, "delivered": 2}


def test_what_comes_again_before_the_second_look_takes_nothing_for_taken_out(kit: Kit, slow: Slow) -> None:
    """1 was forgotten when Redis was set back. 2's call is cut off and lands after 3's; then 1 comes again, and is read for."""
    epoch = Epoch(kit.outbox)
    epoch.look()
    kit.record(patch(1, thread="t"))
    kit.run()
    kit.outbox.redis.flushall()
    epoch.look()
    slow.keep = 1
    kit.record(patch(2, thread="t"))
    kit.run()
    kit.record(patch(3, thread="t"))
    kit.due_now()
    kit.run()
    assert texts(kit) == ["text 1", "text 2", "text 3"]
    slow.take_up()
    assert texts(kit) == ["text 1", "text 2"], "the old call landed last"
    kit.record(patch(1, thread="t"))
    kit.run()
    assert texts(kit) == ["text 1", "text 2", "text 3"]


def test_one_that_somebody_deleted_is_not_brought_back(kit: Kit, slow: Slow) -> None:
    slow.keep = 1
    kit.record(patch(1, thread="t"))
    kit.run()
    kit.due_now()
    kit.run()
    kit.planhat.delete(kit.at_planhat("slack-C1-t")["_id"])
    run(kit)
    assert kit.sandbox and len(kit.sandbox.store) == 0 and doubted(kit) == 0


def test_many_at_once_are_sent_again_together(kit: Kit, slow: Slow) -> None:
    kit.flush._doubts = Doubts(
        kit.outbox, kit.planhat, call=lambda: True, metrics=kit.metrics, read_at_most=10
    )
    slow.keep = 1
    kit.record(*(patch(number) for number in range(40)))
    kit.run()
    kit.due_now()
    kit.run()
    assert doubted(kit) >= 25
    asked = kit.sandbox.call_count if kit.sandbox else 0
    for _ in range(8):
        run(kit)
    assert doubted(kit) == 0
    assert kit.sandbox and kit.sandbox.call_count - asked < 30
    assert kit.books() == {"accepted": 40, "delivered": 40}


def test_what_counts_as_all_of_it() -> None:
    document = fold(Document("x"), [patch(1, thread="x"), patch(2, thread="x")])
    record = {"_id": "u", **document.render()}
    assert has_all(document, record)
    assert has_all(
        document, {**record, "description": "<p>text 1</p><p>more</p><p>text 2</p>", "starred": True}
    )
    assert not has_all(document, {**record, "description": "text 1"})
    assert not has_all(document, {**record, "subject": "older"})
