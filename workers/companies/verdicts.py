"""What is asked of a conversation's company, and what can be answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from relay.errors import PlanhatError, PlanhatForbidden, PlanhatUnavailable, PlanhatWrongAddress
from relay.planhat.outcomes import Hold


@dataclass(frozen=True, slots=True)
class Found:
    """`via` is the step that knew: `rule`, `table`, `enduser_email`, `company_domain` or `default`."""

    company_id: str
    via: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Nobody knows the company. `asked`: what was asked with, ("email", "anna@customer.example"): values are for the letter's
    reason, never for its cause."""

    asked: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what was asked with."""
        return tuple(sorted({key for key, _ in self.asked}))


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several companies fit; ids only."""

    candidates: tuple[str, ...]
    via: str


@dataclass(frozen=True, slots=True)
class Unsure:
    """A look-up could not be made now. `hold`: delivery as a whole is the matter; else look again in `wait_s`."""

    reason: str
    hold: Hold | None = None
    wait_s: float = 2.0


CompanyVerdict = Found | Missing | Ambiguous | Unsure


class Ask(NamedTuple):
    """What one patch says of its company: the rule's own `companyId`, or what to look up ("email" -> address). A tuple, since a
    part's asks are told apart by their hashes."""

    company_id: str = ""
    company: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, company_id: str, company: Mapping[str, Any]) -> Ask:
        return cls(company_id, tuple([(key, str(value)) for key, value in company.items() if value]))

    def get(self, key: str) -> str:
        stored = dict(self.company)
        if stored.get(key):
            return stored[key].strip()
        if key == "domain":
            _, at, domain = stored.get("email", "").strip().rpartition("@")
            return domain if at else ""
        return ""


def unsure_of(error: PlanhatError, operation: str) -> Unsure:
    """Return what a look-up's failure means: for delivery as a whole, or for what needed the look-up."""
    text = str(error)
    if isinstance(error, PlanhatUnavailable):
        kind = "rate_limited" if "429" in text else "unavailable"
        return Unsure(text, Hold(kind, f"{operation}: {text}", error.retry_after_s))  # type: ignore[arg-type]
    if isinstance(error, PlanhatWrongAddress) or (isinstance(error, PlanhatForbidden) and "403" not in text):
        return Unsure(text, Hold("blocked", text))
    # The token may deliver but not look up: only what needs the look-up waits, for a person.
    return Unsure(f"{operation}: {text}" if operation not in text else text, None, 60.0)
