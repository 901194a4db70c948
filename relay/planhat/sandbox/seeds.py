"""The standard tenant: plausible companies, people and fields to try things with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from relay.planhat.sandbox.listing import Row

_ACME: Final = "5f0000000000000000000001"
_GLOBEX: Final = "5f0000000000000000000002"
_INITECH: Final = "5f0000000000000000000003"
_UMBRELLA: Final = "5f0000000000000000000004"
_UNSORTED: Final = "5f0000000000000000000005"
_ALEX: Final = f"5d{1:022x}"

DEFAULT_TYPES: Final = ("Slack thread", "Support email", "Help-desk ticket")
STANDARD_FIELDS: Final = ("Channel", "Link", "From", "Ticket", "Status", "Priority", "Assignee", "Host")
"""Custom fields of conversations that the adapters' default rules write."""


def _company(key: str, name: str, external: str, domains: Sequence[str], status: str = "customer") -> Row:
    row: Row = {
        "_id": key,
        "name": name,
        "externalId": external,
        "sourceId": f"crm-{external}",
        "owner": _ALEX,
        "status": status,
    }
    return {**row, "domains": list(domains), "phase": "Live", "h": 7}


def _enduser(number: int, company: str, name: str, email: str, **more: Any) -> Row:
    row: Row = {"_id": f"5e{number:022x}", "companyId": company, "name": name, "email": email}
    return {**row, **more}


def standard_tenant() -> dict[str, list[Row]]:
    """Make the rows of every model, anew each time."""
    return {
        "users": _users(),
        "companies": _companies(),
        "endusers": _endusers(),
        "customfields": [
            {
                "_id": f"5c{number:022x}",
                "name": name,
                "parent": "conversation",
                "type": "url" if name == "Link" else "text",
            }
            for number, name in enumerate(STANDARD_FIELDS, start=1)
        ],
        "activitytags": [
            {"_id": f"5b{number:022x}", "name": name}
            for number, name in enumerate(("Onboarding", "Escalation", "Renewal"), start=1)
        ],
    }


def _companies() -> list[Row]:
    return [
        _company(_ACME, "Acme", "acme", ["example.com", "acme.example"]),
        _company(_GLOBEX, "Globex", "globex", ["globex.example", "example.org"]),
        _company(_INITECH, "Initech", "initech", ["initech.example"]),
        _company(_UMBRELLA, "Umbrella", "umbrella", ["umbrella.example", "shared.example"], "prospect"),
        _company("5f0000000000000000000006", "Hooli", "hooli", ["hooli.example", "shared.example"], "lost"),
        _company(_UNSORTED, "Unsorted", "unsorted", []),
    ]


def _endusers() -> list[Row]:
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


def _users() -> list[Row]:
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
