"""`relay rejected`: the last refused requests; what was in them is never kept."""

from __future__ import annotations

import json

import click

from relay.cli.names import SOURCE_PARAM
from relay.cli.place import Place, place_options


@click.command()
@click.option("--source", type=SOURCE_PARAM, help="Only this source's.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@place_options
@click.option("--json", "as_json", is_flag=True)
def rejected(source: str | None, limit: int, place: Place, as_json: bool) -> None:
    """List the last refused requests, newest first: when, which source, why, how large, from which network.

    \b
    Example:
        relay rejected --source slack
    """
    from relay.cli.context import open_context
    from relay.event import iso_time

    rows = open_context(place).home.rejected(500)
    rows = [row for row in rows if not source or row["source"] == source][:limit]
    if as_json:
        click.echo(json.dumps({"rejected": rows}, indent=2))
        return
    if not rows:
        click.echo("nothing was refused")
    for row in rows:
        size = f"{row['bytes']} bytes" if row.get("bytes") is not None else "size unknown"
        click.echo(
            f"{iso_time(row['at_ms'] / 1000)}  {row['source'] or 'unknown source':16} {row['reason']:28} {size:>14}  {row['from']}"
        )
