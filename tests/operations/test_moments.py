"""Moments as people write them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.operations.moments import iso, names_a_clock, parse_moment

BERLIN = ZoneInfo("Europe/Berlin")
#: The night in which Berlin's clocks go back: 2026-10-25, 13:30 UTC.
NOW = int(datetime(2026, 10, 25, 13, 30, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "utc", "berlin"),
    [
        ("14:05", "2026-10-24T14:05:00", "2026-10-25T13:05:00"),
        ("13:05", "2026-10-25T13:05:00", "2026-10-25T12:05:00"),
        ("today", "2026-10-25T00:00:00", "2026-10-24T22:00:00"),
        ("Today 9:00", "2026-10-25T09:00:00", "2026-10-25T08:00:00"),
        ("yesterday", "2026-10-24T00:00:00", "2026-10-23T22:00:00"),
        ("yesterday 23:59:59", "2026-10-24T23:59:59", "2026-10-24T21:59:59"),
        ("2026-10-25", "2026-10-25T00:00:00", "2026-10-24T22:00:00"),
        ("2026-10-25 12:00", "2026-10-25T12:00:00", "2026-10-25T11:00:00"),
        ("2026-10-25T12:00:00Z", "2026-10-25T12:00:00", "2026-10-25T12:00:00"),
        ("90m", "2026-10-25T12:00:00", "2026-10-25T12:00:00"),
        ("1d 1h30m ago", "2026-10-24T12:00:00", "2026-10-24T12:00:00"),
        ("1 hour ago", "2026-10-25T12:30:00", "2026-10-25T12:30:00"),
        ("2 days 30 minutes", "2026-10-23T13:00:00", "2026-10-23T13:00:00"),
        ("10am", "2026-10-25T10:00:00", "2026-10-25T09:00:00"),
        ("2:05 pm", "2026-10-24T14:05:00", "2026-10-25T13:05:00"),
        ("yesterday at 12am", "2026-10-24T00:00:00", "2026-10-23T22:00:00"),
        ("sunday", "2026-10-25T00:00:00", "2026-10-24T22:00:00"),
        ("last Friday 9:00", "2026-10-23T09:00:00", "2026-10-23T07:00:00"),
        ("sun 14:00", "2026-10-18T14:00:00", "2026-10-25T13:00:00"),
    ],
)
def test_times_as_people_write_them(text: str, utc: str, berlin: str) -> None:
    assert iso(parse_moment(text, NOW)) == f"{utc}.000Z"
    assert iso(parse_moment(text, NOW, BERLIN)) == f"{berlin}.000Z"


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    os.environ.pop("TZ")
    time.tzset()


def test_without_a_zone_it_is_this_machines_clock(in_berlin: None) -> None:
    for text in ("14:05", "yesterday", "2026-10-25 12:00", "2026-10-25T12:00:00Z", "2h"):
        assert parse_moment(text, NOW, None) == parse_moment(text, NOW, BERLIN)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "tomorrow",
        "25:00",
        "14:60",
        "2x",
        "h",
        "yesterday at noon",
        "-2h",
        "1h:30",
        "99999-01-01",
        "٣h",
        "13pm",
        "0am",
        "10",
        "monday 10",
        "last yesterday",
        "5 months",
    ],
)
def test_what_is_no_time_is_said_with_what_would_be(wrong: str) -> None:
    with pytest.raises(ValueError, match="is no time: write 2h"):
        parse_moment(wrong, NOW)


@given(st.text(max_size=60))
def test_any_text_is_a_moment_or_a_sentence(text: str) -> None:
    try:
        said = str(parse_moment(text, NOW))
    except ValueError as error:
        said = str(error)
    assert said.isdigit() or "is no time" in said
    assert names_a_clock(text) in (True, False)


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("14:05", True),
        ("yesterday", True),
        ("monday 9am", True),
        ("3 days ago", False),
        ("2026-01-01", True),
        ("2026-01-01T00:00:00Z", False),
        ("2h", False),
        ("now", False),
    ],
)
def test_which_ones_depend_on_whose_clock(text: str, clock: bool) -> None:
    assert names_a_clock(text) is clock
