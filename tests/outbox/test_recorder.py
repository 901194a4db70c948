"""Group commit: each request gets its own answer, and only after the write; WAITAOF where the server does not fsync always."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis

from relay.errors import OutboxUnavailable
from relay.outbox.connection import connect, connect_async
from relay.outbox.embedded import EmbeddedServer
from relay.outbox.items import Recorded
from relay.outbox.outbox import Outbox
from relay.outbox.recorder import FAIL_FAST_S, Recorder
from tests.outbox.test_outbox import entry


async def record_many(url: str, count: int, *, wait_aof: bool = False) -> list[list[Recorded]]:
    client = connect_async(url)
    rung: list[int] = []
    recorder = Recorder(client, Outbox(connect(url)), rang=rung.append, wait_aof=wait_aof)
    answers = await asyncio.gather(*(recorder.record([(entry(n), 0.0)]) for n in range(count)))
    await recorder.close()
    await client.aclose()
    assert len(rung) == 1
    return answers


def test_requests_that_wait_together_are_written_together_and_answered_apart(redis_url: str) -> None:
    answers = asyncio.run(record_many(redis_url, 1200))
    assert [answer[0].event_id for answer in answers] == [entry(n).event_id for n in range(1200)]
    assert Outbox(connect(redis_url)).ledger()["slack"]["accepted"] == 1200


def test_duplicates_within_one_group_are_told_apart(redis_url: str) -> None:
    async def twice() -> list[list[Recorded]]:
        client = connect_async(redis_url)
        recorder = Recorder(client, Outbox(connect(redis_url)), rang=lambda generation: None)
        answers = await asyncio.gather(*(recorder.record([(entry(1), 0.0)]) for _ in range(3)))
        await client.aclose()
        return answers

    answers = asyncio.run(twice())
    assert sorted(bool(answer[0].duplicate_of) for answer in answers) == [False, True, True]


@pytest.mark.process
def test_a_server_that_syncs_each_second_confirms_with_waitaof(short_tmp: Path) -> None:
    server = EmbeddedServer(short_tmp / "r", appendfsync="everysec").start()
    try:
        answers = asyncio.run(record_many(server.url, 50, wait_aof=True))
        assert all(not answer[0].duplicate_of for answer in answers)
        with redis.Redis.from_url(server.url) as client:
            client.script_flush()
        answers = asyncio.run(record_many_again(server.url))
        assert all(answer[0].duplicate_of for answer in answers)
    finally:
        server.stop()


async def record_many_again(url: str) -> list[list[Recorded]]:
    client = connect_async(url)
    recorder = Recorder(client, Outbox(connect(url)), rang=lambda generation: None)
    answers = await asyncio.gather(*(recorder.record([(entry(n), 0.0)]) for n in range(50)))
    await recorder.close()
    await client.aclose()
    return answers


@pytest.mark.process
def test_a_server_that_never_syncs_is_never_believed(short_tmp: Path) -> None:
    server = EmbeddedServer(short_tmp / "r", appendfsync="no").start()
    try:
        with pytest.raises(OutboxUnavailable):
            asyncio.run(record_many_again(server.url))
    finally:
        server.stop()


def test_what_the_server_closed_and_forgot_meanwhile_costs_no_event(redis_url: str) -> None:
    """A connection that was closed while nothing was written, and scripts that are gone: a sender is told to try again once at most."""

    async def between() -> list[Recorded]:
        recorder: Recorder

        def connected() -> None:
            recorder.reconnected()

        client = connect_async(redis_url, connected=connected)
        recorder = Recorder(client, Outbox(connect(redis_url)), rang=lambda generation: None)
        recorded = []
        for number in range(4):
            try:
                recorded += await recorder.record([(entry(number), 0.0)])
            except OutboxUnavailable:
                await asyncio.sleep(FAIL_FAST_S)
                recorded += await recorder.record([(entry(number), 0.0)])
            # As who looks at the server does: it syncs before it answers.
            recorder.durable.wait_aof = False
            with redis.Redis.from_url(redis_url) as other:
                other.client_kill_filter(_type="normal", skipme=True)
                other.script_flush()
        await recorder.close()
        await client.aclose()
        return recorded

    recorded = asyncio.run(between())
    assert [one.event_id for one in recorded] == [entry(number).event_id for number in range(4)]
    assert not any(one.duplicate_of for one in recorded)
    assert Outbox(connect(redis_url)).ledger()["slack"]["accepted"] == 4
