"""The Planhat tenants of the config out of what was read of the file: what all share, and each lane's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relay.config import Batch, CompanyStep, LaneConfig, People, PlanhatConfig, Retry
from relay.errors import SettingsInvalid
from relay.lane_name import MAIN
from relay.planhat.address import base_url
from relay.planhat.fields import RESERVED_TYPES
from relay.rules.file.shape import did_you_mean
from relay.rules.file.yaml_file import Path, YamlSource
from relay.rules.rule import COMPANY_ID
from relay.transit import travels_in_clear

#: Planhat's documented soft limit of calls a minute.
SOFT_CALLS_PER_MINUTE = 200
#: Keys under `planhat` that are taken as they are.
_PLAIN_PLANHAT = (
    "resolve_people",
    "tenant",
    "thread_date",
    "descriptions",
    "undefined_fields",
    "activity_tags",
)


def read_planhat(values: Mapping[str, Any], source: YamlSource, at: Path = ("planhat",)) -> PlanhatConfig:
    """Return what the file's `planhat:` says. `at` is where it stands, for complaints."""
    _check_planhat(values, source, at)
    planhat = _made(values)
    if planhat.retry.first_s > planhat.retry.cap_s and "retry" in values:
        source.add(
            (*at, "retry", "first"),
            "is longer than retry.cap; the first wait should be the shorter one",
        )
    return planhat


def read_lanes(
    values: Mapping[str, Mapping[str, Any]],
    shared: Mapping[str, Any],
    companies: tuple[CompanyStep, ...],
    people: People,
    source: YamlSource,
) -> dict[str, LaneConfig]:
    """Return each lane of the file, in its order; none where it has no `lanes:`. `shared` is `planhat:` as it was read."""
    lanes: dict[str, LaneConfig] = {}
    for name, own in values.items():
        at: Path = ("lanes", name)
        _check_planhat(own, source, at)
        merged = {**shared, **own}
        merged |= {key: {**shared.get(key, {}), **own.get(key, {})} for key in ("batch", "retry")}
        planhat = _made(merged)
        if planhat.retry.first_s > planhat.retry.cap_s and "retry" in own:
            source.add(
                (*at, "retry", "first"), "is longer than retry.cap; the first wait should be the shorter one"
            )
        lanes[name] = LaneConfig(
            name=name,
            planhat=planhat,
            companies=read_companies(own["companies"], source, (*at, "companies"))
            if "companies" in own
            else companies,
            people=People(**own["people"]) if "people" in own else people,
            url=_url(own.get("url", ""), source, (*at, "url")),
            token=own.get("token"),
        )
    _check_tenants(lanes, source)
    return lanes


def check_lane(name: str, lanes: Mapping[str, LaneConfig], source: YamlSource, at: Path) -> str:
    """Return the lane that `name` is: the first where it is "". Complains of one that is not there."""
    if not name:
        return next(iter(lanes), MAIN)
    if not lanes and name != MAIN:
        source.add(at, f"there is no lane {name!r}: the file has no lanes:")
    elif lanes and name not in lanes:
        source.add(at, f"no lane is called {name!r}{did_you_mean(name, tuple(lanes))}")
    return name


def _check_tenants(lanes: Mapping[str, LaneConfig], source: YamlSource) -> None:
    """Complains of two lanes with one Planhat: they would send each other's conversations there, twice as often as it lets; and of
    one that nothing gives a token."""
    seen: dict[tuple[str, str], str] = {}
    for name, lane in lanes.items():
        if lane.token is None and not source.has_token and source.at(("lanes", name, "token")) is None:
            source.add(
                ("lanes", name),
                "has no token: give it one, as token: ${NAME}, or set RELAY_PLANHAT_TOKEN for the one that has none of its own",
                severity="warning",
            )
        url = (lane.url or source.planhat_url).rstrip("/").lower()
        tenant = (url, lane.token() if lane.token else "")
        other = seen.setdefault(tenant, name)
        if other != name:
            what = (
                "url and token"
                if lane.token
                else "Planhat, that of RELAY_PLANHAT_URL and RELAY_PLANHAT_TOKEN"
            )
            source.add(
                ("lanes", name),
                f"has the same {what} as lane {other!r}; one tenant is one lane, with any number of sources",
            )


def _url(text: str, source: YamlSource, at: Path) -> str:
    if not text:
        return ""
    try:
        url = base_url(text)
    except SettingsInvalid as error:
        source.add(at, str(error).replace("RELAY_PLANHAT_URL:", "").replace("RELAY_PLANHAT_URL ", "").strip())
        return ""
    if travels_in_clear(url) and not source.plain_http:
        source.add(
            at,
            "begins with http://, and the token and the conversations would travel in clear; write https:// "
            "(RELAY_PLANHAT_PLAIN_HTTP=true allows it for a sandbox inside a network of yours)",
        )
    return url


def _check_planhat(values: Mapping[str, Any], source: YamlSource, at: Path) -> None:
    types = values.get("types", ())
    for n, type_ in enumerate(types):
        if type_.lower() in RESERVED_TYPES:
            source.add(
                (*at, "types", n),
                f"{type_!r} is reserved by Planhat and cannot be created over its API; name a custom type",
            )
        elif types.index(type_) != n:
            source.add((*at, "types", n), f"{type_!r} is listed twice", severity="warning")
    calls = values.get("calls_per_minute")
    if calls is not None and calls > SOFT_CALLS_PER_MINUTE:
        source.add(
            (*at, "calls_per_minute"),
            f"{calls} is over Planhat's soft limit of {SOFT_CALLS_PER_MINUTE} calls a minute",
            severity="warning",
        )


def _made(values: Mapping[str, Any]) -> PlanhatConfig:
    batch = values.get("batch", {})
    given = {
        "max_items": batch.get("max_items"),
        "max_bytes": batch.get("max_bytes"),
        "linger_s": batch.get("linger"),
    }
    retry = {
        (key if key == "max_refusals" else f"{key}_s"): value
        for key, value in values.get("retry", {}).items()
    }
    held = {
        "types": tuple(dict.fromkeys(values.get("types", ()))),
        "calls_per_minute": values.get("calls_per_minute"),
        "timeout_s": values.get("timeout"),
        "lease_s": values.get("lease"),
        "token_expires": values.get("token_expires"),
        **{name: values.get(name) for name in _PLAIN_PLANHAT},
    }
    return PlanhatConfig(batch=Batch(**_present(given)), retry=Retry(**_present(retry)), **_present(held))


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def read_companies(
    steps: Sequence[Mapping[str, Any]], source: YamlSource, at: Path = ("companies",)
) -> tuple[CompanyStep, ...]:
    """Return the steps by which a companyId is found. `at` is where they stand."""
    companies: list[CompanyStep] = []
    for n, step in enumerate(steps):
        here: Path = (*at, n)
        if len(step) != 1:
            if step or not source.at(here):
                source.add(here, "should be one of table, planhat or default; each is a step of its own")
            continue
        for key, rows in step.get("table", {}).items():
            lower = key in ("domain", "email")
            for asked, company in rows.items():
                _check_company_id(company, (*here, "table", key, asked), source)
            table = {(asked.lower() if lower else asked): company for asked, company in rows.items()}
            companies.append(CompanyStep("table", key=key, table=table))
        if "planhat" in step:
            companies.append(CompanyStep(step["planhat"]))
        if "default" in step:
            _check_company_id(step["default"], (*here, "default"), source)
            companies.append(CompanyStep("default", value=step["default"]))
            if n + 1 < len(steps):
                source.add(
                    (*here, "default"), "always answers, so the steps after it are never asked; put it last"
                )
    return tuple(companies)


def _check_company_id(company: str, path: Path, source: YamlSource) -> None:
    if not COMPANY_ID.fullmatch(company):
        hint = f"; did you mean 'extid-{company}'?" if "-" not in company and len(company) < 60 else ""
        source.add(path, f"{company!r} should be a Planhat id (24 hex digits), extid-... or srcid-...{hint}")
