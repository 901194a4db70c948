"""Scripts sent without waiting: answers belong to their questions, and what goes wrong on the way costs nothing but speed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis

from relay.errors import OutboxUnavailable
from relay.outbox.delivery import Delivery
from relay.outbox.items import Claim, Done
from relay.outbox.lane import ring_lanes
from relay.outbox.lane_servers import LaneServers
from relay.outbox.outbox import Outbox
from relay.outbox.pipe import MOST_OUTSTANDING, Pipe
from tests.outbox.test_outbox import done, entry

pytestmark = pytest.mark.process


@pytest.fixture
def piped(redis_client: redis.Redis) -> Outbox:
    return Outbox(redis_client, piped=True)


def filled(outbox: Outbox, number: int) -> int:
    """So many conversations wait; the generation that owns the lane."""
    generation, _ = outbox.record([entry(n) for n in range(number)])
    return generation


def begin(outbox: Outbox, generation: int, limit: int = 10) -> Callable[[], Claim]:
    return outbox.lane.begin_claim(
        generation, limit, lease_ms=20_000, wake_ms=60_000, max_bytes=1_000_000, stay=True
    )


def names(claim: Claim) -> list[str]:
    return [item.external_id for item in claim.items]


def test_answers_belong_to_their_questions_in_whatever_order_they_are_read(piped: Outbox) -> None:
    generation = filled(piped, 30)
    first, second, third = begin(piped, generation), begin(piped, generation), begin(piped, generation)
    assert sorted(names(third()) + names(first()) + names(second())) == sorted(
        f"slack-{n}" for n in range(30)
    )
    assert names(first()) == names(first())


def test_what_is_sent_later_sees_what_was_sent_earlier(piped: Outbox) -> None:
    generation = filled(piped, 3)
    claim = begin(piped, generation)()
    told = piped.lane.begin_settle([done(item) for item in claim.items])
    after = begin(piped, generation)
    assert after().items == ()
    assert told().lost == frozenset()
    assert piped.ledger()["slack"]["delivered"] == 3


def test_a_connection_that_breaks_with_answers_outstanding_settles_each_event_once(piped: Outbox) -> None:
    generation = filled(piped, 4)
    claim = begin(piped, generation)()
    told = [piped.lane.begin_settle([done(item)]) for item in claim.items[:2]]
    # Redis hangs up: what it did with the two nobody here knows.
    for client in piped.redis.client_list():
        piped.redis.client_kill_filter(_id=client["id"], skipme=True)
    told += [piped.lane.begin_settle([done(item)]) for item in claim.items[2:]]
    for wait in told:
        wait()
    books = piped.ledger()["slack"]
    assert (books["accepted"], books["pending"], books["delivered"]) == (4, 0, 4)


@pytest.mark.parametrize("how", ["hangs up", "forgets its scripts"])
def test_what_failed_is_said_again_in_the_order_of_sending(piped: Outbox, how: str) -> None:
    """A claim that finds nothing lets the lane go: it must have seen what was settled before it."""
    generation = filled(piped, 1)
    [item] = begin(piped, generation)().items
    piped.record([entry(7, external_id=item.external_id)])
    told = piped.lane.begin_settle([done(item)])
    if how == "hangs up":
        for client in piped.redis.client_list():
            piped.redis.client_kill_filter(_id=client["id"], skipme=True)
    else:
        piped.redis.script_flush()
    assert names(begin(piped, generation)()) == [item.external_id]
    assert told().lost == frozenset()


def test_what_is_small_goes_in_one_step_for_redis(piped: Outbox) -> None:
    generation = filled(piped, 4)
    items = begin(piped, generation, 2)().items
    settled = [piped.lane.begin_settle([done(item)]) for item in items]
    permit = Delivery(piped.redis).begin_permit(piped.lane.begin, 100, seize=True)
    assert piped.ledger()["slack"]["delivered"] == 0, "nothing was sent yet"
    assert len(begin(piped, generation, 2)().items) == 2
    assert piped.ledger()["slack"]["delivered"] == 2
    assert permit().taken
    assert [told().lost for told in settled] == [frozenset(), frozenset()]


def test_a_script_that_redis_has_forgotten_is_told_again(piped: Outbox) -> None:
    generation = filled(piped, 2)
    assert len(begin(piped, generation, 1)().items) == 1
    piped.redis.script_flush()
    assert len(begin(piped, generation, 1)().items) == 1


def test_more_may_be_sent_than_is_kept_outstanding(piped: Outbox) -> None:
    generation = filled(piped, 40)
    claims = [begin(piped, generation, 2) for _ in range(MOST_OUTSTANDING + 4)]
    assert len({name for claim in claims for name in names(claim())}) == 2 * (MOST_OUTSTANDING + 4)


class TimeOver(Exception):
    """As RQ raises it, in the middle of whatever a job does."""


def test_a_job_that_was_cut_off_leaves_no_answer_for_the_next(piped: Outbox) -> None:
    generation = filled(piped, 4)

    def strike(signum: int, frame: object) -> None:
        raise TimeOver

    before = signal.signal(signal.SIGALRM, strike)
    try:
        begin(piped, generation, 1)
        assert piped.lane.pipe is not None
        waiting = piped.lane.pipe.send("settle", [0, 1, 1, 0])
        piped.redis.client_pause(600)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(TimeOver):
            # Nothing is answered while Redis stands still.
            piped.lane.pipe.send("settle", [0, 1, 1, 0]).answer()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    piped.lane.pipe.reset()
    assert waiting.answer() == []
    assert len(begin(piped, generation, 4)().items) >= 3


def test_a_settlement_is_kept_until_something_else_is_sent(piped: Outbox) -> None:
    generation = filled(piped, 4)
    items = begin(piped, generation, 2)().items
    told = piped.lane.begin_settle([done(item) for item in items])
    assert piped.ledger()["slack"]["delivered"] == 0
    begin(piped, generation, 2)()
    assert piped.ledger()["slack"]["delivered"] == 2
    assert told().lost == frozenset()


@pytest.mark.parametrize("how", ["asked", "pushed", "next"])
def test_what_is_kept_goes_when_it_is_wanted(piped: Outbox, how: str) -> None:
    generation = filled(piped, 2)
    first, second = begin(piped, generation, 2)().items
    told = piped.lane.begin_settle([done(first)])
    if how == "asked":
        assert told().lost == frozenset()
    elif how == "pushed":
        piped.lane.push()
        begin(piped, generation, 1)()
    else:
        piped.lane.begin_settle([done(second)])()
    assert piped.ledger()["slack"]["delivered"] == (2 if how == "next" else 1)


def test_a_kept_settlement_outlives_its_connection(piped: Outbox) -> None:
    generation = filled(piped, 1)
    told = piped.lane.begin_settle([done(item) for item in begin(piped, generation)().items])
    for client in piped.redis.client_list():
        piped.redis.client_kill_filter(_id=client["id"], skipme=True)
    piped.lane.push()
    assert told().lost == frozenset()
    assert piped.ledger()["slack"]["delivered"] == 1


def test_an_answer_larger_than_a_socket_leaves_redis_when_it_is_sipped(piped: Outbox) -> None:
    text = b"x" * 4_000
    generation, _ = piped.record([replace(entry(n), patch=text) for n in range(500)])
    answer = piped.lane.begin_claim(
        generation, 500, lease_ms=20_000, wake_ms=60_000, max_bytes=10_000_000, stay=True
    )
    for _ in range(1_000):
        piped.lane.read_available()
        if not any(int(client["omem"]) for client in piped.redis.client_list()):
            break
    else:
        pytest.fail("Redis still holds a part of the answer")
    assert [item.pending[0].patch for item in answer().items] == [text] * 500


def test_sipping_where_nothing_was_asked_does_nothing(piped: Outbox, outbox: Outbox) -> None:
    piped.lane.read_available()
    outbox.lane.read_available()
    assert filled(piped, 1)


def test_a_job_cut_off_while_it_sends_leaves_no_half_command(piped: Outbox) -> None:
    """What comes next would be taken for the rest of it."""
    generation = filled(piped, 4)
    assert piped.lane.pipe is not None
    begin(piped, generation, 1)()
    server = int(piped.redis.info("server")["process_id"])

    def strike(signum: int, frame: object) -> None:
        raise TimeOver

    before = signal.signal(signal.SIGALRM, strike)
    os.kill(server, signal.SIGSTOP)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(TimeOver):
            # More than a socket holds, and nobody reads.
            piped.lane.pipe.send("settle", [0, 1, 1, 0, b"x" * 16_000_000])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        os.kill(server, signal.SIGCONT)
    assert len(begin(piped, generation, 4)().items) == 3


def test_a_redis_that_is_away_is_told_as_such() -> None:
    away = Outbox(redis.Redis(unix_socket_path="/nowhere/redis.sock"), piped=True)
    answer = away.lane.begin_settle([])
    with pytest.raises(OutboxUnavailable):
        answer()


def test_without_a_pipe_the_same_calls_answer_at_once(outbox: Outbox) -> None:
    generation = filled(outbox, 2)
    items = begin(outbox, generation)().items
    assert outbox.lane.pipe is None
    assert (
        outbox.lane.begin_settle([Done(items[0], b"doc", [(entry(0).event_id, "delivered")])])().lost
        == frozenset()
    )


def test_a_pipe_gives_its_connection_back_clean(redis_client: redis.Redis) -> None:
    pipe = Pipe(redis_client, "relay:{main}:")
    pipe.send("settle", [0, 1, 1, 0])
    pipe.reset()
    assert redis_client.ping()
    assert pipe.send("settle", [0, 1, 1, 0]).answer() == []


def test_a_lane_at_rest_holds_no_connection(redis_client: redis.Redis) -> None:
    """Hundreds of lanes are open in a process, and a pool has a hundred connections."""
    path = redis_client.connection_pool.connection_kwargs["path"]
    client = redis.Redis(unix_socket_path=path, max_connections=3)
    lanes = [Outbox(client, lane=f"lane{number}", piped=True) for number in range(6)]
    servers = LaneServers()
    assert ring_lanes(servers, lanes) == [0] * 6
    for number, outbox in enumerate(lanes):
        outbox.record([entry(n) for n in range(number + 1)])
        outbox.lane.release(1)
    assert ring_lanes(servers, lanes) == [2] * 6, "each has something due"
    assert ring_lanes(servers, lanes) == [0] * 6, "and is owned by now"
    for turn in range(2):
        for number, outbox in enumerate(lanes):
            assert len(names(begin(outbox, 2)())) == (0 if turn else number + 1)
            pipe = outbox.lane.pipe
            assert pipe is not None
            if turn:
                # With an answer outstanding, and twice: neither is anybody's trouble.
                begin(outbox, 2)
                pipe.give_back()
            pipe.give_back()
