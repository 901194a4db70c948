"""A Redis that was flushed, replaced or set back is noticed by everybody, and noted once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from relay.outbox.embedded import EmbeddedServer
from relay.outbox.epoch import FLUSHED, SET_BACK, Change, Epoch, read_life, tell
from relay.outbox.outbox import Outbox
from relay.outbox.shared_metrics import SharedMetrics
from tests.outbox.test_outbox import entry


def test_while_nothing_happens_nothing_is_said(outbox: Outbox) -> None:
    epoch, other = Epoch(outbox), Epoch(outbox)
    for number in range(5):
        assert (epoch.look(), other.look()) == (None, None)
        outbox.record([entry(number)])
    assert read_life(outbox).number == 0


def test_a_flushed_redis_is_noted_once_for_all(outbox: Outbox, redis_client: redis.Redis) -> None:
    epoch, other = Epoch(outbox), Epoch(outbox)
    outbox.record([entry(1), entry(2)])
    assert (epoch.look(), other.look()) == (None, None)
    redis_client.flushall()
    assert epoch.look() == Change(FLUSHED, lost=2, first=True, more_lost=2)
    assert other.look() == Change(FLUSHED, lost=2, first=False)
    assert (epoch.look(), other.look()) == (None, None)
    life = read_life(outbox)
    assert (life.number, life.what, life.unsure) == (1, FLUSHED, True)


def set_back(
    folder: Path, meanwhile: Callable[[Outbox, Epoch], None]
) -> tuple[EmbeddedServer, Outbox, Epoch]:
    """A server that holds one accepted event and a process that has looked; `meanwhile` happens and is forgotten again."""
    server = EmbeddedServer(folder / "r").start()
    outbox = Outbox(redis.Redis.from_url(server.url))
    outbox.record([entry(1)])
    epoch = Epoch(outbox)
    assert epoch.look() is None
    server.stop()
    shutil.copytree(folder / "r", folder / "backup")
    server.start()
    meanwhile(outbox, epoch)
    server.stop()
    shutil.rmtree(folder / "r")
    shutil.copytree(folder / "backup", folder / "r")
    server.start()
    return server, outbox, epoch


@pytest.mark.process
def test_accepted_events_that_are_gone_are_counted(short_tmp: Path) -> None:
    others: list[Epoch] = []

    def meanwhile(outbox: Outbox, epoch: Epoch) -> None:
        others.append(Epoch(outbox))
        outbox.record([entry(number) for number in range(2, 9)])
        assert [one.look() for one in (epoch, *others)] == [None, None]

    server, outbox, epoch = set_back(short_tmp, meanwhile)
    try:
        assert epoch.look() == Change(SET_BACK, lost=7, first=True, more_lost=7)
        assert others[0].look() == Change(SET_BACK, lost=7, first=False)
        assert read_life(outbox).number == 1
    finally:
        server.stop()


@pytest.mark.process
def test_who_notices_later_and_knows_of_more_counts_the_rest(short_tmp: Path) -> None:
    """A worker looks first; the door alone knows how many it had acknowledged since anybody looked."""
    doors: list[Epoch] = []

    def meanwhile(outbox: Outbox, epoch: Epoch) -> None:
        doors.append(Epoch(outbox))
        outbox.record([entry(2), entry(3)])
        assert [one.look() for one in (epoch, *doors)] == [None, None]
        outbox.record([entry(number) for number in range(4, 9)])

    server, outbox, epoch = set_back(short_tmp, meanwhile)
    metrics = SharedMetrics(outbox.redis)
    try:
        changes = [epoch.look(), doors[0].look(accepted=8)]
        assert changes == [
            Change(SET_BACK, lost=2, first=True, more_lost=2),
            Change(SET_BACK, lost=7, first=False, more_lost=5),
        ]
        for change in changes:
            tell(change, metrics)
        metrics.flush()
        counted = metrics.read()
        assert counted["relay_redis_epoch_changes_total|"] == 1
        assert counted["relay_redis_lost_events_total|"] == 7
    finally:
        server.stop()


def test_what_a_process_knew_of_is_told_once(outbox: Outbox, redis_client: redis.Redis) -> None:
    """The door goes by what its last write was answered, also long after Redis has forgotten that."""
    epoch = Epoch(outbox)
    epoch.look()
    outbox.record([entry(number) for number in range(5)])
    redis_client.flushall()
    assert epoch.look(accepted=5) == Change(FLUSHED, lost=5, first=True, more_lost=5)
    assert [epoch.look(accepted=5) for _ in range(3)] == [None] * 3
    outbox.record([entry(number) for number in range(7)])
    assert epoch.look(accepted=7) is None
    redis_client.decrby(outbox.prefix + "accepted", 3)
    assert epoch.look(accepted=7) == Change(SET_BACK, lost=3, first=True, more_lost=3)


@pytest.mark.process
def test_traffic_that_goes_on_hides_nothing(short_tmp: Path) -> None:
    """The counters have long passed what they were when somebody looks again; its own look is what is gone."""

    def meanwhile(outbox: Outbox, epoch: Epoch) -> None:
        outbox.record([entry(2)])
        assert [epoch.look() for _ in range(3)] == [None] * 3

    server, outbox, epoch = set_back(short_tmp, meanwhile)
    try:
        outbox.record([entry(number) for number in range(100, 200)])
        assert epoch.look() == Change(SET_BACK, lost=0, first=True)
        outbox.record([entry(300)])
        assert epoch.look() is None
    finally:
        server.stop()


def test_a_look_whose_answer_was_lost_is_no_sign_of_anything(outbox: Outbox) -> None:
    epoch = Epoch(outbox)
    epoch.look()
    # It was run, and nobody heard of it.
    epoch._run("look", "")
    assert epoch.look() is None


def test_who_got_a_claim_twice_knows_at_once(outbox: Outbox, redis_client: redis.Redis) -> None:
    epoch = Epoch(outbox)
    generation, _ = outbox.record([entry(1)])
    epoch.look()
    [item] = outbox.lane.claim(generation, lease_ms=1).items
    redis_client.decr(outbox.prefix + "claims")
    redis_client.zadd(outbox.prefix + "due:slack", {item.external_id: 1})
    assert outbox.lane.claim(generation).items and outbox.lane.set_back
    assert epoch.look() == Change(SET_BACK, lost=0, first=True)
    assert not outbox.lane.set_back and epoch.look() is None


def test_another_process_shares_the_epoch(outbox: Outbox) -> None:
    assert [Epoch(outbox).look(), Epoch(outbox).look()] == [None, None]
