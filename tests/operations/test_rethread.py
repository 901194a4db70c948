"""Mails move to the conversation that they turned out to belong to: whatever has become of them by then, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from relay.operations.erase import Erasure
from relay.operations.person import Needle
from relay.operations.remap import Remapper
from relay.operations.replay import replay_events
from relay.operations.tombstones import erased_of
from relay.outbox.items import balanced
from relay.outbox.notes import read_notes
from tests.mailing import MailDesk, mail_house


@pytest.fixture
def desk(redis_client: redis.Redis, tmp_path: Path) -> MailDesk:
    return MailDesk(redis_client, mail_house(tmp_path))


def split(desk: MailDesk) -> None:
    """C answers b, which comes last and answers a: until then there are two conversations."""
    desk.arrive("m-c", {"Message-ID": "<c@a>", "In-Reply-To": "<b@a>"})
    desk.arrive("m-a", {"Message-ID": "<a@a>"})


def mended(desk: MailDesk) -> None:
    desk.arrive("m-b", {"Message-ID": "<b@a>", "In-Reply-To": "<a@a>"})


def test_the_other_conversation_is_archived_and_the_books_balance(desk: MailDesk) -> None:
    split(desk)
    desk.deliver()
    assert sorted(desk.conversations().values()) == [["m-a"], ["m-c"]]
    mended(desk)
    moving = desk.outbox.threads.moved(10)
    desk.settle_threads()
    assert list(desk.conversations().values()) == [["m-a", "m-b", "m-c"]]
    assert balanced(desk.books())
    assert desk.books()["pending"] == 0
    assert len(moving) == 1
    [note] = read_notes(desk.outbox, moving)[moving[0]]
    assert (note["what"], note["by"]) == ("moved to its thread", "relay")


def test_what_was_never_delivered_leaves_nothing_behind(desk: MailDesk) -> None:
    split(desk)
    mended(desk)
    desk.settle_threads()
    assert list(desk.conversations().values()) == [["m-a", "m-b", "m-c"]]
    assert balanced(desk.books())


def test_a_crash_in_between_changes_nothing(desk: MailDesk) -> None:
    split(desk)
    desk.deliver()
    mended(desk)
    moving = desk.outbox.threads.moved(10)
    for _ in range(3):
        desk.settle_threads()
        desk.outbox.redis.rpush(desk.outbox.prefix + "rethread", *moving)
    desk.settle_threads()
    assert list(desk.conversations().values()) == [["m-a", "m-b", "m-c"]]
    assert balanced(desk.books())


def test_a_replay_keeps_to_the_one_conversation(desk: MailDesk) -> None:
    desk.now_ms = desk.outbox.now_ms() - 60_000
    split(desk)
    desk.deliver()
    mended(desk)
    desk.settle_threads()
    desk.deliver()
    report = replay_events(desk.context, since_ms=0, until_ms=0)
    assert (report["count"], report["changed"], report["unmapped"]) == (3, 0, 0)
    assert list(desk.conversations().values()) == [["m-a", "m-b", "m-c"]]


def test_a_map_that_is_gone_leaves_mails_where_they_were_put(desk: MailDesk) -> None:
    """Redis was set back, or what it knew has expired: the raw event remembers."""
    desk.now_ms = desk.outbox.now_ms() - 60_000
    for name, before in (("a", ""), ("b", "a"), ("c", "b")):
        desk.arrive(
            f"m-{name}", {"Message-ID": f"<{name}@a>", **({"In-Reply-To": f"<{before}@a>"} if before else {})}
        )
    desk.deliver()
    desk.outbox.redis.delete(*desk.outbox.redis.keys(desk.outbox.prefix + "thread*"))
    report = replay_events(desk.context, since_ms=0, until_ms=0)
    assert (report["count"], report["changed"]) == (3, 0)


@pytest.mark.parametrize("by", ["email", "conversation"])
def test_erasing_takes_the_map_too(desk: MailDesk, by: str) -> None:
    for name, before in (("id/nora@acme.example", ""), ("b@a", "id/nora@acme.example"), ("c@a", "b@a")):
        desk.arrive(
            f"m-{name[0]}", {"Message-ID": f"<{name}>", **({"In-Reply-To": f"<{before}>"} if before else {})}
        )
    desk.deliver()
    [conversation] = desk.conversations()
    needle = Needle(email="nora@acme.example") if by == "email" else Needle(conversation=conversation)
    erasure = Erasure(desk.context, needle, erased_of(desk.context), remapper=Remapper(desk.context, 0))
    report = erasure.erase()
    assert report["events"] == 3
    left = desk.outbox.redis.keys(desk.outbox.prefix + "thread*")
    assert left == []


def test_what_others_wrote_stays_in_the_map(desk: MailDesk) -> None:
    desk.arrive("m-a", {"Message-ID": "<a@a>"})
    desk.arrive("m-x", {"Message-ID": "<x@a>"})
    desk.deliver()
    conversation = next(one for one, texts in desk.conversations().items() if texts == ["m-a"])
    needle = Needle(conversation=conversation)
    Erasure(desk.context, needle, erased_of(desk.context), remapper=Remapper(desk.context, 0)).erase()
    desk.arrive("m-y", {"Message-ID": "<y@a>", "In-Reply-To": "<x@a>"})
    assert ["m-x", "m-y"] in desk.conversations().values()


def test_without_the_raw_requests_the_document_tells_which_mails_there_were(desk: MailDesk) -> None:
    for name, before in (("a", ""), ("b", "a")):
        desk.arrive(
            f"m-{name}", {"Message-ID": f"<{name}@a>", **({"In-Reply-To": f"<{before}@a>"} if before else {})}
        )
    desk.deliver()
    [conversation] = desk.conversations()
    desk.outbox.redis.delete(*desk.outbox.redis.keys(desk.outbox.prefix + "event:*"))
    needle = Needle(conversation=conversation)
    Erasure(desk.context, needle, erased_of(desk.context), remapper=Remapper(desk.context, 0)).erase()
    assert desk.outbox.redis.keys(desk.outbox.prefix + "thread:*") == []
