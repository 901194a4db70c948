"""A rule, ready to run, and the book of them: event in, patch out.

First match wins. Rules are indexed by source, and each source's list is cut off after the first rule that always
matches, so an event meets only rules that could be its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from relay.conversation import safe_external_id
from relay.errors import MappingFailed, Mistake
from relay.event import Event
from relay.patch import Action, Patch
from relay.planhat.fields import Field, value_fault
from relay.registers import STAND_INS, Way
from relay.rules.language.filters import domain, iso, moment
from relay.rules.language.template import Compiled, Context, TemplateFailed
from relay.rules.people import bare_address, cannot_be_found, person_of
from relay.rules.storable import custom_fault, storable
from relay.value import AS_BEFORE, value_class

ANY_SOURCE = "*"
COMPANY_ID = re.compile(
    r"[0-9a-fA-F]{24}|(?:extid|srcid)-[^\s\x00-\x1f](?:[^\x00-\x1f]{0,254}[^\s\x00-\x1f])?"
)
_UTC_MS = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z", re.ASCII
)
_NOTHING: tuple[Any, ...] = (None, "", [], {}, ())


@dataclass(frozen=True, slots=True)
class Slot:
    """A value of a rule: a constant, a template, or a list or mapping of such. `line` is where it stands in the
    file, `text` as it was written."""

    where: str
    constant: Any = None
    template: Compiled | None = None
    parts: tuple[tuple[str | int, Slot], ...] | None = None
    mapping: bool = False
    line: int | None = None
    block: bool = False
    text: str = ""

    def render(self, context: Context) -> Any:
        """Render one field; None for what renders to nothing. Raises TemplateFailed."""
        if self.template is not None:
            return self.template(context)
        if self.parts is None:
            return self.constant
        rendered = [(key, slot.render(context)) for key, slot in self.parts]
        kept = [(key, value) for key, value in rendered if value not in _NOTHING]
        return dict(kept) if self.mapping else [value for _, value in kept]

    def line_of(self, line: int) -> int | None:
        """Return the line in the file of `line` within the template."""
        return None if self.line is None else self.line + (line if self.block else line - 1)


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field of the conversation. `name` is Planhat's property or "custom.Name". `only` are the values it may
    have: Planhat makes a type that it does not know a note, silently."""

    name: str
    way: Way
    slot: Slot
    field: Field | None = None
    only: frozenset[str] = frozenset()
    #: What a text is made into before it is stored: a description, the HTML that Planhat's editor keeps.
    form: Callable[[str], str] | None = None

    #: Any text that is not blank will do / any moment as the event itself has it will.
    takes_text: bool = False
    takes_moment: bool = False

    def __post_init__(self) -> None:
        of = self.field
        is_text = of is None or of.type in ("string", "objectId")
        is_date = of is not None and of.date
        object.__setattr__(self, "takes_text", is_text and not is_date)
        object.__setattr__(self, "takes_moment", is_text and is_date and not self.only)


#: ("channel", "id", {"C1"}): `event.channel.id` must be one of these; the second is None for a plain field.
Guard = tuple[str, str | None, frozenset[Any]]


@dataclass(frozen=True, slots=True)
class Rule:
    """`sources` holds names, or `*`; `action` is `upsert`, `retract`, `archive` or `drop`. `guards` are what `when`
    demands of single event fields: a cheap look that spares running it for most events."""

    name: str
    sources: tuple[str, ...]
    action: str
    when: Slot | None = None
    external_id: Slot | None = None
    fields: tuple[FieldRule, ...] = ()
    company: tuple[tuple[str, Slot], ...] = ()
    company_id: Slot | None = None
    line: int | None = None
    is_default: bool = False
    guards: tuple[Guard, ...] = ()
    #: Where its events go; "": to their source's lane.
    lane: str = ""

    def concerns(self, source: str) -> bool:
        return source in self.sources or ANY_SOURCE in self.sources

    def matches(self, context: Context) -> bool:
        """Tell whether the rule takes this event. Raises MappingFailed when the condition fails on this event."""
        if self.when is None:
            return True
        for head, tail, allowed in self.guards:
            value = getattr(context.event, head)
            if (value if tail is None else getattr(value, tail)) not in allowed:
                return False
        if self.when.template is None:
            return bool(self.when.constant)
        try:
            return bool(self.when.template(context))
        except TemplateFailed as error:
            raise self.failed("when", self.when, str(error), error.line) from error

    def failed(self, where: str, slot: Slot, why: str, line: int = 1) -> MappingFailed:
        at = slot.line_of(line)
        place = f" (line {at})" if at is not None else ""
        return MappingFailed(f"rule {self.name!r}, {where}{place}: {why}", self.name, where, at)


@value_class(frozen=True, slots=True)
class Mapped:
    """`lane`: the rule's own, "" where it names none."""

    patch: Patch
    rule: str
    lane: str = ""


@dataclass(frozen=True, slots=True)
class Filtered:
    """Accepted, and not for Planhat: `reason` is "no rule" or "dropped"."""

    reason: str
    rule: str | None = None
    lane: str = ""


Verdict = Mapped | Filtered


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules of one config. `by_source` holds each source's own list, in order, defaults included; `for_any` what
    a source outside of it gets."""

    version: str
    rules: tuple[Rule, ...]
    by_source: Mapping[str, tuple[Rule, ...]]
    for_any: tuple[Rule, ...] = ()
    warnings: tuple[Mistake, ...] = field(default=())

    def rules_for(self, source: str) -> tuple[Rule, ...]:
        return self.by_source.get(source, self.for_any)

    def lane_of(self, rule: str, source: str) -> str:
        """Return the lane that a rule names, found by the rule's name; "" where it names none."""
        return next((one.lane for one in self.rules_for(source) if one.name == rule), "")

    def map(self, event: Event, *, revision: int = 0) -> Verdict:
        """Return what becomes of `event`. Raises MappingFailed, whose cause names rule, field and line and no value."""
        context = scope_of(event)
        for rule in self.rules_for(event.source):
            if rule.matches(context):
                if rule.action == "drop":
                    return Filtered("dropped", rule.name, rule.lane)
                try:
                    return Mapped(self.patch(rule, event, context, revision=revision), rule.name, rule.lane)
                except MappingFailed as error:
                    with suppress(MappingFailed):
                        error.external_id = external_id_of(rule, self.id_slot(rule, event.source), context)
                    raise
        return Filtered("no rule")

    def patch(self, rule: Rule, event: Event, context: Context, *, revision: int = 0) -> Patch:
        """Return what `rule` makes of `event`. Raises MappingFailed."""
        upsert = rule.action == "upsert"
        fields: dict[str, tuple[Way, Any]] = {}
        if upsert:
            for part in rule.fields:
                # A fallback stands behind the fields: what has a value already needs none.
                if part.way in STAND_INS and part.name in fields:
                    continue
                value = render_field(rule, part, context)
                if value is not None:
                    fields[part.name] = (part.way, value)
        if event.sender.name == AS_BEFORE:
            fields = {name: (way, _unsigned(way, value)) for name, (way, value) in fields.items()}
        return Patch(
            external_id=external_id_of(rule, self.id_slot(rule, event.source), context),
            event_id=event.id,
            source=event.source,
            version=event.version,
            time=event.time,
            fields=fields,
            action=_ACTIONS[rule.action],
            message_id=event.message_id or _entry_id(rule, event),
            company_id=company_id_of(rule, context),
            company=company_asks(rule, context),
            rule=rule.name,
            revision=revision,
            author=_author(event) if upsert and event.keeps_author else "",
        )

    def id_slot(self, rule: Rule, source: str) -> Slot | None:
        """Return the rule's own externalId, or that of the first upsert rule for the same source."""
        return rule.external_id or first_external_id(self.rules_for(source))


def _author(event: Event) -> str:
    return event.sender.name or event.sender.email or event.sender.id


def _unsigned(way: Way, value: Any) -> Any:
    """A field of an edit that does not say who wrote: only an entry can ask the message's author for it."""
    return value.replace(AS_BEFORE, "") if isinstance(value, str) and way != "append" else value


def _entry_id(rule: Rule, event: Event) -> str:
    """What an appended entry is known by where the source gives messages no id."""
    appends = rule.action == "upsert" and any(part.way == "append" for part in rule.fields)
    return event.id if appends else ""


_ACTIONS: dict[str, Action] = {"upsert": "upsert", "retract": "retract", "archive": "archive"}


def first_external_id(rules: Sequence[Rule]) -> Slot | None:
    return next((r.external_id for r in rules if r.action == "upsert" and r.external_id is not None), None)


def scope_of(event: Event) -> Context:
    return Context(event)


def render_field(rule: Rule, part: FieldRule, context: Context) -> Any:
    """Return the field's value as Planhat takes it, None where it renders to nothing. Raises MappingFailed."""
    slot = part.slot
    try:
        value = slot.template(context) if slot.template is not None else slot.render(context)
    except TemplateFailed as error:
        raise rule.failed(part.slot.where, part.slot, str(error), error.line) from error
    if value.__class__ is str and value and not value.isspace():
        # Nearly every value is one of these, and Planhat takes it as it is.
        if part.takes_text and (not part.only or value in part.only):
            text: str = value if value.isascii() else storable(value)
            return text if part.form is None else part.form(text) or None
        if part.takes_moment and _UTC_MS.fullmatch(value):
            return value
    return _fitted(rule, part, value)


def _fitted(rule: Rule, part: FieldRule, value: Any) -> Any:
    where = part.slot.where
    if value in _NOTHING or (isinstance(value, str) and not value.strip()):
        if part.only:
            raise rule.failed(where, part.slot, "is empty")
        return None
    if part.only and not (isinstance(value, str) and value in part.only):
        raise rule.failed(where, part.slot, "is not one of planhat.types")
    try:
        value = storable(value)
    except ValueError as error:
        raise rule.failed(where, part.slot, str(error)) from error
    if part.field is None:
        fault = custom_fault(value)
    else:
        value = fit_to_field(part.field, value)
        if value == []:
            return None
        fault = value_fault(part.field, value) or ""
    if fault:
        raise rule.failed(where, part.slot, fault)
    return value if part.form is None else part.form(value) or None


def fit_to_field(field: Field, value: Any) -> Any:
    """Return `value` in the type that the property has, where that loses nothing."""
    if field.date:
        if isinstance(value, str) and _UTC_MS.fullmatch(value):
            return value
        found = moment(value)
        return value if found is None else iso(found)
    if field.type in ("string", "objectId"):
        return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if field.type == "boolean" and value in ("true", "false"):
        return value == "true"
    if field.type == "array":
        items = [one for one in value if one not in _NOTHING] if isinstance(value, (list, tuple)) else [value]
        if field.items == "reference":
            people = [person_of(item) for item in items]
            return [person for person in people if not cannot_be_found(person)]
        return [str(item) if isinstance(item, (int, float)) else item for item in items]
    return value


def external_id_of(rule: Rule, slot: Slot | None, context: Context) -> str:
    """Render the externalId. Raises MappingFailed when it is empty: without one, all such events would fall into one conversation."""
    if slot is None:
        raise MappingFailed(
            f"rule {rule.name!r}, conversation.externalId: no rule gives one", rule.name, "externalId"
        )
    try:
        value = slot.render(context)
    except TemplateFailed as error:
        raise rule.failed("conversation.externalId", slot, str(error), error.line) from error
    text = _key_text(value)
    if not text:
        raise rule.failed("conversation.externalId", slot, "is empty")
    return safe_external_id(text)


def _key_text(value: Any) -> str:
    if value.__class__ is str:
        return str(value.strip())
    return "" if value is None or isinstance(value, (bool, dict, list)) else str(value).strip()


def company_id_of(rule: Rule, context: Context) -> str:
    """Return the companyId that the rule sets itself, or "". Raises MappingFailed when it is malformed."""
    slot = rule.company_id
    if slot is None:
        return ""
    try:
        value = slot.render(context)
    except TemplateFailed as error:
        raise rule.failed("companyId", slot, str(error), error.line) from error
    text = "" if value is None else str(storable(str(value).strip()))
    if text and not COMPANY_ID.fullmatch(text):
        raise rule.failed("companyId", slot, "should be a Planhat id, extid-... or srcid-...")
    return text


def company_asks(rule: Rule, context: Context) -> dict[str, str]:
    """Return what the directory is asked with; `email` also gives `domain`. Raises MappingFailed."""
    asks: dict[str, str] = {}
    for key, slot in rule.company:
        try:
            value = slot.render(context)
        except TemplateFailed as error:
            raise rule.failed(f"company.{key}", slot, str(error), error.line) from error
        text = _key_text(value)
        if not text:
            continue
        if key == "email":
            text = bare_address(text).lower()
        elif key == "domain":
            text = (domain(text) or text).lower() if "/" in text or "@" in text else text.lower()
        asks[key] = str(storable(text))
    if "email" in asks and "domain" not in asks:
        _, at, host = asks["email"].rpartition("@")
        if at and host:
            asks["domain"] = host
    return asks


def slots_of(rule: Rule) -> Iterator[tuple[str, Slot]]:
    """Return every value of the rule with where it stands, in reading order."""
    if rule.when is not None:
        yield "when", rule.when
    if rule.external_id is not None:
        yield "conversation.externalId", rule.external_id
    for part in rule.fields:
        yield f"{'fallback' if part.way in STAND_INS else 'conversation'}.{part.name}", part.slot
    for key, slot in rule.company:
        yield f"company.{key}", slot
    if rule.company_id is not None:
        yield "companyId", rule.company_id
