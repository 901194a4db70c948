"""The config's values out of what was read of the file; what no table can say alone is checked here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from relay.config import (
    Batch,
    CompanyStep,
    Config,
    Keep,
    People,
    PlanhatConfig,
    Redaction,
    Retry,
    SourceConfig,
    SpoolConfig,
)
from relay.linear_pattern import compile_pattern
from relay.planhat.fields import DEFAULT_TYPE, RESERVED_TYPES, STANDING_TYPES
from relay.planhat.sandbox.seed import SeedInvalid, read_seed
from relay.rules.file.shape import did_you_mean
from relay.rules.file.yaml_file import Path, YamlSource
from relay.rules.rule import COMPANY_ID
from relay.source_options import SourceOptions

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
#: Kept out of `SourceOptions.raw`, which anybody may print.
_CREDENTIALS = (
    *("secrets", "basic_auth", "bearer", "public_keys", "private_keys", "api_key", "enrich", "jwt"),
)


def read_config(values: Mapping[str, Any], source: YamlSource, text: str) -> Config:
    """`values` as the tables read them; `source.value` as they stand in the file; `text` is the file."""
    planhat = _planhat(values.get("planhat", {}), source)
    sources = {
        name: _source(name, given, source.value["sources"][name])
        for name, given in values.get("sources", {}).items()
    }
    _check_sources(sources, planhat, source)
    rules = source.value.get("rules")
    spool = values.get("spool")
    return Config(
        planhat=planhat,
        sources=sources,
        companies=_companies(values.get("companies", ()), source),
        keep=Keep(**{f"{key}_s": value for key, value in values.get("keep", {}).items()}),
        rules=tuple(rule for rule in rules if isinstance(rule, dict)) if isinstance(rules, list) else (),
        spool=SpoolConfig(**spool) if spool and "dir" in spool else None,
        redact=_redactions(values.get("redact", ()), source),
        people=People(**values.get("people", {})),
        sandbox=_sandbox(values.get("sandbox", {}), source),
        file=source.file,
        version=blake2b(text.encode(), digest_size=6).hexdigest(),
        lines={".".join(str(step) for step in path): line for path, line in source.lines.items()},
        secrets=tuple(source.secrets),
    )


def _planhat(values: Mapping[str, Any], source: YamlSource) -> PlanhatConfig:
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
    types = values.get("types", ())
    for n, type_ in enumerate(types):
        if type_.lower() in RESERVED_TYPES:
            source.add(
                ("planhat", "types", n),
                f"{type_!r} is reserved by Planhat and cannot be created over its API; name a custom type",
            )
        elif types.index(type_) != n:
            source.add(("planhat", "types", n), f"{type_!r} is listed twice", severity="warning")
    calls = values.get("calls_per_minute")
    if calls is not None and calls > SOFT_CALLS_PER_MINUTE:
        source.add(
            ("planhat", "calls_per_minute"),
            f"{calls} is over Planhat's soft limit of {SOFT_CALLS_PER_MINUTE} calls a minute",
            severity="warning",
        )
    held = {
        "types": tuple(dict.fromkeys(types)),
        "calls_per_minute": calls,
        "timeout_s": values.get("timeout"),
        "lease_s": values.get("lease"),
        "token_expires": values.get("token_expires"),
        **{name: values.get(name) for name in _PLAIN_PLANHAT},
    }
    planhat = PlanhatConfig(batch=Batch(**_present(given)), retry=Retry(**_present(retry)), **_present(held))
    if planhat.retry.first_s > planhat.retry.cap_s:
        source.add(
            ("planhat", "retry", "first"),
            "is longer than retry.cap; the first wait should be the shorter one",
        )
    return planhat


def _sandbox(values: Mapping[str, Any], source: YamlSource) -> Mapping[str, Any]:
    try:
        read_seed(values)
    except SeedInvalid as error:
        source.add(("sandbox",), str(error))
        return {}
    return values


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _all_of(readers: Sequence[Callable[[], str]]) -> Callable[[], Sequence[str]]:
    held = tuple(readers)
    return lambda: [read() for read in held]


def _source(name: str, values: Mapping[str, Any], written: Mapping[str, Any]) -> SourceConfig:
    key = values.get("api_key", {})
    options = SourceOptions(
        name=name,
        adapter=values.get("adapter", ""),
        secrets=_all_of(values.get("secrets", ())),
        basic_auth=_all_of(values.get("basic_auth", ())),
        bearer=_all_of(values.get("bearer", ())),
        api_key_header=key.get("header", ""),
        api_keys=_all_of(key.get("values", ())),
        public_keys=_all_of(values.get("public_keys", ())),
        private_keys=_all_of(values.get("private_keys", ())),
        jwt=_jwt(values.get("jwt", {})),
        handshake=values.get("handshake", {}),
        public_url=values.get("public_url", ""),
        signature=values.get("signature", {}),
        topics=values.get("topics", ()),
        certificate_files=values.get("certificate_files", ()),
        scheme=values.get("scheme", ""),
        versions=values.get("versions", ()),
        keep=frozenset(values.get("keep", ())),
        privacy=values.get("privacy", ""),
        unauthenticated=values.get("unauthenticated", False),
        raw={key: value for key, value in written.items() if key not in _CREDENTIALS},
    )
    return SourceConfig(
        name=name,
        adapter=options.adapter,
        options=options,
        type=values.get("type", ""),
        max_body_bytes=values.get("max_body_bytes"),
        rate_limit=values.get("rate_limit"),
        enrich=_enrich(values.get("enrich", {}), written.get("enrich")),
    )


def _jwt(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """With what is secret, or may change, as callables."""
    return {**values, **{key: _all_of(values[key]) for key in ("keys", "secrets") if key in values}}


def _enrich(values: Mapping[str, Any], written: Any) -> Mapping[str, Any]:
    """As written, with the credentials as callables: a changed file counts at once."""
    if not values or not isinstance(written, dict):
        return {}
    return {**written, **{key: values[key] for key in ("token", "login") if key in values}}


def _check_sources(sources: Mapping[str, SourceConfig], planhat: PlanhatConfig, source: YamlSource) -> None:
    for name, held in sources.items():
        at: Path = ("sources", name, "type")
        if held.type and held.type.lower() in RESERVED_TYPES:
            listed = ", ".join((*planhat.types, DEFAULT_TYPE))
            source.add(at, f"{held.type!r} is reserved by Planhat; use one of {listed}")
        elif held.type and held.type not in (*planhat.types, *STANDING_TYPES):
            source.add(
                at,
                f"{held.type!r} is not in planhat.types, and Planhat would silently make it a {DEFAULT_TYPE!r}; "
                f"add it there, or correct it{did_you_mean(held.type, planhat.types)}",
            )


def _companies(steps: Sequence[Mapping[str, Any]], source: YamlSource) -> tuple[CompanyStep, ...]:
    companies: list[CompanyStep] = []
    for n, step in enumerate(steps):
        at: Path = ("companies", n)
        if len(step) != 1:
            if step or not source.value["companies"][n]:
                source.add(at, "should be one of table, planhat or default; each is a step of its own")
            continue
        for key, rows in step.get("table", {}).items():
            lower = key in ("domain", "email")
            for asked, company in rows.items():
                _check_company_id(company, (*at, "table", key, asked), source)
            table = {(asked.lower() if lower else asked): company for asked, company in rows.items()}
            companies.append(CompanyStep("table", key=key, table=table))
        if "planhat" in step:
            companies.append(CompanyStep(step["planhat"]))
        if "default" in step:
            _check_company_id(step["default"], (*at, "default"), source)
            companies.append(CompanyStep("default", value=step["default"]))
            if n + 1 < len(steps):
                source.add(
                    (*at, "default"), "always answers, so the steps after it are never asked; put it last"
                )
    return tuple(companies)


def _check_company_id(company: str, path: Path, source: YamlSource) -> None:
    if not COMPANY_ID.fullmatch(company):
        hint = f"; did you mean 'extid-{company}'?" if "-" not in company and len(company) < 60 else ""
        source.add(path, f"{company!r} should be a Planhat id (24 hex digits), extid-... or srcid-...{hint}")


def _redactions(given: Sequence[Mapping[str, Any]], source: YamlSource) -> tuple[Redaction, ...]:
    redactions = []
    for n, values in enumerate(given):
        if ("field" in values) == ("pattern" in values):
            source.add(("redact", n), "needs either a field or a pattern")
            continue
        try:
            compile_pattern(values.get("pattern", ""))
        except ValueError as error:
            source.add(("redact", n, "pattern"), str(error))
            continue
        redactions.append(
            Redaction(
                how=values.get("how", "drop"),
                field=values.get("field", ""),
                pattern=values.get("pattern", ""),
            )
        )
    return tuple(redactions)
