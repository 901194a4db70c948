"""Names of custom fields that differ in nothing but case: Planhat refuses a request that gives a record both.

Source: public notes of a team that uses Planhat, REST, 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1024)
def differ_in_case_alone(names: tuple[str, ...]) -> bool:
    """Tell whether two of these names do. Remembered: the conversations of one rule have the same names."""
    return len({name.casefold() for name in names}) < len(names)


def clashes(names: Iterable[str]) -> list[tuple[str, str]]:
    """Give each name with the one before it that differs from it in case alone."""
    first: dict[str, str] = {}
    found = []
    for name in names:
        other = first.setdefault(name.casefold(), name)
        if other != name:
            found.append((other, name))
    return found


def newest_of_each_case(custom: Mapping[str, Any], stamp: Callable[[str], Any]) -> dict[str, Any]:
    """Give the fields without those whose name is another's in a different case, and whose `stamp` is not the greatest."""
    kept: dict[str, str] = {}
    for name in custom:
        other = kept.get(name.casefold())
        if other is None or (stamp(name), name) > (stamp(other), other):
            kept[name.casefold()] = name
    names = set(kept.values())
    return {name: value for name, value in custom.items() if name in names}
