"""The sandbox's companies, endusers and users: seeds of plausible people, and the documented filters.

Filters that Planhat does not document are ignored here as they are there, so that a look-up that trusts an answer
without checking it fails here first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from relay.planhat import limits
from relay.planhat.sandbox.records import select_columns, sort_key

Row = dict[str, Any]

_ACME: Final = "5f0000000000000000000001"
_GLOBEX: Final = "5f0000000000000000000002"
_INITECH: Final = "5f0000000000000000000003"
_UMBRELLA: Final = "5f0000000000000000000004"
_UNSORTED: Final = "5f0000000000000000000005"


def _company(key: str, name: str, external: str, domains: Sequence[str], status: str = "customer") -> Row:
    row: Row = {
        "_id": key,
        "name": name,
        "externalId": external,
        "sourceId": f"crm-{external}",
        "status": status,
    }
    return {**row, "domains": list(domains), "phase": "Live", "health": 7}


def _enduser(number: int, company: str, name: str, email: str, **more: Any) -> Row:
    row: Row = {"_id": f"5e{number:022x}", "companyId": company, "name": name, "email": email}
    return {**row, "otherEmails": [], "archived": False, "primary": False, **more}


def seed_companies() -> list[Row]:
    return [
        _company(_ACME, "Acme", "acme", ["example.com", "acme.example"]),
        _company(_GLOBEX, "Globex", "globex", ["globex.example", "example.org"]),
        _company(_INITECH, "Initech", "initech", ["initech.example"]),
        _company(_UMBRELLA, "Umbrella", "umbrella", ["umbrella.example", "shared.example"], "prospect"),
        _company("5f0000000000000000000006", "Hooli", "hooli", ["hooli.example", "shared.example"], "lost"),
        _company(_UNSORTED, "Unsorted", "unsorted", []),
    ]


def seed_endusers() -> list[Row]:
    return [
        _enduser(1, _ACME, "Ada Example", "ada@example.com", primary=True),
        _enduser(2, _ACME, "Bob Example", "bob@example.com", otherEmails=["bob@acme.example"]),
        _enduser(3, _ACME, "Jane Doe", "jane@example.com"),
        _enduser(4, _GLOBEX, "Gil Globex", "gil@globex.example", primary=True),
        _enduser(5, _GLOBEX, "Hana Globex", "hana@globex.example"),
        _enduser(6, _INITECH, "Ivo Initech", "ivo@initech.example"),
        # One address in two companies: not to be guessed.
        _enduser(7, _INITECH, "Kim Consultant", "kim@consultants.example"),
        _enduser(8, _UMBRELLA, "Kim Consultant", "kim@consultants.example"),
        _enduser(9, _UMBRELLA, "Lost Person", "lost@umbrella.example", archived=True),
    ]


def seed_users() -> list[Row]:
    people = (("Alex", "Agent"), ("Robin", "Relay"), ("Sam", "Success"))
    return [
        {
            "_id": f"5d{number:022x}",
            "firstName": first,
            "lastName": last,
            "nickName": f"{first} {last}",
            "email": f"{first.lower()}@ourteam.example",
        }
        for number, (first, last) in enumerate(people, start=1)
    ]


class Directory:
    """Companies by any of their keys, endusers, users. Changed only by `add`."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Back to the seeds."""
        self.companies: dict[str, Row] = {}
        self.endusers: dict[str, Row] = {}
        self.users: dict[str, Row] = {}
        #: `_id`, `extid-...` and `srcid-...` to `_id`.
        self.company_ids: dict[str, str] = {}
        self.add({"companies": seed_companies(), "endusers": seed_endusers(), "users": seed_users()})

    def add(self, rows: Mapping[str, Iterable[Row]]) -> None:
        """Add rows or replace those of the same `_id`. A row without an `_id` gets one made of its place."""
        for name, table in (
            ("companies", self.companies),
            ("endusers", self.endusers),
            ("users", self.users),
        ):
            for row in rows.get(name, ()):
                key = str(row.get("_id") or f"{name[:2].encode().hex()}{len(table) + 1:020x}")
                table[key] = {**row, "_id": key}
        for key, company in self.companies.items():
            self.company_ids[key] = key
            for prefix, property_name in (("extid-", "externalId"), ("srcid-", "sourceId")):
                if company.get(property_name):
                    self.company_ids[prefix + str(company[property_name])] = key

    def company_name(self, key: str) -> str:
        return str(self.companies.get(key, {}).get("name", ""))

    def enduser_name(self, key: str) -> str:
        return str(self.endusers.get(key, {}).get("name", ""))

    def user_name(self, key: str) -> str:
        return str(self.users.get(key, {}).get("nickName", ""))

    def company(self, key: str) -> Row | None:
        return self.companies.get(self.company_ids.get(key, ""))

    def list_companies(self, query: Mapping[str, str]) -> list[Row]:
        rows = list(self.companies.values())
        wanted = _split(query.get("companyId"))
        if wanted:
            rows = [row for row in rows if row["_id"] in wanted]
        return page(rows, query, limits.COMPANIES_DEFAULT, limits.COMPANIES_MAX)

    def list_lean(self, query: Mapping[str, str]) -> list[Row]:
        asked = {name: query[name] for name in ("externalId", "sourceId", "status") if query.get(name)}
        return [
            select_columns(row, ("_id", "name", "externalId", "sourceId"))
            for row in self.companies.values()
            if all(row.get(name) == value for name, value in asked.items())
        ]

    def list_endusers(self, query: Mapping[str, str]) -> list[Row]:
        archived = query.get("archived") == "true"
        rows = [row for row in self.endusers.values() if bool(row.get("archived")) == archived]
        if query.get("email"):
            email = query["email"].lower()
            rows = [row for row in rows if str(row.get("email", "")).lower() == email]
        wanted = _split(query.get("companyId"))
        if wanted:
            rows = [row for row in rows if row.get("companyId") in wanted]
        if query.get("euId"):
            rows = [row for row in rows if row["_id"] == query["euId"]]
        named = [{**row, "companyName": self.company_name(str(row.get("companyId")))} for row in rows]
        return page(named, query, limits.ENDUSERS_DEFAULT, limits.ENDUSERS_MAX)

    def list_users(self, query: Mapping[str, str]) -> list[Row]:
        rows = list(self.users.values())
        if query.get("email"):
            rows = [row for row in rows if str(row.get("email", "")).lower() == query["email"].lower()]
        return page(rows, query, limits.USERS_DEFAULT, limits.USERS_MAX)


def _split(text: str | None) -> frozenset[str]:
    return frozenset(part for part in (text or "").split(",") if part)


def bounds(query: Mapping[str, str], default: int, most: int) -> tuple[int, int]:
    """Offset and limit of a page; nonsense counts as not given."""

    def number(name: str, fallback: int) -> int:
        text = query.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else fallback

    return number("offset", 0), min(number("limit", default) or default, most)


def page(rows: list[Row], query: Mapping[str, str], default: int, most: int) -> list[Row]:
    """Sorted, cut and reduced to what was selected, as every list of Planhat's is."""
    sort = query.get("sort", "")
    if sort.strip("-"):
        rows = sorted(rows, key=sort_key(sort.lstrip("-")), reverse=sort.startswith("-"))
    offset, limit = bounds(query, default, most)
    rows = rows[offset : offset + limit]
    columns = [name for name in query.get("select", "").split(",") if name]
    return [select_columns(row, ("_id", *columns)) for row in rows] if columns else rows
