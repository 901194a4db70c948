"""The tenant beside its conversations: companies, endusers, users, custom fields, activity tags.

Filters that Planhat does not document are ignored here as they are there, so that a look-up that trusts an answer
without checking it fails here first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from relay.planhat.sandbox import models
from relay.planhat.sandbox.identity import IdMaker
from relay.planhat.sandbox.listing import Row, select_columns, words
from relay.planhat.sandbox.records import iso_ms
from relay.planhat.sandbox.seed import SeedInvalid
from relay.planhat.sandbox.seeds import standard_tenant
from relay.planhat.sandbox.table import Rules, Table
from relay.planhat.sandbox.values import ItemRefused

_LEAN: tuple[str, ...] = ("_id", "name", "externalId", "sourceId")


class Directory:
    """The tables, and what ties them together."""

    def __init__(self, ids: IdMaker | None = None, now_s: Callable[[], float] = time.time) -> None:
        maker = ids or IdMaker()

        def new_id() -> str:
            return maker.new(int(now_s() * 1000))

        def now() -> str:
            return iso_ms(int(now_s() * 1000))

        self.companies = Table(models.COMPANIES, _CompanyRules(), new_id, now)
        self.endusers = Table(models.ENDUSERS, _EnduserRules(self.companies), new_id, now)
        self.users = Table(models.USERS, _UserRules(), new_id, now)
        self.custom_fields = Table(models.CUSTOM_FIELDS, _FieldRules(self), new_id, now)
        self.activity_tags = Table(models.ACTIVITY_TAGS, Rules(), new_id, now)
        self.tables: Mapping[str, Table] = {
            table.model.name: table
            for table in (self.users, self.companies, self.endusers, self.custom_fields, self.activity_tags)
        }
        self.clear()

    def clear(self) -> None:
        """Go back to the standard tenant."""
        for table in self.tables.values():
            table.clear()
        self.add(standard_tenant())

    def add(self, rows: Mapping[str, Iterable[Row]]) -> None:
        """Add rows by model, or change those of the same keys. A row without an `_id` gets one made of its keys."""
        for name, table in self.tables.items():
            for row in rows.get(name, ()):
                table.seed(dict(row))

    def add_people(self, people: Iterable[Row]) -> None:
        """Add people as endusers of the company that each names or whose domain the address has, else as users.

        Raises SeedInvalid for a company that there is not.
        """
        for person in people:
            company = person.get("companyId")
            if company and self.company_id(company) is None:
                raise SeedInvalid(f"people: {company}: no such company; name it under companies")
            home = company or self.endusers.home(person)
            if home:
                self.endusers.seed({**person, "companyId": home})
            else:
                self.users.seed(dict(person))

    def drop_standard_fields(self) -> None:
        """Forget the custom fields of the standard tenant, where a tenant brings its own."""
        for row in standard_tenant()["customfields"]:
            known = self.custom_fields.rows.get(row["_id"])
            if known is not None:
                self.custom_fields.remove(known)

    def company_id(self, key: object) -> str | None:
        """Resolve `_id`, `extid-...` or `srcid-...` of a company; None when there is none."""
        return self.companies.ids.get(key) if isinstance(key, str) else None

    def company(self, key: str) -> Row:
        """Give a company's row, empty when there is none."""
        return self.companies.rows.get(key, {})

    def enduser_name(self, key: str) -> str:
        """Tell what Planhat calls an enduser, empty when there is none."""
        return str(self.endusers.rows.get(key, {}).get("name", ""))

    def user_name(self, key: str) -> str:
        """Tell what Planhat calls a user, empty when there is none."""
        return str(self.users.rows.get(key, {}).get("nickName", ""))

    def fields_of(self, parent: str) -> list[Row]:
        """List the custom fields of a model that somebody can see: those that are not hidden."""
        rows = self.custom_fields.rows.values()
        return [row for row in rows if row.get("parent") == parent and not row.get("isHidden")]

    def date_fields_of(self, parent: str) -> frozenset[str]:
        """Name the custom fields of a model that hold a date."""
        return frozenset(
            str(row["name"]) for row in self.fields_of(parent) if row.get("type") in models.DATE_TYPES
        )

    # ---- lists

    def list_lean(self, query: Mapping[str, str]) -> list[Row]:
        """List all companies in short, by externalId, sourceId, or one of several statuses."""
        asked = {
            name: words(query.get(name)) for name in ("externalId", "sourceId", "status") if query.get(name)
        }
        return [
            select_columns(row, _LEAN)
            for row in self.companies.rows.values()
            if all(row.get(name) in wanted for name, wanted in asked.items())
        ]

    def list_page(self, name: str, query: Mapping[str, str]) -> list[Row]:
        """Give one page of a model's list."""
        if name != "endusers":
            return self.tables[name].list_page(query)
        archived = query.get("archived") == "true"
        rows = [row for row in self.endusers.rows.values() if bool(row.get("archived")) == archived]
        return self.endusers.list_page(query, rows)


class _CompanyRules(Rules):
    def complete(self, row: Row) -> None:
        row["slug"] = "".join(letter for letter in str(row.get("name", "")).lower() if letter.isalnum())


class _EnduserRules(Rules):
    """An enduser belongs to a company: the one that is named, else the one that has the address's domain."""

    def __init__(self, companies: Table) -> None:
        self._companies = companies

    def prepare(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        given = item.get("companyId")
        if given is None:
            return item
        found = self._companies.ids.get(given) if isinstance(given, str) else None
        if found is None:
            raise ItemRefused("companyId not found")
        return {**item, "companyId": found}

    def home(self, item: Mapping[str, Any]) -> str:
        domain = str(item.get("email") or "").rpartition("@")[2].lower()
        owners = [row["_id"] for row in self._companies.rows.values() if domain in (row.get("domains") or ())]
        return str(owners[0]) if domain and owners else ""

    def complete(self, row: Row) -> None:
        if row.get("firstName") or row.get("lastName"):
            row["name"] = " ".join(part for part in (row.get("firstName"), row.get("lastName")) if part)

    def shown(self, row: Row) -> Row:
        company = self._companies.rows.get(str(row.get("companyId")), {})
        return {**row, "companyName": str(company.get("name", ""))}

    def check(self, row: Row) -> None:
        if not row.get("companyId"):
            raise ItemRefused("companyId is required: no company has the domain of this email")
        if not (row.get("email") or row.get("externalId") or row.get("sourceId")):
            raise ItemRefused("email is required")


class _UserRules(Rules):
    def complete(self, row: Row) -> None:
        names = [str(row[name]) for name in ("firstName", "lastName") if row.get(name)]
        known_as = row.pop("name", "")
        row.setdefault("nickName", known_as or " ".join(names) or str(row.get("email", "")).partition("@")[0])


class _FieldRules(Rules):
    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def check(self, row: Row) -> None:
        if row["type"] not in models.CUSTOM_FIELD_TYPES:
            raise ItemRefused(f"type must be one of {', '.join(sorted(models.CUSTOM_FIELD_TYPES))}")
        for other in self._directory.custom_fields.rows.values():
            same = (other["parent"], other["name"]) == (row["parent"], row["name"])
            if same and other["_id"] != row["_id"]:
                raise ItemRefused("name duplicated")
