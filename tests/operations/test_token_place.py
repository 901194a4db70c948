"""Where a token is to be mended, as warnings and alerts say it."""

from __future__ import annotations

import pytest

from relay.lane_name import token_place


@pytest.mark.parametrize(
    ("lane", "named", "place"),
    [
        ("main", False, "RELAY_PLANHAT_TOKEN"),
        ("main", True, "lanes.main.token (RELAY_PLANHAT_TOKEN where it has none)"),
        ("emea", True, "lanes.emea.token (RELAY_PLANHAT_TOKEN where it has none)"),
        ("emea", False, "lanes.emea.token (RELAY_PLANHAT_TOKEN where it has none)"),
    ],
)
def test_a_lane_called_main_among_others_has_a_token_of_its_own(lane: str, named: bool, place: str) -> None:
    assert token_place(lane, named=named) == place
