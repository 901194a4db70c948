"""The measure of growth itself: it tells linear from quadratic, also on a machine whose speed changes by two."""

from __future__ import annotations

from random import Random

import pytest

from tests.growth import assert_in_step


@pytest.mark.parametrize("seed", range(20))
def test_it_tells_linear_from_quadratic_whatever_the_machine_does(seed: int) -> None:
    chance = Random(seed)
    speed = 1.0

    def took(seconds: float) -> float:
        nonlocal speed
        if chance.random() < 0.15:
            speed = 3.0 - speed
        return seconds * speed * chance.uniform(1.0, 1.1)

    assert_in_step(lambda size: took(size * 1e-6), 40_000)
    with pytest.raises(AssertionError):
        assert_in_step(lambda size: took(size**2 * 1e-10), 40_000)
