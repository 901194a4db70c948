"""The plain part of the template language as Python functions over the event: a tenth of Jinja2's time for it.

Nearly every value of a rule is a field of the event, a text around some, `a or b`, a comparison or a filter of ours.
Anything else is left to Jinja2, and so is whatever fails here: it does the template again and names the fault and its
line. Both ways give the same for every event; `tests/rules/test_quick.py` holds that by property.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

from jinja2 import nodes

from relay.event import Event
from relay.rules.language.filters import FILTERS
from relay.rules.language.sandbox import VALUES, join_texts

#: What a part of a template gives for an event.
Quick = Callable[[Event], Any]

_PLAIN = frozenset(
    "id source adapter kind time version thread subject text html message_id url sender.id sender.name "  # noqa: SIM905
    "sender.email sender.bot channel.id channel.name ticket.id ticket.status ticket.priority ticket.assignee "
    "label empty".split()
)
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gteq": operator.ge,
    "lt": operator.lt,
    "lteq": operator.le,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}
#: Pure functions of their arguments: what they give can be asked for twice.
_FILTERS = frozenset(FILTERS) | {"lower", "upper", "trim"}


class _LeftToJinja(Exception):
    """A part of the language that is not done here."""


def quick_value(tree: nodes.Expr) -> Quick | None:
    """Return the expression as a function; None where it is Jinja2's."""
    try:
        return _value(tree)
    except _LeftToJinja:
        return None


def quick_text(tree: nodes.Template, finalize: Callable[[Any], str]) -> Quick | None:
    """Return the template as a function that gives its text, None where it is Jinja2's. `finalize` writes a value."""
    try:
        return _text(tree.body, finalize)
    except _LeftToJinja:
        return None


def _text(body: Sequence[nodes.Node], finalize: Callable[[Any], str]) -> Quick:
    parts: list[str | Quick] = []
    for node in body:
        if isinstance(node, nodes.Output):
            parts.extend(_output(part, finalize) for part in node.nodes)
        elif isinstance(node, nodes.If):
            parts.append(_choice(node, finalize))
        else:
            raise _LeftToJinja
    if all(isinstance(part, str) for part in parts):
        text = "".join(str(part) for part in parts)
        return lambda event: text
    pieces = tuple(parts)
    return lambda event: "".join([part if part.__class__ is str else part(event) for part in pieces])  # type: ignore[operator]


def _output(node: nodes.Node, finalize: Callable[[Any], str]) -> str | Quick:
    if isinstance(node, nodes.TemplateData):
        return node.data
    if _is_constant(node):
        # Jinja2 writes it while it compiles, at no event's cost.
        raise _LeftToJinja
    value = _value(node)
    return lambda event: finalize(value(event))


def _is_constant(node: nodes.Node) -> bool:
    try:
        cast(nodes.Expr, node).as_const()
    except nodes.Impossible:
        return False
    return True


def _choice(node: nodes.If, finalize: Callable[[Any], str]) -> Quick:
    branches = [(_value(one.test), _text(one.body, finalize)) for one in (node, *node.elif_)]
    otherwise = _text(node.else_, finalize)

    def choose(event: Event) -> Any:
        for test, text in branches:
            if test(event):
                return text(event)
        return otherwise(event)

    return choose


def _value(node: nodes.Node) -> Quick:
    field = _field(node)
    if field is not None:
        return field
    match node:
        case nodes.Const():
            constant = node.value
            return lambda event: constant
        case nodes.Name(name="payload"):
            return operator.attrgetter("payload")
        case nodes.Getattr():
            return _member(VALUES.getattr, node.node, node.attr)
        case nodes.Getitem(arg=nodes.Const(value=key)):
            return _member(VALUES.getitem, node.node, key)
        case nodes.Or():
            left, right = _value(node.left), _value(node.right)
            return lambda event: left(event) or right(event)
        case nodes.And():
            left, right = _value(node.left), _value(node.right)
            return lambda event: left(event) and right(event)
        case nodes.Not():
            inner = _value(node.node)
            return lambda event: not inner(event)
        case nodes.Compare(ops=[operand]):
            return _comparison(node.expr, operand)
        case nodes.List() | nodes.Tuple():
            items = [_value(item) for item in node.items]
            kind = list if isinstance(node, nodes.List) else tuple
            return lambda event: kind([item(event) for item in items])
        case nodes.Concat() if not all(_is_constant(part) for part in node.nodes):
            items = [_value(part) for part in node.nodes]
            return lambda event: join_texts([item(event) for item in items])
        case nodes.CondExpr() if node.expr2 is not None:
            test, then, other = _value(node.test), _value(node.expr1), _value(node.expr2)
            return lambda event: then(event) if test(event) else other(event)
        case nodes.Filter() if node.name in _FILTERS and node.node is not None:
            return _filtered(node, node.node)
    raise _LeftToJinja


def _member(get: Callable[[Any, Any], Any], of: nodes.Node, key: Any) -> Quick:
    inner = _value(of)
    return lambda event: get(inner(event), key)


def _field(node: nodes.Node) -> Quick | None:
    """A field of the event, which is always there."""
    steps: list[str] = []
    while True:
        match node:
            case nodes.Getattr():
                steps.append(node.attr)
            case nodes.Getitem(arg=nodes.Const(value=str(key))):
                steps.append(key)
            case _:
                break
        node = node.node
    if not isinstance(node, nodes.Name) or node.name != "event":
        return None
    path = ".".join(reversed(steps))
    if path == "tags":
        return lambda event: list(event.tags)
    if path == "attachments":
        return lambda event: [file.view() for file in event.attachments]
    return operator.attrgetter(path) if path in _PLAIN else None


def _comparison(expr: nodes.Expr, operand: nodes.Operand) -> Quick:
    compare = _COMPARISONS[operand.op]
    left = _value(expr)
    other = operand.expr
    if isinstance(other, nodes.Const):
        constant = other.value
        return lambda event: compare(left(event), constant)
    if isinstance(other, (nodes.List, nodes.Tuple)) and operand.op in ("in", "notin"):
        items = [item.value for item in other.items if isinstance(item, nodes.Const)]
        if len(items) == len(other.items):
            return lambda event: compare(left(event), items)
    right = _value(other)
    return lambda event: compare(left(event), right(event))


def _filtered(node: nodes.Filter, of: nodes.Expr) -> Quick:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise _LeftToJinja
    function = VALUES.filters[node.name]
    value = _value(of)
    if not node.kwargs and all(isinstance(argument, nodes.Const) for argument in node.args):
        constants = tuple(argument.value for argument in node.args if isinstance(argument, nodes.Const))
        return lambda event: function(value(event), *constants)
    given = [_value(argument) for argument in node.args]
    named = [(str(pair.key), _value(pair.value)) for pair in node.kwargs]
    return lambda event: function(
        value(event), *[one(event) for one in given], **{key: one(event) for key, one in named}
    )
