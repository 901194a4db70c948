"""What depends on the keys of an object alone, found once for all objects with the same keys: a sender's payloads have few shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

#: So many shapes are remembered; then all are forgotten, and those that come are found again.
_MOST_SHAPES: Final = 1_024
#: A larger object is looked at each time: a stranger's keys are not kept.
_MOST_KEYS: Final = 64
_MOST_CHARS: Final = 2_000

_T = TypeVar("_T")


class ByKeys(Generic[_T]):
    """Remembers `make(keys)`. `of(value)` is that of an object's keys, in their order. At most some megabytes."""

    def __init__(self, make: Callable[[tuple[Any, ...]], _T]) -> None:
        self._make = make
        self._made: dict[tuple[Any, ...], _T] = {}

    def of(self, value: Mapping[Any, Any]) -> _T:
        keys = tuple(value)
        found = self._made.get(keys)
        if found is None:
            found = self._make(keys)
            if len(keys) <= _MOST_KEYS and sum([len(str(key)) for key in keys]) <= _MOST_CHARS:
                if len(self._made) >= _MOST_SHAPES:
                    self._made.clear()
                self._made[keys] = found
        return found
