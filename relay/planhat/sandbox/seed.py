"""What a tenant is to begin with, beside the standard one: read from a file, from a request, or from a relay's config.

    types: [Slack thread, Training]             # the tenant's own conversation types
    companies:
      - extid-acme                              # in short: also srcid-..., an _id, or a name
      - {externalId: globex, name: Globex, domains: [globex.example]}
    people:                                     # endusers of the company that is named or has the address's domain,
      - {email: ada@globex.example, name: Ada}  # otherwise users: our own team
      - {email: sam@ourteam.example, firstName: Sam}
    custom_fields:                              # in short: a text field of conversations
      - Channel
      - {name: Due, type: date, parent: conversation}
    activity_tags: [Renewal]

`endusers` and `users` say which they are. Each may be left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from relay.errors import UserError
from relay.planhat.sandbox.identity import is_object_id
from relay.planhat.sandbox.listing import Row


class SeedInvalid(UserError):
    """A seed that cannot be: names the key and what would be right."""


@dataclass(frozen=True, slots=True)
class Seed:
    """`types`: None when the seed does not speak of them. `rows`: rows by model; `people` are endusers or users."""

    types: tuple[str, ...] | None = None
    rows: Mapping[str, list[Row]] = field(default_factory=dict)


def read_seed(given: Any) -> Seed:
    """Read a seed as parsed from YAML or JSON. Raises SeedInvalid."""
    if not isinstance(given, Mapping):
        raise SeedInvalid("a seed should be an object with some of: " + ", ".join(_KEYS))
    types = None
    rows: dict[str, list[Row]] = {}
    for name, listed in given.items():
        if name not in _KEYS:
            raise SeedInvalid(f"{name}: no such table; there are {', '.join(_KEYS)}")
        if not isinstance(listed, (list, tuple)):
            raise SeedInvalid(f"{name}: should be a list")
        if name == "types":
            if not all(isinstance(item, str) and item for item in listed):
                raise SeedInvalid("types: should be a list of names")
            types = tuple(listed)
            continue
        model, in_full = _KEYS[name]
        rows.setdefault(model, []).extend(_row(name, item, in_full) for item in listed)
    return Seed(types, rows)


def read_seed_file(path: str | os.PathLike[str]) -> Seed:
    """Read a seed from a YAML or JSON file. Raises SeedInvalid."""
    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SeedInvalid(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise SeedInvalid(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    try:
        return read_seed({} if given is None else given)
    except SeedInvalid as error:
        raise SeedInvalid(f"{path}: {error}") from error


def _row(name: str, item: Any, in_full: Callable[[Row], Row]) -> Row:
    if isinstance(item, str) and item:
        return in_full({"": item})
    if isinstance(item, Mapping) and all(isinstance(key, str) for key in item):
        return in_full(dict(item))
    raise SeedInvalid(f"{name}: should be a list of objects or names")


def _company(row: Row) -> Row:
    short = row.pop("", "")
    if short.startswith("extid-"):
        row = {"externalId": short[6:]}
    elif short.startswith("srcid-"):
        row = {"sourceId": short[6:]}
    elif short:
        row = {"_id": short} if is_object_id(short) else {"externalId": short}
    name = next((row[key] for key in ("name", "externalId", "sourceId", "_id") if row.get(key)), "")
    return {**row, "name": name}


def _person(row: Row) -> Row:
    short = row.pop("", "")
    company = row.pop("company", None)
    more = {"companyId": company} if company else {}
    return {**({"email": short} if short else row), **more}


def _field(row: Row) -> Row:
    short = row.pop("", "")
    return {"parent": "conversation", "type": "text", **({"name": short} if short else row)}


def _tag(row: Row) -> Row:
    short = row.pop("", "")
    return {"name": short} if short else row


_KEYS: Final[Mapping[str, tuple[str, Callable[[Row], Row]]]] = {
    "types": ("types", dict),
    "companies": ("companies", _company),
    "people": ("people", _person),
    "endusers": ("endusers", _person),
    "users": ("users", _person),
    "custom_fields": ("customfields", _field),
    "activity_tags": ("activitytags", _tag),
}
