"""Searching stored events: what is found is what is there, whether the index has it or not, page by page and in order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.operations import remap
from relay.operations.search import build, follow
from relay.operations.search.build import Indexer
from relay.operations.search.erase_terms import forget_terms
from relay.operations.search.find import EventPage, Search
from relay.operations.search.follow import FollowedEvents
from relay.operations.search.terms import Terms
from relay.operations.search.wanted import read_wanted
from relay.operations.search.words import distinct_words, search_words
from relay.operations.selection import InputInvalid
from relay.outbox.index.store import EventIndex
from relay.patch import Document
from tests.operating import NOON, Shop

KEY = b"k" * 32
MINUTE = 60_000


@pytest.fixture
def shop(redis_client: redis.Redis, tmp_path: Path) -> Shop:
    made = Shop(redis_client, tmp_path)
    # The tests' clock stands at noon of a day of its own; what is read by Redis's must not be older than is kept.
    made.outbox.now_ms = lambda: NOON + 10 * MINUTE  # type: ignore[method-assign]
    return made


def index(shop: Shop) -> Indexer:
    indexer = Indexer(shop.context, Terms(KEY))
    assert indexer.run(30)
    return indexer


def find(
    shop: Shop, asked: Mapping[str, str] | None = None, limit: int = 50, after: str = "", **more: str
) -> EventPage:
    wanted = read_wanted({**(asked or {}), **more}, NOON)
    return Search(shop.context, wanted, Terms(KEY) if wanted.by_terms else None).page(
        limit, after, seconds=30
    )


def ids(page: EventPage) -> list[str]:
    return [hit.head.event_id for hit in page.hits]


# -- words --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, hello wORLD!", ["hello", "world"]),
        ("INV-2024/001", ["inv", "2024", "001"]),
        ("Grüße aus Zürich", ["grusse", "aus", "zurich"]),
        ("mail anna.b@customer.example now", ["anna.b@customer.example", "mail", "anna", "b", "customer", "example", "now"]),
        ("発注書を送る", ["発注", "注書", "書を", "を送", "送る"]),
        ("注", ["注"]),
        ("v2発注ok", ["v2", "発注", "ok"]),
        ("ПРИВЕТ привет", ["привет"]),
        ("_ - !", []),
        ("x" * 100, ["x" * 64]),
    ],
)  # fmt: skip
def test_words(text: str, words: list[str]) -> None:
    assert distinct_words(text) == words


@given(st.text(max_size=300))
def test_a_text_is_found_by_each_of_its_own_words(text: str) -> None:
    terms = Terms(KEY)
    held = set(terms._words(distinct_words(text)))
    for part in text.split():
        assert held.issuperset(terms.text(part)), part
    assert all(word == word.strip() and word for word in search_words(text))


# -- what is found --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indexed", [True, False])
def test_by_word_sender_kind_rule_and_time(shop: Shop, indexed: bool) -> None:
    invoice = shop.arrive("the invoice of May", number=1, now_ms=NOON)
    export = shop.arrive("an export fails", number=2, ts="1800000000.000200", now_ms=NOON + MINUTE)
    if indexed:
        index(shop)

    assert ids(find(shop)) == [export, invoice]
    assert ids(find(shop, text="INVOICE")) == [invoice]
    assert ids(find(shop, text="may invoice")) == [invoice]
    assert ids(find(shop, text="invoice export")) == []
    assert ids(find(shop, {"from": "u061f7aur"})) == [export, invoice]
    assert ids(find(shop, {"from": "somebody"})) == []
    assert ids(find(shop, kind="message.created", rule="slack-thread")) == [export, invoice]
    assert ids(find(shop, kind="email.received")) == []
    assert ids(find(shop, since=str(NOON + 1), text="export")) == [export]
    assert ids(find(shop, until=str(NOON + 1))) == [invoice]
    assert ids(find(shop, source="second")) == []
    assert ids(find(shop, source="slack", text="fails")) == [export]


def test_what_came_after_the_index_was_made_is_found_too(shop: Shop) -> None:
    first = shop.arrive("the invoice", number=1, now_ms=NOON)
    index(shop)
    second = shop.arrive("another invoice", number=2, ts="1800000000.000200", now_ms=NOON + 1)
    third = shop.arrive("a third invoice", number=3, ts="1800000000.000300", now_ms=NOON + MINUTE)

    assert ids(find(shop, text="invoice")) == [third, second, first]
    indexer = index(shop)
    assert indexer.events == 2
    assert ids(find(shop, text="invoice")) == [third, second, first]


def test_by_state_as_it_is_now(shop: Shop) -> None:
    shop.arrive("goes", number=1)
    shop.deliver()
    dropped = shop.arrive("drop me", number=2, ts="1800000000.000200", now_ms=NOON + 2_000)
    index(shop)
    waits = shop.arrive("waits", number=3, ts="1800000000.000300", now_ms=NOON + 3_000)

    assert ids(find(shop, state="filtered")) == [dropped]
    assert ids(find(shop, state="pending")) == [waits]
    assert len(find(shop, state="delivered,pending").hits) == 2
    assert ids(find(shop, state="dead")) == []


def test_by_company_also_where_it_was_found_after_the_event_was_indexed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "BLOCK_EVENTS", 2)
    first = shop.arrive("one", number=1)
    shop.arrive("two", number=2, ts="1800000000.000200", channel="C0OTHER")
    index(shop)
    index(shop)
    assert EventIndex(shop.outbox).state().blocks
    assert ids(find(shop, company="extid-acme")) == []
    # The first conversation's company is found: its block only knows that it did not know.
    document = Document("slack-C024BE91L-1800000000.000100", company_id="extid-acme")
    shop.outbox.redis.set(f"{shop.outbox.prefix}document:{document.external_id}", b"j" + document.encode())
    assert ids(find(shop, company="extid-acme")) == [first]
    assert ids(find(shop, company="extid-other")) == []


def test_a_moved_event_tells_its_conversation_of_today(shop: Shop) -> None:
    from relay.outbox.notes import Note, write_notes

    event_id = shop.arrive("one")
    write_notes(shop.outbox, [Note(event_id, {"what": "replayed", "at_ms": NOON}, "elsewhere")])
    assert [hit.home for hit in find(shop).hits] == ["elsewhere"]


def test_nonsense_is_refused_with_its_key(shop: Shop) -> None:
    for asked, key in (
        ({"state": "deliverd"}, "state"),
        ({"kind": "message"}, "kind"),
        ({"text": "!!"}, "text"),
        ({"from": " @ "}, "from"),
        ({"since": "tomorrowish"}, "since"),
        ({"since": "1h", "until": "2h"}, "until"),
    ):
        with pytest.raises(InputInvalid) as refused:
            find(shop, asked)
        assert refused.value.path == key
    with pytest.raises(InputInvalid, match="did you mean 'delivered'"):
        find(shop, state="deliverd")
    with pytest.raises(ValueError, match="cursor"):
        find(shop, after="nonsense!")


# -- pages ----------------------------------------------------------------------------------------------------------------


def pages(shop: Shop, size: int, **asked: str) -> list[str]:
    found, after = list[str](), ""
    while True:
        page = find(shop, asked, limit=size, after=after)
        assert len(page.hits) <= size
        found += ids(page)
        after = page.following
        if not after:
            return found


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["slack", "second"]), st.integers(0, 3), st.sampled_from(["a", "b", "a b"])), max_size=25),
    st.integers(1, 4),
    st.integers(0, 25),
    st.integers(1, 30),
)  # fmt: skip
def test_pages_together_are_all_in_order_and_each_once(
    shop: Shop, came: list[tuple[str, int, str]], size: int, indexed: int, block: int
) -> None:
    shop.outbox.redis.flushall()
    came = sorted(came, key=lambda one: one[1])
    before = build.BLOCK_EVENTS
    build.BLOCK_EVENTS = block  # type: ignore[misc]
    try:
        arrived: list[tuple[int, str, str, str]] = []
        for n, (source, minute, text) in enumerate(came):
            now_ms = NOON + minute * MINUTE + n
            ts = f"{1800000000 + minute}.{n:06d}"
            event_id = shop.arrive(text, source=source, number=n, ts=ts, now_ms=now_ms)
            arrived.append((now_ms, event_id, source, text))
            if n == indexed:
                index(shop)
                index(shop)
    finally:
        build.BLOCK_EVENTS = before  # type: ignore[misc]
    newest_first = list(reversed(arrived))

    assert pages(shop, size) == [event_id for _, event_id, _, _ in newest_first]
    assert pages(shop, size, text="a") == [e for _, e, _, text in newest_first if "a" in text]
    assert pages(shop, size, text="b", source="slack") == [
        e for _, e, source, text in newest_first if "b" in text and source == "slack"
    ]


def test_what_comes_between_two_pages_shifts_nothing(shop: Shop) -> None:
    first = [shop.arrive(f"m{n}", number=n, ts=f"1800000000.{n:06d}", now_ms=NOON + n) for n in range(6)]
    page = find(shop, limit=2)
    for n in range(6, 9):
        shop.arrive(f"m{n}", number=n, ts=f"1800000000.{n:06d}", now_ms=NOON + n, source="second")
    assert ids(page) == [first[5], first[4]]
    assert ids(find(shop, limit=10, after=page.following)) == first[3::-1]


def test_a_page_has_a_time_and_says_how_far_it_came(shop: Shop) -> None:
    for n in range(5):
        shop.arrive(f"m{n}", number=n, ts=f"1800000000.{n:06d}", now_ms=NOON + n * MINUTE)
    clock = iter(range(100))
    wanted = read_wanted({}, NOON)
    page = Search(shop.context, wanted, None, clock=lambda: next(clock)).page(50, seconds=2.5)
    assert len(page.hits) == 2
    assert page.searched_to_ms == NOON + 2 * MINUTE
    assert len(find(shop, limit=50, after=page.following).hits) == 3


# -- the index ------------------------------------------------------------------------------------------------------------


def test_another_key_makes_the_index_anew(shop: Shop) -> None:
    event_id = shop.arrive("the invoice")
    index(shop)
    other = Terms(b"z" * 32)
    wanted = read_wanted({"text": "invoice"}, NOON)
    # Until then the events themselves are asked.
    assert ids(Search(shop.context, wanted, other).page(5)) == [event_id]
    indexer = Indexer(shop.context, other)
    assert indexer.run(30)
    assert indexer.events == 1
    assert ids(Search(shop.context, wanted, other).page(5)) == [event_id]


def test_a_clock_that_goes_back_hides_nothing(shop: Shop) -> None:
    late = shop.arrive("late invoice", number=1, now_ms=NOON + 5 * MINUTE)
    index(shop)
    shop.outbox.redis.hincrby(f"{shop.outbox.prefix}life", "clock_back", 1)
    early = shop.arrive("early invoice", number=2, ts="1800000000.000200", now_ms=NOON)
    index(shop)
    assert ids(find(shop, text="invoice")) == [late, early]


def test_an_event_that_an_adapter_stumbles_over_keeps_nobody_out(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shop.arrive("first", number=1)
    second = shop.arrive("second", number=2, ts="1800000000.000200", now_ms=NOON + 1)

    def broken(self: Any, stored: Any, mend: Any = None) -> Any:
        if stored.event_id == first:
            raise TypeError("not one of ours")
        return original(self, stored, mend)

    original = remap.Remapper.event_as_sent
    monkeypatch.setattr(remap.Remapper, "event_as_sent", broken)
    index(shop)
    assert ids(find(shop, text="second")) == [second]
    # Of the other, what its head tells is found.
    assert ids(find(shop, text="first")) == [first]


def test_minutes_that_an_older_release_wrote_are_noted(shop: Shop) -> None:
    event_id = shop.arrive("from before")
    for key in list(shop.outbox.redis.scan_iter(f"{shop.outbox.prefix}minutes:*")):
        shop.outbox.redis.delete(key)
    assert ids(find(shop)) == []
    index(shop)
    assert ids(find(shop)) == [event_id]
    assert ids(find(shop, text="before")) == [event_id]


def test_what_was_there_before_anybody_indexed_is_taken_in_oldest_first_and_in_turns(shop: Shop) -> None:
    for n in range(6):
        shop.arrive(f"m{n}", number=n, ts=f"1800000000.{n:06d}", now_ms=NOON + n * MINUTE)
    indexer = Indexer(shop.context, Terms(KEY))
    assert not indexer.run(0)
    assert indexer.events == 1
    turns = 1
    while not Indexer(shop.context, Terms(KEY)).run(0):
        turns += 1
    assert turns == 6
    assert EventIndex(shop.outbox).state().tail == 6


def test_a_search_takes_in_what_came_since_and_leaves_the_rest_to_the_worker(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoice = shop.arrive("the invoice", number=1)
    terms = Terms(KEY)
    state = EventIndex(shop.outbox).state
    # Nobody has begun: a search is not the one who does.
    Indexer(shop.context, terms).catch_up(30)
    assert state().cursor is None
    index(shop)
    late = shop.arrive("a late invoice", number=2, ts="1800000000.000200", now_ms=NOON + 2_000)
    # Another key's index is not ours to change.
    Indexer(shop.context, Terms(b"z" * 32)).catch_up(30)
    assert state().tail == 1
    Indexer(shop.context, terms).catch_up(30)
    assert state().tail == 2
    assert ids(find(shop, text="invoice")) == [late, invoice]
    monkeypatch.setattr(build, "_MOST_TAIL", 2)
    shop.arrive("a third", number=3, ts="1800000000.000300", now_ms=NOON + 3_000)
    Indexer(shop.context, terms).catch_up(30)
    assert state().tail == 2


def test_what_is_followed_is_told_as_it_comes_and_as_its_state_changes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_PAGE", 3)
    shop.arrive("known", number=1)
    followed = FollowedEvents(shop.context, {"source": "slack"})
    assert followed.look() == []
    shop.deliver(NOON + 500)
    shop.arrive("elsewhere", source="second", number=2, ts="1800000000.000200", now_ms=NOON + 900)
    # More at once than a page holds.
    came = [
        shop.arrive(f"m{n}", number=n, ts=f"1800000001.{n:06d}", now_ms=NOON + 1000 + n)
        for n in range(10, 18)
    ]
    told = followed.look()
    assert [(row["state"], row["subject"]) for row in told] == [
        ("delivered", "known"),
        *(("pending", f"m{n}") for n in range(10, 18)),
    ]
    assert followed.look() == []
    # Also of those that are on no first page any more.
    shop.deliver(NOON + 3000)
    assert {(row["id"], row["state"]) for row in followed.look()} == {(name, "delivered") for name in came}
    assert followed.look() == []


@pytest.mark.parametrize("busy", [False, True])
def test_what_was_erased_is_not_in_the_index_either(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    monkeypatch.setattr(build, "BLOCK_EVENTS", 3)
    gone, kept = list[str](), list[str]()
    for n in range(5):
        gone.append(shop.arrive("the canary", number=n, ts=f"1800000000.{n:06d}", now_ms=NOON + n * MINUTE))
        kept.append(
            shop.arrive(
                "kept", number=n, ts=f"1800000001.{n:06d}", now_ms=NOON + n * MINUTE + 1, source="second"
            )
        )
        index(shop)
    terms, asked = Terms(KEY), Terms(KEY).text("canary")
    events = EventIndex(shop.outbox)
    state = events.state()
    assert len(state.blocks) == 2
    assert sum(bits.bit_count() for bits in events.holding(state.blocks, asked)) >= 4
    if busy:
        monkeypatch.setattr(EventIndex, "amend", lambda self, *changes: False)
    # The door's clock said another minute than Redis's.
    came = {name: ("slack", NOON + n * MINUTE + 59_000) for n, name in enumerate(gone)}
    came[gone[2]] = ("slack", NOON + 2 * MINUTE - 1000)
    assert forget_terms(shop.outbox, {**came, "evt_nobody": ("slack", NOON)}) == 5
    state = events.state()
    assert not any(events.holding(state.blocks, asked))
    assert not any(chunk.holding(term) for chunk in events.tail() for term in asked)
    assert ids(find(shop, text="kept")) == list(reversed(kept))
    if not busy:
        assert state.cursor is not None and state.cursor.key == terms.mark
        assert forget_terms(shop.outbox, came) == 0
