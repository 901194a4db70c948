"""An object of a sender's JSON under bare names: without case, "_" and "-", so that `ticket_id`, `ticketId` and `Ticket-Id` are one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from relay.sources.read.by_keys import ByKeys

#: A longer key is no name that anybody looks for.
_MAX_KEY_CHARS: Final = 40


class Names(tuple[str, ...]):
    """Names of one thing, the likeliest first: `Names("subject title", "summary")`. Equal only to itself: what an object has of them is
    remembered under it."""

    __slots__ = ()

    def __new__(cls, *words: str) -> Names:
        return super().__new__(cls, " ".join(words).split())

    __hash__ = object.__hash__
    __eq__ = object.__eq__


@lru_cache(maxsize=4096)
def _bare(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


class _Shape(dict[Collection[str], Sequence[str]]):
    """Which of some names an object has, in the order of the names: `shape[names]`. Found when it is first asked for. `key_of` has the
    key of each name; `bare` tells that they are the same."""

    def __init__(self, keys: tuple[Any, ...]) -> None:
        super().__init__()
        self.key_of = {
            _bare(key): key for key in reversed(keys) if isinstance(key, str) and len(key) <= _MAX_KEY_CHARS
        }
        self.bare = len(self.key_of) == len(keys) and all(name == key for name, key in self.key_of.items())

    def __missing__(self, names: Collection[str]) -> Sequence[str]:
        held = self[names] = tuple(name for name in names if name in self.key_of)
        return held


_SHAPES: Final = ByKeys(_Shape)


class Place(dict[str, Any]):
    """An object under bare names; of two keys that become one name, the first counts. It is not changed: its shape would not hold."""

    __slots__ = ("shape",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        shape = self.shape = _SHAPES.of(value)
        super().__init__(value if shape.bare else {name: value[key] for name, key in shape.key_of.items()})


#: An object without a key.
NOTHING: Final = Place({})


def held(place: Mapping[str, Any], names: Collection[str]) -> Collection[str]:
    """Return the names that are to be looked for: those that a `Place` has, all of them for another mapping."""
    return place.shape[names] if place.__class__ is Place else names


def under(value: Mapping[str, Any], names: Collection[str]) -> list[Any]:
    """Return what an object holds under any of these bare names, in their order."""
    shape = _SHAPES.of(value)
    return [value[shape.key_of[name]] for name in shape[names]]
