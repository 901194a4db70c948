"""The records of one model of Planhat's beside conversations, by every key: made, changed, found, listed, deleted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from relay.planhat.sandbox.identity import PREFIXES, seeded_id
from relay.planhat.sandbox.listing import Row, page, words
from relay.planhat.sandbox.models import Model
from relay.planhat.sandbox.values import ItemRefused, merge_custom

_KIND_NAMES: Final[Mapping[type, str]] = {
    str: "a string",
    list: "a list",
    bool: "true or false",
    int: "a number",
    dict: "an object",
}
_KNOWN_BY: Final = ("externalId", "sourceId", "email", "name", "companyId", "parent")


class Rules:
    """What Planhat makes of a model's rows beside keeping them. The base does nothing."""

    def prepare(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """Resolve what an item refers to. Raises ItemRefused."""
        return item

    def home(self, item: Mapping[str, Any]) -> str:
        """Tell the company that an item belongs to when it does not say so; empty when that cannot be told."""
        return ""

    def complete(self, row: Row) -> None:
        """Fill in what is made of the rest of a row."""

    def check(self, row: Row) -> None:
        """Check a row. Raises ItemRefused for a row that cannot stand."""

    def shown(self, row: Row) -> Row:
        """Add what is made when somebody reads."""
        return row


class Table:
    """See the module. Also the target of a bulk upsert (see `bulk.py`)."""

    def __init__(self, model: Model, rules: Rules, new_id: Callable[[], str], now: Callable[[], str]) -> None:
        self.model = model
        self._rules = rules
        self._new_id = new_id
        self._now = now
        self.clear()

    def clear(self) -> None:
        """Forget every row."""
        self.rows: dict[str, Row] = {}
        #: `_id`, `extid-...` and `srcid-...` to `_id`; of an externalId that several companies use, to one of them.
        self.ids: dict[str, str] = {}
        self._holders: dict[tuple[str, str, str], str] = {}

    # ---- what is there

    def find(self, key: str) -> Row | None:
        """Find a row by `_id`, `extid-...` or `srcid-...`."""
        return self.rows.get(self.ids.get(key, ""))

    def list_page(self, query: Mapping[str, str], rows: Iterable[Row] | None = None) -> list[Row]:
        """Give one page of the rows that the query asks for. Filters that Planhat does not have are ignored, as there."""
        kept = [self._rules.shown(row) for row in (self.rows.values() if rows is None else rows)]
        for parameter, name in self.model.filters.items():
            if query.get(parameter):
                wanted = {_same_case(name, word) for word in words(query[parameter])}
                kept = [row for row in kept if wanted & _values_of(row, name)]
        return page(kept, query, self.model.list_default, self.model.list_max)

    def shown(self, row: Row) -> Row:
        """Show a row as an answer does."""
        return self._rules.shown(row)

    # ---- what a bulk upsert needs

    def match(self, item: Mapping[str, Any]) -> Row | None:
        """Find the row that an item means: by `_id`, else by the strongest key that it has."""
        key = item.get("_id")
        if key is not None:
            row = self.rows.get(key) if isinstance(key, str) else None
            if row is None:
                raise ItemRefused("_id not found")
            return row
        return self._known(self._rules.prepare(item))

    def _known(self, given: Mapping[str, Any]) -> Row | None:
        scope = given.get("companyId") or self._rules.home(given)
        for name in self.model.keys:
            value = given.get(name)
            if isinstance(value, str) and value:
                found = self._holders.get(self._holding(name, value, scope))
                if found is None and not scope:
                    found = self.ids.get(PREFIXES.get(name, "") + value)
                if found is not None:
                    return self.rows[found]
        return None

    def insert(self, item: Mapping[str, Any]) -> Row:
        """Make a row of what an item gives; what the model does not have is left out in silence."""
        given = {name: value for name, value in self._taken(item).items() if value is not None}
        row: Row = {"_id": self._new_id(), **self.model.defaults, **given}
        row["custom"] = merge_custom(None, row.get("custom") or {})
        home = "" if row.get("companyId") else self._rules.home(row)
        if home:
            row["companyId"] = home
        self._rules.complete(row)
        self._check(row)
        row |= {"createDate": self._now(), "lastUpdated": self._now(), "__v": 0}
        self._keep(row)
        return row

    def change(self, row: Row, item: Mapping[str, Any]) -> bool:
        """Change a row in part: `custom` merges key by key, null clears. False when nothing differs."""
        taken = self._taken(item)
        if "custom" in taken:
            taken["custom"] = merge_custom(row.get("custom"), taken["custom"] or {})
        fresh = {**row, **taken}
        fresh = {name: value for name, value in fresh.items() if value is not None}
        self._rules.complete(fresh)
        if fresh == row:
            return False
        self._check(fresh)
        self._release(row)
        row.clear()
        row.update({**fresh, "lastUpdated": self._now()})
        self._keep(row)
        return True

    def id_of(self, record: Row) -> str:
        """Tell the `_id` of a row."""
        return str(record["_id"])

    # ---- the rest

    def home(self, item: Mapping[str, Any]) -> str:
        """Tell the company that an item would belong to by itself; empty when that cannot be told."""
        return self._rules.home(item)

    def remove(self, row: Row) -> None:
        """Forget one row."""
        self._release(row)
        del self.rows[row["_id"]]

    def put(self, row: Row) -> None:
        """Put a row as it was kept, in place of the one of the same `_id`."""
        if row["_id"] in self.rows:
            self._release(self.rows[row["_id"]])
        self._keep(row)

    def seed(self, given: Row) -> Row:
        """Add a row as it is given, or change the one of the same key. Nothing is required and nothing is refused."""
        with contextlib.suppress(ItemRefused):
            given = dict(self._rules.prepare(given))
        row = self.rows.get(str(given["_id"])) if given.get("_id") else self._seeded_before(given)
        if row is not None:
            self._release(row)
            row.update(given)
        else:
            known_by = [str(given[name]) for name in _KNOWN_BY if given.get(name)] or [str(len(self.rows))]
            key = seeded_id(self.model.name, "/".join(known_by))
            row = {"_id": key, **self.model.defaults, "custom": {}, "createDate": self._now(), **given}
        self._rules.complete(row)
        self._keep(row)
        return row

    def _seeded_before(self, given: Row) -> Row | None:
        if self.model.keys:
            return self._known(given)
        return next((row for row in self.rows.values() if _same(row, given, ("name", "parent"))), None)

    def _check(self, row: Row) -> None:
        for name in self.model.required:
            if not row.get(name):
                raise ItemRefused(f"{name} is required")
        self._rules.check(row)
        for holding in self._holdings(row):
            if self._holders.get(holding, row["_id"]) != row["_id"]:
                raise ItemRefused(f"{holding[0]} duplicated")

    def _taken(self, item: Mapping[str, Any]) -> Row:
        item = self._rules.prepare(item)
        taken: Row = {}
        dotted = {}
        for name, value in item.items():
            kind = self.model.properties.get(name)
            if kind is None:
                if name.startswith("custom."):
                    dotted[name.removeprefix("custom.")] = value
                continue
            wrong = not isinstance(value, kind) or (kind is int and isinstance(value, bool))
            if value is not None and wrong and not (kind is int and isinstance(value, float)):
                raise ItemRefused(f"{name} must be {_KIND_NAMES[kind]}")
            taken[name] = value
        if dotted:
            taken["custom"] = {**(taken.get("custom") or {}), **dotted}
        return taken

    def _holding(self, name: str, value: str, scope: str) -> tuple[str, str, str]:
        return (name, scope if name in self.model.per_company else "", _same_case(name, value))

    def _holdings(self, row: Row) -> Iterable[tuple[str, str, str]]:
        for name in self.model.keys:
            if row.get(name):
                yield self._holding(name, str(row[name]), str(row.get("companyId", "")))

    def _keep(self, row: Row) -> None:
        key = row["_id"]
        self.rows[key] = row
        self.ids[key] = key
        for name, prefix in PREFIXES.items():
            if row.get(name):
                self.ids.setdefault(prefix + str(row[name]), key)
        for holding in self._holdings(row):
            self._holders[holding] = key

    def _release(self, row: Row) -> None:
        key = row["_id"]
        self.ids.pop(key, None)
        for holding in self._holdings(row):
            if self._holders.get(holding) == key:
                del self._holders[holding]
        for name, prefix in PREFIXES.items():
            alias = prefix + str(row.get(name, ""))
            if self.ids.get(alias) == key:
                del self.ids[alias]
                for other in self.rows.values():
                    if other is not row and other.get(name) == row[name]:
                        self.ids[alias] = other["_id"]
                        break


def _same_case(name: str, value: str) -> str:
    return value.lower() if name == "email" else value


def _values_of(row: Row, name: str) -> set[str]:
    value = row.get(name)
    several = value if isinstance(value, list) else [value]
    return {_same_case(name, one) for one in several if isinstance(one, str)}


def _same(row: Row, other: Row, names: Iterable[str]) -> bool:
    return all(row.get(name) == other.get(name) for name in names)
