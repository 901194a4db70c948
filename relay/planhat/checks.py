"""What `relay doctor` can find out about Planhat: reachable, the token and its age, a region, what the token may do,
the configured types, the clock. Reads only; the one question about writing is an upsert of nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from email.utils import parsedate_to_datetime
from typing import Final

from relay.errors import PlanhatError
from relay.planhat.client import Planhat
from relay.planhat.fields import DEFAULT_TYPE
from relay.planhat.limits import LIST_MAX
from relay.planhat.report import Forbidden, Report, Unauthorized

MAX_SKEW_S: Final = 30.0
TOKEN_WARNING_DAYS: Final = 14
#: Planhat grants by model; each with what the relay needs it for.
MODELS: Final = (
    ("conversations", "to read back what was delivered"),
    ("companies", "to find a company by its domain"),
    ("endusers", "to find a company by an address"),
    ("users", "to name our own people"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor: what was looked at, whether it is well, what was found, what to do about it."""

    name: str
    ok: bool
    found: str
    do: str = ""


def check_planhat(
    planhat: Planhat,
    *,
    types: Iterable[str],
    token_expires: str,
    now_s: float,
    today: date,
    models: Iterable[tuple[str, str]] = MODELS,
) -> Iterator[Check]:
    """All checks, in the order in which mending them helps. Ends early when nothing further can be known.

    `now_s` is Unix time; `token_expires` an ISO date or ""; `types` those of the config. Never raises PlanhatError.
    """
    if token_expires:
        yield check_token_age(token_expires, today)
    try:
        probes = {}
        for model, why in models:
            probe = probes[model] = planhat.probe(model)
            if probe.status == 401:
                yield Check(
                    "planhat token",
                    False,
                    "refused (401)",
                    "the token is wrong or has expired (tokens end after 30 days unless told otherwise), or the"
                    " tenant lives in another region: RELAY_PLANHAT_URL should then be its cluster's host, such as"
                    " https://api-us3.planhat.com for an app at app-us3.planhat.com",
                )
                return
            yield _model_check(model, why, probe.status)
        yield _write_check(planhat)
        written = next((probe.date for probe in probes.values() if probe.date), "")
        if written:
            yield from _clock_check(written, now_s)
        yield from _type_checks(planhat, types)
    except PlanhatError as error:
        yield Check(
            "planhat", False, str(error), "is RELAY_PLANHAT_URL right, and can this machine reach it?"
        )


def check_token_age(token_expires: str, today: date) -> Check:
    """How long the token lasts, by what the config says."""
    try:
        days = (date.fromisoformat(token_expires[:10]) - today).days
    except ValueError:
        return Check("planhat token age", False, "token_expires is no date", "write it as 2027-01-31")
    found = f"ends in {days} days" if days >= 0 else f"ended {-days} days ago"
    return Check(
        "planhat token age",
        days > TOKEN_WARNING_DAYS,
        found,
        "make a new token in Planhat (App Center, Private Apps) and put it where RELAY_PLANHAT_TOKEN_FILE points:"
        " it is used at the next call, without a restart",
    )


def _model_check(model: str, why: str, status: int) -> Check:
    if status == 200:
        return Check(f"planhat {model}", True, "readable")
    if status == 403:
        do = f"grant the token's private app read access to {model} ({why})"
        return Check(f"planhat {model}", False, "forbidden (403)", do)
    do = "too many calls: something else uses this token" if status == 429 else "look at status.planhat.com"
    return Check(f"planhat {model}", False, f"answered {status}", do)


def _write_check(planhat: Planhat) -> Check:
    answer = planhat.upsert_raw(b"[]")
    refused = isinstance(answer, (Forbidden, Unauthorized)) or (
        isinstance(answer, Report) and answer.wholly_forbidden and bool(answer.errors)
    )
    return Check(
        "planhat conversations, writing",
        not refused,
        "forbidden" if refused else "nothing speaks against it",
        "grant the token's private app write access to conversations",
    )


def _clock_check(written: str, now_s: float) -> Iterator[Check]:
    try:
        skew_s = abs(parsedate_to_datetime(written).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        return
    yield Check(
        "clock against planhat",
        skew_s <= MAX_SKEW_S,
        f"{skew_s:.0f} s apart",
        "set this machine's clock by NTP",
    )


def _type_checks(planhat: Planhat, types: Iterable[str]) -> Iterator[Check]:
    """Planhat lists no types: only what stands in its newest conversations can be seen. A type that nobody has used
    yet is therefore no failure."""
    rows = planhat.list_page(limit=LIST_MAX, sort="-createDate", select=("type",))
    seen = {row.get("type") for row in rows}
    for name in types:
        found = (
            "in use"
            if name in seen
            else f"not used in the newest {len(rows)} conversations; if Planhat does not know it, what is sent becomes"
            f" a {DEFAULT_TYPE}"
        )
        yield Check(f"type {name}", True, found)
