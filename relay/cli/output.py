"""How commands print: numbers with their words, values of strangers, colours where a terminal is."""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any, Final

import click

_SHORT_CHARS: Final = 100


def echo_json(value: Any, *, indent: int | None = 2) -> None:
    """Prints a result as JSON, in the API's shape."""
    click.echo(json.dumps(value, indent=indent, ensure_ascii=False))


def reader_gone() -> bool:
    """Tell whether standard output is a pipe that nobody reads any more: for what waits long before it writes again."""
    if not hasattr(select, "poll"):
        return False
    looked = select.poll()
    try:
        looked.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        # Standard output is no file: a test's, or closed.
        return False
    return any(happened & select.POLLERR for _, happened in looked.poll(0))


def counted(number: int, word: str, plural: str = "") -> str:
    """Write a number with its word: "1 dead letter", "2 dead letters"; with a plural of its own, "1 reply", "2 replies"."""
    return f"{number:,} {word if number == 1 else plural or f'{word}s'}"


def shown(value: Any) -> str:
    """Return a value on one line, whole; payloads are hostile text, so control characters are shown escaped."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def short(value: Any) -> str:
    """Show a value as `shown` does, cut: for lists, where an id leads to the whole."""
    return cut_to(shown(value), _SHORT_CHARS)


def cut_to(text: str, most: int) -> str:
    """At most `most` characters; an ellipsis stands for the rest."""
    return text if len(text) <= most else text[: most - 1] + "…"


def lines_of(text: str, indent: str) -> str:
    """Return a text of several lines, whole and indented, control characters escaped."""
    return "\n".join(f"{indent}{shown(line)}" for line in text.replace("\r\n", "\n").split("\n"))


# -- colours: click leaves them out where the output is no terminal --------------------------------------------------


def wants_color() -> bool | None:
    """Return what the environment says: NO_COLOR takes colours away, FORCE_COLOR keeps them in a pipe; None: a terminal has them.
    Source: no-color.org, force-color.org."""
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None


def good(text: str) -> str:
    return click.style(text, fg="green")


def bad(text: str) -> str:
    return click.style(text, fg="red", bold=True)


def warn(text: str) -> str:
    return click.style(text, fg="yellow")


def strong(text: str) -> str:
    return click.style(text, bold=True)


def faint(text: str) -> str:
    return click.style(text, dim=True)


_STATES: Final = {
    **dict.fromkeys(("delivered", "unchanged", "superseded", "open"), good),
    **dict.fromkeys(("pending", "paused", "backing_off", "held"), warn),
    **dict.fromkeys(("dead", "blocked"), bad),
}


def state(word: str) -> str:
    """Return a state of an event or of delivery, in its colour."""
    return _STATES.get(word, str)(word)
