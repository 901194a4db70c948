"""Questions to Redis that can be put together: what is read of many lanes takes the round trips of one.

A reading is a generator. It yields what puts its commands into a pipeline, is sent their answers, and returns what it made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias, TypeVar

import redis

from relay.outbox.scripts import reaching_redis

T = TypeVar("T")

#: Puts commands into a pipeline.
Queue: TypeAlias = Callable[[Any], object]
Reading: TypeAlias = Generator[Queue, list[Any], T]


class Rounds:
    """Readings under way, each at its own question. `found`: place -> what a reading returned, or the error that ended it."""

    def __init__(self, readings: Sequence[Reading[Any]]) -> None:
        self._readings = readings
        self._asks: dict[int, Queue] = {}
        self.found: dict[int, Any] = {}
        for place in range(len(readings)):
            self._advance(place, None)

    @property
    def waiting(self) -> list[int]:
        """The places of those that ask something, in their order."""
        return sorted(self._asks)

    @property
    def found_in_order(self) -> list[Any]:
        """What each returned, or the error that ended it."""
        return [self.found[place] for place in range(len(self._readings))]

    def queue(self, pipe: Any, places: Sequence[int]) -> list[int]:
        """Put the questions of these into `pipe`; how many commands each has."""
        counts = []
        for place in places:
            before = len(pipe)
            self._asks[place](pipe)
            counts.append(len(pipe) - before)
        return counts

    def answer(self, places: Sequence[int], counts: Sequence[int], answers: Sequence[Any]) -> None:
        """Give each its answers. One of which is an error ends its reading."""
        start = 0
        for place, count in zip(places, counts, strict=True):
            own = list(answers[start : start + count])
            start += count
            failed = next((one for one in own if isinstance(one, Exception)), None)
            if failed is not None:
                self.fail(place, failed)
            else:
                self._advance(place, own)

    def fail(self, place: int, error: Exception) -> None:
        """End a reading with an error."""
        self._asks.pop(place, None)
        self._readings[place].close()
        self.found[place] = error

    def _advance(self, place: int, answers: list[Any] | None) -> None:
        reading = self._readings[place]
        self._asks.pop(place, None)
        try:
            self._asks[place] = next(reading) if answers is None else reading.send(answers)
        except StopIteration as ended:
            self.found[place] = ended.value
        except Exception as error:
            # A part of it that asks by itself.
            self.found[place] = error


class _Joined:
    """The questions of several as one."""

    def __init__(self, rounds: Rounds, places: Sequence[int]) -> None:
        self._rounds = rounds
        self._places = places
        self.counts: list[int] = []

    def __call__(self, pipe: Any) -> None:
        self.counts = self._rounds.queue(pipe, self._places)


def together(*readings: Reading[Any]) -> Reading[list[Any]]:
    """Read all of these with the round trips of the longest; what each returned, in their order."""
    rounds = Rounds(readings)
    while places := rounds.waiting:
        question = _Joined(rounds, places)
        answers = yield question
        rounds.answer(places, question.counts, answers)
        # None of the others is of use then.
        for found in rounds.found.values():
            if isinstance(found, Exception):
                raise found
    return rounds.found_in_order


def read_alone(client: redis.Redis, reading: Reading[T]) -> T:
    """Read what one asks for. Raises OutboxUnavailable."""
    rounds = Rounds([reading])
    while rounds.waiting:
        with reaching_redis():
            pipe = client.pipeline(transaction=False)
            counts = rounds.queue(pipe, [0])
            answers = pipe.execute() if counts[0] else []
        rounds.answer([0], counts, answers)
    found: T = rounds.found[0]
    if isinstance(found, Exception):
        raise found
    return found
