"""`relay drop`: the kill switch. Events that match are counted as filtered, at once and everywhere; it ends by itself."""

from __future__ import annotations

import json
import secrets
import sys

import click

from relay.cli.names import SOURCE_PARAM
from relay.cli.place import Place, place_options
from relay.errors import NotFound, UserError


@click.command()
@click.option("--source", type=SOURCE_PARAM, help="Only this source's events; all otherwise.")
@click.option("--where", help="A `when` expression of the rules; all events of the source otherwise.")
@click.option("--for", "duration", default="1h", show_default=True, help="How long, e.g. 30m; at most 7d.")
@click.option("--list", "list_them", is_flag=True, help="What is being dropped now.")
@click.option("--end", "end_id", metavar="ID", help="End one before its time.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@place_options
@click.option("--json", "as_json", is_flag=True)
def drop(
    source: str | None,
    where: str | None,
    duration: str,
    list_them: bool,
    end_id: str | None,
    yes: bool,
    place: Place,
    as_json: bool,
) -> None:
    """Kill switch: count matching events as filtered for a while, e.g. while a broken integration floods.

    \b
    Examples:
        relay drop --source helpdesk --where 'event.sender.bot' --for 1h
        relay drop --list
    """
    from relay.cli.context import open_context
    from relay.door.killswitch import condition_problem
    from relay.event import iso_time
    from relay.units import parse_duration

    context = open_context(place)
    outbox = context.outbox
    if list_them:
        drops = outbox.drops()
        if as_json:
            click.echo(json.dumps({"drops": drops}, indent=2))
        elif not drops:
            click.echo("nothing is being dropped")
        else:
            for row in drops:
                click.echo(
                    f"{row['id']}  {row['source'] or '*':16} {row['where'] or 'everything'}  until {iso_time(row['until_ms'] / 1000)}"
                )
        return
    if end_id:
        context.audit("drop end", id=end_id)
        if not outbox.end_drop(end_id):
            raise NotFound(f"no drop {end_id}; `relay drop --list` shows them")
        click.echo("ended")
        return
    if not source and not where:
        raise UserError(
            "name a --source, a --where, or both: to hold everything instead, and lose nothing, use `relay pause`"
        )
    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise UserError(f"--for {duration}: {error}") from error
    if not 0 < seconds <= 7 * 86400:
        raise UserError("--for should be between 1s and 7d; a rule with `action: drop` is the lasting way")
    problem = condition_problem(where) if where else ""
    if problem:
        raise UserError(f"--where: {problem}")
    if not yes and not sys.stdin.isatty():
        raise UserError("dropping changes many events at once: say --yes")
    if not yes:
        click.confirm(
            f"Count matching events of {source or 'every source'} as filtered for {duration}?", abort=True
        )
    row = {
        "id": secrets.token_hex(4),
        "source": source or "",
        "where": where or "",
        "until_ms": outbox.now_ms() + int(seconds * 1000),
    }
    context.audit("drop", id=row["id"], source=source, where=where, until=iso_time(row["until_ms"] / 1000))
    outbox.add_drop(row)
    click.echo(
        json.dumps(row) if as_json else f"{row['id']}: dropping until {iso_time(row['until_ms'] / 1000)}"
    )
