"""The config's values out of what was read of the file; what no table can say alone is checked here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from relay.config import (
    Config,
    Keep,
    People,
    PlanhatConfig,
    Redaction,
    RedisConfig,
    SourceConfig,
    SpoolConfig,
)
from relay.lane_name import MAIN
from relay.linear_pattern import compile_pattern
from relay.planhat.fields import DEFAULT_TYPE, RESERVED_TYPES, STANDING_TYPES
from relay.planhat.sandbox.seed import SeedInvalid, read_seed
from relay.rules.file.alerts import read_alerts
from relay.rules.file.mail_options import check_mail_options
from relay.rules.file.shape import did_you_mean
from relay.rules.file.tenants import check_lane, read_companies, read_lanes, read_planhat
from relay.rules.file.yaml_file import Path, YamlSource
from relay.source_options import SourceOptions

#: Kept out of `SourceOptions.raw`, which anybody may print.
_CREDENTIALS = (
    *("secrets", "basic_auth", "bearer", "public_keys", "private_keys", "api_key", "enrich", "jwt"),
)


def read_config(values: Mapping[str, Any], source: YamlSource, text: str) -> Config:
    """Return `values` as the tables read them; `source.value` as they stand in the file; `text` is the file."""
    planhat = read_planhat(values.get("planhat", {}), source)
    companies = read_companies(values.get("companies", ()), source)
    people = People(**values.get("people", {}))
    lanes = read_lanes(values.get("lanes", {}), values.get("planhat", {}), companies, people, source)
    if source.value.get("lanes") == {}:
        source.add(("lanes",), "names no lane; leave it out where there is one Planhat")
    sources = {
        name: _source(
            name,
            given,
            source.value["sources"][name],
            check_lane(given.get("lane", ""), lanes, source, ("sources", name, "lane")),
        )
        for name, given in values.get("sources", {}).items()
    }
    for held in sources.values():
        _check_type(held, lanes[held.lane].planhat if held.lane in lanes else planhat, source)
        check_mail_options(held.name, held.options, source)
    rules = source.value.get("rules")
    spool = values.get("spool")
    return Config(
        planhat=planhat,
        sources=sources,
        companies=companies,
        keep=Keep(**{f"{key}_s": value for key, value in values.get("keep", {}).items()}),
        rules=tuple(rule for rule in rules if isinstance(rule, dict)) if isinstance(rules, list) else (),
        redis=_redis(values.get("redis", {}), source),
        spool=SpoolConfig(**spool) if spool and "dir" in spool else None,
        redact=_redactions(values.get("redact", ()), source),
        people=people,
        lanes=lanes,
        alerts=read_alerts(values.get("alerts"), source),
        sandbox=_sandbox(values.get("sandbox", {}), source),
        file=source.file,
        version=blake2b(text.encode(), digest_size=6).hexdigest(),
        lines={".".join(str(step) for step in path): line for path, line in source.lines.items()},
        secrets=tuple(source.secrets),
    )


def _redis(values: Mapping[str, Any], source: YamlSource) -> RedisConfig:
    found = RedisConfig(**values)
    if found.replicas == 1:
        source.add(
            ("redis", "replicas"),
            "1: each master needs two replicas; with one, nothing is accepted after a failover until the old master is back",
            severity="warning",
        )
    return found


def _sandbox(values: Mapping[str, Any], source: YamlSource) -> Mapping[str, Any]:
    try:
        read_seed(values)
    except SeedInvalid as error:
        source.add(("sandbox",), str(error))
        return {}
    return values


def _all_of(readers: Sequence[Callable[[], str]]) -> Callable[[], Sequence[str]]:
    held = tuple(readers)
    return lambda: [read() for read in held]


def _source(name: str, values: Mapping[str, Any], written: Mapping[str, Any], lane: str) -> SourceConfig:
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
        skip=frozenset(values.get("skip", ())),
        thread_subject=values.get("thread_subject", ""),
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
        lane=lane,
    )


def _jwt(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """With what is secret, or may change, as callables."""
    return {**values, **{key: _all_of(values[key]) for key in ("keys", "secrets") if key in values}}


def _enrich(values: Mapping[str, Any], written: Any) -> Mapping[str, Any]:
    """As written, with the credentials as callables: a changed file counts at once."""
    if not values or not isinstance(written, dict):
        return {}
    return {**written, **{key: values[key] for key in ("token", "login") if key in values}}


def _check_type(held: SourceConfig, planhat: PlanhatConfig, source: YamlSource) -> None:
    at: Path = ("sources", held.name, "type")
    if held.type and held.type.lower() in RESERVED_TYPES:
        listed = ", ".join((*planhat.types, DEFAULT_TYPE))
        source.add(at, f"{held.type!r} is reserved by Planhat; use one of {listed}")
    elif held.type and held.type not in (*planhat.types, *STANDING_TYPES):
        where = (
            "planhat.types"
            if held.lane == MAIN and not source.value.get("lanes")
            else f"the types of lane {held.lane}"
        )
        source.add(
            at,
            f"{held.type!r} is not in {where}, and Planhat would silently make it a {DEFAULT_TYPE!r}; "
            f"add it there, or correct it{did_you_mean(held.type, planhat.types)}",
        )


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
