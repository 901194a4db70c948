"""What the sandbox takes of an item, value by value. Fast for what is plainly good; the rest is looked at closely."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from relay.planhat.fields import EXTRAS, FIELDS, ISO_DATE, RESERVED_TYPES, Field, value_fault

_SETTABLE: Final[Mapping[str, Field]] = {
    name: field for table in (FIELDS, EXTRAS) for name, field in table.items() if field.writable
}
_PYTHON_TYPES: Final[Mapping[str, type]] = {
    "string": str,
    "objectId": str,
    "boolean": bool,
    "integer": int,
    "array": list,
    "object": dict,
}
_SETTABLE_TYPES: Final[Mapping[str, type]] = {
    # companyId is taken apart from the rest, being resolved first.
    name: _PYTHON_TYPES[field.type]
    for name, field in _SETTABLE.items()
    if name != "companyId"
}


def _plain_date(value: Any) -> bool:
    return ISO_DATE.fullmatch(value) is not None


def _plain_references(value: Any) -> bool:
    return all(type(item) is dict and type(item.get("id")) is str for item in value)


def _plain_strings(value: Any) -> bool:
    return all(type(item) is str for item in value)


def _plain_object(value: Any) -> bool:
    return not any(type(inner) in (dict, list) for inner in value.values())


# A bulk upsert has microseconds for a value: most are plainly good, and only the others are looked at closely.
_PLAIN: Final[Mapping[str, Callable[[Any], bool]]] = {
    **{name: _plain_date for name, field in _SETTABLE.items() if field.date},
    "users": _plain_references,
    "endusers": _plain_references,
    "activityTags": _plain_strings,
    "custom": _plain_object,
}


class ItemRefused(Exception):
    """Planhat's verdict on one item, in a sentence."""


def take_values(
    item: Mapping[str, Any], known: Mapping[str, Any], *, refuse_reserved: bool
) -> dict[str, Any]:
    """What of an item differs from what is known, after a look at each value that does. Generated and unknown
    properties are dropped."""
    taken: dict[str, Any] = {}
    for name, value in item.items():
        kind = _SETTABLE_TYPES.get(name)
        if kind is None or (value is not None and known.get(name) == value):
            continue
        if value is not None:
            plain = _PLAIN.get(name)
            if type(value) is not kind or (plain is not None and not plain(value)):
                fault = value_fault(_SETTABLE[name], value)
                if fault is not None:
                    raise ItemRefused(f"{name} {fault}")
            if name == "type" and value in RESERVED_TYPES and refuse_reserved:
                raise ItemRefused(f"type {value} is reserved")
        taken[name] = value
    return taken
