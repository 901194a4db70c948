"""The sandbox that templates run in: Jinja2's immutable one, with bounds.

Bounds (for all templates of one event together), so that none stalls the door: the results of `+ * ** % ~`, of filters
and of output are limited in size, loops in number and in processor time. Dictionaries are data here: `payload.items`
is the provider's key `items`, and only a few harmless methods of texts, lists and dictionaries can be called.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson
from jinja2 import ChainableUndefined, Undefined
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from relay.rules.language.filters import FILTERS, KEPT_FILTERS, KEPT_TESTS

MAX_OUTPUT_CHARS = 4_000_000
MAX_STEPS = 100_000
MAX_CPU_NS = 250_000_000
MAX_RANGE = 10_000

_TEXT_METHODS = frozenset(
    "lower upper strip lstrip rstrip startswith endswith split rsplit splitlines title capitalize removeprefix "  # noqa: SIM905
    "removesuffix partition rpartition find rfind count isdigit isalpha isalnum isnumeric islower isupper".split()
)
_METHODS: dict[type, frozenset[str]] = {
    str: _TEXT_METHODS,
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
}
_LOOP = frozenset(
    "index index0 first last length previtem nextitem revindex revindex0 depth depth0 cycle changed".split()  # noqa: SIM905
)
_GROUP = frozenset({"grouper", "list"})


class TooMuch(Exception):
    """A bound is reached; the message says which."""


class _Budget(threading.local):
    steps = MAX_STEPS
    chars = MAX_OUTPUT_CHARS
    until_ns = 0


_budget = _Budget()


def left() -> int:
    """Count the characters that the templates of this event may still make."""
    return _budget.chars


def set_back(chars: int) -> None:
    """Forgets what was charged since `left()` was `chars`: what was made is thrown away."""
    _budget.chars = chars


def refill() -> None:
    """Set what the templates of one event may cost, anew for this thread."""
    budget = _budget
    budget.steps = MAX_STEPS
    budget.chars = MAX_OUTPUT_CHARS
    budget.until_ns = 0


def weigh(value: Any) -> None:
    """Charges the characters that `value` will have as text."""
    if isinstance(value, str):
        _budget.chars -= len(value)
    elif isinstance(value, (dict, list, tuple)):
        _weigh_deeply(value)
    if _budget.chars < 0:
        raise TooMuch(f"makes more than {MAX_OUTPUT_CHARS:,} characters")


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


def step() -> None:
    budget = _budget
    budget.steps -= 1
    if budget.steps < 0:
        raise TooMuch(f"takes more than {MAX_STEPS:,} steps")
    now = time.thread_time_ns()
    if not budget.until_ns:
        budget.until_ns = now + MAX_CPU_NS
    elif now > budget.until_ns:
        raise TooMuch(f"takes longer than {MAX_CPU_NS // 1_000_000} ms")


def _counted(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        step()
        yield value


def _bounded_range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise TooMuch(f"a range of more than {MAX_RANGE:,}")
    return found


def join_texts(values: list[Any]) -> str:
    parts = [_as_text(value) for value in values]
    text = "".join(parts)
    weigh(text)
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
        weigh(value)
        return _as_json(value)
    return str(value)


def _as_json(value: Any) -> str:
    weigh(value)
    return orjson.dumps(value, default=_nothing, option=orjson.OPT_NON_STR_KEYS).decode()


def _nothing(value: Any) -> Any:
    return None if isinstance(value, Undefined) else str(value)


def finalize(value: Any) -> str:
    """Return a value of an output as it stands in the text, charged for."""
    text = value if value.__class__ is str else _as_text(value)
    chars = _budget.chars = _budget.chars - len(text)
    if chars < 0:
        raise TooMuch(f"makes more than {MAX_OUTPUT_CHARS:,} characters")
    return text


class Empty(Exception):
    """A part of a key renders to nothing."""


def finalize_key(value: Any) -> str:
    """Return the same for a key. Raises Empty."""
    text = finalize(value)
    if not text.strip():
        raise Empty("a part of it is empty")
    return text


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
        if operator == "+":
            if not numbers and not isinstance(left, Undefined) and not isinstance(right, Undefined):
                weigh(left)
                weigh(right)
            return left + right
        if isinstance(left, Undefined) or isinstance(right, Undefined):
            return left * right
        if not numbers:
            raise SecurityError(f"{operator} is for numbers only")
        if operator == "**":
            if abs(right) > 64 or abs(left) > 2**32:
                raise TooMuch("a power that large")
            return left**right
        if operator == "*":
            if isinstance(left, int) and left.bit_length() > 4096:
                raise TooMuch("a number that large")
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
        if attribute in _GROUP and isinstance(obj, tuple) and hasattr(obj, attribute):
            # What `groupby` gives: a pair whose halves have names.
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
    environment.filters = {
        name: environment.filters[name] for name in KEPT_FILTERS if name in environment.filters
    }
    environment.filters.update(FILTERS)
    environment.tests = {name: environment.tests[name] for name in KEPT_TESTS if name in environment.tests}
    environment.globals = {"range": _bounded_range}
    return environment


#: For values, where nothing is left out, and for keys, where it is a mistake.
VALUES = _environment(finalize)
KEYS = _environment(finalize_key)
#: Known to the code that a template becomes, not to its writer.
_HIDDEN = {"_counted": _counted, "_concat": join_texts}
for _env in (VALUES, KEYS):
    _env.filters.update(_HIDDEN)
    _env.filters.update({"string": _as_text, "tojson": _as_json})

KNOWN_FILTERS = tuple(sorted(name for name in VALUES.filters if not name.startswith("_")))
KNOWN_TESTS = tuple(sorted(VALUES.tests))
GLOBALS = frozenset(VALUES.globals)
