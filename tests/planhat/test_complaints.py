"""Whose complaint is whose, where a bulk answer names nobody."""

from __future__ import annotations

from collections import Counter
from math import ceil, log2
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.planhat.complaints import UNSORTED
from relay.planhat.outcomes import Delivered, Refused, Unchanged
from relay.planhat.resolve import resolve
from tests.planhat.test_resolve import Tenant, batch

#: Reasons of refusals that no other is a part of.
REASONS = ("phase is unknown", "the date is missing", "too long", "no such owner", "subject is empty")


@given(
    n=st.integers(1, 200),
    seed=st.randoms(use_true_random=False),
    p=st.integers(1, 40),
    kinds=st.integers(1, 5),
    style=st.sampled_from(("string", "external_id", "index", "index_from_1", "400")),
    order=st.sampled_from(("as sent", "backwards", "by reason", "shuffled")),
    echo=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_each_refused_item_has_its_own_reason(
    n: int, seed: Any, p: int, kinds: int, style: str, order: str, echo: bool
) -> None:
    """Whoever reads the letters of one batch sees as many causes as there are, however the answer lists them."""
    items = batch(n)
    bad = [item.external_id for item in seed.sample(items, min(p, n))]
    tenant = Tenant(set(bad), style, echo=echo)
    tenant.messages = {name: REASONS[seed.randrange(kinds)] for name in bad}

    def shuffled(complaints: list[Any]) -> list[Any]:
        return list(seed.sample(complaints, len(complaints)))

    tenant.arrange = {
        "backwards": lambda complaints: complaints[::-1],
        "by reason": lambda complaints: sorted(complaints, key=str),
        "shuffled": shuffled,
    }.get(order, list)

    outcomes, _ = resolve(items, tenant)

    for position, item in enumerate(items):
        outcome = outcomes[position]
        if item.external_id in tenant.bad:
            assert isinstance(outcome, Refused)
            if style != "400":
                assert outcome.message == tenant.messages[item.external_id]
        else:
            assert isinstance(outcome, (Delivered, Unchanged))
    depth = ceil(log2(n)) if n > 1 else 0
    assert tenant.calls <= 2 * len(bad) * depth + 1


@pytest.mark.parametrize("order", ["as sent", "shuffled"])
def test_a_flood_that_is_refused_for_many_reasons_costs_a_minutes_calls_at_most(order: str) -> None:
    items = batch(5000)
    tenant = Tenant({item.external_id for item in items}, "string")
    tenant.messages = {item.external_id: REASONS[n % 5] for n, item in enumerate(items)}
    if order == "shuffled":
        tenant.arrange = lambda complaints: sorted(complaints, key=lambda text: hash(text) % 7)

    outcomes, _ = resolve(items, tenant)

    assert {type(outcome) for outcome in outcomes.values()} == {Refused}
    messages = Counter(outcome.message for outcome in outcomes.values() if isinstance(outcome, Refused))
    assert set(messages) <= {*REASONS, UNSORTED}
    if order == "as sent":
        # One call more for each reason: the order of the answer is confirmed.
        assert tenant.calls == 6
        assert messages == dict.fromkeys(REASONS, 1000)
    assert tenant.calls <= 1 + 150


def test_what_differs_by_a_number_alone_is_one_reason() -> None:
    items = batch(40)
    tenant = Tenant({item.external_id for item in items}, "string")
    tenant.messages = {item.external_id: f"'x{n}' has {n + 100} characters" for n, item in enumerate(items)}
    outcomes, resolution = resolve(items, tenant)
    assert resolution.calls == 1
    assert {type(outcome) for outcome in outcomes.values()} == {Refused}


@pytest.mark.parametrize("style", ["string", "external_id", "index", "index_from_1", "400"])
def test_one_bad_item_is_found_within_the_calls_that_halving_takes(style: str) -> None:
    """Also where the answer points at its neighbour: each place in each batch up to 24."""
    for n in range(2, 25):
        for bad in range(n):
            items = batch(n)
            tenant = Tenant({items[bad].external_id}, style, echo=False)
            resolve(items, tenant)
            assert tenant.calls <= 2 * ceil(log2(n)) + 1, (n, bad)
