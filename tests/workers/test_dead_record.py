"""A dead letter's cause groups and is safe to show: no id, number, address or word of the conversation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.planhat.fields import EXTRAS, FIELDS
from workers.flush.dead_record import cause_of

NAMES = {name.casefold() for name in (*FIELDS, *EXTRAS)} | {
    "duplicated",
    "duplicate",
    "permission",
    "validation",
    "property",
}
#: Words of a conversation, but for Planhat's own names of properties: those may stand.
WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=8, max_size=14).filter(
    lambda word: not any(word in name or name in word for name in NAMES)
)


@given(
    secret=WORDS, before=st.sampled_from(["companyId must be a string", "invalid value for", "unknown type"])
)
def test_no_word_of_the_conversation_stands_in_a_cause(secret: str, before: str) -> None:
    payload = {
        "subject": f"about {secret}",
        "endusers": [{"name": secret.title()}],
        "custom": {"Note": secret},
    }

    cause = cause_of(f"{before} {secret} / {secret.upper()}", payload)

    assert secret not in cause.casefold()
    assert cause.startswith(before.split(maxsplit=1)[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("companyId 5f0a9b8c7d6e not found", "companyId 6a0b9b8c7d6e not found"),
        ('value "Ann" of type is invalid', 'value "Bob" of type is invalid'),
        ("slack-C1-1.5: duplicated", "slack-C2-7.5: duplicated"),
        ("mail ann@example.com unknown", "mail bob@example.org unknown"),
        ("<b>12</b> too long", "<i>999</i> too long"),
    ],
)
def test_what_differs_by_ids_and_values_only_is_one_cause(one: str, other: str) -> None:
    assert cause_of(one, {}) == cause_of(other, {})


def test_an_empty_complaint_has_a_cause_all_the_same() -> None:
    assert cause_of("", {}) == "no reason given"
