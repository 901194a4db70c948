"""Two who change a lane at the same time: whatever comes between two commands of the one, the end is as if they had come one
after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis

from relay.errors import MappingFailed, NotFound
from relay.operations.dead.edit import edit_dead
from relay.operations.dead.look import record_of
from relay.operations.dead.replay import redrive_one
from relay.outbox.delivery import Delivery
from relay.outbox.erased import Erased, Standing
from relay.outbox.outbox import Outbox
from relay.outbox.veil_key import VeilKey
from relay.patch import Patch
from tests.operating import BROKEN_SUBJECT, Shop
from workers.companies.parked import ParkedLetters

NOON = 1_790_000_000_000


class Between(redis.Redis):
    """Lets something else happen before its command number `at`, once."""

    def __init__(self, other: redis.Redis, at: int, act: Callable[[], object]) -> None:
        super().__init__(connection_pool=other.connection_pool)
        self._left, self._act = at, act
        self.acted = False

    def execute_command(self, *args: Any, **options: Any) -> Any:
        self._pass()
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:
        self._pass()
        return super().pipeline(transaction, shard_hint)

    def _pass(self) -> None:
        if self._left == 0 and not self.acted:
            self.acted = True
            self._act()
        self._left -= 1


Act = Callable[[redis.Redis], object]


def ends(
    client: redis.Redis, prepare: Act, first: Act, second: Act, look: Callable[[], object]
) -> list[object]:
    """`second` at every place of `first`: `look` must see what it sees after one of the two orders; these two."""
    orders: list[object] = []
    for one, other in ((first, second), (second, first)):
        client.flushall()
        prepare(client)
        one(client)
        other(client)
        orders.append(look())
    places = 0
    while True:
        client.flushall()
        prepare(client)
        between = Between(client, places, lambda: second(client))
        first(between)
        if not between.acted:
            break
        assert look() in orders, f"at command {places}"
        places += 1
    assert places > 0
    return orders


DELIVERY: dict[str, Act] = {
    "back off": lambda client: Delivery(client).back_off(NOON, "503"),
    "block": lambda client: Delivery(client).block(NOON, "401"),
    "reopen": lambda client: Delivery(client).reopen(NOON),
    "pause": lambda client: Delivery(client).pause(),
    "resume": lambda client: Delivery(client).resume(),
}


@pytest.mark.parametrize("first", sorted(DELIVERY))
@pytest.mark.parametrize("second", sorted(DELIVERY))
@pytest.mark.parametrize("before", ["open", "paused", "backing_off"])
def test_the_state_of_delivery(redis_client: redis.Redis, first: str, second: str, before: str) -> None:
    begin: dict[str, Act] = {
        "open": lambda client: None,
        "paused": DELIVERY["pause"],
        "backing_off": DELIVERY["back off"],
    }
    ends(
        redis_client, begin[before], DELIVERY[first], DELIVERY[second], lambda: Delivery(redis_client).read()
    )


def buried(folder: Path) -> Act:
    def prepare(client: redis.Redis) -> None:
        shop = Shop(client, folder)
        shop.arrive("hello")
        shop.bury("refused: subject")

    return prepare


def edit(folder: Path, name: str, value: str) -> Act:
    def act(client: redis.Redis) -> None:
        shop = Shop(client, folder)
        for dead_id in shop.outbox.dead.ids():
            try:
                edit_dead(shop.context, dead_id, fields={name: value}, by="ann", now_ms=NOON)
            except NotFound:
                continue

    return act


def test_two_edits_of_a_letter_are_both_kept(redis_client: redis.Redis, tmp_path: Path) -> None:
    def look() -> object:
        [letter] = Outbox(redis_client).dead.get_many(Outbox(redis_client).dead.ids())
        return record_of(letter)["edited"]["fields"]

    first, second = edit(tmp_path, "subject", "mended"), edit(tmp_path, "snippet", "short")
    assert (
        ends(redis_client, buried(tmp_path), first, second, look)
        == [{"subject": "mended", "snippet": "short"}] * 2
    )


def test_an_edit_outlives_a_try_that_fails(redis_client: redis.Redis, tmp_path: Path) -> None:
    def fail(client: redis.Redis) -> None:
        shop = Shop(client, tmp_path, subject=BROKEN_SUBJECT)
        for dead_id in shop.outbox.dead.ids():
            with pytest.raises(MappingFailed):
                redrive_one(shop.context, dead_id, now_ms=NOON)

    def look() -> object:
        [letter] = Outbox(redis_client).dead.get_many(Outbox(redis_client).dead.ids())
        record = record_of(letter)
        return record["edited"]["fields"], sum(one["status"] == "map" for one in record["attempts"])

    change = edit(tmp_path, "subject", "mended")
    for first, second in ((change, fail), (fail, change)):
        assert ends(redis_client, buried(tmp_path), first, second, look) == [({"subject": "mended"}, 1)] * 2


def test_what_is_edited_while_it_is_replayed_is_sent_as_edited_or_the_edit_is_refused(
    redis_client: redis.Redis, tmp_path: Path
) -> None:
    def replay(client: redis.Redis) -> None:
        shop = Shop(client, tmp_path)
        for dead_id in shop.outbox.dead.ids():
            redrive_one(shop.context, dead_id, now_ms=NOON)

    def look() -> object:
        outbox = Outbox(redis_client)
        waiting = [
            Patch.decode(pending.patch)
            for key in redis_client.scan_iter(outbox.prefix + "patches:*")
            for pending in outbox.waiting_patches(key.decode().rpartition("patches:")[2])
        ]
        return outbox.dead.ids(), [str(patch.fields.get("subject")) for patch in waiting]

    ends(redis_client, buried(tmp_path), replay, edit(tmp_path, "subject", "mended"), look)


def test_a_letter_that_goes_while_a_new_config_makes_all_due_stays_gone(redis_client: redis.Redis) -> None:
    def parked(client: redis.Redis) -> ParkedLetters:
        return ParkedLetters(client, Outbox(client).prefix, lambda: NOON)

    def prepare(client: redis.Redis) -> None:
        parked(client).config_changed("one")
        parked(client).park(["dead_1", "dead_2"])

    ends(
        redis_client,
        prepare,
        lambda client: parked(client).config_changed("two"),
        lambda client: parked(client).forget(["dead_1"]),
        lambda: parked(redis_client).due(),
    )


def test_what_two_erasures_leave_in_planhat_is_all_remembered(redis_client: redis.Redis) -> None:
    def leave(name: str) -> Act:
        def act(client: redis.Redis) -> None:
            erased = Erased(
                Outbox(client), VeilKey(Outbox(client), lambda: "a key of redacted values, long enough")
            )
            erased.change_standing("email", "nora@example.com", lambda left: [*left, Standing(name)])

        return act

    def look() -> object:
        key = VeilKey(Outbox(redis_client), lambda: "a key of redacted values, long enough")
        return Erased(Outbox(redis_client), key).standing("email", "nora@example.com")

    found = ends(redis_client, lambda client: None, leave("x-1"), leave("x-2"), look)
    assert found == [[Standing("x-1"), Standing("x-2")]] * 2


def test_counts_outside_of_the_books(redis_client: redis.Redis) -> None:
    def count(source: str) -> Act:
        return lambda client: Outbox(client).count(source, "ignored", 2)

    ends(redis_client, lambda client: None, count("a"), count("b"), lambda: Outbox(redis_client).ledger())


def test_a_change_in_several_commands_would_be_found(redis_client: redis.Redis) -> None:
    def add(number: int) -> Act:
        def act(client: redis.Redis) -> None:
            rows = orjson.loads(client.get("relay:rows") or b"[]")
            client.set("relay:rows", orjson.dumps([*rows, number]))

        return act

    with pytest.raises(AssertionError):
        ends(redis_client, lambda client: None, add(1), add(2), lambda: redis_client.get("relay:rows"))
