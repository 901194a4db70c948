"""Templates and conditions, parsed and compiled once. What bounds them: `sandbox.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import TemplateSyntaxError, Undefined, nodes
from jinja2.environment import Template as JinjaTemplate
from jinja2.exceptions import SecurityError
from jinja2.parser import Parser
from jinja2.runtime import Context as JinjaContext
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from relay.event import Event
from relay.rules.language.quick import quick_text, quick_value
from relay.rules.language.sandbox import (
    KEYS,
    VALUES,
    Empty,
    TooMuch,
    finalize,
    finalize_key,
    left,
    refill,
    set_back,
    step,
    weigh,
)

MAX_TEMPLATE_CHARS = 100_000
#: Levels of the syntax tree; a sum of a hundred terms has a hundred.
MAX_TREE_DEPTH = 120


class TemplateInvalid(ValueError):
    """A template that does not compile. `line` counts from 1 within the template."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


class TemplateFailed(Exception):
    """A template that failed on this event; the message quotes nothing of it. `line` within the template."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


_FORBIDDEN: dict[type[nodes.Node], str] = {
    nodes.Macro: "{% macro %}",
    nodes.CallBlock: "{% call %}",
    nodes.Include: "{% include %}",
    nodes.Import: "{% import %}",
    nodes.FromImport: "{% from %}",
    nodes.Extends: "{% extends %}",
    nodes.Block: "{% block %}",
}


class _Bound(NodeTransformer):
    """Puts the bounds into the tree: loops are counted, `~` is weighed."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 (Jinja2 finds it by its name)
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "_concat", [], [], None, None, lineno=node.lineno)


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """Something wrong in a template that compiles or not: `line` within the template."""

    message: str
    line: int


def parse_text(source: str) -> nodes.Template:
    """Return the syntax tree of a template. Raises TemplateInvalid."""
    if len(source) > MAX_TEMPLATE_CHARS:
        raise TemplateInvalid(f"longer than {MAX_TEMPLATE_CHARS:,} characters")
    try:
        tree = VALUES.parse(source)
    except TemplateSyntaxError as error:
        raise TemplateInvalid(str(error.message), error.lineno) from error
    except RecursionError as error:
        raise TemplateInvalid("nested too deep") from error
    except ValueError as error:
        # Python itself refuses to read a number of thousands of digits.
        raise TemplateInvalid("a number is too long") from error
    _require_shallow(tree)
    return tree


def parse_expression(source: str) -> nodes.Expr:
    """Return the syntax tree of an expression such as a `when`. Raises TemplateInvalid."""
    if len(source) > MAX_TEMPLATE_CHARS:
        raise TemplateInvalid(f"longer than {MAX_TEMPLATE_CHARS:,} characters")
    try:
        parser = Parser(VALUES, source, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            token = parser.stream.current
            hint = "; == compares" if token.value == "=" else ""
            raise TemplateInvalid(f"unexpected {token.value!r} after the expression{hint}", token.lineno)
    except TemplateSyntaxError as error:
        raise TemplateInvalid(str(error.message), error.lineno) from error
    except RecursionError as error:
        raise TemplateInvalid("nested too deep") from error
    except TemplateInvalid:
        raise
    except ValueError as error:
        raise TemplateInvalid("a number is too long") from error
    _require_shallow(expression)
    expression.set_environment(VALUES)
    return expression


def _require_shallow(tree: nodes.Node) -> None:
    """Everything after the parser walks the tree by recursion, several frames a level."""
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_TREE_DEPTH):
        level = [child for parent in level for child in parent.iter_child_nodes()]
        if not level:
            return
    raise TemplateInvalid("nested too deep", level[0].lineno or 1)


def sole_expression(tree: nodes.Template) -> nodes.Expr | None:
    """Return the expression of a template that is exactly one `{{ ... }}`, else None."""
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    parts = tree.body[0].nodes
    return parts[0] if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData) else None


def refusals(tree: nodes.Node) -> list[TemplateFault]:
    """Find parts of the language that this sandbox does not have."""
    found = [
        TemplateFault(f"{words} is not allowed here", node.lineno)
        for kind, words in _FORBIDDEN.items()
        for node in tree.find_all(kind)
    ]
    found.extend(
        TemplateFault("a loop cannot be recursive here", node.lineno)
        for node in tree.find_all(nodes.For)
        if node.recursive
    )
    return found


Scope = Mapping[str, Any]


class Context:
    """The variables of one event, shared by all templates that are rendered for it, and so is what they may cost.
    Jinja2's own form of them is made when the first template needs it; most events never do."""

    __slots__ = ("_jinja", "event")

    def __init__(self, event: Event | None, variables: Scope | None = None) -> None:
        refill()
        self.event = event
        self._jinja = None if variables is None else _jinja_context(variables)

    @property
    def jinja(self) -> JinjaContext:
        if self._jinja is None:
            assert self.event is not None
            self._jinja = _jinja_context({"event": self.event.view(), "payload": self.event.payload})
        return self._jinja


def new_context(scope: Scope) -> Context:
    """Make a context of variables as they are given, which need not be a whole event's."""
    return Context(None, scope)


def _jinja_context(scope: Scope) -> JinjaContext:
    return JinjaContext(VALUES, {**VALUES.globals, **scope}, None, {})


class Compiled:
    """One template (or, `native`, one expression) as Python code."""

    __slots__ = ("_jinja", "_run", "native", "own_variables", "quick", "source")

    def __init__(self, source: str, *, native: bool, key: bool = False) -> None:
        """`key`: every part has to render to something. Raises TemplateInvalid."""
        environment = KEYS if key else VALUES
        self.source = source
        self.native = native
        tree: nodes.Template
        if native:
            expression = parse_expression(source)
            self.quick = quick_value(expression)
            tree = nodes.Template(
                [nodes.Assign(nodes.Name("result", "store"), expression, lineno=1)], lineno=1
            )
        else:
            tree = parse_text(source)
            self.quick = quick_text(tree, finalize_key if key else finalize)
        self.own_variables = (
            any(True for _ in tree.find_all((nodes.Assign, nodes.AssignBlock))) and not native
        )
        tree = _Bound().visit(tree)
        tree.set_environment(environment)
        try:
            code = environment.compile(tree)
            self._jinja = JinjaTemplate.from_code(environment, code, environment.globals, None)
        except TemplateSyntaxError as error:
            raise TemplateInvalid(str(error.message), error.lineno) from error
        except (RecursionError, SyntaxError, MemoryError) as error:
            raise TemplateInvalid("nested too deep") from error
        self._run = self._jinja.root_render_func

    def __call__(self, context: Context) -> Any:
        """What it gives for this event. Raises TemplateFailed."""
        quick = self.quick
        if quick is not None and context.event is not None:
            chars = left()
            try:
                value = quick(context.event)
                kind = value.__class__
                return value if kind is str or kind is bool else _plain(value)
            except Exception:
                # Whatever it is, Jinja2 meets it too, and knows its line.
                set_back(chars)
        return self._by_jinja(context.jinja)

    def _by_jinja(self, context: JinjaContext) -> Any:
        if self.own_variables:
            context = JinjaContext(VALUES, context.parent, None, {})
        try:
            if not self.native:
                return "".join(self._run(context))
            for _ in self._run(context):
                pass
            return _plain(context.vars["result"])
        except (TooMuch, Empty) as error:
            raise TemplateFailed(str(error), self._line(error)) from error
        except SecurityError as error:
            raise TemplateFailed("does something that templates may not do", self._line(error)) from error
        except Exception as error:  # whatever a template can raise, it is the template's fault
            raise TemplateFailed(_why(error), self._line(error)) from error

    def _line(self, error: BaseException) -> int:
        step = error.__traceback__
        line = 1
        while step is not None:
            if step.tb_frame.f_code.co_filename == "<template>":
                line = self._jinja.get_corresponding_lineno(step.tb_lineno)
            step = step.tb_next
        return line


@lru_cache(maxsize=4096)
def compiled(source: str, *, native: bool, key: bool = False) -> Compiled:
    """Return `Compiled`, remembered: a reload of a changed file compiles what changed. Raises TemplateInvalid."""
    return Compiled(source, native=native, key=key)


def _plain(value: Any) -> Any:
    """An expression's value as JSON has it; None for what is not there."""
    if isinstance(value, Undefined):
        return None
    if isinstance(value, str):
        return str(value) if type(value) is Markup else value
    if isinstance(value, (dict, list, tuple)):
        weigh(value)
        return value
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _listed(value)


def _listed(value: Any) -> Any:
    """Generators (of `map`, `select`) as lists; of anything else its text."""
    if isinstance(value, Iterable):
        items = []
        for item in value:
            step()
            weigh(item)
            items.append(item)
        return items
    return str(value)


def _why(error: Exception) -> str:
    """The kind of failure without its values: messages of foreign exceptions quote the payload."""
    kind = type(error).__name__
    return {
        "ZeroDivisionError": "divides by zero",
        "UndefinedError": "uses a value that is not there",
        "TypeError": "does something that this type of value cannot do",
        "AttributeError": "does something that this type of value cannot do",
        "TemplateRuntimeError": "uses a filter or test in a way that does not fit",
        "OverflowError": "meets a number that is too large",
        "ValueError": "meets a value that it cannot read",
        "FilterArgumentError": "gives a filter an argument that it cannot use",
        "RecursionError": "is nested too deep",
    }.get(kind, f"fails with {kind}")
