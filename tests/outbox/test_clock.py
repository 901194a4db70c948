"""Redis's clock, reckoned: never ahead of Redis, hardly behind, seldom asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.outbox.clock import TRUSTED_S, Clock


class Time:
    """Redis's clock and ours, `ahead_ms` apart; an answer takes `slow_s`."""

    def __init__(self, ahead_ms: int = 1_800_000_000_000, slow_s: float = 0.0) -> None:
        self.now_s = 5.0
        self.ahead_ms = ahead_ms
        self.slow_s = slow_s
        self.asked = 0

    def redis_ms(self) -> int:
        return self.ahead_ms + int(self.now_s * 1000)

    def ask(self) -> int:
        self.asked += 1
        said = self.redis_ms()
        self.now_s += self.slow_s
        return said

    def clock(self) -> Clock:
        return Clock(self.ask, monotonic=lambda: self.now_s)


def test_redis_is_asked_once_a_second_at_most() -> None:
    time = Time()
    clock = time.clock()
    for _ in range(1_000):
        assert abs(clock.now_ms() - time.redis_ms()) <= 1
        time.now_s += 0.01
    assert 9 <= time.asked <= 11


def test_what_an_answer_says_saves_the_asking() -> None:
    time = Time()
    clock = time.clock()
    for _ in range(1_000):
        clock.heard(time.redis_ms())
        time.now_s += 0.01
        clock.now_ms()
    assert time.asked == 0


@given(
    slow_s=st.floats(0, 0.5),
    steps=st.lists(st.tuples(st.floats(0.001, 3.0), st.floats(0, 0.2), st.booleans()), max_size=40),
)
def test_it_is_never_ahead_and_as_far_behind_as_an_answer_took(
    slow_s: float, steps: list[tuple[float, float, bool]]
) -> None:
    time = Time(slow_s=slow_s)
    clock = time.clock()
    for pause_s, late_s, heard in steps:
        time.now_s += pause_s
        if heard:
            said = time.redis_ms()
            time.now_s += late_s
            clock.heard(said)
        now_ms = clock.now_ms()
        assert time.redis_ms() - 1000 * max(slow_s, 0.2) - 2 <= now_ms <= time.redis_ms() + 1


def test_a_clock_that_was_set_is_followed_within_a_second() -> None:
    time = Time()
    clock = time.clock()
    clock.now_ms()
    time.ahead_ms -= 3_600_000
    time.now_s += TRUSTED_S + 0.01
    assert abs(clock.now_ms() - time.redis_ms()) <= 1
