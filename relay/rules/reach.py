"""Rules seen together: one that no event can reach, and a field that two rules of one conversation merge differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import nodes

from relay.registers import STAND_INS
from relay.rules.file.yaml_file import Path, YamlSource
from relay.rules.language.references import EVENT_SHAPE, dotted_path, path_text
from relay.rules.language.template import parse_expression
from relay.rules.rule import ANY_SOURCE, Guard, Rule

#: What must hold for a rule: path -> the values it may have, and conditions of any other form as text.
_Demands = tuple[dict[str, frozenset[Any]], frozenset[str]]


def check_reach(rules: Sequence[tuple[int, Rule]], sources: Sequence[str], source: YamlSource) -> None:
    """Complains of each rule whose every event an earlier one takes. `rules` with their places in the file."""
    demands = {index: demands_of(rule) for index, rule in rules}
    for n, (index, rule) in enumerate(rules):
        if rule.when is not None and rule.when.template is None:
            source.add(("rules", index, "when"), "is never true, so the rule can never be reached")
            continue
        wanted = tuple(sources) if ANY_SOURCE in rule.sources else rule.sources
        shadows = [
            next(
                (
                    earlier
                    for place, earlier in rules[:n]
                    if earlier.concerns(name) and _covers(demands[place], demands[index])
                ),
                None,
            )
            for name in wanted
        ]
        if wanted and all(shadow is not None for shadow in shadows):
            first = next(shadow for shadow in shadows if shadow is not None)
            why = "has no 'when'" if first.when is None else "matches whatever this one does"
            line = f" (line {first.line})" if first.line else ""
            source.add(
                ("rules", index),
                f"can never be reached: the earlier rule {first.name!r}{line} {why}; put this one before it, or narrow that one",
            )


def check_ways(rules: Sequence[tuple[int, Rule]], source: YamlSource) -> None:
    """Complains of a field that two rules writing the same conversations merge in different ways."""
    seen: dict[tuple[str, str, str, str], tuple[str, Rule]] = {}
    for index, rule in rules:
        if rule.action != "upsert" or rule.external_id is None:
            continue
        for name in rule.sources:
            for part in rule.fields:
                if part.name == "type" or part.way in STAND_INS:
                    continue
                key = (name, rule.lane, rule.external_id.text, part.name)
                way, other = seen.setdefault(key, (part.way, rule))
                if way != part.way:
                    places: tuple[Path, ...] = (
                        ("rules", index, "merge", part.name),
                        ("rules", index, "merge"),
                        ("rules", index),
                    )
                    path = next((place for place in places if place in source.lines), places[-1])
                    source.add(
                        path,
                        f"{part.name} has two ways to merge: {part.way!r} here, {way!r} in rule {other.name!r} "
                        f"(line {other.line}), which writes the same conversations; use one way in both",
                    )


def demands_of(rule: Rule) -> _Demands | None:
    """Return what the condition demands, as far as it is a row of `and`s. None: nothing, it always holds."""
    if rule.when is None:
        return None
    values: dict[str, frozenset[Any]] = {}
    others: set[str] = set()
    if rule.when.template is None:
        return values, frozenset({"false"})
    for part in conjuncts(parse_expression(rule.when.text)):
        found = _values_of(part)
        if found is None:
            others.add(repr(part))
        else:
            path, allowed = found
            values[path] = values[path] & allowed if path in values else allowed
    return values, frozenset(others)


def guards_of(tree: nodes.Node) -> tuple[Guard, ...]:
    """Return what the condition demands of single fields of `event`: see `Rule.guards`."""
    guards: list[Guard] = []
    for part in conjuncts(tree):
        found = _allowed(part)
        if found is None or found[0][0] != "event":
            continue
        path, allowed = found
        held: Any = EVENT_SHAPE
        for step in path[1:]:
            held = held.get(step) if isinstance(held, dict) else None
        if isinstance(held, (str, bool)) and len(path) in (2, 3):
            guards.append((str(path[1]), str(path[2]) if len(path) == 3 else None, allowed))
    return tuple(guards)


def conjuncts(tree: nodes.Node) -> list[nodes.Node]:
    if isinstance(tree, nodes.And):
        return [*conjuncts(tree.left), *conjuncts(tree.right)]
    return [tree]


def _values_of(tree: nodes.Node) -> tuple[str, frozenset[Any]] | None:
    found = _allowed(tree)
    if found is None:
        return None
    # True and 1 are equal to Python, and not the same demand.
    return path_text(found[0]), frozenset((type(value).__name__, value) for value in found[1])


def _allowed(tree: nodes.Node) -> tuple[tuple[str | int, ...], frozenset[Any]] | None:
    """`event.kind == "x"`, `"x" == event.kind` or `event.kind in [...]` as path and allowed values."""
    if not isinstance(tree, nodes.Compare) or len(tree.ops) != 1:
        return None
    operand = tree.ops[0]
    left, right = tree.expr, operand.expr
    if operand.op == "eq" and isinstance(left, nodes.Const):
        left, right = right, left
    path = dotted_path(left)
    if path is None:
        return None
    if operand.op == "eq" and isinstance(right, nodes.Const):
        return path, frozenset({right.value})
    if operand.op == "in" and isinstance(right, (nodes.List, nodes.Tuple)):
        items = [item for item in right.items if isinstance(item, nodes.Const)]
        if len(items) == len(right.items):
            return path, frozenset(item.value for item in items)
    return None


def _covers(earlier: _Demands | None, later: _Demands | None) -> bool:
    """Whether whatever meets `later` also meets `earlier`."""
    if earlier is None:
        return True
    if later is None:
        return False
    return earlier[1] <= later[1] and all(
        path in later[0] and later[0][path] <= allowed for path, allowed in earlier[0].items()
    )
