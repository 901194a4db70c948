"""Why an event becomes what it becomes: every rule tried, every field with its template and what went in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import nodes

from relay.config import Config
from relay.errors import MappingFailed
from relay.event import Event
from relay.registers import STAND_INS
from relay.rules.examples import document_of
from relay.rules.language.references import path_text, paths_in
from relay.rules.language.sandbox import refill
from relay.rules.language.template import (
    Context,
    TemplateFailed,
    TemplateInvalid,
    compiled,
    parse_expression,
    parse_text,
)
from relay.rules.language.wording import words_of
from relay.rules.reach import conjuncts
from relay.rules.rule import (
    FieldRule,
    Rule,
    RuleBook,
    Slot,
    company_asks,
    company_id_of,
    external_id_of,
    render_field,
    scope_of,
)

_MAX_SHOWN_CHARS = 2000


def explain(config: Config, rulebook: RuleBook, event: Event) -> dict[str, Any]:
    """Return what the rules make of `event`, as JSON values; sends nothing and looks nothing up.

    `result` is `mapped`, `dropped`, `no rule` or `failed` (with `cause`); `rules` those tried, in order; `fields`
    and `document` what the matching one gives; `company` how its companyId is found.
    """
    context = scope_of(event)
    told: dict[str, Any] = {
        "event": event.view(),
        "version": rulebook.version,
        "result": "no rule",
        "rule": None,
        "rules": [],
        "fields": [],
        "document": None,
        "company": None,
    }
    for rule in rulebook.rules_for(event.source):
        tried = _tried(rule, context)
        told["rules"].append(tried)
        if tried.get("error"):
            return {**told, "result": "failed", "rule": rule.name, "cause": tried["error"]}
        if not tried["matched"]:
            continue
        told["rule"] = rule.name
        if rule.action == "drop":
            return {**told, "result": "dropped"}
        return {**told, **_made(config, rulebook, rule, event, context)}
    if not told["rules"]:
        told["why"] = f"no rule concerns source {event.source!r}"
    return told


def _tried(rule: Rule, context: Context) -> dict[str, Any]:
    tried: dict[str, Any] = {
        "rule": rule.name,
        "line": rule.line,
        "default": rule.is_default,
        "action": rule.action,
        "when": rule.when.text if rule.when else None,
        "matched": True,
        "why": "has no 'when'",
        "parts": [],
    }
    if rule.when is None:
        return tried
    try:
        tried["matched"] = rule.matches(context)
    except MappingFailed as error:
        return {**tried, "matched": False, "why": error.cause, "error": error.cause}
    if rule.when.template is not None:
        tried["parts"] = [_part(part, context) for part in conjuncts(parse_expression(rule.when.text))]
    failing = [part for part in tried["parts"] if not part["holds"]]
    if tried["matched"]:
        tried["why"] = "all of its condition holds"
    elif failing:
        tried["why"] = "; ".join(_because(part) for part in failing)
    else:
        tried["why"] = "its condition does not hold"
    return tried


def _part(tree: nodes.Node, context: Context) -> dict[str, Any]:
    words = words_of(tree)
    return {"text": words, "holds": bool(_evaluate(words, context)), "inputs": _inputs(tree, context)}


def _because(part: Mapping[str, Any]) -> str:
    given = ", ".join(f"{path} is {_short(value)!r}" for path, value in part["inputs"].items())
    return f"{part['text']} is false" + (f" ({given})" if given else "")


def _short(value: Any) -> Any:
    return value[:80] + "…" if isinstance(value, str) and len(value) > 80 else value


def _evaluate(words: str, context: Context) -> Any:
    refill()
    try:
        return compiled(words, native=True)(context)
    except (TemplateInvalid, TemplateFailed):
        return None


def _inputs(tree: nodes.Node, context: Context) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for path, _ in paths_in(tree):
        text = path_text(path)
        if len(path) > 1 and text not in inputs:
            value = _evaluate(text, context)
            inputs[text] = value[:_MAX_SHOWN_CHARS] if isinstance(value, str) else value
    return inputs


def _made(config: Config, book: RuleBook, rule: Rule, event: Event, context: Context) -> dict[str, Any]:
    told: dict[str, Any] = {"fields": [], "action": rule.action}
    causes: list[str] = []
    external_id = ""
    slot = book.id_slot(rule, event.source)
    try:
        external_id = external_id_of(rule, slot, context)
        told["fields"].append(_field("externalId", slot, "", context, external_id))
    except MappingFailed as error:
        causes.append(error.cause)
        told["fields"].append({**_field("externalId", slot, "", context, None), "error": error.cause})
    if rule.action == "upsert":
        for part in rule.fields:
            told["fields"].append(_rendered(rule, part, context, causes))
    told["company"] = _company(config, rule, context, causes)
    if causes:
        return {**told, "result": "failed", "cause": causes[0]}
    try:
        patch = book.patch(rule, event, context)
    except MappingFailed as error:
        return {**told, "result": "failed", "cause": error.cause}
    document: dict[str, Any] = {"externalId": external_id}
    if told["company"] and told["company"]["companyId"]:
        document["companyId"] = told["company"]["companyId"]
    if rule.action == "upsert":
        document.update(document_of(patch))
    elif rule.action == "archive":
        document["archived"] = True
    return {**told, "result": "mapped", "message_id": patch.message_id, "document": document}


def _rendered(rule: Rule, part: FieldRule, context: Context, causes: list[str]) -> dict[str, Any]:
    try:
        value = render_field(rule, part, context)
    except MappingFailed as error:
        causes.append(error.cause)
        return {**_field(part.name, part.slot, part.way, context, None), "error": error.cause}
    told = _field(part.name, part.slot, part.way, context, value)
    if value is None:
        told["note"] = "renders to nothing: left out"
    elif part.way in STAND_INS:
        told["note"] = "stands until an event gives a value"
    return told


def _field(name: str, slot: Slot | None, way: str, context: Context, value: Any) -> dict[str, Any]:
    return {
        "field": name,
        "template": _template(slot),
        "line": slot.line if slot else None,
        "way": way,
        "inputs": _slot_inputs(slot, context) if slot else {},
        "value": value,
    }


def _template(slot: Slot | None) -> Any:
    if slot is None or slot.parts is None:
        return slot.text if slot else ""
    if slot.mapping:
        return {str(key): _template(part) for key, part in slot.parts}
    return [_template(part) for _, part in slot.parts]


def _slot_inputs(slot: Slot, context: Context) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for _, part in slot.parts or ():
        inputs.update(_slot_inputs(part, context))
    if slot.template is not None:
        tree: nodes.Node = (
            parse_expression(slot.template.source)
            if slot.template.native
            else parse_text(slot.template.source)
        )
        inputs.update(_inputs(tree, context))
    return inputs


def _company(config: Config, rule: Rule, context: Context, causes: list[str]) -> dict[str, Any] | None:
    """The way to the companyId: what is asked, step by step, up to the first that answers offline. A look-up's
    answer is known to the workers alone, so what stands after one is what happens if it finds nothing."""
    try:
        own = company_id_of(rule, context)
        asks = company_asks(rule, context)
    except MappingFailed as error:
        causes.append(error.cause)
        return None
    if own:
        return {
            "asks": asks,
            "path": [{"step": "the rule's companyId", "found": own}],
            "companyId": own,
            "certain": True,
        }
    path: list[dict[str, Any]] = []
    certain = True
    for step in config.companies:
        found = None
        if step.kind == "table":
            asked = asks.get(step.key)
            found = step.table.get(asked) if asked else None
            path.append({"step": f"table {step.key}", "asked": asked, "found": found})
        elif step.kind == "default":
            found = step.value
            path.append({"step": "default", "found": found})
        else:
            asked = asks.get("email" if step.kind == "enduser_email" else "domain")
            note = "looked up in Planhat by the workers" if asked else "nothing to ask with"
            path.append({"step": f"planhat {step.kind}", "asked": asked, "found": None, "note": note})
            certain = certain and not asked
        if found:
            return {"asks": asks, "path": path, "companyId": found, "certain": certain}
    return {"asks": asks, "path": path, "companyId": None, "certain": certain}
