"""One outcome per item, whatever Planhat answers; the cost of finding the bad ones; nothing good refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import ceil, log2
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.planhat.outcomes import Delivered, Outcome, Postponed, Refused, Row, Unchanged
from relay.planhat.report import Answer, Unavailable, read_report
from relay.planhat.resolve import Resolution, resolve

STYLES = (
    "string",
    "string_id",
    "external_id",
    "planhat_id",
    "index",
    "index_from_1",
    "nested",
    "bare",
    "400",
    "one",
)


def batch(n: int, *, known: bool = False) -> list[Row]:
    return [Row(f"slack-C1-{i}.5", b"{}", f"{i:024x}" if known else "") for i in range(n)]


class Tenant:
    """A simulated Planhat: which items it refuses, how it says so, whether it echoes the keys it was sent."""

    def __init__(
        self, bad: set[str], style: str, *, echo: bool = True, names_updates: bool = True, status: int = 206
    ):
        self.bad, self.style, self.echo, self.names_updates, self.status = (
            bad,
            style,
            echo,
            names_updates,
            status,
        )
        self.message = "not acceptable"
        #: What is said of an item, where it is not `message`; and in what order complaints come.
        self.messages: dict[str, str] = {}
        self.arrange: Callable[[list[Any]], list[Any]] = list
        self.calls = 0
        self.sent: Counter[str] = Counter()
        self.have: set[str] = set()

    def __call__(self, items: Sequence[Row]) -> Answer:
        self.calls += 1
        self.sent.update(item.external_id for item in items)
        wrong = [(i, item) for i, item in enumerate(items) if item.external_id in self.bad]
        if wrong and self.style == "400":
            return read_report(400, {}, orjson.dumps(self.message), now_s=0)
        right = [item for item in items if item.external_id not in self.bad]
        created = [item for item in right if item.external_id not in self.have]
        self.have.update(item.external_id for item in right)
        envelope: dict[str, Any] = {
            "created": len(created),
            "updated": 0,
            "nonupdates": len(right) - len(created),
            "insertsKeys": [
                {"_id": f"id-{item.external_id}"} | ({"externalId": item.external_id} if self.echo else {})
                for item in created
            ],
            "createdErrors": self.arrange([self.complaint(i, item) for i, item in wrong]),
            "updatedErrors": [],
        }
        if self.style == "one":
            envelope["createdErrors"] = envelope["createdErrors"][:1]
        return read_report(self.status if wrong else 200, {}, orjson.dumps(envelope), now_s=0)

    def complaint(self, index: int, item: Row) -> Any:
        message = self.messages.get(item.external_id, self.message)
        match self.style:
            case "string_id":
                return f"{message}: {item.external_id}"
            case "external_id":
                return {"externalId": item.external_id, "error": message}
            case "planhat_id":
                return {"_id": item.planhat_id or None, "message": message}
            case "index":
                return {"index": index, "message": message}
            case "index_from_1":
                return {"index": index + 1, "message": message}
            case "nested":
                return {"item": {"externalId": item.external_id}, "errors": [{"message": message}]}
            case "bare":
                return {}
        return message


def check(outcomes: Any, items: list[Row], tenant: Tenant) -> None:
    assert sorted(outcomes) == list(range(len(items)))
    for position, item in enumerate(items):
        expected: tuple[type[Outcome], ...] = (
            (Refused,) if item.external_id in tenant.bad else (Delivered, Unchanged)
        )
        assert isinstance(outcomes[position], expected), (position, outcomes[position])


@given(
    n=st.integers(1, 300),
    seed=st.randoms(use_true_random=False),
    p=st.integers(0, 12),
    style=st.sampled_from(STYLES),
    echo=st.booleans(),
    known=st.booleans(),
    status=st.sampled_from((200, 206, 400, 403)),
)
@settings(max_examples=400, deadline=None)
def test_every_item_gets_one_outcome_within_the_bounds(
    n: int, seed: Any, p: int, style: str, echo: bool, known: bool, status: int
) -> None:
    items = batch(n, known=known)
    bad = {item.external_id for item in seed.sample(items, min(p, n))}
    tenant = Tenant(bad, style, echo=echo, status=status)

    outcomes, _ = resolve(items, tenant)

    check(outcomes, items, tenant)
    depth = ceil(log2(n)) if n > 1 else 0
    assert tenant.calls <= 2 * len(bad) * depth + 1
    assert all(count <= depth + 2 for name, count in tenant.sent.items() if name not in bad)


@given(
    n=st.integers(1, 120),
    seed=st.randoms(use_true_random=False),
    p=st.integers(1, 6),
    style=st.sampled_from(STYLES),
    echo=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_a_duplicate_gets_a_second_try_which_may_succeed(
    n: int, seed: Any, p: int, style: str, echo: bool
) -> None:
    """Two writers raced; the second try, after everything else, finds the race over."""
    items = batch(n)
    bad = {item.external_id for item in seed.sample(items, min(p, n))}
    tenant = Tenant(set(bad), style, echo=echo)
    tenant.message = "externalId,email duplicated"
    if style == "bare":
        return

    def send(part: Sequence[Row]) -> Answer:
        if tenant.calls and len(tenant.have) >= n - len(bad):
            tenant.bad = set()
        return tenant(part)

    outcomes, _ = resolve(items, send)

    assert all(isinstance(outcome, (Delivered, Unchanged)) for outcome in outcomes.values())
    assert sorted(outcomes) == list(range(n))


@given(
    n=st.integers(1, 200),
    seed=st.randoms(use_true_random=False),
    p=st.integers(1, 5),
    style=st.sampled_from(STYLES),
)
@settings(max_examples=150, deadline=None)
def test_a_lasting_duplicate_is_refused_and_costs_one_call_more(
    n: int, seed: Any, p: int, style: str
) -> None:
    items = batch(n)
    bad = {item.external_id for item in seed.sample(items, min(p, n))}
    tenant = Tenant(bad, style)
    tenant.message = "externalId duplicated"

    outcomes, _ = resolve(items, tenant)

    check(outcomes, items, tenant)
    assert tenant.calls <= 2 * len(bad) * (ceil(log2(n)) if n > 1 else 0) + 1 + 3 * len(bad)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("p", [1, 25])
def test_finding_bad_ones_among_5000_stays_within_the_bound(style: str, p: int, echo: bool) -> None:
    items = batch(5000)
    tenant = Tenant({items[i * 197 + 61].external_id for i in range(p)}, style, echo=echo)

    outcomes, _ = resolve(items, tenant)

    check(outcomes, items, tenant)
    assert tenant.calls <= 2 * p * 13 + 1
    assert max(count for name, count in tenant.sent.items() if name not in tenant.bad) <= 15


#: What a proxy or a server says of a request whatever it carries.
OF_THE_REQUEST = (402, 404, 405, 406, 407, 410, 411, 414, 417, 421, 426, 428, 431)
WHOLE: list[tuple[int, dict[str, str], bytes, str, float | None]] = [
    (429, {"retry-after": "7"}, b"", "rate_limited", 7.0),
    (429, {}, b"slow down", "rate_limited", None),
    (503, {"Retry-After": "3"}, b"<html>", "unavailable", 3.0),
    (500, {}, b"", "unavailable", None),
    (401, {}, b"", "blocked", None),
    (403, {}, b"forbidden", "blocked", None),
    (403, {}, b'{"created":0,"permissionErrors":["no","no"]}', "blocked", None),
    *((status, {}, b"", "blocked", None) for status in OF_THE_REQUEST),
    (421, {}, b'{"message":"no such host"}', "blocked", None),
    (200, {}, b"", "unavailable", None),
    (200, {}, b'"ok"', "unavailable", None),
    (200, {}, b"<html></html>", "unavailable", None),
    (200, {}, b'{"created":1,"insertsKeys":[{"_id', "unavailable", None),
    (206, {}, b"[1,2]", "unavailable", None),
]


@pytest.mark.parametrize(("status", "headers", "body", "kind", "retry_after_s"), WHOLE)
def test_a_failure_of_the_whole_call_postpones_all_and_blames_none(
    status: int, headers: dict[str, str], body: bytes, kind: str, retry_after_s: float | None
) -> None:
    outcomes, resolution = resolve(batch(2), lambda items: read_report(status, headers, body, now_s=0))

    assert all(isinstance(outcome, Postponed) for outcome in outcomes.values())
    assert len(outcomes) == 2
    assert resolution.hold is not None
    assert (resolution.hold.kind, resolution.hold.retry_after_s) == (kind, retry_after_s)
    assert resolution.calls == 1


@given(n=st.integers(2, 200), fail_at=st.integers(1, 8), seed=st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_an_outage_in_the_middle_keeps_what_is_settled_and_postpones_the_rest(
    n: int, fail_at: int, seed: Any
) -> None:
    items = batch(n)
    tenant = Tenant({seed.choice(items).external_id}, "400")

    def send(part: Sequence[Row]) -> Answer:
        return Unavailable(None, "gone") if tenant.calls >= fail_at else tenant(part)

    outcomes, resolution = resolve(items, send)

    assert sorted(outcomes) == list(range(n))
    for position, outcome in outcomes.items():
        if isinstance(outcome, Delivered):
            assert items[position].external_id in tenant.have
        if items[position].external_id not in tenant.bad:
            assert not isinstance(outcome, Refused)
    assert (resolution.hold is None) == all(not isinstance(o, Postponed) for o in outcomes.values())


@given(count=st.integers(1, 200), limit=st.integers(10, 2_000))
def test_a_body_limit_costs_few_calls_and_what_failed_is_not_sent_again(count: int, limit: int) -> None:
    items = [Row(f"x-{i}", b"x" * 10) for i in range(count)]
    sizes: list[int] = []
    refused: list[int] = []

    def send(sent: Sequence[Row]) -> Answer:
        size = sum(len(item.body) for item in sent)
        sizes.append(size)
        if size > limit:
            refused.append(size)
            return read_report(413, {}, b"", now_s=0)
        return read_report(200, {}, orjson.dumps({"created": len(sent), "updated": 0}), now_s=0)

    outcomes, _ = resolve(items, send)

    assert all(isinstance(outcome, Delivered) for outcome in outcomes.values())
    assert sum(sizes) - sum(refused) == 10 * count, "each item is taken once"
    assert refused == sorted(set(refused), reverse=True), "each refusal is of less than the one before"
    assert len(sizes) - len(refused) <= 4 * ceil(10 * count / limit)


def test_an_item_too_large_alone_is_refused_with_its_size_and_the_others_go() -> None:
    items = [Row("a-1", b"x" * 10), Row("b-2", b"x" * 900), Row("c-3", b"x" * 10)]

    def send(part: Sequence[Row]) -> Answer:
        if sum(len(item.body) for item in part) > 500:
            return read_report(413, {}, b"", now_s=0)
        return read_report(200, {}, b'{"created":%d}' % len(part), now_s=0)

    outcomes, resolution = resolve(items, send)

    assert isinstance(outcomes[0], Delivered)
    assert isinstance(outcomes[2], Delivered)
    assert outcomes[1] == Refused("too large for Planhat alone: 900 bytes", "413", too_large=True)
    assert resolution.too_large


def test_an_unchanged_item_that_appears_only_as_a_count_is_unchanged() -> None:
    body = b'{"created":1,"updated":1,"nonupdates":1,"insertsKeys":[{"_id":"n","externalId":"a-1"}],"updatesKeys":[{"_id":"u2"}],"modified":["u2"],"upsertedIds":["n"]}'
    items = [Row("a-1", b""), Row("b-2", b"", "u2"), Row("c-3", b"", "u3")]

    outcomes, resolution = resolve(items, lambda part: read_report(200, {}, body, now_s=0))

    assert outcomes == {0: Delivered("n", True), 1: Delivered("u2", False), 2: Unchanged()}
    assert resolution.calls == 1


def test_an_item_that_planhat_drops_in_silence_is_not_called_delivered() -> None:
    items = batch(8)

    def send(part: Sequence[Row]) -> Answer:
        taken = [item for item in part if item.external_id != items[5].external_id]
        return read_report(200, {}, orjson.dumps({"created": 0, "nonupdates": len(taken)}), now_s=0)

    outcomes, _ = resolve(items, send)

    assert isinstance(outcomes[5], Refused)
    assert sum(isinstance(o, Unchanged) for o in outcomes.values()) == 7


def test_a_permission_missing_for_one_item_is_its_verdict_once_others_went_through() -> None:
    items = batch(4)
    tenant = Tenant({items[2].external_id}, "string", echo=False, status=403)

    def send(part: Sequence[Row]) -> Answer:
        tenant(part)
        bad = [item for item in part if item.external_id in tenant.bad]
        body = {"created": len(part) - len(bad), "permissionErrors": ["no permission"] * len(bad)}
        return read_report(403 if bad else 200, {}, orjson.dumps(body), now_s=0)

    outcomes, resolution = resolve(items, send)

    assert resolution.hold is None
    assert isinstance(outcomes[2], Refused)
    assert isinstance(outcomes[3], Delivered)


def test_a_stop_hands_back_what_is_not_settled() -> None:
    items = batch(64)
    tenant = Tenant({items[7].external_id}, "400")
    resolution = Resolution(items, tenant, stop=lambda: tenant.calls >= 3)
    outcomes: dict[int, Outcome] = {}
    for news in resolution.run():
        outcomes.update(news)

    assert sorted(outcomes) == list(range(64))
    assert tenant.calls == 3
    assert {type(outcome) for outcome in outcomes.values()} <= {Postponed, Delivered, Unchanged}
    assert all(o.hold is None for o in outcomes.values() if isinstance(o, Postponed))


@given(
    count=st.integers(1, 6),
    names=st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=8),
    unchanged=st.integers(0, 3),
    bad=st.integers(0, 1),
)
def test_plain_keys_say_the_same_as_any_others(
    count: int, names: list[tuple[int, bool]], unchanged: int, bad: int
) -> None:
    """What the short way decides is what the long way decides, which every key takes that has more than an `_id` and an
    externalId; also where a name is said twice, or is none of ours."""

    def decide(more: dict[str, None]) -> tuple[dict[int, Outcome], int]:
        def answer(items: Sequence[Row]) -> Answer:
            keys = [
                [
                    {"_id": f"i{n}", "externalId": f"slack-C1-{n}.5", **more}
                    for n, new in names
                    if new is wanted
                ]
                for wanted in (True, False)
            ]
            envelope = {
                "created": len(keys[0]), "insertsKeys": keys[0],
                "updated": len(keys[1]), "updatesKeys": keys[1],
                "nonupdates": unchanged, "createdErrors": ["no"] * bad,
            }  # fmt: skip
            return read_report(200, {}, orjson.dumps(envelope), now_s=0)

        outcomes, resolution = resolve(batch(count), answer)
        return dict(outcomes), resolution.calls

    assert decide({}) == decide({"sourceId": None})
