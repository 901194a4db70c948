"""Custom fields that are written, beside those that the tenant has. What is not defined is stored, read back, and shown to
nobody: Planhat answers 200 and its app has no place for it.

Source: Planhat, page on custom fields (`parent`, `name`, `type`); that undefined ones are invisible, and that case counts:
public notes of a team that uses Planhat, REST, 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from relay.planhat.fields import ISO_DATE

FieldKind = Literal["text", "number", "checkbox", "date", "url", "list"]
"""What a rule writes, as far as can be told without an event."""

_PARENTS: Final = frozenset({"conversation", "conversations"})
_TEXTS: Final = frozenset({"text", "rich text", "list", "phone", "email", "url"})
_NUMBERS: Final = frozenset({"number", "rating"})
_DATES: Final = frozenset({"date", "day"})
_LISTS: Final = frozenset({"multipicklist", "team members", "endusers"})
_ID: Final = re.compile(r"[0-9a-fA-F]{24}")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_SUGGESTED: Final[Mapping[FieldKind, str]] = {
    "text": "text",
    "number": "number",
    "checkbox": "checkbox",
    "date": "date",
    "url": "url",
    "list": "multipicklist",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One custom field that Planhat will not show as it is meant. `undefined`: nobody sees it at all."""

    name: str
    what: str
    do: str
    undefined: bool = True


def read_definitions(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Give the custom fields of conversations, name -> type, out of the tenant's list."""
    return {
        str(row["name"]): str(row.get("type") or "").lower()
        for row in rows
        if isinstance(row.get("name"), str) and str(row.get("parent", "")).lower() in _PARENTS
    }


def compare_fields(written: Mapping[str, FieldKind | None], definitions: Mapping[str, str]) -> list[Finding]:
    """Give what is wrong with the custom fields that are written, in the order of their names. Kind None: nobody knows."""
    by_case = {name.casefold(): name for name in definitions}
    found: list[Finding] = []
    for name, kind in sorted(written.items()):
        type_ = definitions.get(name)
        if type_ is not None:
            if kind is not None and not _may_hold(type_, kind):
                found.append(
                    Finding(
                        name,
                        f"is of type {type_} in Planhat, and gets a {kind}",
                        f"write a {type_}, or change its type",
                        False,
                    )
                )
        elif name.casefold() in by_case:
            own = by_case[name.casefold()]
            found.append(Finding(name, f"is called {own!r} in Planhat: case counts", f"write it as {own!r}"))
        else:
            found.append(
                Finding(
                    name, "is not defined in Planhat: it is stored, and shown to nobody", creation(name, kind)
                )
            )
    return found


def creation(name: str, kind: FieldKind | None = None) -> str:
    """Say what to create so that a field is seen."""
    return f"create a custom field of conversations in Planhat that is called exactly {name!r}, type {_SUGGESTED[kind or 'text']}"


def kind_of(value: Any) -> FieldKind:
    """Give what kind of value this is."""
    if isinstance(value, bool):
        return "checkbox"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, (list, tuple)):
        return "list"
    if isinstance(value, str) and ISO_DATE.fullmatch(value):
        return "date"
    return "url" if isinstance(value, str) and value.startswith(("https://", "http://")) else "text"


def misfit(type_: str, value: Any) -> str:
    """Say why a value cannot stand in a field of that type; "" where it can, or where nobody knows."""
    if type_ in _TEXTS and not isinstance(value, (list, tuple)):
        # Nearly always. A text takes whatever is no list: of which kind it is need not be found out.
        return ""
    kind = kind_of(value)
    if type_ in _NUMBERS and isinstance(value, str) and _NUMBER.fullmatch(value):
        return ""
    if type_ in _LISTS | {"team member", "enduser"} and type_ != "multipicklist":
        people = value if isinstance(value, (list, tuple)) else [value]
        return (
            ""
            if all(isinstance(one, str) and _ID.fullmatch(one) for one in people)
            else f"is of type {type_} and got no id"
        )
    return "" if _may_hold(type_, kind) else f"is of type {type_} and got a {kind}"


def _may_hold(type_: str, kind: FieldKind) -> bool:
    if type_ in _NUMBERS:
        return kind == "number"
    if type_ == "checkbox":
        return kind == "checkbox"
    if type_ in _DATES:
        return kind in ("date", "number")
    if type_ in _LISTS:
        return kind in ("list", "text")
    return kind != "list" if type_ in _TEXTS else True
