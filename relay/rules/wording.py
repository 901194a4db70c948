"""A Jinja2 expression written out again: the parts of a condition, as `explain` shows them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from jinja2 import nodes

_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">=", "in": "in", "notin": "not in"}
_BINARY: dict[type[nodes.Node], str] = {
    nodes.And: "and",
    nodes.Or: "or",
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.FloorDiv: "//",
    nodes.Mod: "%",
    nodes.Pow: "**",
}


def words_of(node: nodes.Node) -> str:
    """The expression as text; what this does not know is shown as "..."."""
    if isinstance(node, nodes.Const):
        return _constant(node.value)
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{words_of(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem):
        return f"{words_of(node.node)}[{words_of(node.arg)}]"
    if isinstance(node, nodes.Not):
        inner = words_of(node.node)
        return f"not ({inner})" if isinstance(node.node, (nodes.And, nodes.Or)) else f"not {inner}"
    if isinstance(node, nodes.BinExpr):
        return _binary(node)
    if isinstance(node, nodes.Compare):
        return words_of(node.expr) + "".join(f" {_COMPARE[op.op]} {words_of(op.expr)}" for op in node.ops)
    if isinstance(node, (nodes.List, nodes.Tuple)):
        inside = ", ".join(words_of(item) for item in node.items)
        return f"[{inside}]" if isinstance(node, nodes.List) else f"({inside})"
    if isinstance(node, nodes.Filter) and node.node is not None:
        return f"{words_of(node.node)} | {node.name}{_arguments(node.args, node.kwargs)}"
    if isinstance(node, nodes.Test):
        return f"{words_of(node.node)} is {node.name}{_arguments(node.args, node.kwargs)}"
    if isinstance(node, nodes.Call):
        return f"{words_of(node.node)}({_arguments(node.args, node.kwargs)[1:-1]})"
    if isinstance(node, nodes.Concat):
        return " ~ ".join(words_of(part) for part in node.nodes)
    if isinstance(node, nodes.CondExpr):
        last = f" else {words_of(node.expr2)}" if node.expr2 is not None else ""
        return f"{words_of(node.expr1)} if {words_of(node.test)}{last}"
    return "..."


def _binary(node: nodes.BinExpr) -> str:
    word = _BINARY.get(type(node), "?")
    sides = [
        f"({words_of(side)})" if isinstance(side, nodes.BinExpr) and type(side) is not type(node) else words_of(side)
        for side in (node.left, node.right)
    ]
    return f"{sides[0]} {word} {sides[1]}"


def _arguments(args: list[nodes.Expr], kwargs: Sequence[nodes.Pair | nodes.Keyword]) -> str:
    words = [words_of(arg) for arg in args] + [f"{pair.key}={words_of(pair.value)}" for pair in kwargs]
    return f"({', '.join(words)})" if words else ""


def _constant(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
