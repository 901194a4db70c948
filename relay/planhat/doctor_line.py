"""A line of `relay doctor`, and what can be told without asking Planhat. Without an HTTP client: a process that asks nobody is spared 14 MB."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

TOKEN_WARNING_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class DoctorLine:
    """One line of the doctor: what was looked at, whether it is well, what was found, what to do about it."""

    name: str
    ok: bool
    found: str
    do: str = ""


def check_token_age(token_expires: str, today: date) -> DoctorLine:
    """Return how long the token lasts, by what the config says."""
    try:
        days = (date.fromisoformat(token_expires[:10]) - today).days
    except ValueError:
        return DoctorLine("planhat token age", False, "token_expires is no date", "write it as 2027-01-31")
    found = f"ends in {days} days" if days >= 0 else f"ended {-days} days ago"
    return DoctorLine(
        "planhat token age",
        days > TOKEN_WARNING_DAYS,
        found,
        "make a new token in Planhat (App Center, Private Apps) and put it where this one stands (RELAY_PLANHAT_TOKEN_FILE, or the lane's token):"
        " it is used at the next call, without a restart",
    )
