"""Which values a custom field of a type may hold, and what is not defined."""

from __future__ import annotations

from typing import Any

import pytest

from relay.planhat.custom_fields import compare_fields, kind_of, misfit, read_definitions


def test_only_the_fields_of_conversations_count() -> None:
    rows: list[dict[str, Any]] = [
        {"name": "Channel", "parent": "conversation", "type": "Text"},
        {"name": "Phase", "parent": "company", "type": "text"},
        {"name": None, "parent": "conversation"},
        {"parent": "conversation"},
    ]
    assert read_definitions(rows) == {"Channel": "text"}


@pytest.mark.parametrize(
    ("type_", "value", "fits"),
    [
        ("text", "x", True),
        ("text", 7, True),
        ("text", ["x"], False),
        ("number", 7, True),
        ("number", "7.5", True),
        ("number", "seven", False),
        ("checkbox", True, True),
        ("checkbox", "yes", False),
        ("date", "2026-01-02T03:04:05.000Z", True),
        ("date", "tomorrow", False),
        ("day", 20_455, True),
        ("list", "open", True),
        ("multipicklist", ["a", "b"], True),
        ("multipicklist", "a", True),
        ("team member", "5e0000000000000000000001", True),
        ("team member", "Ann", False),
        ("endusers", ["5e0000000000000000000001"], True),
        ("endusers", ["ann@example.com"], False),
        ("url", "https://example.com", True),
        ("a type of tomorrow", {"x": 1}, True),
    ],
)
def test_what_a_type_may_hold(type_: str, value: Any, fits: bool) -> None:
    assert (misfit(type_, value) == "") == fits


def test_a_value_that_is_not_known_yet_is_no_misfit() -> None:
    assert compare_fields({"Age": None}, {"Age": "number"}) == []
    [found] = compare_fields({"Age": "text"}, {"Age": "number"})
    assert not found.undefined
    assert kind_of("https://example.com/x") == "url"
