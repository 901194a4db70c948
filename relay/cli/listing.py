"""How much of a long list a command prints, and as what: `--limit`, `--all`, `--json`, `--json-lines`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

import click

from relay.cli.output import echo_json
from relay.errors import UserError

_EVERYTHING: Final = 10**9

_Print = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Listing:
    """`limit` entries, or `everything`; as text, as one JSON value, or as JSON `lines` of all entries as they are found."""

    limit: int = 20
    everything: bool = False
    as_json: bool = False
    lines: bool = False

    @property
    def most(self) -> int:
        """How many entries are kept for the end: none where each is printed as it is found."""
        if self.lines or (self.everything and not self.as_json):
            return 0
        return _EVERYTHING if self.everything else self.limit

    def as_found(self, as_text: _Print) -> _Print | None:
        """Return what prints each entry as soon as it is found; None where they wait for the end."""
        if self.lines:
            return _print_line
        return as_text if self.everything and not self.as_json else None

    def printed(self, found: Mapping[str, Any], entries: str) -> bool:
        """Prints the result as JSON where that is wanted; False: it is to be told as text. `entries`: its key of what was printed
        line by line, which is left out at the end."""
        if self.lines:
            _print_line({"summary": {name: value for name, value in found.items() if name != entries}})
        elif self.as_json:
            echo_json(found)
        return self.lines or self.as_json


def listing_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives the command `listing`, from options that are the same wherever much may be listed."""

    @click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="List so many.")
    @click.option("--all", "everything", is_flag=True, help="List all, each as it is found.")
    @click.option("--json", "as_json", is_flag=True, help="In the API's shape.")
    @click.option(
        "--json-lines",
        "lines",
        is_flag=True,
        help="All of them, a JSON object a line; the last line sums up.",
    )
    @wraps(command)
    def listed(*, limit: int, everything: bool, as_json: bool, lines: bool, **given: Any) -> None:
        if as_json and lines:
            raise UserError("--json or --json-lines, not both")
        command(listing=Listing(limit, everything, as_json, lines), **given)

    return listed


def _print_line(entry: Mapping[str, Any]) -> None:
    click.echo(json.dumps(entry, ensure_ascii=False))
