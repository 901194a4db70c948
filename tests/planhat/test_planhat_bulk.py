"""Many items in few calls: how they are cut, and that every one gets exactly one result, the right one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.planhat.bulk import BulkUpsert, InputRow, Result, Stopped, cut, row_of
from relay.planhat.report import Answer, Throttled, TooLarge, Unauthorized, Unavailable, read_report
from relay.planhat.sandbox.behaviour import Behaviour
from relay.planhat.sandbox.errors import STYLES
from relay.planhat.sandbox.store import Store


def item(external_id: str, **more: Any) -> dict[str, Any]:
    return {"companyId": "extid-acme", "externalId": external_id, "type": "Slack thread", **more}


def rows_of(items: list[dict[str, Any]]) -> list[InputRow]:
    return [row_of(position, item) for position, item in enumerate(items)]


@given(
    sizes=st.lists(st.integers(0, 300), max_size=60),
    max_items=st.integers(1, 20),
    max_bytes=st.integers(60, 900),
)
def test_cutting_keeps_every_row_in_order_and_both_limits(
    sizes: list[int], max_items: int, max_bytes: int
) -> None:
    rows = rows_of(
        [{"externalId": f"x-{number}", "subject": "s" * size} for number, size in enumerate(sizes)]
    )
    batches = list(cut(rows, max_items=max_items, max_bytes=max_bytes))
    assert [row for batch in batches for row in batch] == rows
    for batch in batches:
        assert 1 <= len(batch) <= max_items
        size = len(b"[" + b",".join(row.body for row in batch) + b"]")
        assert size <= max_bytes or len(batch) == 1


def test_a_key_that_comes_twice_is_never_twice_in_one_call() -> None:
    rows = rows_of([item("a"), item("b"), item("a", subject="later"), {"_id": "a"}])
    assert [[row.position for row in batch] for batch in cut(rows)] == [[0, 1], [2, 3]]


class Far:
    """A Planhat made of the sandbox's store, which answers as it is told."""

    def __init__(self, style: str, status: int | None = None) -> None:
        self.store = Store(behaviour=Behaviour(style=style))
        self.status = status

    def __call__(self, body: bytes) -> Answer:
        bulk = self.store.upsert(orjson.loads(body))
        return read_report(self.status or bulk.status, {}, orjson.dumps(bulk.envelope), now_s=0)


def deliver(send: Callable[[bytes], Answer], rows: list[InputRow]) -> tuple[dict[int, Result], int]:
    def no_sleep(seconds: float) -> None:
        raise AssertionError("nothing to wait for")

    sender = BulkUpsert(send, sleep=no_sleep)
    results = list(sender.send(rows))
    assert len(results) == len(rows)
    return {result.position: result for result in results}, sender.calls


@pytest.mark.parametrize("style", sorted(STYLES))
@pytest.mark.parametrize("status", [None, 200, 400])
def test_one_bad_row_fails_alone_whatever_the_error_looks_like(style: str, status: int | None) -> None:
    bad = 317
    rows = rows_of([item(f"mail-{n}", **({"subject": 7} if n == bad else {})) for n in range(500)])
    results, calls = deliver(Far(style, status), rows)
    assert {position for position, result in results.items() if result.word == "failed"} == {bad}
    assert "subject" in results[bad].message or style == "bare"
    assert calls <= 2 * 9 + 1


@given(
    bad=st.sets(st.integers(0, 39)), old=st.sets(st.integers(0, 39)), style=st.sampled_from(sorted(STYLES))
)
def test_every_row_gets_its_own_result(bad: set[int], old: set[int], style: str) -> None:
    far = Far(style)
    far.store.upsert([item(f"mail-{n}") for n in old])
    rows = rows_of([item(f"mail-{n}", **({"subject": 7} if n in bad else {})) for n in range(40)])
    results, _ = deliver(far, rows)
    for position, result in results.items():
        if position in bad:
            assert result.word == "failed"
        elif position in old:
            assert result.word in ("unchanged", "delivered")
        else:
            assert result.word in ("created", "delivered", "unchanged")


def test_when_all_goes_well_one_call_is_enough_and_the_words_are_exact() -> None:
    far = Far("string")
    rows = rows_of([item(f"mail-{n}") for n in range(100)])
    for word in ("created", "unchanged"):
        results, calls = deliver(far, rows)
        assert {result.word for result in results.values()} == {word}
        assert calls == 1
    results, calls = deliver(far, rows_of([item(f"mail-{n}", subject="new") for n in range(100)]))
    assert {result.word for result in results.values()} == {"updated"}
    assert calls == 1


def report(**changes: Any) -> Answer:
    return read_report(
        206, {}, orjson.dumps({"created": 0, "updated": 0, "nonupdates": 0, **changes}), now_s=0
    )


ROWS = ["mail-1", "mail-2", "mail-3"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (report(created=3), ["created"] * 3),
        (report(updated=3), ["updated"] * 3),
        (report(nonupdates=3), ["unchanged"] * 3),
        (report(nonupdates=1, updated=2), ["delivered"] * 3),
        (
            report(nonupdates=1, insertsKeys=[{"_id": "i", "externalId": "mail-1"}], created=2),
            ["created", "delivered", "delivered"],
        ),
        (report(created=2, createdErrors=["mail-2 is bad"]), ["created", "failed", "created"]),
        (
            report(nonupdates=1, created=1, createdErrors=["mail-2 is bad"]),
            ["delivered", "failed", "delivered"],
        ),
        (
            report(created=1, nonupdates=2, insertsKeys=[{"_id": "i", "externalId": "mail-1"}]),
            ["created", "unchanged", "unchanged"],
        ),
    ],
)
def test_one_answer_that_accounts_for_all_settles_all(answer: Answer, words: list[str]) -> None:
    results, calls = deliver(lambda body: answer, rows_of([item(name) for name in ROWS]))
    assert [results[position].word for position in range(3)] == words
    assert calls == 1


@pytest.mark.parametrize(
    "answer",
    [
        report(created=2),  # one is unaccounted for: nobody knows which
        report(created=3, createdErrors=["something"]),
        report(created=1, createdErrors=["mail-2 is bad"]),
    ],
)
def test_what_an_answer_leaves_open_is_sent_again(answer: Answer) -> None:
    far = Far("string")
    answers = [answer]
    _, calls = deliver(
        lambda body: answers.pop() if answers else far(body), rows_of([item(name) for name in ROWS])
    )
    assert calls > 1


def test_planhats_id_is_told_where_the_answer_names_it() -> None:
    answer = report(created=1, insertsKeys=[{"_id": "5f0000000000000000000001", "externalId": "mail-1"}])
    results, _ = deliver(lambda body: answer, rows_of([item("mail-1")]))
    assert results[0].key.planhat_id == "5f0000000000000000000001"


def test_a_batch_too_large_is_halved_until_it_fits_and_a_single_giant_fails() -> None:
    far = Far("string")

    def send(body: bytes) -> Answer:
        return TooLarge() if len(body) > 1000 else far(body)

    rows = rows_of([item(f"mail-{n}", description="x" * (5000 if n == 7 else 100)) for n in range(30)])
    results, _ = deliver(send, rows)
    assert {position for position, result in results.items() if result.word == "failed"} == {7}
    assert "too large" in results[7].message


def test_a_passing_outage_is_waited_out_with_the_time_it_names_or_longer_and_longer() -> None:
    answers: list[Answer] = [
        Throttled(None),
        Throttled(3),
        Unavailable(503, "away"),
        Unavailable(503, "away", 9),
    ]
    far = Far("string")
    slept: list[float] = []
    sender = BulkUpsert(lambda body: answers.pop(0) if answers else far(body), sleep=slept.append)
    assert [result.word for result in sender.send(rows_of([item("a")]))] == ["created"]
    assert slept == [60, 3, 8, 9]


@pytest.mark.parametrize("answer", [Unauthorized("401"), Unavailable(503, "away", 0)])
def test_when_planhat_takes_nothing_more_every_row_left_fails_and_sending_stops(answer: Answer) -> None:
    sender = BulkUpsert(lambda body: answer, sleep=lambda seconds: None, patience=2)
    results: list[Result] = []
    with pytest.raises(Stopped):
        results.extend(_kept(sender, results))
    assert [result.word for result in results] == ["failed"] * 3


def _kept(sender: BulkUpsert, results: list[Result]) -> list[Result]:
    for result in sender.send(rows_of([item("a"), item("b"), item("c")])):
        results.append(result)
    return []
