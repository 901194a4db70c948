"""What `relay doctor` can find out about Planhat: reachable, whether it is the API, the token, its age and its region, what
the token may do, the configured types and custom fields, the clock. Reads only; the one question about writing is an
upsert of nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from email.utils import parsedate_to_datetime
from typing import Final

from relay.errors import PlanhatError
from relay.planhat.client import Planhat, Probe
from relay.planhat.custom_fields import FieldKind, compare_fields, read_definitions
from relay.planhat.doctor_line import DoctorLine, check_token_age
from relay.planhat.fields import DEFAULT_TYPE
from relay.planhat.limits import LIST_MAX
from relay.planhat.report import Forbidden, Report, Unauthorized, not_the_api

_MAX_SKEW_S: Final = 30.0
#: Planhat grants by model; each with what the relay needs it for.
MODELS: Final[tuple[tuple[str, str], ...]] = (
    ("conversations", "to read back what was delivered"),
    ("companies", "to find a company by its domain"),
    ("endusers", "to find a company by an address"),
    ("users", "to name our own people"),
    ("customfields", "to tell custom fields that nobody would see"),
)


_NO_PROBE: Final = Probe(0, "")


def check_planhat(
    planhat: Planhat,
    *,
    types: Iterable[str],
    token_expires: str,
    now_s: float,
    today: date,
    custom_fields: Mapping[str, FieldKind | None] | None = None,
    clusters: Iterable[str] = (),
    models: Iterable[tuple[str, str]] = MODELS,
    writing: bool = True,
) -> Iterator[DoctorLine]:
    """Return all checks, in the order in which mending them helps. Ends early when nothing further can be known.

    `now_s` is Unix time; `token_expires` an ISO date or ""; `types` those of the config, `custom_fields` what its rules
    write. `clusters`: base URLs that are asked whether they take the token, where this one does not. Never raises
    PlanhatError.
    """
    if token_expires:
        yield check_token_age(token_expires, today)
    probes: dict[str, Probe] = {}
    try:
        for model, why in models:
            probe = probes[model] = planhat.probe(model)
            if probe.is_page:
                yield DoctorLine(
                    "planhat",
                    False,
                    not_the_api(probe.status),
                    "look at the address: a browser would show a page there",
                )
                return
            if probe.status == 401:
                yield _token_check(planhat, clusters)
                return
            yield _model_check(model, why, probe.status)
        if writing and probes.get("conversations", _NO_PROBE).status in (200, 403):
            # Where it answers nothing sound at all, that nothing speaks against writing says nothing.
            yield _write_check(planhat)
        written = next((probe.date for probe in probes.values() if probe.date), "")
        if written:
            yield from _clock_check(written, now_s)
        yield from _type_checks(planhat, types)
        if custom_fields is not None and probes.get("customfields", _NO_PROBE).status == 200:
            yield from check_custom_fields(planhat, custom_fields)
    except PlanhatError as error:
        yield DoctorLine("planhat", False, str(error), _do_of_failure(probes))


def _do_of_failure(probes: Mapping[str, Probe]) -> str:
    """Return what to do where a call failed: whoever answered some is at the right address, and within reach."""
    sick = next((probe.status for probe in probes.values() if probe.status not in (200, 403)), 0)
    if sick:
        return _do_of_status(sick)
    if probes:
        return "it answered the calls before: try again, and look at status.planhat.com"
    return "is RELAY_PLANHAT_URL right, and can this machine reach it?"


def _do_of_status(status: int) -> str:
    return "too many calls: something else uses this token" if status == 429 else "look at status.planhat.com"


def _token_check(planhat: Planhat, clusters: Iterable[str]) -> DoctorLine:
    """A 401 means a wrong token or a wrong region: which, the other clusters know."""
    asked: list[str] = []
    for url in clusters:
        with planhat.elsewhere(url) as other:
            try:
                probe = other.probe("companies")
            except PlanhatError:
                continue
        asked.append(url.removeprefix("https://"))
        if probe.status in (200, 403) and not probe.is_page:
            return DoctorLine(
                "planhat region",
                False,
                f"refused here (401), and taken by {url}: the token is right and the region is wrong",
                f"set RELAY_PLANHAT_URL to {url}",
            )
    nowhere = f"; {', '.join(asked)} refuse it as well" if asked else ""
    return DoctorLine(
        "planhat token",
        False,
        f"refused (401){nowhere}",
        "the token is wrong or has expired (tokens end after 30 days unless told otherwise): make a new one in Planhat (App"
        " Center, Private Apps)"
        + (
            ""
            if asked
            else "; or the tenant lives in another region: RELAY_PLANHAT_URL should then be its cluster's host, such as"
            " https://api-us3.planhat.com for an app at app-us3.planhat.com"
        ),
    )


def check_custom_fields(planhat: Planhat, written: Mapping[str, FieldKind | None]) -> Iterator[DoctorLine]:
    """Return what the rules write beside what the tenant has, to the letter. Raises PlanhatError."""
    if not written:
        return
    findings = compare_fields(written, read_definitions(planhat.custom_fields()))
    for finding in findings:
        yield DoctorLine(f"custom field {finding.name}", False, finding.what, finding.do)
    if not findings:
        yield DoctorLine("custom fields", True, f"all {len(written)} that rules write are defined")


def _model_check(model: str, why: str, status: int) -> DoctorLine:
    if status == 200:
        return DoctorLine(f"planhat {model}", True, "readable")
    if status == 403:
        do = f"grant the token's private app read access to {model} ({why})"
        return DoctorLine(f"planhat {model}", False, "forbidden (403)", do)
    return DoctorLine(f"planhat {model}", False, f"answered {status}", _do_of_status(status))


def _write_check(planhat: Planhat) -> DoctorLine:
    answer = planhat.upsert_raw(b"[]")
    refused = isinstance(answer, (Forbidden, Unauthorized)) or (
        isinstance(answer, Report) and answer.wholly_forbidden and bool(answer.errors)
    )
    return DoctorLine(
        "planhat conversations, writing",
        not refused,
        "forbidden" if refused else "nothing speaks against it",
        "grant the token's private app write access to conversations",
    )


def _clock_check(written: str, now_s: float) -> Iterator[DoctorLine]:
    try:
        skew_s = abs(parsedate_to_datetime(written).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        return
    yield DoctorLine(
        "clock against planhat",
        skew_s <= _MAX_SKEW_S,
        f"{skew_s:.0f} s apart",
        "set this machine's clock by NTP",
    )


def _type_checks(planhat: Planhat, types: Iterable[str]) -> Iterator[DoctorLine]:
    """Planhat lists no types: only what stands in its newest conversations can be seen. A type that nobody has used
    yet is therefore no failure; one that the tenant writes in another way is."""
    rows = planhat.list_page(limit=LIST_MAX, sort="-createDate", select=("type",))
    seen = {str(row.get("type")) for row in rows if row.get("type")}
    for name in types:
        other = tenants_spelling(name, seen)
        if other:
            yield DoctorLine(
                f"type {name}",
                False,
                f"the tenant's own is {other!r}: types are matched exactly",
                f"write {other!r}",
            )
            continue
        found = (
            "in use"
            if name in seen
            else f"not used in the newest {len(rows)} conversation{'s'[: len(rows) != 1]}; if Planhat does not know it, what is sent becomes"
            f" a {DEFAULT_TYPE}"
        )
        yield DoctorLine(f"type {name}", True, found)


def tenants_spelling(name: str, seen: Iterable[str]) -> str:
    """Return the type among `seen` that differs from `name` in case, blanks or invisible characters alone; "" where there is none, or
    the name itself is there."""
    seen = set(seen)
    if name in seen:
        return ""
    return next((other for other in sorted(seen) if _bare(other) == _bare(name)), "")


def _bare(name: str) -> str:
    # Emoji carry selectors and joiners that nobody sees.
    return "".join(
        c for c in name.casefold() if not c.isspace() and unicodedata.category(c) not in ("Cf", "Mn")
    )
