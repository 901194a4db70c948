"""A Jinja2 expression written out again: the parts of a condition, as `explain` shows them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from jinja2 import nodes

_COMPARE = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "lteq": "<=",
    "gt": ">",
    "gteq": ">=",
    "in": "in",
    "notin": "not in",
}
_BINARY: dict[type[nodes.Node], str] = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.FloorDiv: "//",
    nodes.Mod: "%",
    nodes.Pow: "**",
}


#: Need no brackets wherever they stand.
_ATOMS = (nodes.Const, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Call, nodes.List, nodes.Tuple)
#: Need none beside `and` and `or`.
_CLAUSES = (*_ATOMS, nodes.Compare, nodes.Not, nodes.Test, nodes.Filter)


def words_of(node: nodes.Node) -> str:
    """Return the expression as text that means the same; what this does not know is shown as "..."."""
    if isinstance(node, nodes.Const):
        return _constant(node.value)
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_inner(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem):
        return f"{_inner(node.node)}[{words_of(node.arg)}]"
    if isinstance(node, nodes.Not):
        return f"not {_inner(node.node)}"
    if isinstance(node, (nodes.And, nodes.Or)):
        word = "and" if isinstance(node, nodes.And) else "or"
        left = words_of(node.left) if isinstance(node.left, type(node)) else _inner(node.left, _CLAUSES)
        return f"{left} {word} {_inner(node.right, _CLAUSES)}"
    if isinstance(node, nodes.BinExpr):
        return f"{_inner(node.left)} {_BINARY.get(type(node), '?')} {_inner(node.right)}"
    if isinstance(node, nodes.Compare):
        return _inner(node.expr) + "".join(f" {_COMPARE[op.op]} {_inner(op.expr)}" for op in node.ops)
    if isinstance(node, nodes.List):
        return f"[{', '.join(words_of(item) for item in node.items)}]"
    if isinstance(node, nodes.Tuple):
        return f"({', '.join(words_of(item) for item in node.items)}{',' if len(node.items) == 1 else ''})"
    if isinstance(node, nodes.Filter) and node.node is not None:
        return (
            f"{_inner(node.node, (*_ATOMS, nodes.Filter))} | {node.name}{_arguments(node.args, node.kwargs)}"
        )
    if isinstance(node, nodes.Test):
        return f"{_inner(node.node)} is {node.name}{_arguments(node.args, node.kwargs)}"
    if isinstance(node, nodes.Call):
        return f"{_inner(node.node)}({_arguments(node.args, node.kwargs)[1:-1]})"
    if isinstance(node, nodes.Concat):
        return " ~ ".join(_inner(part) for part in node.nodes)
    if isinstance(node, nodes.CondExpr):
        last = f" else {_inner(node.expr2)}" if node.expr2 is not None else ""
        return f"{_inner(node.expr1)} if {_inner(node.test)}{last}"
    return "..."


def _inner(node: nodes.Node, bare: tuple[type[nodes.Node], ...] = _ATOMS) -> str:
    return words_of(node) if isinstance(node, bare) else f"({words_of(node)})"


def _arguments(args: list[nodes.Expr], kwargs: Sequence[nodes.Pair | nodes.Keyword]) -> str:
    words = [words_of(arg) for arg in args] + [f"{pair.key}={words_of(pair.value)}" for pair in kwargs]
    return f"({', '.join(words)})" if words else ""


def _constant(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
