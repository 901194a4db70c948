"""Reads the config file and makes its rules ready: every mistake at once, each with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from relay.config import (
    Config,
    SourceConfig,
)
from relay.environment import Environment
from relay.errors import ConfigInvalid, Mistake
from relay.lane_name import MAIN
from relay.planhat.address import PLANHAT_URL
from relay.planhat.fields import DEFAULT_TYPE
from relay.rules.build import RuleSurroundings, build_rule
from relay.rules.defaults import FAMILIES, read_defaults
from relay.rules.examples import Parse, run_examples
from relay.rules.file.schema import CONFIG, RULE
from relay.rules.file.tenants import check_lane
from relay.rules.file.values import read_config
from relay.rules.file.yaml_file import Path, YamlSource, fill_in, read_yaml
from relay.rules.reach import check_reach, check_ways
from relay.rules.rule import ANY_SOURCE, Rule, RuleBook, first_external_id
from relay.rules.written import check_custom_names
from relay.secret import Strength, weak_allowed


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file as far as it could be read. `config` and `book` are None where a mistake stands in the way."""

    config: Config
    book: RuleBook
    mistakes: tuple[Mistake, ...]
    #: Paths whose variable is not there, and whether something stands in for it.
    unset: Mapping[Path, bool] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return all(mistake.severity == "warning" for mistake in self.mistakes)


def load(
    path: str, environ: Mapping[str, str], *, parse: Parse | None = None, text: str | None = None
) -> tuple[Config, RuleBook]:
    """Return the config and its rules, out of the file, or out of `text` that was read from it before. Raises ConfigInvalid with all
    mistakes at once; warnings stand in the book."""
    loaded = examine_config(path, environ, parse=parse, text=text)
    if not loaded.holds:
        raise ConfigInvalid([mistake for mistake in loaded.mistakes if mistake.severity != "warning"])
    return loaded.config, loaded.book


def load_config(path: str, environ: Mapping[str, str]) -> Config:
    """Return the config alone, checked as a whole all the same. Raises ConfigInvalid."""
    return load(path, environ)[0]


def load_rulebook(config: Config) -> RuleBook:
    """Return the rules of a config that was loaded before. Raises ConfigInvalid."""
    source = YamlSource(config.file, {"rules": list(config.rules)}, lines=_paths(config.lines))
    book = _book(config, source, None, None)
    mistakes = [mistake for mistake in source.mistakes if mistake.severity != "warning"]
    if mistakes:
        raise ConfigInvalid(mistakes)
    return book


def try_rules(config: Config, text: str) -> RuleBook:
    """Return the rules of `text`, a file's `rules:` alone, in the place of the config's; nothing is kept. `${NAME}` stays as it is written: who
    may try rules may not read variables. Raises ConfigInvalid."""
    source = read_yaml(text, "rules")
    value = source.value if isinstance(source.value, dict) else {}
    rules = value.get("rules")
    if not source.mistakes and (not isinstance(rules, list) or len(value) > 1):
        source.add((), "wanted `rules:` and a list below it, and nothing else")
    if not source.mistakes:
        tried = replace(config, rules=tuple(rule for rule in rules or () if isinstance(rule, dict)))
        book = _book(tried, source, None, None)
    mistakes = [mistake for mistake in source.mistakes if mistake.severity != "warning"]
    if mistakes:
        raise ConfigInvalid(mistakes)
    return book


def examine_config(
    path: str,
    environ: Mapping[str, str],
    *,
    parse: Parse | None = None,
    text: str | None = None,
    secrets: bool = True,
) -> Loaded:
    """Reads the file as far as it can be read, and says everything that is wrong with it (without `secrets`: but for variables
    that are missing). Raises nothing but
    ConfigInvalid for a file that cannot be opened or is no YAML mapping."""
    if text is None:
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise ConfigInvalid(
                [Mistake(f"cannot be read: {error.strerror or type(error).__name__}", path)]
            ) from error
        except UnicodeDecodeError as error:
            raise ConfigInvalid([Mistake("is not UTF-8 text", path)]) from error
    source = read_yaml(text, path)
    if not isinstance(source.value, dict):
        if not source.mistakes:
            found = "is empty" if source.value is None else "should be a mapping"
            source.mistakes.append(Mistake(f"{found}; it needs at least planhat, sources and rules", path))
        raise ConfigInvalid(source.mistakes)
    source.strength = Strength(weak_allowed(environ))
    settings = Environment(environ)
    source.plain_http = settings.value("PLANHAT_PLAIN_HTTP", "").lower() in ("true", "1", "yes")
    source.planhat_url = settings.value("PLANHAT_URL", PLANHAT_URL)
    source.has_token = bool(environ.get("RELAY_PLANHAT_TOKEN") or environ.get("RELAY_PLANHAT_TOKEN_FILE"))
    fill_in(source, environ, secrets=secrets)
    values = CONFIG.read(source.value, (), source) or {}
    config = read_config(values, source, text)
    book = _book(config, source, values.get("rules"), parse)
    mistakes = tuple(sorted(source.mistakes, key=lambda mistake: mistake.line or 0))
    return Loaded(config, book, mistakes, source.unset)


def _book(
    config: Config, source: YamlSource, raws: Sequence[Mapping[str, Any]] | None, parse: Parse | None
) -> RuleBook:
    """`raws` are the rules as their shape was read (None: to be read)."""
    if raws is None and config.rules:
        raws = [RULE.read(rule, ("rules", n), source) or {} for n, rule in enumerate(config.rules)]
    raws = raws or ()
    rules: dict[int, Rule] = {}
    names: dict[str, int] = {}
    for index, raw in enumerate(raws):
        name = raw.get("name")
        if name in names:
            source.add(
                ("rules", index, "name"),
                f"{name!r} is the name of rule {names[name] + 1} as well; each needs its own",
            )
        elif name:
            names[name] = index
        lane = raw.get("lane", "") and check_lane(raw["lane"], config.lanes, source, ("rules", index, "lane"))
        rule = build_rule(raw, index, _around(config, _lanes_of(raw, lane, config), source))
        if rule is not None:
            rules[index] = rule
    placed = sorted(rules.items())
    check_reach(placed, tuple(config.sources), source)
    check_ways(placed, source)
    check_custom_names(placed, source)
    by_source = {name: _own_rules(name, config, placed, source) for name in config.sources}
    book = RuleBook(
        version=config.version,
        rules=tuple(rule for _, rule in placed),
        by_source=by_source,
        for_any=_until_always(rule for _, rule in placed if ANY_SOURCE in rule.sources),
    )
    _check_borrowed_ids(placed, book, tuple(config.sources), source)
    if not any(_bears_on_rules(mistake, source) for mistake in source.mistakes):
        adapters = {name: held.adapter for name, held in config.sources.items()}
        run_examples(raws, rules, book, source, adapters, parse)
    warnings = tuple(mistake for mistake in source.mistakes if mistake.severity == "warning")
    return RuleBook(book.version, book.rules, book.by_source, book.for_any, warnings)


def _bears_on_rules(mistake: Mistake, source: YamlSource) -> bool:
    """Whether examples may fail of this alone: a mistake of rules or sources other than a variable that is not set."""
    if mistake.severity == "warning" or mistake.where in {source.where(path) for path in source.unset}:
        return False
    return not mistake.where.startswith(("planhat.", "companies", "keep."))


def _lanes_of(raw: Mapping[str, Any], lane: str, config: Config) -> tuple[str, ...]:
    """Where a rule's events may go: its own lane, or those of its sources."""
    if lane or not config.lanes:
        return (lane or MAIN,)
    given = [name for name in raw.get("source") or () if name in config.sources]
    of = (config.sources[name].lane for name in given or config.sources)
    return tuple(dict.fromkeys(of)) or config.lane_names


def _around(config: Config, lanes: Sequence[str], source: YamlSource) -> RuleSurroundings:
    """What a rule whose events go to `lanes` is checked against."""
    tenants = [config.for_lane(name) for name in lanes]
    types = tuple(
        type_
        for type_ in tenants[0].planhat.types
        if all(type_ in tenant.planhat.types for tenant in tenants)
    )
    return RuleSurroundings(
        source=source,
        types=types,
        sources=tuple(config.sources),
        asks=frozenset[str]().union(*map(_asks, tenants)),
        resolve_people=any(tenant.planhat.resolve_people for tenant in tenants),
        safe_descriptions=config.planhat.descriptions == "safe",
        types_of=f"the types of lane {' and '.join(lanes)}" if config.lanes else "planhat.types",
    )


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


def _own_rules(
    name: str, config: Config, placed: Sequence[tuple[int, Rule]], source: YamlSource
) -> tuple[Rule, ...]:
    """The rules that events of source `name` meet: the user's, and the adapter's own where no rule names it."""
    rules = [rule for _, rule in placed if rule.concerns(name)]
    named = any(_names(raw, name) for raw in config.rules)
    if not named and config.sources[name].adapter in FAMILIES:
        rules += default_rules(config.sources[name], config, source)
    return _until_always(rules)


def _names(raw: Mapping[str, Any], source: str) -> bool:
    given = raw.get("source")
    return given == source or (isinstance(given, list) and source in given)


def default_rules(held: SourceConfig, config: Config, source: YamlSource | None = None) -> list[Rule]:
    """Return the adapter's own rules for this source, ready to run."""
    type_ = held.type
    tenant = config.for_lane(held.lane).planhat
    if not type_:
        types = FAMILIES[held.adapter].types
        type_ = next((known for known in types if known in tenant.types), DEFAULT_TYPE)
        if source is not None and type_ == DEFAULT_TYPE:
            source.add(
                ("sources", held.name),
                f"has neither a type nor a rule, so its conversations become {DEFAULT_TYPE!r}; add type: with one of planhat.types",
                severity="warning",
            )
    written = read_yaml(read_defaults(held.adapter), f"{FAMILIES[held.adapter].file}.yaml")
    date_way = "first" if config.planhat.thread_date == "first" else "replace"
    written.value = {"rules": _named(written.value, held.name, type_, date_way)}
    around = RuleSurroundings(
        source=written,
        types=(*tenant.types, type_),
        sources=(held.name,),
        asks=frozenset(),
        is_default=True,
        resolve_people=tenant.resolve_people,
        safe_descriptions=config.planhat.descriptions == "safe",
    )
    rules = []
    for n, raw in enumerate(written.value["rules"]):
        shaped = RULE.read(raw, ("rules", n), written) or {}
        rule = build_rule(shaped, n, around)
        if rule is not None:
            rules.append(rule)
    return rules


def _named(value: Any, name: str, type_: str, date_way: str) -> Any:
    if isinstance(value, dict):
        return {key: _named(child, name, type_, date_way) for key, child in value.items()}
    if isinstance(value, list):
        return [_named(child, name, type_, date_way) for child in value]
    if value == "TYPE":
        return type_
    if value == "THREAD_DATE":
        return date_way
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
    placed: Sequence[tuple[int, Rule]], book: RuleBook, sources: Sequence[str], source: YamlSource
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
