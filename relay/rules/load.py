"""Reads the config file and makes its rules ready: every mistake at once, each with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from relay.config import (
    Batch,
    CompanyStep,
    Config,
    Keep,
    PlanhatConfig,
    Redaction,
    Retry,
    SourceConfig,
    Spool,
)
from relay.errors import ConfigInvalid, Mistake
from relay.planhat.fields import DEFAULT_TYPE, RESERVED_TYPES
from relay.rules.build import Surroundings, build_rule
from relay.rules.defaults import FAMILIES, read_defaults
from relay.rules.examples import Parse, run_examples
from relay.rules.reach import check_reach, check_ways
from relay.rules.rule import ANY_SOURCE, COMPANY_ID, Rule, RuleBook, first_external_id
from relay.rules.schema import CONFIG, RULE
from relay.rules.shape import did_you_mean
from relay.rules.yaml_file import Path, Source, fill_in, read_yaml
from relay.source_options import SourceOptions

#: Planhat's documented soft limit of calls a minute.
SOFT_CALLS_PER_MINUTE = 200
#: Kept out of `SourceOptions.raw`, which anybody may print.
_CREDENTIALS = ("secrets", "basic_auth", "bearer", "public_keys", "api_key", "enrich")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file as far as it could be read. `config` and `book` are None where a mistake stands in the way."""

    config: Config
    book: RuleBook
    mistakes: tuple[Mistake, ...]

    @property
    def holds(self) -> bool:
        return all(mistake.severity == "warning" for mistake in self.mistakes)


def load(path: str, environ: Mapping[str, str], *, parse: Parse | None = None) -> tuple[Config, RuleBook]:
    """The config and its rules. Raises ConfigInvalid with all mistakes at once; warnings stand in the book."""
    loaded = examine(path, environ, parse=parse)
    if not loaded.holds:
        raise ConfigInvalid([mistake for mistake in loaded.mistakes if mistake.severity != "warning"])
    return loaded.config, loaded.book


def load_config(path: str, environ: Mapping[str, str]) -> Config:
    """The config alone, checked as a whole all the same. Raises ConfigInvalid."""
    return load(path, environ)[0]


def load_rulebook(config: Config) -> RuleBook:
    """The rules of a config that was loaded before. Raises ConfigInvalid."""
    source = Source(config.file, {"rules": list(config.rules)}, lines=_paths(config.lines))
    book = _book(config, source, None, None)
    mistakes = [mistake for mistake in source.mistakes if mistake.severity != "warning"]
    if mistakes:
        raise ConfigInvalid(mistakes)
    return book


def examine(path: str, environ: Mapping[str, str], *, parse: Parse | None = None, text: str | None = None) -> Loaded:
    """Reads the file as far as it can be read, and says everything that is wrong with it. Raises nothing but
    ConfigInvalid for a file that cannot be opened or is no YAML mapping."""
    if text is None:
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise ConfigInvalid([Mistake(f"cannot be read: {error.strerror or type(error).__name__}", path)]) from error
        except UnicodeDecodeError as error:
            raise ConfigInvalid([Mistake("is not UTF-8 text", path)]) from error
    source = read_yaml(text, path)
    if not isinstance(source.value, dict):
        if not source.mistakes:
            found = "is empty" if source.value is None else "should be a mapping"
            source.mistakes.append(Mistake(f"{found}; it needs at least planhat, sources and rules", path))
        raise ConfigInvalid(source.mistakes)
    fill_in(source, environ)
    values = CONFIG.read(source.value, (), source) or {}
    config = _config(values, source, text)
    book = _book(config, source, values.get("rules"), parse)
    mistakes = tuple(sorted(source.mistakes, key=lambda mistake: mistake.line or 0))
    return Loaded(config, book, mistakes)


# -- the values ----------------------------------------------------------------------------------------------


def _config(values: Mapping[str, Any], source: Source, text: str) -> Config:
    planhat = _planhat(values.get("planhat", {}), source)
    sources = {
        name: _source(name, given, source.value["sources"][name]) for name, given in values.get("sources", {}).items()
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
        spool=Spool(**spool) if spool and "dir" in spool else None,
        redact=_redactions(values.get("redact", ()), source),
        file=source.file,
        version=blake2b(text.encode(), digest_size=6).hexdigest(),
        lines={".".join(str(step) for step in path): line for path, line in source.lines.items()},
    )


def _planhat(values: Mapping[str, Any], source: Source) -> PlanhatConfig:
    batch = values.get("batch", {})
    given = {
        "max_items": batch.get("max_items"),
        "max_bytes": batch.get("max_bytes"),
        "linger_s": batch.get("linger"),
    }
    retry = {
        (key if key == "max_refusals" else f"{key}_s"): value for key, value in values.get("retry", {}).items()
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
        "resolve_people": values.get("resolve_people"),
    }
    planhat = PlanhatConfig(
        batch=Batch(**_present(given)), retry=Retry(**_present(retry)), **_present(held)
    )
    if planhat.retry.first_s > planhat.retry.cap_s:
        source.add(("planhat", "retry", "first"), "is longer than retry.cap; the first wait should be the shorter one")
    return planhat


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
        public_url=values.get("public_url", ""),
        signature=values.get("signature", {}),
        topics=values.get("topics", ()),
        certificate_files=values.get("certificate_files", ()),
        scheme=values.get("scheme", ""),
        versions=values.get("versions", ()),
        keep=frozenset(values.get("keep", ())),
        unauthenticated=values.get("unauthenticated", False),
        raw={key: value for key, value in written.items() if key not in _CREDENTIALS},
    )
    enrich = written.get("enrich") if "enrich" in values else None
    return SourceConfig(
        name=name,
        adapter=options.adapter,
        options=options,
        type=values.get("type", ""),
        max_body_bytes=values.get("max_body_bytes"),
        rate_limit=values.get("rate_limit"),
        enrich=enrich if isinstance(enrich, dict) else {},
    )


def _check_sources(sources: Mapping[str, SourceConfig], planhat: PlanhatConfig, source: Source) -> None:
    for name, held in sources.items():
        at: Path = ("sources", name, "type")
        if held.type and held.type.lower() in RESERVED_TYPES:
            listed = ", ".join((*planhat.types, DEFAULT_TYPE))
            source.add(at, f"{held.type!r} is reserved by Planhat; use one of {listed}")
        elif held.type and held.type not in (*planhat.types, DEFAULT_TYPE):
            source.add(
                at,
                f"{held.type!r} is not in planhat.types, and Planhat would silently make it a {DEFAULT_TYPE!r}; "
                f"add it there, or correct it{did_you_mean(held.type, planhat.types)}",
            )


def _companies(steps: Sequence[Mapping[str, Any]], source: Source) -> tuple[CompanyStep, ...]:
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
                source.add((*at, "default"), "always answers, so the steps after it are never asked; put it last")
    return tuple(companies)


def _check_company_id(company: str, path: Path, source: Source) -> None:
    if not COMPANY_ID.fullmatch(company):
        hint = f"; did you mean 'extid-{company}'?" if "-" not in company and len(company) < 60 else ""
        source.add(path, f"{company!r} should be a Planhat id (24 hex digits), extid-... or srcid-...{hint}")


def _redactions(given: Sequence[Mapping[str, Any]], source: Source) -> tuple[Redaction, ...]:
    import re

    redactions = []
    for n, values in enumerate(given):
        if ("field" in values) == ("pattern" in values):
            source.add(("redact", n), "needs either a field or a pattern")
            continue
        try:
            re.compile(values.get("pattern", ""))
        except re.error as error:
            source.add(("redact", n, "pattern"), f"is no regular expression: {error.msg}")
            continue
        redactions.append(Redaction(how=values.get("how", "drop"), field=values.get("field", ""), pattern=values.get("pattern", "")))
    return tuple(redactions)


# -- the rules -----------------------------------------------------------------------------------------------


def _book(config: Config, source: Source, raws: Sequence[Mapping[str, Any]] | None, parse: Parse | None) -> RuleBook:
    """`raws` are the rules as their shape was read (None: to be read)."""
    if raws is None and config.rules:
        raws = [RULE.read(rule, ("rules", n), source) or {} for n, rule in enumerate(config.rules)]
    raws = raws or ()
    around = Surroundings(
        source=source,
        types=config.planhat.types,
        sources=tuple(config.sources),
        asks=_asks(config),
        resolve_people=config.planhat.resolve_people,
    )
    rules: dict[int, Rule] = {}
    names: dict[str, int] = {}
    for index, raw in enumerate(raws):
        name = raw.get("name")
        if name in names:
            source.add(("rules", index, "name"), f"{name!r} is the name of rule {names[name] + 1} as well; each needs its own")
        elif name:
            names[name] = index
        rule = build_rule(raw, index, around)
        if rule is not None:
            rules[index] = rule
    placed = sorted(rules.items())
    check_reach(placed, tuple(config.sources), source)
    check_ways(placed, source)
    by_source = {name: _own_rules(name, config, placed, source) for name in config.sources}
    book = RuleBook(
        version=config.version,
        rules=tuple(rule for _, rule in placed),
        by_source=by_source,
        for_any=_until_always(rule for _, rule in placed if ANY_SOURCE in rule.sources),
    )
    _check_borrowed_ids(placed, book, tuple(config.sources), source)
    if all(mistake.severity == "warning" for mistake in source.mistakes):
        adapters = {name: held.adapter for name, held in config.sources.items()}
        run_examples(raws, rules, book, source, adapters, parse)
    warnings = tuple(mistake for mistake in source.mistakes if mistake.severity == "warning")
    return RuleBook(book.version, book.rules, book.by_source, book.for_any, warnings)


def _asks(config: Config) -> frozenset[str]:
    """What `company:` may ask with."""
    asks = {step.key for step in config.companies if step.kind == "table"}
    kinds = {step.kind for step in config.companies}
    if "enduser_email" in kinds or "domain" in asks:
        asks.add("email")
    if "company_domain" in kinds:
        asks |= {"domain", "email"}
    if "default" in kinds:
        asks.add("default")
    return frozenset(asks)


def _own_rules(name: str, config: Config, placed: Sequence[tuple[int, Rule]], source: Source) -> tuple[Rule, ...]:
    """The rules that events of source `name` meet: the user's, and the adapter's own where no rule names it."""
    rules = [rule for _, rule in placed if rule.concerns(name)]
    named = any(_names(raw, name) for raw in config.rules)
    if not named and config.sources[name].adapter in FAMILIES:
        rules += default_rules(config.sources[name], config, source)
    return _until_always(rules)


def _names(raw: Mapping[str, Any], source: str) -> bool:
    given = raw.get("source")
    return given == source or (isinstance(given, list) and source in given)


def default_rules(held: SourceConfig, config: Config, source: Source | None = None) -> list[Rule]:
    """The adapter's own rules for this source, ready to run."""
    type_ = held.type
    if not type_:
        types = FAMILIES[held.adapter].types
        type_ = next((known for known in types if known in config.planhat.types), DEFAULT_TYPE)
        if source is not None and type_ == DEFAULT_TYPE:
            source.add(
                ("sources", held.name),
                f"has neither a type nor a rule, so its conversations become {DEFAULT_TYPE!r}; add type: with one of planhat.types",
                severity="warning",
            )
    written = read_yaml(read_defaults(held.adapter), f"{FAMILIES[held.adapter].file}.yaml")
    written.value = {"rules": _named(written.value, held.name, type_)}
    around = Surroundings(
        source=written,
        types=(*config.planhat.types, type_),
        sources=(held.name,),
        asks=frozenset(),
        is_default=True,
        resolve_people=config.planhat.resolve_people,
    )
    rules = []
    for n, raw in enumerate(written.value["rules"]):
        shaped = RULE.read(raw, ("rules", n), written) or {}
        rule = build_rule(shaped, n, around)
        if rule is not None:
            rules.append(rule)
    return rules


def _named(value: Any, name: str, type_: str) -> Any:
    if isinstance(value, dict):
        return {key: _named(child, name, type_) for key, child in value.items()}
    if isinstance(value, list):
        return [_named(child, name, type_) for child in value]
    if value == "TYPE":
        return type_
    if isinstance(value, str) and value.startswith("SOURCE"):
        return name + value[len("SOURCE") :]
    return value


def _until_always(rules: Any) -> tuple[Rule, ...]:
    """No event gets past a rule that always matches."""
    kept: list[Rule] = []
    for rule in rules:
        kept.append(rule)
        if rule.when is None:
            break
    return tuple(kept)


def _check_borrowed_ids(
    placed: Sequence[tuple[int, Rule]], book: RuleBook, sources: Sequence[str], source: Source
) -> None:
    for index, rule in placed:
        if rule.action not in ("retract", "archive") or rule.external_id is not None:
            continue
        for name in sources if ANY_SOURCE in rule.sources else rule.sources:
            if first_external_id(book.rules_for(name)) is None:
                source.add(
                    ("rules", index),
                    f"{rule.action} needs a conversation.externalId: no upsert rule for source {name!r} gives one",
                )


def _paths(lines: Mapping[str, int]) -> dict[Path, int]:
    return {
        tuple(int(step) if step.isdigit() else step for step in path.split(".")) if path else (): line
        for path, line in lines.items()
    }
