"""Causes of dead letters: their short ids, what a text or a part of it finds, muting and assigning."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import NotFound
from relay.operations.dead.causes import FoundCauses, mark_cause, match_cause, require_causes, short_ids
from relay.operations.dead.look import list_dead
from relay.operations.dead.replay import replay_dead
from relay.operations.selection import InputInvalid, Selection
from relay.outbox.causes import cause_digest
from relay.outbox.vault import Vault
from tests.operating import Shop

LONG = "custom field Health is not one of the tenant's, of which there are so many that this is longer than a hundred characters"


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    return Shop(redis_client, tmp_path)


def bury(shop: Shop, *causes: str) -> None:
    numbers = count(1)
    for cause in causes:
        number = next(numbers)
        shop.arrive(cause, number=number, ts=f"1800000{number:03}.000100")
        shop.bury(cause)


@given(st.sets(st.text(max_size=20), max_size=300))
def test_ids_tell_causes_apart_and_find_each_again(causes: set[str]) -> None:
    ids = short_ids(causes)
    assert len(set(ids.values())) == len(causes)
    for cause, name in ids.items():
        assert match_cause(name, causes).texts == {cause}


def test_two_causes_that_begin_alike_have_longer_ids_and_a_short_one_says_so() -> None:
    by_start: dict[str, str] = {}
    for number in count():
        cause = f"cause {number}"
        other = by_start.setdefault(cause_digest(cause)[:4], cause)
        if other != cause:
            break
    ids = short_ids([cause, other, "a third"])
    assert all(len(name) > len("c-3f2a") for name in ids.values())
    with pytest.raises(InputInvalid, match="fits several"):
        match_cause(f"c-{cause_digest(cause)[:4]}", [cause, other])


@pytest.mark.parametrize(
    "asked", [LONG, LONG[:99] + "…", "one of the TENANT'S", LONG[:60] + "...", f"c-{cause_digest(LONG)[:4]}"]
)
def test_a_text_a_cut_one_a_part_and_an_id_find_a_cause(asked: str) -> None:
    assert match_cause(asked, [LONG, "no company found"]) == FoundCauses(frozenset({LONG}))


def test_what_no_letter_has_names_the_nearest(shop: Shop) -> None:
    bury(shop, "no company found (asked with: email)", "subject is too long")
    with pytest.raises(NotFound) as caught:
        require_causes(shop.outbox, "no compny found")
    first = str(caught.value).split("\n")[1]
    assert "no company found (asked with: email)" in first
    assert "c-" in first
    with pytest.raises(NotFound):
        replay_dead(shop.context, Selection(cause="nothing of the kind"), by="t")
    assert list_dead(shop.outbox, Selection(cause="subjct"))["nearest"]


def test_a_replay_by_id_or_part_moves_that_cause_and_no_other(shop: Shop) -> None:
    bury(shop, "subject is too long", "no company found")
    [group] = list_dead(shop.outbox, Selection(cause="SUBJECT"))["groups"]
    assert replay_dead(shop.context, Selection(cause=group["id"]), by="t")["replayed"] == 1
    assert [group["cause"] for group in list_dead(shop.outbox, Selection())["groups"]] == ["no company found"]


@pytest.mark.parametrize("sealed", [False, True])
def test_a_cause_is_muted_for_a_while_assigned_and_annotated(shop: Shop, sealed: bool) -> None:
    if sealed:
        shop.outbox.vault = Vault(lambda: "h9LnZ3n4gq2N0mJcZ1pCk5y8vQ0rj3mUu1m2c3d4e5Y=")
    bury(shop, "subject is too long")
    now_ms = shop.outbox.now_ms()
    told = mark_cause(
        shop.outbox,
        "subject",
        {"muted": True, "muted_until_ms": now_ms + 60_000, "assigned": "ann", "note": "asks the vendor"},
        by="cli:bob",
    )
    assert (told["muted"], told["assigned"], told["note"], told["marked_by"]) == (
        True,
        "ann",
        "asks the vendor",
        "cli:bob",
    )
    [group] = list_dead(shop.outbox, Selection())["groups"]
    assert group["muted_until"] == told["muted_until"]
    assert group["note"] == "asks the vendor"
    raw = b""
    for key in shop.outbox.redis.scan_iter("*cause:*"):
        stored: Any = shop.outbox.redis.hgetall(key)
        raw += b"".join(stored.values())
    assert (b"asks the vendor" in raw) is not sealed

    # Its time is over.
    mark_cause(shop.outbox, "subject", {"muted_until_ms": now_ms - 1}, by="t")
    assert list_dead(shop.outbox, Selection())["groups"][0]["muted"] is False
    told = mark_cause(shop.outbox, "subject", {"muted": False, "assigned": "", "note": ""}, by="t")
    assert (told["muted"], told["assigned"], told["note"]) == (False, None, None)


def test_what_is_said_of_a_cause_stays_while_letters_come_and_go(shop: Shop) -> None:
    bury(shop, "no")
    mark_cause(shop.outbox, "no", {"muted": True}, by="t")
    replay_dead(shop.context, Selection(everything=True), by="t")
    shop.bury("no")
    assert list_dead(shop.outbox, Selection())["groups"][0]["muted"] is True


@pytest.mark.parametrize(("asked", "changes"), [("o", {"muted": True}), ("no", {"note": "x" * 1001})])
def test_a_mark_must_mean_one_cause_and_be_short(shop: Shop, asked: str, changes: dict[str, object]) -> None:
    bury(shop, "no", "too long")
    with pytest.raises(InputInvalid):
        mark_cause(shop.outbox, asked, changes, by="t")
