"""Regular expressions that a config brings along, in RE2: they take linear time, whatever text comes. RE2 has neither lookarounds
nor backreferences; `\\d`, `\\w` and `\\b` are ASCII there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Pattern(Protocol):
    """A compiled pattern over UTF-8 bytes."""

    @property
    def groups(self) -> int: ...

    def search(self, text: bytes) -> Any: ...

    def finditer(self, text: bytes) -> Iterator[Any]: ...


def compile_pattern(pattern: str) -> Pattern:
    """Compile a pattern that takes linear time. Raises ValueError with the end of a sentence that begins with the pattern's place."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        compiled: Pattern = re2.compile(pattern.encode(), options)  # type: ignore[no-untyped-call]
    except re2.error as error:
        said = error.args[0] if error.args else ""
        why = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ValueError(f"is no regular expression that runs in linear time: {why}") from error
    return compiled
