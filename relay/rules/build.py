"""A rule as it was written, made ready to run: its templates compiled, its fields checked against Planhat's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from jinja2 import nodes

from relay.patch import WAYS, Way
from relay.planhat.fields import (
    DEFAULT_TYPE,
    EXTRAS,
    FIELDS,
    RESERVED_TYPES,
    WRITABLE,
    Field,
    field_named,
    value_fault,
)
from relay.rules.reach import conjuncts, guards_of
from relay.rules.references import Doubt, doubts_in, faults_in, path_of
from relay.rules.rule import ANY_SOURCE, COMPANY_ID, FieldRule, Rule, Slot, fit
from relay.rules.shape import did_you_mean, name_of
from relay.rules.template import (
    Fault,
    TemplateInvalid,
    compiled,
    parse_expression,
    parse_text,
    sole_expression,
)
from relay.rules.yaml_file import Absent, Path, Source

#: Kinds of events that tell of a change of state, not of a message.
_NO_MESSAGE = frozenset({"ticket.updated", "ticket.solved"})
_WRITABLE_NAMES = tuple(name for table in (FIELDS, EXTRAS) for name in table if name in WRITABLE)
#: Set elsewhere in a rule, or only by the relay itself.
_ELSEWHERE = {
    "companyId": "set it as the rule's own key 'companyId', beside 'conversation'",
    "_id": "Planhat makes it; conversations are found by externalId",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a rule is checked against. `types` are the tenant's; `steps` the names that companies are asked by."""

    source: Source
    types: tuple[str, ...]
    sources: tuple[str, ...]
    asks: frozenset[str]
    is_default: bool = False
    resolve_people: bool = False


def build_rule(raw: Mapping[str, Any], index: int, around: Surroundings) -> Rule | None:
    """The rule at `rules[index]`, whose shape has been read; None when it cannot run. Complains to `around.source`."""
    source, at = around.source, ("rules", index)
    before = len(_errors(source))
    name = raw.get("name") or f"rule-{index + 1}"
    action = raw.get("action", "upsert")
    sources = raw.get("source") or (ANY_SOURCE,)
    for n, given in enumerate(sources):
        if given != ANY_SOURCE and given not in around.sources:
            path = (*at, "source", n) if (*at, "source", n) in source.lines else (*at, "source")
            source.add(path, f"no source is called {given!r}{did_you_mean(given, around.sources)}")
    when = _condition(raw.get("when"), (*at, "when"), source)
    conversation = raw.get("conversation")
    external_id: Slot | None = None
    fields: tuple[FieldRule, ...] = ()
    if conversation is None and action == "upsert":
        source.add(at, "'conversation' is missing: it says what becomes of the event (or set an action: drop, retract, archive)")
    elif isinstance(conversation, Absent):
        pass
    elif conversation is not None and not isinstance(conversation, dict):
        source.add((*at, "conversation"), f"should be a mapping of Planhat's fields, not {name_of(conversation)}")
    elif conversation is not None:
        external_id = _external_id(conversation, (*at, "conversation"), action, source)
        ways = _ways(raw.get("merge"), (*at, "merge"), source)
        fields = _fields(conversation, ways, at, action, around)
    company_id = _company_id(raw.get("companyId"), (*at, "companyId"), source)
    company = tuple(
        (key, slot)
        for key, value in (raw.get("company") or {}).items()
        if (slot := _slot(value, (*at, "company", key), source, where=f"company.{key}")) is not None
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
        guards=guards_of(parse_expression(when.text)) if when is not None and when.template is not None else (),
    )
    _check_appends(rule, at, source)
    return rule if len(_errors(source)) == before else None


def _errors(source: Source) -> list[Any]:
    return [mistake for mistake in source.mistakes if mistake.severity != "warning"]


def _condition(value: Any, path: Path, source: Source) -> Slot | None:
    if value is None or isinstance(value, Absent):
        return None
    line, block = source.line(path), path in source.blocks
    if isinstance(value, bool):
        return None if value else Slot("when", constant=False, line=line, text="false")
    if not isinstance(value, str) or not value.strip():
        source.add(path, 'should be a condition such as event.kind == "message.created"')
        return None
    text = value.strip()
    if text.startswith("{{") and text.endswith("}}"):
        source.add(path, "is an expression already: leave out {{ and }}")
        return None
    try:
        _report(_study(text, expression=True), path, source)
        return Slot("when", template=compiled(text, native=True), line=line, block=block, text=text)
    except TemplateInvalid as error:
        _report_invalid(error, path, source)
        return None


@dataclass(frozen=True, slots=True)
class _Study:
    """What can be said of a template alone. `inner` is the expression of one that is exactly one `{{ ... }}`."""

    faults: tuple[Fault, ...]
    doubts: tuple[Doubt, ...]
    inner: str | None = None


@lru_cache(maxsize=4096)
def _study(text: str, *, expression: bool = False) -> _Study:
    """Remembered, so that a reload looks only at what changed. Raises TemplateInvalid."""
    tree: nodes.Node = parse_expression(text) if expression else parse_text(text)
    inner = None
    if not expression:
        stripped = text.strip()
        if sole_expression(parse_text(stripped)) is not None:
            inner = stripped.removeprefix("{{").removesuffix("}}").strip("-+").strip()
    return _Study(tuple(faults_in(tree)), tuple(doubts_in(tree)), inner)


def _report(study: _Study, path: Path, source: Source) -> None:
    for fault in study.faults:
        source.add(path, fault.message, offset=fault.line - 1)
    for doubt in study.doubts:
        source.add(path, doubt.message, severity="warning", offset=doubt.line - 1)


def _report_invalid(error: TemplateInvalid, path: Path, source: Source) -> None:
    message = str(error).rstrip(".")
    if any(f"{m.message}" and m.where == source.where(path) and "unknown" in m.message for m in source.mistakes):
        return
    source.add(path, f"does not compile: {message}", offset=error.line - 1)


def _slot(value: Any, path: Path, source: Source, *, where: str, key: bool = False) -> Slot | None:
    """`key`: every part of the template has to render to something."""
    line, block = source.line(path), path in source.blocks
    if isinstance(value, Absent):
        return None
    if isinstance(value, dict):
        parts = [(k, _slot(v, (*path, k), source, where=f"{where}.{k}")) for k, v in value.items()]
        return Slot(where, parts=tuple((k, s) for k, s in parts if s is not None), mapping=True, line=line)
    if isinstance(value, list):
        items = [(n, _slot(v, (*path, n), source, where=f"{where}[{n}]")) for n, v in enumerate(value)]
        return Slot(where, parts=tuple((n, s) for n, s in items if s is not None), line=line)
    if not isinstance(value, str) or not any(mark in value for mark in ("{{", "{%", "{#")):
        return Slot(where, constant=value, line=line, text="" if value is None else str(value))
    try:
        study = _study(value)
        _report(study, path, source)
        if study.inner is not None:
            template = compiled(study.inner, native=True)
            return Slot(where, template=template, line=line, block=block, text=value.strip())
        return Slot(where, template=compiled(value, native=False, key=key), line=line, block=block, text=value.rstrip("\n"))
    except TemplateInvalid as error:
        _report_invalid(error, path, source)
        return None


def _external_id(conversation: Mapping[str, Any], path: Path, action: str, source: Source) -> Slot | None:
    value = conversation.get("externalId")
    if value is None or (isinstance(value, str) and not isinstance(value, Absent) and not value.strip()):
        if action == "upsert":
            source.add(path, '\'externalId\' is missing: what makes it one conversation, such as "{{ event.source }}-{{ event.thread }}"')
        return None
    at = (*path, "externalId")
    if isinstance(value, (dict, list, bool)):
        source.add(at, f"should be a text, not {name_of(value)}")
        return None
    slot = _slot(value, at, source, where="conversation.externalId", key=True)
    if slot is not None and slot.template is None and slot.parts is None:
        source.add(at, "is the same for every event, so all would fall into one conversation", severity="warning")
    return slot


def _ways(value: Any, path: Path, source: Source) -> dict[str, Way]:
    """Field, or "custom", or "custom.Name" -> way."""
    ways: dict[str, Way] = {}
    if value is None:
        return ways
    if not isinstance(value, dict):
        source.add(path, f"should be a mapping of fields to {', '.join(WAYS)}, not {name_of(value)}")
        return ways
    for key, way in value.items():
        at = (*path, key)
        if key == "custom" and isinstance(way, dict):
            for inner, inner_way in way.items():
                _add_way(ways, f"custom.{inner}", inner_way, (*at, inner), source)
        else:
            _add_way(ways, key, way, at, source)
    return ways


def _add_way(ways: dict[str, Way], key: str, way: Any, at: Path, source: Source) -> None:
    if isinstance(way, list):
        source.add(at, f"a field has one way to merge, not {len(way)}; use one of {', '.join(WAYS)}")
        return
    if way not in WAYS:
        given = f"{way!r} is no way to merge" if isinstance(way, str) else f"should be a way to merge, not {name_of(way)}"
        source.add(at, f"{given}{did_you_mean(str(way), WAYS)}")
        return
    if key in ways and ways[key] != way:
        source.add(at, f"{key} has two ways to merge, {ways[key]} and {way}; keep one")
        return
    if key in ("externalId", "type"):
        source.add(at, f"{key} does not merge: it is the same for the whole conversation")
        return
    head = key.split(".", 1)[0]
    if head != "custom" and (key not in WRITABLE):
        source.add(at, _unknown(key))
        return
    held = field_named(head)
    fault = _way_fault(held, key, way)
    if fault:
        source.add(at, fault)
        return
    ways[key] = cast(Way, way)


def _way_fault(field: Field | None, key: str, way: str) -> str:
    if field is None or field.name == "custom":
        return ""
    if way == "union" and field.type != "array":
        return f"union is for lists, and {key} is a {_kind(field)}; use replace, first or append"
    if way == "append" and (field.type != "string" or field.date):
        return f"append is for texts, and {key} is a {_kind(field)}; use replace{' or union' if field.type == 'array' else ' or first'}"
    return ""


def _kind(field: Field) -> str:
    if field.date:
        return "date"
    return {"array": "list", "boolean": "true or false", "string": "text", "objectId": "text"}.get(field.type, field.type)


def _unknown(name: str) -> str:
    held = field_named(name)
    if name in _ELSEWHERE:
        return f"{name!r} cannot stand here: {_ELSEWHERE[name]}"
    if held is not None and not held.writable:
        return f"{name!r} is generated by Planhat itself; leave it out"
    hint = did_you_mean(name, _WRITABLE_NAMES, always=False)
    return f"Planhat has no field {name!r}{hint or '; fields of your own belong under custom'}"


def _fields(
    conversation: Mapping[str, Any], ways: Mapping[str, Way], at: Path, action: str, around: Surroundings
) -> tuple[FieldRule, ...]:
    source = around.source
    fields: list[FieldRule] = []
    path = (*at, "conversation")
    for name, value in conversation.items():
        where = (*path, name)
        if name == "externalId":
            continue
        if name not in WRITABLE or name in _ELSEWHERE:
            source.add(where, _unknown(name))
            continue
        if action != "upsert" and name != "type":
            source.add(where, f"is not used: {action} needs only an externalId", severity="warning")
        if name == "custom":
            fields.extend(_custom(value, ways, where, source))
            continue
        slot = _slot(value, where, source, where=f"conversation.{name}")
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
        only = frozenset((*around.types, DEFAULT_TYPE)) if name == "type" and slot.template is not None else frozenset()
        fields.append(FieldRule(name, ways.get(name, "replace"), slot, held, only))
    if action == "upsert" and not conversation.get("type"):
        source.add(path, f"'type' is missing: one of {_listed(around.types)}")
    return tuple(fields)


def _without_ids(people: Any) -> bool:
    items = people if isinstance(people, list) else [people]
    return any(isinstance(item, dict) and "email" in item and not {"id", "_id"} & set(item) for item in items)


def _listed(types: tuple[str, ...]) -> str:
    return ", ".join((*types, DEFAULT_TYPE)) if types else f"planhat.types (none are listed yet), or {DEFAULT_TYPE}"


def _check_type(slot: Slot, path: Path, around: Surroundings) -> None:
    if slot.template is not None:
        around.source.add(
            path, "is a template: an event for which it gives none of planhat.types is a dead letter", severity="warning"
        )
        return
    given = slot.constant
    if not isinstance(given, str) or not given.strip():
        around.source.add(path, f"should be a conversation type: one of {_listed(around.types)}")
    elif given in RESERVED_TYPES or given.lower() in RESERVED_TYPES:
        around.source.add(path, f"{given!r} is reserved by Planhat; use one of {_listed(around.types)}")
    elif given != DEFAULT_TYPE and given not in around.types:
        hint = did_you_mean(given, around.types) if around.types else "; none are listed yet"
        around.source.add(
            path,
            f"{given!r} is not in planhat.types, and Planhat would silently make it a {DEFAULT_TYPE!r}; "
            f"add it there, or correct it{hint}",
        )


def _check_constant(field: Field, slot: Slot, value: Any, path: Path, source: Source) -> None:
    """A constant value is known now, so it is checked now."""
    if slot.template is not None or _has_templates(slot):
        return
    if value in (None, "", [], {}):
        source.add(path, "is empty: leave it out", severity="warning")
        return
    fault = value_fault(field, fit(field, value))
    if fault:
        source.add(path, fault)


def _check_appends(rule: Rule, at: Path, source: Source) -> None:
    """An entry of an appended text is known by its message's id: without one it can be neither edited nor taken out."""
    appended = [part.name for part in rule.fields if part.way == "append"]
    if not appended or rule.when is None or rule.when.template is None:
        return
    for head, _, allowed in rule.guards:
        if head == "message_id" and not any(allowed):
            source.add((*at, "merge"), f"append of {appended[0]} needs a message id, and 'when' wants events without one")
        elif head == "kind" and allowed <= _NO_MESSAGE:
            kinds = " and ".join(sorted(allowed))
            source.add(
                (*at, "merge"),
                f"append of {appended[0]} without a message id: events of kind {kinds} carry no message, "
                "so each of them adds one more entry that nothing can edit or take out; use replace",
                severity="warning",
            )
    if any(isinstance(part, nodes.Not) and path_of(part.node) == ("event", "message_id") for part in conjuncts(parse_expression(rule.when.text))):
        source.add((*at, "merge"), f"append of {appended[0]} needs a message id, and 'when' wants events without one")


def _has_templates(slot: Slot) -> bool:
    return slot.template is not None or any(_has_templates(part) for _, part in slot.parts or ())


def _custom(value: Any, ways: Mapping[str, Way], path: Path, source: Source) -> list[FieldRule]:
    if not isinstance(value, dict):
        source.add(path, f"should be a mapping of your own fields, not {name_of(value)}")
        return []
    fields = []
    for name, inner in value.items():
        at = (*path, name)
        if isinstance(inner, dict) or (isinstance(inner, list) and any(isinstance(i, (dict, list)) for i in inner)):
            source.add(at, "a custom field is a plain value or a list of them, no mapping")
            continue
        slot = _slot(inner, at, source, where=f"conversation.custom.{name}")
        if slot is not None:
            key = f"custom.{name}"
            fields.append(FieldRule(key, ways.get(key, ways.get("custom", "replace")), slot))
    return fields


def _company_id(value: Any, path: Path, source: Source) -> Slot | None:
    if value is None:
        return None
    slot = _slot(value, path, source, where="companyId", key=True)
    if slot is not None and slot.template is None and not COMPANY_ID.fullmatch(str(slot.constant)):
        source.add(path, f"{slot.constant!r} should be a Planhat id (24 hex digits), extid-... or srcid-...")
    return slot


def _check_company(
    company: tuple[tuple[str, Slot], ...], company_id: Slot | None, action: str, at: Path, around: Surroundings
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
        source.add(at, "has neither company nor companyId, so its events would wait as dead letters", severity="warning")
