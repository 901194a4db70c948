"""A mail's conversation is found at the door: for small mails and large ones, live and from the spool, by two doors at once,
and without the map where nobody can ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from relay.bounds import Bounds
from relay.door.intake import Intake
from relay.door.placing import MAX_MOVES, answers, record_placed
from relay.door.spooling import Spooler
from relay.errors import OutboxUnavailable
from relay.operations.rethread import rethread_events
from relay.outbox.connection import connect, connect_async
from relay.outbox.items import Entry, Recorded
from relay.outbox.outbox import Outbox
from relay.outbox.recorder import Recorder
from relay.outbox.spool import Spool
from relay.sources.base import Inbound
from relay.thread_ids import ThreadIds
from tests.door.opened import Opened, opened, postmark
from tests.mailing import MailDesk, mail_house, postmark_mail

SMALL = Bounds(beside_bytes=20_000)


def threaded(number: int, answers: int = 0, *, padding: str = "") -> bytes:
    headers = [{"Name": "Message-ID", "Value": f"<{number}@a>"}]
    if answers:
        headers.append({"Name": "In-Reply-To", "Value": f"<{answers}@a>"})
    return postmark(number, padding=padding, Headers=headers)


@pytest.fixture
def door(redis_url: str, tmp_path: Path) -> Iterator[Opened]:
    with opened(redis_url, tmp_path, bounds=SMALL) as made:
        yield made


def thread_of(door: Opened, body: bytes) -> str:
    (event_id,) = door.mail(body).json()["event_ids"]
    found = door.side.outbox.events.get(event_id)
    assert found
    head = found[2].partition(b"\n")[0].decode()
    return head.partition('"thread":"')[2].partition('"')[0]


@pytest.mark.process
@pytest.mark.parametrize("padding", ["", "x" * 50_000], ids=["small", "large"])
def test_an_answer_three_deep_is_put_where_the_first_mail_is(door: Opened, padding: str) -> None:
    threads = [thread_of(door, threaded(n, n - 1, padding=padding)) for n in (1, 2, 3, 4)]
    assert threads == ["<1@a>"] * 4


@pytest.mark.process
def test_a_large_mail_keeps_its_clean_body_though_it_is_read_twice(door: Opened) -> None:
    thread_of(door, threaded(1))
    thread_of(door, threaded(2, 1))
    large = threaded(3, 2, padding="x" * 50_000)
    (event_id,) = door.mail(large).json()["event_ids"]
    assert door.archived(event_id) == large
    assert door.mail(large).json()["status"] == "duplicate"


def test_two_doors_at_once(redis_url: str, tmp_path: Path, redis_client: redis.Redis) -> None:
    """Two web processes get the mails of forty threads, each thread's in whatever order; all end as forty conversations."""
    desk = MailDesk(redis_client, mail_house(tmp_path))
    source = desk.house.sources["mail"]
    mails = [(thread, n) for n in (4, 2, 3, 1) for thread in range(40)]

    async def one_door(part: Sequence[tuple[int, int]]) -> None:
        client = connect_async(redis_url)
        recorder = Recorder(client, Outbox(connect(redis_url)), rang=lambda generation: None, wait_aof=False)
        intake = Intake(house=desk.house, records=recorder, find_threads=recorder.find_threads)

        async def arrive(thread: int, n: int) -> None:
            headers = {"Message-ID": f"<{thread}.{n}@a>"}
            if n > 1:
                headers["In-Reply-To"] = f"<{thread}.{n - 1}@a>"
            inbound = Inbound(
                postmark_mail(f"m-{thread}.{n}", headers), {"authorization": "Basic dXNlcjp3b3Jk"}
            )
            accepted = await intake.receive(source, inbound)
            assert getattr(accepted, "status", "") == "accepted"

        await asyncio.gather(*(arrive(*mail) for mail in part))
        await recorder.close()
        await client.aclose()

    async def both() -> None:
        await asyncio.gather(one_door(mails[::2]), one_door(mails[1::2]))

    asyncio.run(both())
    while rethread_events(desk.context):
        pass
    desk.now_ms = desk.outbox.now_ms()
    wanted = [sorted(f"m-{thread}.{n}" for n in (1, 2, 3, 4)) for thread in range(40)]
    assert sorted(desk.conversations().values()) == sorted(wanted)


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 3, 2, 1), (3, 1, 4, 2)])
def test_spooled_mails_find_their_conversation(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path, order: Sequence[int]
) -> None:
    desk = MailDesk(redis_client, mail_house(tmp_path))

    async def drain() -> None:
        client = connect_async(redis_url)
        recorder = Recorder(client, Outbox(connect(redis_url)), rang=lambda generation: None, wait_aof=False)
        intake = Intake(house=desk.house, records=recorder, find_threads=recorder.find_threads)
        spooler = Spooler(Spool(tmp_path / "spool"), intake)
        for n in order:
            headers = {"Message-ID": f"<{n}@a>", **({"In-Reply-To": f"<{n - 1}@a>"} if n > 1 else {})}
            await spooler.spool_request(
                "mail", Inbound(postmark_mail(f"m-{n}", headers), {}), 1_800_000_000.0
            )
        assert await spooler.drain() == 4
        spooler.spool.close()
        await recorder.close()
        await client.aclose()

    asyncio.run(drain())
    desk.settle_threads()
    desk.now_ms = desk.outbox.now_ms()
    assert list(desk.conversations().values()) == [["m-1", "m-2", "m-3", "m-4"]]


def test_a_spooled_mail_whose_conversation_was_erased_stays_away(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """By itself it names another than the one that was erased: what it answers tells."""
    desk = MailDesk(redis_client, mail_house(tmp_path))
    asked: list[str] = []

    def covered(events: Sequence[Any], external_ids: Sequence[str], received_s: float, lane: str) -> bool:
        asked.extend(external_ids)
        return any("_3c1_40a" in external_id.lower() for external_id in external_ids)

    desk.now_ms = desk.outbox.now_ms()
    desk.arrive("m-1", {"Message-ID": "<1@a>"})
    desk.arrive("m-2", {"Message-ID": "<2@a>", "In-Reply-To": "<1@a>"})

    async def drain() -> None:
        client = connect_async(redis_url)
        recorder = Recorder(client, Outbox(connect(redis_url)), rang=lambda generation: None, wait_aof=False)
        # Without an answer beforehand the write itself says where the mail belongs.
        for find_threads in (recorder.find_threads, None):
            intake = Intake(house=desk.house, records=recorder, find_threads=find_threads)
            spooler = Spooler(Spool(tmp_path / "spool"), intake, covered=covered)
            headers = {"Message-ID": "<3@a>", "In-Reply-To": "<2@a>"}
            await spooler.spool_request("mail", Inbound(postmark_mail("m-3", headers), {}), 1_800_000_000.0)
            assert await spooler.drain() == 1
            spooler.spool.close()
        await recorder.close()
        await client.aclose()

    asyncio.run(drain())
    assert asked
    desk.now_ms = desk.outbox.now_ms()
    assert list(desk.conversations().values()) == [["m-1", "m-2"]]


def test_who_cannot_ask_goes_on(redis_url: str) -> None:
    async def ask() -> list[str]:
        client = connect_async(redis_url.replace("redis-test", "nowhere").replace("relay-test", "nowhere"))
        recorder = Recorder(client, Outbox(connect(redis_url)), rang=lambda generation: None)
        found = await recorder.find_threads([ThreadIds(("a",), ("b",), "b", False)])
        await client.aclose()
        return found

    assert asyncio.run(ask()) == [""]


def test_without_anybody_to_ask_the_mail_itself_says(**_: Any) -> None:
    asked = {"evt": ThreadIds(("a",), ("b",), "b", False)}
    assert asyncio.run(answers(asked, None, "main")) == {}


def test_a_thread_that_moves_on_and_on_is_for_later() -> None:
    moves = 0

    async def record(entries: Sequence[tuple[Entry, float]]) -> list[Recorded]:
        nonlocal moves
        moves += 1
        return [Recorded(entry.event_id, thread=f"<{moves}@a>") for entry, _ in entries]

    async def again(threads: Mapping[str, str]) -> Sequence[Entry]:
        return [
            Entry(event_id, "mail", "pending", (event_id,), b"", thread=name)
            for event_id, name in threads.items()
        ]

    first = Entry("evt_1", "mail", "pending", ("evt_1",), b"")
    with pytest.raises(OutboxUnavailable):
        asyncio.run(record_placed(record, [first], 0.0, again))
    assert moves == MAX_MOVES + 1


def test_only_what_moved_is_written_again() -> None:
    """Of a request with several mails those that were written stay as they are."""
    written: list[list[str]] = []

    async def record(entries: Sequence[tuple[Entry, float]]) -> list[Recorded]:
        written.append([f"{entry.event_id} {entry.thread}" for entry, _ in entries])
        return [
            Recorded(entry.event_id, thread="<x@a>" if entry.event_id == "evt_2" and not entry.thread else "")
            for entry, _ in entries
        ]

    async def again(threads: Mapping[str, str]) -> Sequence[Entry]:
        return [
            Entry(event_id, "mail", "pending", (event_id,), b"", thread=threads.get(event_id, ""))
            for event_id in ("evt_1", "evt_2", "evt_3")
        ]

    entries = [Entry(f"evt_{n}", "mail", "pending", (f"evt_{n}",), b"") for n in (1, 2, 3)]
    _, recorded = asyncio.run(record_placed(record, entries, 0.0, again))
    assert written == [["evt_1 ", "evt_2 ", "evt_3 "], ["evt_2 <x@a>"]]
    assert [one.thread for one in recorded] == ["", "", ""]
