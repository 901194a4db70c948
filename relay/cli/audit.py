"""`relay audit`: who changed or looked at what."""

from __future__ import annotations

import json
from typing import Any

import click

from relay.cli.asking import MOMENT, TIMES
from relay.cli.place import Place, place_options


@click.command()
@click.option("--since", type=MOMENT, default="", help=f"From this moment: {TIMES}.")
@click.option("--until", type=MOMENT, default="", help="Up to this moment.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--after", default="", help="The `next` of the page before.")
@click.option("--json", "as_json", is_flag=True, help="As GET /api/v1/audit gives it.")
@place_options
def audit(since: str, until: str, limit: int, after: str, as_json: bool, place: Place) -> None:
    """Show who paused, resumed, dropped, replayed, edited, discarded or erased what, and who looked at a payload: by name and
    address, newest first. Lines are kept for 400 days.

    \b
    Example:
        relay audit --since 24h
    """
    from relay.cli.context import open_context
    from relay.errors import UserError
    from relay.operations.audit import list_audit
    from relay.operations.selection import read_moment

    outbox = open_context(place).home
    asked = {name: value for name, value in (("since", since), ("until", until)) if value}
    now_ms = outbox.now_ms()
    since_ms, until_ms = read_moment(asked, "since", now_ms), read_moment(asked, "until", now_ms)
    try:
        found = list_audit(outbox, since_ms=since_ms, until_ms=until_ms, limit=limit, after=after)
    except ValueError as error:
        raise UserError(f"--after: {error}") from error
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    if not found["lines"]:
        click.echo("no line in the audit" + (" since then" if since else ""))
    for line in found["lines"]:
        click.echo(
            f"{line['at']}  {line['who']:24} {line['address']:20} {line['what']:14} {_of(line['of'])}".rstrip()
        )
    if found["next"]:
        click.echo(f"more: a larger --limit, or --after {found['next']}")


def _of(told: dict[str, Any]) -> str:
    from relay.cli.output import short

    pairs = (
        (name, ", ".join(map(str, value)) if isinstance(value, list) else value)
        for name, value in told.items()
    )
    return "  ".join(f"{name}={short(value)}" for name, value in pairs)
