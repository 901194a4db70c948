"""A rule as it was written, made ready to run: its templates compiled, its fields checked against Planhat's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import nodes

from relay.description import safe_html
from relay.planhat.fields import (
    DEFAULT_TYPE,
    RESERVED_TYPES,
    STANDING_TYPES,
    WRITABLE,
    Field,
    field_named,
    value_fault,
)
from relay.registers import STAND_INS, Way
from relay.rules.file.shape import did_you_mean, name_of
from relay.rules.file.yaml_file import Absent, Path, YamlSource
from relay.rules.language.references import dotted_path
from relay.rules.language.template import parse_expression
from relay.rules.reach import conjuncts, guards_of
from relay.rules.rule import ANY_SOURCE, COMPANY_ID, FieldRule, Rule, Slot, fit_to_field
from relay.rules.slots import build_condition, build_slot
from relay.rules.ways import ELSEWHERE, read_ways, unknown_field

#: Kinds of events that tell of a change of state, not of a message.
_NO_MESSAGE = frozenset({"ticket.updated", "ticket.solved"})


@dataclass(frozen=True, slots=True)
class RuleSurroundings:
    """What a rule is checked against. `types` are the tenant's, or those that all lanes of its events have; `types_of` says which
    in words; `asks` are the names that companies are asked by."""

    source: YamlSource
    types: tuple[str, ...]
    sources: tuple[str, ...]
    asks: frozenset[str]
    is_default: bool = False
    resolve_people: bool = True
    safe_descriptions: bool = True
    types_of: str = "planhat.types"


def build_rule(raw: Mapping[str, Any], index: int, around: RuleSurroundings) -> Rule | None:
    """Return the rule at `rules[index]`, whose shape has been read; None when it cannot run. Complains to `around.source`."""
    source, at = around.source, ("rules", index)
    before = len(_errors(source))
    name = raw.get("name") or f"rule-{index + 1}"
    action = raw.get("action", "upsert")
    sources = raw.get("source") or (ANY_SOURCE,)
    for n, given in enumerate(sources):
        if given != ANY_SOURCE and given not in around.sources:
            path = (*at, "source", n) if (*at, "source", n) in source.lines else (*at, "source")
            source.add(path, f"no source is called {given!r}{did_you_mean(given, around.sources)}")
    when = build_condition(raw.get("when"), (*at, "when"), source)
    conversation = raw.get("conversation")
    external_id: Slot | None = None
    fields: tuple[FieldRule, ...] = ()
    if conversation is None and action == "upsert":
        source.add(
            at,
            "'conversation' is missing: it says what becomes of the event (or set an action: drop, retract, archive)",
        )
    elif isinstance(conversation, Absent):
        pass
    elif conversation is not None and not isinstance(conversation, dict):
        source.add(
            (*at, "conversation"), f"should be a mapping of Planhat's fields, not {name_of(conversation)}"
        )
    elif conversation is not None:
        external_id = _external_id(conversation, (*at, "conversation"), action, source)
        ways = read_ways(raw.get("merge"), (*at, "merge"), source)
        fields = _fields(conversation, ways, (*at, "conversation"), action, around)
        fields += _fallbacks(raw.get("fallback"), (*at, "fallback"), action, around)
    company_id = _company_id(raw.get("companyId"), (*at, "companyId"), source)
    company = tuple(
        (key, slot)
        for key, value in (raw.get("company") or {}).items()
        if (slot := build_slot(value, (*at, "company", key), source, where=f"company.{key}")) is not None
    )
    _check_company(company, company_id, action, at, around)
    if len(_errors(source)) > before:
        return None
    rule = Rule(
        name=name,
        sources=tuple(sources),
        action=action,
        when=when,
        external_id=external_id,
        fields=fields,
        company=company,
        company_id=company_id,
        line=source.line(at),
        is_default=around.is_default,
        guards=guards_of(parse_expression(when.text))
        if when is not None and when.template is not None
        else (),
        lane=raw.get("lane", ""),
    )
    _check_appends(rule, at, source)
    return rule if len(_errors(source)) == before else None


def _errors(source: YamlSource) -> list[Any]:
    return [mistake for mistake in source.mistakes if mistake.severity != "warning"]


def _external_id(conversation: Mapping[str, Any], path: Path, action: str, source: YamlSource) -> Slot | None:
    value = conversation.get("externalId")
    if value is None or (isinstance(value, str) and not isinstance(value, Absent) and not value.strip()):
        if action == "upsert":
            source.add(
                path,
                "'externalId' is missing: what makes it one conversation, such as \"{{ event.source }}-{{ event.thread }}\"",
            )
        return None
    at = (*path, "externalId")
    if isinstance(value, (dict, list, bool)):
        source.add(at, f"should be a text, not {name_of(value)}")
        return None
    slot = build_slot(value, at, source, where="conversation.externalId", key=True)
    if slot is not None and slot.template is None and slot.parts is None:
        source.add(
            at, "is the same for every event, so all would fall into one conversation", severity="warning"
        )
    return slot


def _fields(
    conversation: Mapping[str, Any],
    ways: Mapping[str, Way],
    path: Path,
    action: str,
    around: RuleSurroundings,
) -> tuple[FieldRule, ...]:
    source = around.source
    fields: list[FieldRule] = []
    for name, value in conversation.items():
        where = (*path, name)
        if name == "externalId":
            continue
        if name not in WRITABLE or name in ELSEWHERE:
            source.add(where, unknown_field(name))
            continue
        if action != "upsert" and name != "type":
            source.add(where, f"is not used: {action} needs only an externalId", severity="warning")
        if name == "custom":
            fields.extend(_custom(value, ways, where, source))
            continue
        slot = build_slot(value, where, source, where=f"{path[-1]}.{name}")
        if slot is None:
            continue
        if name in ("users", "endusers") and not around.resolve_people and _without_ids(value):
            if not around.is_default:
                source.add(
                    where,
                    "is left out: Planhat knows people by their ids; set planhat.resolve_people: true and the workers "
                    "look them up by email",
                    severity="warning",
                )
            continue
        held = field_named(name)
        if name == "type":
            _check_type(slot, where, around)
        elif held is not None:
            _check_constant(held, slot, value, where, source)
        only = (
            frozenset((*around.types, *STANDING_TYPES))
            if name == "type" and slot.template is not None
            else frozenset()
        )
        form = safe_html if name == "description" and around.safe_descriptions else None
        fields.append(FieldRule(name, ways.get(name, "replace"), slot, held, only, form))
    if action == "upsert" and not conversation.get("type"):
        source.add(path, f"'type' is missing: one of {_listed(around.types)}")
    return tuple(fields)


def _fallbacks(value: Any, path: Path, action: str, around: RuleSurroundings) -> tuple[FieldRule, ...]:
    """What a field holds until an event gives it a value."""
    if value is None or isinstance(value, Absent):
        return ()
    if not isinstance(value, dict):
        around.source.add(path, f"should be a mapping of Planhat's fields, not {name_of(value)}")
        return ()
    for name, inner in value.items():
        if isinstance(inner, list) and len(inner) > len(STAND_INS):
            around.source.add((*path, name), f"has {len(inner)} choices; {len(STAND_INS)} at most")
        if name in ("externalId", "type"):
            around.source.add(
                (*path, name), f"{name} has no fallback: it is the same for the whole conversation"
            )
    found: list[FieldRule] = []
    for n, way in enumerate(STAND_INS):
        given = {
            name: _choice(inner, n) for name, inner in value.items() if name not in ("externalId", "type")
        }
        given = {name: inner for name, inner in given.items() if inner is not None}
        # No way of a rule's own, and no complaint about the type that stands in `conversation`.
        fields = _fields({**given, "type": DEFAULT_TYPE}, {}, path, action, around)
        found += [replace(part, way=way) for part in fields if part.name != "type"]
    return tuple(found)


def _choice(value: Any, n: int) -> Any:
    """The n-th choice of a fallback: a list holds several, the better first."""
    if isinstance(value, dict):
        inner = {name: _choice(one, n) for name, one in value.items()}
        return {name: one for name, one in inner.items() if one is not None} or None
    choices = value if isinstance(value, list) else [value]
    return choices[n] if n < len(choices) else None


def _without_ids(people: Any) -> bool:
    items = people if isinstance(people, list) else [people]
    return any(isinstance(item, dict) and "email" in item and not {"id", "_id"} & set(item) for item in items)


def _listed(types: tuple[str, ...]) -> str:
    return (
        ", ".join((*types, DEFAULT_TYPE))
        if types
        else f"planhat.types (none are listed yet), or {DEFAULT_TYPE}"
    )


def _check_type(slot: Slot, path: Path, around: RuleSurroundings) -> None:
    if slot.template is not None:
        around.source.add(
            path,
            "is a template: an event for which it gives none of planhat.types is a dead letter",
            severity="warning",
        )
        return
    given = slot.constant
    if not isinstance(given, str) or not given.strip():
        around.source.add(path, f"should be a conversation type: one of {_listed(around.types)}")
    elif given in RESERVED_TYPES or given.lower() in RESERVED_TYPES:
        around.source.add(path, f"{given!r} is reserved by Planhat; use one of {_listed(around.types)}")
    elif given not in (*around.types, *STANDING_TYPES):
        hint = did_you_mean(given, around.types) if around.types else "; none are listed yet"
        around.source.add(
            path,
            f"{given!r} is not in {around.types_of}, and Planhat would silently make it a {DEFAULT_TYPE!r}; "
            f"add it there, or correct it{hint}",
        )


def _check_constant(field: Field, slot: Slot, value: Any, path: Path, source: YamlSource) -> None:
    """A constant value is known now, so it is checked now."""
    if slot.template is not None or _has_templates(slot):
        return
    if value in (None, "", [], {}):
        source.add(path, "is empty: leave it out", severity="warning")
        return
    fitted = fit_to_field(field, value)
    fault = value_fault(field, value if fitted == [] else fitted)
    if fault:
        source.add(path, fault)


def _check_appends(rule: Rule, at: Path, source: YamlSource) -> None:
    """An entry of an appended text is known by its message's id: without one it can be neither edited nor taken out."""
    appended = [part.name for part in rule.fields if part.way == "append"]
    if not appended or rule.when is None or rule.when.template is None:
        return
    for head, _, allowed in rule.guards:
        if head == "message_id" and not any(allowed):
            source.add(
                (*at, "merge"),
                f"append of {appended[0]} needs a message id, and 'when' wants events without one",
            )
        elif head == "kind" and allowed <= _NO_MESSAGE:
            kinds = " and ".join(sorted(allowed))
            source.add(
                (*at, "merge"),
                f"append of {appended[0]} without a message id: events of kind {kinds} carry no message, "
                "so each of them adds one more entry that nothing can edit or take out; use replace",
                severity="warning",
            )
    if any(
        isinstance(part, nodes.Not) and dotted_path(part.node) == ("event", "message_id")
        for part in conjuncts(parse_expression(rule.when.text))
    ):
        source.add(
            (*at, "merge"), f"append of {appended[0]} needs a message id, and 'when' wants events without one"
        )


def _has_templates(slot: Slot) -> bool:
    return slot.template is not None or any(_has_templates(part) for _, part in slot.parts or ())


def _custom(value: Any, ways: Mapping[str, Way], path: Path, source: YamlSource) -> list[FieldRule]:
    if not isinstance(value, dict):
        source.add(path, f"should be a mapping of your own fields, not {name_of(value)}")
        return []
    fields = []
    for name, inner in value.items():
        at = (*path, name)
        if isinstance(inner, dict) or (
            isinstance(inner, list) and any(isinstance(i, (dict, list)) for i in inner)
        ):
            source.add(at, "a custom field is a plain value or a list of them, no mapping")
            continue
        slot = build_slot(inner, at, source, where=f"{path[-2]}.custom.{name}")
        if slot is not None:
            key = f"custom.{name}"
            fields.append(FieldRule(key, ways.get(key, ways.get("custom", "replace")), slot))
    return fields


def _company_id(value: Any, path: Path, source: YamlSource) -> Slot | None:
    if value is None:
        return None
    slot = build_slot(value, path, source, where="companyId", key=True)
    if slot is not None and slot.template is None and not COMPANY_ID.fullmatch(str(slot.constant)):
        source.add(path, f"{slot.constant!r} should be a Planhat id (24 hex digits), extid-... or srcid-...")
    return slot


def _check_company(
    company: tuple[tuple[str, Slot], ...],
    company_id: Slot | None,
    action: str,
    at: Path,
    around: RuleSurroundings,
) -> None:
    source = around.source
    if around.is_default:
        return
    if action != "upsert":
        return
    answered = any(key in around.asks for key, _ in company)
    for key, _ in company:
        # One more thing to ask with does no harm, unless it is a slip of the pen or the only one.
        if key not in around.asks and (not answered or did_you_mean(key, tuple(around.asks), always=False)):
            source.add(
                (*at, "company", key),
                f"no step of 'companies' asks for {key!r}{did_you_mean(key, tuple(sorted(around.asks)))}",
                severity="warning",
            )
    if not company and company_id is None and "default" not in around.asks:
        source.add(
            at,
            "has neither company nor companyId, so its events would wait as dead letters",
            severity="warning",
        )
