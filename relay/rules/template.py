"""Templates and conditions in Jinja2's immutable sandbox, compiled once, with bounds.

Bounds (for all templates of one event together), so that none stalls the door: no macros, includes or recursion; the results of `+ * ** % ~`, of filters
and of output are limited in size, loops in number and in processor time. Dictionaries are data here: `payload.items`
is the provider's key `items`, and only a few harmless methods of texts, lists and dictionaries can be called.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from jinja2 import ChainableUndefined, TemplateSyntaxError, Undefined, nodes
from jinja2.environment import Template as JinjaTemplate
from jinja2.exceptions import SecurityError
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from relay.rules.filters import FILTERS, KEPT_FILTERS, KEPT_TESTS

MAX_OUTPUT_CHARS = 4_000_000
MAX_STEPS = 100_000
MAX_CPU_NS = 250_000_000
MAX_RANGE = 10_000
MAX_TEMPLATE_CHARS = 100_000

_TEXT_METHODS = frozenset(
    ["lower", "upper", "strip", "lstrip", "rstrip", "startswith", "endswith", "split", "rsplit", "splitlines", "title", "capitalize", "removeprefix", "removesuffix", "partition", "rpartition", "find", "rfind", "count", "isdigit", "isalpha", "isalnum", "isnumeric", "islower", "isupper"]
)
_METHODS: dict[type, frozenset[str]] = {
    str: _TEXT_METHODS,
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
}
_LOOP = frozenset(
    ["index", "index0", "first", "last", "length", "previtem", "nextitem", "revindex", "revindex0", "depth", "depth0", "cycle", "changed"]
)


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


class _TooMuch(Exception):
    pass


class _Budget(threading.local):
    steps = MAX_STEPS
    chars = MAX_OUTPUT_CHARS
    until_ns = 0


_budget = _Budget()


def refill() -> None:
    """What the templates of one event may cost, anew for this thread."""
    budget = _budget
    budget.steps = MAX_STEPS
    budget.chars = MAX_OUTPUT_CHARS
    budget.until_ns = 0


def _weigh(value: Any) -> None:
    """Charges the characters that `value` will have as text."""
    if isinstance(value, str):
        _budget.chars -= len(value)
    elif isinstance(value, (dict, list, tuple)):
        _weigh_deeply(value)
    if _budget.chars < 0:
        raise _TooMuch(f"makes more than {MAX_OUTPUT_CHARS:,} characters")


def _weigh_deeply(value: Any) -> None:
    stack = [value]
    while stack and _budget.chars >= 0:
        item = stack.pop()
        _budget.chars -= len(item) + 2 if isinstance(item, (str, dict, list, tuple)) else 8
        if isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)


def _step() -> None:
    budget = _budget
    budget.steps -= 1
    if budget.steps < 0:
        raise _TooMuch(f"takes more than {MAX_STEPS:,} steps")
    now = time.thread_time_ns()
    if not budget.until_ns:
        budget.until_ns = now + MAX_CPU_NS
    elif now > budget.until_ns:
        raise _TooMuch(f"takes longer than {MAX_CPU_NS // 1_000_000} ms")


def _counted(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        _step()
        yield value


def _bounded_range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise _TooMuch(f"a range of more than {MAX_RANGE:,}")
    return found


def _join_texts(values: list[Any]) -> str:
    parts = [_as_text(value) for value in values]
    text = "".join(parts)
    _weigh(text)
    return text


def _as_text(value: Any) -> str:
    """How a value stands in a text: nothing for none, JSON for lists and mappings, true and false in small letters."""
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, Undefined):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list, tuple)):
        _weigh(value)
        return _as_json(value)
    return str(value)


def _as_json(value: Any) -> str:
    _weigh(value)
    return orjson.dumps(value, default=_nothing, option=orjson.OPT_NON_STR_KEYS).decode()


def _nothing(value: Any) -> Any:
    return None if isinstance(value, Undefined) else str(value)


def _finalize(value: Any) -> str:
    text = _as_text(value)
    budget = _budget
    budget.chars -= len(text)
    if budget.chars < 0:
        raise _TooMuch(f"makes more than {MAX_OUTPUT_CHARS:,} characters")
    return text


class _Empty(Exception):
    pass


def _finalize_key(value: Any) -> str:
    text = _finalize(value)
    if not text.strip():
        raise _Empty("a part of it is empty")
    return text


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
        if operator == "+":
            if not numbers and not isinstance(left, Undefined) and not isinstance(right, Undefined):
                _weigh(left)
                _weigh(right)
            return left + right
        if isinstance(left, Undefined) or isinstance(right, Undefined):
            return left * right
        if not numbers:
            raise SecurityError(f"{operator} is for numbers only")
        if operator == "**":
            if abs(right) > 64 or abs(left) > 2**32:
                raise _TooMuch("a power that large")
            return left**right
        if operator == "*":
            if isinstance(left, int) and left.bit_length() > 4096:
                raise _TooMuch("a number that large")
            return left * right
        return left % right

    def getattr(self, obj: Any, attribute: str) -> Any:
        kind = type(obj)
        if kind is dict:
            if attribute in obj:
                return obj[attribute]
        elif isinstance(obj, Undefined):
            return obj
        elif isinstance(obj, LoopContext):
            if attribute in _LOOP:
                return getattr(obj, attribute)
            return self.undefined(obj=obj, name=attribute)
        elif isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        methods = _METHODS.get(kind)
        if methods is not None and attribute in methods:
            return getattr(obj, attribute)
        if isinstance(obj, str) and attribute in _TEXT_METHODS:
            return getattr(str(obj), attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, (dict, list, tuple, str, Mapping)):
            try:
                return obj[argument]
            except (LookupError, TypeError, ValueError):
                pass
            if isinstance(argument, str):
                return self.getattr(obj, argument)
        return self.undefined(obj=obj, name=argument)


class _Nothing(ChainableUndefined):
    """A key that the payload lacks: renders to nothing, and so does whatever is asked of it."""

    __slots__ = ()


def _environment(finalize: Callable[[Any], str]) -> _Sandbox:
    environment = _Sandbox(undefined=_Nothing, finalize=finalize, autoescape=False, cache_size=0)
    environment.filters = {name: environment.filters[name] for name in KEPT_FILTERS if name in environment.filters}
    environment.filters.update(FILTERS)
    environment.tests = {name: environment.tests[name] for name in KEPT_TESTS if name in environment.tests}
    environment.globals = {"range": _bounded_range}
    return environment


_VALUES = _environment(_finalize)
_KEYS = _environment(_finalize_key)
#: Known to the code that a template becomes, not to its writer.
_HIDDEN = {"_counted": _counted, "_concat": _join_texts}
for _env in (_VALUES, _KEYS):
    _env.filters.update(_HIDDEN)
    _env.filters.update({"string": _as_text, "tojson": _as_json})

KNOWN_FILTERS = tuple(sorted(name for name in _VALUES.filters if not name.startswith("_")))
KNOWN_TESTS = tuple(sorted(_VALUES.tests))
GLOBALS = frozenset(_VALUES.globals)
#: For callers that want the syntax tree.
ENVIRONMENT = _VALUES

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
class Fault:
    """Something wrong in a template that compiles or not: `line` within the template."""

    message: str
    line: int


def parse_text(source: str) -> nodes.Template:
    """The syntax tree of a template. Raises TemplateInvalid."""
    if len(source) > MAX_TEMPLATE_CHARS:
        raise TemplateInvalid(f"longer than {MAX_TEMPLATE_CHARS:,} characters")
    try:
        return _VALUES.parse(source)
    except TemplateSyntaxError as error:
        raise TemplateInvalid(str(error.message), error.lineno) from error
    except RecursionError as error:
        raise TemplateInvalid("nested too deep") from error


def parse_expression(source: str) -> nodes.Expr:
    """The syntax tree of an expression such as a `when`. Raises TemplateInvalid."""
    if len(source) > MAX_TEMPLATE_CHARS:
        raise TemplateInvalid(f"longer than {MAX_TEMPLATE_CHARS:,} characters")
    try:
        parser = Parser(_VALUES, source, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            token = parser.stream.current
            hint = "; == compares" if token.value == "=" else ""
            raise TemplateInvalid(f"unexpected {token.value!r} after the expression{hint}", token.lineno)
    except TemplateSyntaxError as error:
        raise TemplateInvalid(str(error.message), error.lineno) from error
    except RecursionError as error:
        raise TemplateInvalid("nested too deep") from error
    expression.set_environment(_VALUES)
    return expression


def sole_expression(tree: nodes.Template) -> nodes.Expr | None:
    """The expression of a template that is exactly one `{{ ... }}`, else None."""
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    parts = tree.body[0].nodes
    return parts[0] if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData) else None


def refusals(tree: nodes.Node) -> list[Fault]:
    """Parts of the language that this sandbox does not have."""
    found = [
        Fault(f"{words} is not allowed here", node.lineno)
        for kind, words in _FORBIDDEN.items()
        for node in tree.find_all(kind)
    ]
    found.extend(
        Fault("a loop cannot be recursive here", node.lineno) for node in tree.find_all(nodes.For) if node.recursive
    )
    return found


Scope = Mapping[str, Any]


def new_context(scope: Scope) -> Context:
    """The variables of one event, shared by all templates that are rendered for it, and so is what they may cost."""
    refill()
    return Context(_VALUES, {**_VALUES.globals, **scope}, None, {})


class Compiled:
    """One template (or, `native`, one expression) as Python code."""

    __slots__ = ("_jinja", "_run", "native", "own_variables", "source")

    def __init__(self, source: str, *, native: bool, key: bool = False) -> None:
        """`key`: every part has to render to something. Raises TemplateInvalid."""
        environment = _KEYS if key else _VALUES
        self.source = source
        self.native = native
        tree: nodes.Template
        if native:
            expression = parse_expression(source)
            tree = nodes.Template([nodes.Assign(nodes.Name("result", "store"), expression, lineno=1)], lineno=1)
        else:
            tree = parse_text(source)
        self.own_variables = any(True for _ in tree.find_all((nodes.Assign, nodes.AssignBlock))) and not native
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
        if self.own_variables:
            context = Context(_VALUES, context.parent, None, {})
        try:
            if not self.native:
                return "".join(self._run(context))
            for _ in self._run(context):
                pass
            value = context.vars["result"]
            if isinstance(value, Undefined):
                return None
            if isinstance(value, str):
                return str(value) if type(value) is Markup else value
            if isinstance(value, (dict, list, tuple)):
                _weigh(value)
                return value
            if value is None or isinstance(value, (bool, int, float)):
                return value
            return _listed(value)
        except (_TooMuch, _Empty) as error:
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
    """`Compiled`, remembered: a reload of a changed file compiles what changed. Raises TemplateInvalid."""
    return Compiled(source, native=native, key=key)


def _listed(value: Any) -> Any:
    """Generators (of `map`, `select`) as lists; of anything else its text."""
    if isinstance(value, Iterable):
        items = []
        for item in value:
            _step()
            _weigh(item)
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
