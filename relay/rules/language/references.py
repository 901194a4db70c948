"""What a template refers to: checked against what an event has, before any event comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.meta import find_undeclared_variables

from relay.event import KINDS, Attachment, Event, Recipient
from relay.rules.file.shape import did_you_mean
from relay.rules.language.sandbox import GLOBALS, KNOWN_FILTERS, KNOWN_TESTS, VALUES
from relay.rules.language.template import TemplateFault, refusals

ROOTS = ("event", "payload")
_TEST_NAMES = tuple(name for name in KNOWN_TESTS if name.isalpha())
_BLANK = Event(
    id="",
    source="",
    adapter="",
    kind="",
    time="",
    version=0,
    thread="",
    recipients=(Recipient(),),
    attachments=(Attachment(),),
)
#: The shape of `event`: nested mappings by key; a list holds one item of its kind; anything else ends there.
EVENT_SHAPE: dict[str, Any] = _BLANK.view()


@dataclass(frozen=True, slots=True)
class TemplateWarning:
    message: str
    line: int


def faults_in(tree: nodes.Node) -> Iterator[TemplateFault]:
    """Find unknown variables, event fields, filters and tests, and parts of the language that are not there."""
    yield from refusals(tree)
    whole = tree if isinstance(tree, nodes.Template) else nodes.Template([nodes.Output([tree])], lineno=1)
    whole.set_environment(VALUES)
    for name in sorted(_undeclared(whole)):
        line = next((n.lineno for n in tree.find_all(nodes.Name) if n.name == name), 1)
        if isinstance(tree, nodes.Name):
            line = tree.lineno
        hint = f"; did you mean event.{name}?" if name in EVENT_SHAPE else did_you_mean(name, ROOTS)
        yield TemplateFault(f"unknown variable {name!r}{hint}", line)
    for node in _all(tree, nodes.Filter):
        if node.name not in KNOWN_FILTERS:
            yield TemplateFault(
                f"unknown filter {node.name!r}{did_you_mean(node.name, KNOWN_FILTERS)}", node.lineno
            )
    for node in _all(tree, nodes.Test):
        if node.name not in KNOWN_TESTS:
            yield TemplateFault(
                f"unknown test {node.name!r}{did_you_mean(node.name, _TEST_NAMES)}", node.lineno
            )
    seen: set[str] = set()
    for path, line in paths_in(tree):
        fault = _event_fault(path)
        if fault and fault not in seen:
            seen.add(fault)
            yield TemplateFault(fault, line)


def warnings_in(tree: nodes.Node) -> Iterator[TemplateWarning]:
    """Return what is allowed and yet most likely a slip: a kind that no event has."""
    for node in _all(tree, nodes.Compare):
        if dotted_path(node.expr) != ("event", "kind"):
            continue
        for operand in node.ops:
            for constant in _all(operand.expr, nodes.Const):
                if isinstance(constant.value, str) and constant.value not in KINDS:
                    kinds = tuple(sorted(KINDS))
                    yield TemplateWarning(
                        f"no event has the kind {constant.value!r}{did_you_mean(constant.value, kinds)}",
                        constant.lineno,
                    )


def dotted_path(node: nodes.Node) -> tuple[str | int, ...] | None:
    """Return ("event", "sender", "email") of `event.sender.email` or `event["sender"].email`; None for anything else."""
    if isinstance(node, nodes.Name):
        return (node.name,) if node.name in ROOTS else None
    if isinstance(node, nodes.Getattr):
        head = dotted_path(node.node)
        return None if head is None else (*head, node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        head = dotted_path(node.node)
        value = node.arg.value
        return (*head, value) if head is not None and isinstance(value, (str, int)) else None
    return None


def paths_in(tree: nodes.Node) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Return each longest path that begins at `event` or `payload`, with its line."""
    path = dotted_path(tree)
    if path is not None:
        yield path, tree.lineno
        return
    if isinstance(tree, nodes.Call) and isinstance(tree.node, nodes.Getattr):
        # A method: what it is called on is the value that goes in.
        yield from paths_in(tree.node.node)
        for argument in (*tree.args, *tree.kwargs):
            yield from paths_in(argument)
        return
    for child in tree.iter_child_nodes():
        yield from paths_in(child)


def path_text(path: tuple[str | int, ...]) -> str:
    text = str(path[0])
    for step in path[1:]:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text


def _event_fault(path: tuple[str | int, ...]) -> str:
    if path[0] != "event":
        return ""
    shape: Any = EVENT_SHAPE
    for depth, step in enumerate(path[1:], 1):
        if isinstance(shape, dict):
            if step not in shape:
                known = tuple(str(key) for key in shape)
                whole, head = path_text(path[: depth + 1]), path_text(path[:depth])
                hint = did_you_mean(str(step), known, always=False) or f"; {head} has {', '.join(known)}"
                return f"unknown field {whole!r}{hint}"
            shape = shape[step]
        elif isinstance(shape, list):
            if not isinstance(step, int):
                return f"{path_text(path[:depth])} is a list: write {path_text(path[:depth])}[0].{step}, or loop over it"
            shape = shape[0] if shape else ""
        else:
            whole = path_text(path[: depth + 1])
            return f"unknown field {whole!r}: {path_text(path[:depth])} is a plain value"
    return ""


def _undeclared(tree: nodes.Template) -> set[str]:
    try:
        return find_undeclared_variables(tree) - set(ROOTS) - GLOBALS
    except (
        TemplateError
    ):  # an unknown filter or test, reported by its own rule: names are looked at one by one
        stored = {n.name for n in tree.find_all(nodes.Name) if n.ctx != "load"}
        loaded = {n.name for n in tree.find_all(nodes.Name) if n.ctx == "load"}
        return loaded - stored - set(ROOTS) - GLOBALS - {"loop"}


def _all(tree: nodes.Node, kind: type[Any]) -> Iterator[Any]:
    if isinstance(tree, kind):
        yield tree
    yield from tree.find_all(kind)
