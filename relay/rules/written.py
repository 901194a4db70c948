"""Which custom fields the rules of a config write, and what they put there as far as that can be told without an event."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from relay.custom_names import clashes
from relay.planhat.custom_fields import FieldKind, kind_of
from relay.rules.file.yaml_file import YamlSource
from relay.rules.rule import FieldRule, Rule, RuleBook

CUSTOM: Final = "custom."
_EVENT_FIELD: Final = re.compile(r"event\.[a-z_]+(?:\.[a-z_]+)?")
_KINDS: Final[dict[str, FieldKind | None]] = {
    "event.time": "date",
    "event.url": "url",
    "event.sender.bot": "checkbox",
    "event.version": "number",
    "event.tags": "list",
    "event.recipients": None,
    "event.attachments": None,
}


@dataclass(frozen=True, slots=True)
class Written:
    """One custom field. `kind` None: only an event can tell. `rules`: those that write it, by name."""

    name: str
    kind: FieldKind | None
    rules: tuple[str, ...]


def written_custom_fields(
    book: RuleBook, wanted: Callable[[Rule], bool] = lambda rule: True
) -> list[Written]:
    """Give every custom field that a rule of this book writes, the adapters' own rules included, sorted by name; of those rules that
    are `wanted`."""
    kinds: dict[str, set[FieldKind | None]] = {}
    rules: dict[str, dict[str, None]] = {}
    for rule in filter(wanted, _rules_of(book)):
        for part in rule.fields:
            if part.name.startswith(CUSTOM):
                name = part.name.removeprefix(CUSTOM)
                kinds.setdefault(name, set()).add(_kind(part))
                rules.setdefault(name, {})[rule.name] = None
    return [
        Written(name, next(iter(found)) if len(found) == 1 else None, tuple(rules[name]))
        for name, found in sorted(kinds.items())
    ]


def check_custom_names(placed: Iterable[tuple[int, Rule]], source: YamlSource) -> None:
    """Complain of custom fields whose names differ in nothing but case, in one rule or in two: conversations of both may
    stand in one request."""
    written: dict[str, tuple[int, str]] = {}
    for index, rule in placed:
        for part in rule.fields:
            if part.name.startswith(CUSTOM):
                written.setdefault(part.name.removeprefix(CUSTOM), (index, rule.name))
    for first, second in clashes(written):
        index, _ = written[second]
        source.add(
            ("rules", index, "conversation", "custom", second),
            f"{second!r} differs from {first!r} (rule {written[first][1]!r}) in nothing but case, and Planhat refuses a request"
            " with both; write it in one way",
        )


def _rules_of(book: RuleBook) -> Iterable[Rule]:
    seen: dict[int, Rule] = {id(rule): rule for rule in book.rules}
    for own in book.by_source.values():
        seen.update((id(rule), rule) for rule in own)
    return [rule for rule in seen.values() if rule.action == "upsert"]


def _kind(part: FieldRule) -> FieldKind | None:
    slot = part.slot
    if slot.parts is not None:
        return "list"
    if slot.template is None:
        return kind_of(slot.constant)
    if not slot.template.native:
        return "text"
    words = slot.template.source.strip()
    return _KINDS.get(words, "text") if _EVENT_FIELD.fullmatch(words) else None
