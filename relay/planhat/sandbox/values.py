"""What the sandbox takes of a conversation, value by value. Fast for what is plainly good; the rest is looked at closely."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from relay.planhat.fields import EXTRAS, FIELDS, ISO_DATE, RESERVED_TYPES, Field, value_fault
from relay.planhat.sandbox.behaviour import Behaviour
from relay.planhat.sandbox.identity import OBJECT_ID, is_object_id

SETTABLE: Final[Mapping[str, Field]] = {
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
    # The company is taken apart from the rest, being resolved first.
    name: _PYTHON_TYPES[field.type]
    for name, field in SETTABLE.items()
    if name not in ("companyId", "companyExternalId")
}
_DATES: Final = frozenset(name for name, field in SETTABLE.items() if field.date)
_DAYS: Final = frozenset({"startDate", "endDate"})
"""Dates that Planhat keeps by the day: a plain one will do."""
_CANONICAL_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", re.ASCII)
_PLAIN_DATE_CHARS: Final = 10
_DOTTED: Final = "custom."


class ItemRefused(Exception):
    """Planhat's verdict on one item, in a sentence."""


class CallRefused(Exception):
    """Planhat's verdict on a whole request, in a sentence."""


def _given(value: Any) -> bool:
    return value is not None


def _good_date(value: Any) -> bool:
    return _CANONICAL_DATE.fullmatch(value) is not None


def _good_references(value: Any) -> bool:
    return all(
        type(item) is dict and type(item.get("id")) is str and OBJECT_ID.fullmatch(item["id"]) is not None
        for item in value
    )


def _good_strings(value: Any) -> bool:
    return all(type(item) is str for item in value)


def _good_object(value: Any) -> bool:
    return not any(type(inner) in (dict, list) for inner in value.values())


# A bulk upsert has microseconds for a value: most are plainly good, and only the others are looked at closely.
_GOOD: Final[Mapping[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(_DATES, _good_date),
    "users": _good_references,
    "endusers": _good_references,
    "activityTags": _good_strings,
    "custom": _good_object,
    "ownerId": is_object_id,
}


class Taker:
    """Takes the values of one conversation after another, as one `Behaviour` has it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._refuse_reserved = behaviour.reserved == "refuse"
        self._refuse_ids = behaviour.foreign_id == "refuse"
        self._drop_tags = behaviour.free_tag == "drop"

    def take(
        self, item: Mapping[str, Any], known: Mapping[str, Any], date_fields: Iterable[str], *, creating: bool
    ) -> dict[str, Any]:
        """Take what of an item may differ from what is known, each value as it is kept; `custom` as a whole.

        Generated and unknown properties are left out in silence. `date_fields`: custom fields that hold a date.
        Raises ItemRefused.
        """
        taken: dict[str, Any] = {}
        dotted: dict[str, Any] = {}
        for name, value in item.items():
            kind = _SETTABLE_TYPES.get(name)
            if kind is None:
                if name.startswith(_DOTTED):
                    dotted[name[len(_DOTTED) :]] = value
                continue
            if value is not None:
                if known.get(name) == value:
                    continue
                good = _GOOD.get(name)
                if type(value) is not kind or (good is not None and not good(value)):
                    value = self._mended(name, value, creating)  # noqa: PLW2901
                elif name == "type" and value in RESERVED_TYPES and self._refuse_reserved:
                    raise ItemRefused(f"type {value} is reserved")
                elif name == "activityTags" and self._drop_tags:
                    value = list(filter(is_object_id, item[name]))  # noqa: PLW2901
            taken[name] = value
        if dotted or taken.get("custom") is not None:
            given = taken.get("custom") or {}
            taken["custom"] = merge_custom(
                known.get("custom"), {**given, **dotted} if dotted else given, date_fields
            )
        return taken

    def _mended(self, name: str, value: Any, creating: bool) -> Any:
        """What Planhat makes of a value that is not plainly good. Raises ItemRefused when it takes none of it."""
        if name in ("users", "endusers") and isinstance(value, list):
            return self._people(name, value)
        if name == "activityTags" and isinstance(value, list):
            wanted = is_object_id if self._drop_tags else _given
            value = [tag for tag in value if wanted(tag)]
        fault = value_fault(SETTABLE[name], value)
        if fault is not None:
            raise ItemRefused(f"{name} {fault}")
        if name == "ownerId" and not is_object_id(value):
            if self._refuse_ids:
                raise ItemRefused("ownerId must be an object id")
            return None
        return _date(name, value, creating) if name in _DATES else value

    def _people(self, name: str, value: list[Any]) -> list[dict[str, Any]]:
        """People who can be told apart; whoever is given without an object id is left out, or refuses the item."""
        people = []
        for person in value:
            key = person.get("id") or person.get("_id") if isinstance(person, Mapping) else None
            if is_object_id(key):
                people.append({**person, "id": key})
            elif self._refuse_ids:
                raise ItemRefused(f"{name} must be a list of objects with an id of Planhat's")
        return people


def _date(name: str, value: str, creating: bool) -> str:
    if not ISO_DATE.fullmatch(value):
        raise ItemRefused(f"{name} must be an ISO 8601 date")
    if len(value) == _PLAIN_DATE_CHARS and name in _DAYS:
        return value
    if len(value) == _PLAIN_DATE_CHARS and creating:
        raise ItemRefused(
            f"{name}: a date without a time is refused on create; 2021-07-29T15:29:34.330Z works"
        )
    try:
        at = datetime.fromisoformat(value)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ItemRefused(f"{name} must be an ISO 8601 date") from error
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def merge_custom(
    known: Mapping[str, Any] | None, given: Mapping[str, Any], date_fields: Iterable[str] = ()
) -> dict[str, Any]:
    """Merge custom values key by key: what is left out stays, null is kept as null, so `{}` changes nothing.

    On a field that holds a date, an empty string is ignored.
    """
    if "" in given.values() and date_fields:
        given = {name: value for name, value in given.items() if value != "" or name not in date_fields}
    return {**known, **given} if known else dict(given)


def check_custom_names(items: Iterable[Any]) -> None:
    """Raise CallRefused when one record is given two custom names that differ in nothing but case."""
    for item in items:
        if type(item) is dict:
            custom = item.get("custom")
            nested = tuple(custom) if type(custom) is dict else ()
            if _case_clash(nested + _dotted_names(tuple(item))):
                raise CallRefused(_CASE_CLASH)


_CASE_CLASH: Final = "custom: two names differ in nothing but case"


# The items of a request look alike: a few combinations of names come again and again.
@lru_cache(maxsize=4096)
def _dotted_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name[len(_DOTTED) :] for name in names if name.startswith(_DOTTED))


@lru_cache(maxsize=4096)
def _case_clash(names: tuple[str, ...]) -> bool:
    distinct = set(names)
    return len({name.casefold() for name in distinct}) < len(distinct)
