"""What `relay conversations` prints: tables for people, JSON for programs. Nothing in a conversation is ever markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from relay.planhat.address import record_link

if TYPE_CHECKING:
    from relay.planhat.bulk import Result

COLUMNS: Final = ("_id", "date", "type", "companyName", "subject", "externalId")
_SHOWN_RESULTS: Final = 50


def print_json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, tenant: str = "") -> None:
    """Print a row for each; in a terminal that knows links the `_id` leads to the record."""
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

    if not rows:
        click.echo("No conversations.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name == "_id", overflow="fold" if name == "externalId" else "ellipsis")
    for row in rows:
        # As Text: what stands in a conversation is never markup.
        link = record_link(tenant, _cell(row.get("_id")))
        styles = {"_id": Style(link=link)} if link else {}
        table.add_row(*(Text(_cell(row.get(name)), styles.get(name, "")) for name in columns))
    _console().print(table)


def _console() -> Any:
    from rich.console import Console

    console = Console(highlight=False)
    # Piped into another program a table must not be folded to 80 columns.
    return console if console.is_terminal else Console(highlight=False, width=200)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return "".join(character if character.isprintable() else " " for character in text)


def print_one(conversation: Mapping[str, Any], as_json: bool, *, tenant: str = "") -> None:
    from rich.table import Table
    from rich.text import Text

    if as_json:
        print_json(conversation)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in conversation.items():
        if value not in (None, "", [], {}):
            table.add_row(name, Text(_cell(value)))
    link = record_link(tenant, _cell(conversation.get("_id")))
    if link:
        table.add_row("link", Text(link))
    _console().print(table)


def print_results(results: Sequence[Result], as_json: bool, *, tenant: str = "") -> None:
    counts = {
        word: sum(result.word == word for result in results)
        for word in ("created", "updated", "unchanged", "delivered", "failed")
    }
    if as_json:
        items = [
            {
                "position": result.position,
                "externalId": result.key.external_id,
                "_id": result.key.planhat_id,
                "planhat_link": record_link(tenant, result.key.planhat_id or "") or None,
                "sourceId": result.key.source_id,
                "outcome": result.word,
                "message": result.message,
            }
            for result in results
        ]
        print_json({**counts, "items": items})
        return
    for result in results:
        if result.word == "failed" or len(results) <= _SHOWN_RESULTS:
            name = next((text for text in reversed(result.key) if text), f"item {result.position + 1}")
            line = f"{_cell(name)}: {result.word}"
            click.echo(f"{line}: {_cell(result.message)}" if result.message else line)
    told = [f"{count} {word}" for word, count in counts.items() if count]
    click.echo(", ".join(told) + "." if told else "Nothing to send.")
