"""`relay drop`: the kill switch. Events that match are counted as filtered, at once and everywhere; it ends by itself."""

from __future__ import annotations

from typing import Any

import click

from relay.cli.asking import ask_first
from relay.cli.names import DROP, SOURCE_PARAM
from relay.cli.output import bad, counted, echo_json, shown, strong
from relay.cli.place import Place, place_options
from relay.operations.selection import InputInvalid


@click.command()
@click.option("--source", type=SOURCE_PARAM, default="", help="Only this source's events; all otherwise.")
@click.option(
    "--where", default="", help="A `when` expression of the rules; all events of the source otherwise."
)
@click.option("--for", "duration", default="1h", show_default=True, help="How long, e.g. 30m; at most 7d.")
@click.option("--list", "list_them", is_flag=True, help="What is being dropped now, and how much of it.")
@click.option("--end", "end_id", metavar="ID", type=DROP, help="End one before its time.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="In the API's shape.")
@place_options
def drop(
    source: str, where: str, duration: str, list_them: bool, end_id: str | None, yes: bool, as_json: bool, place: Place
) -> None:  # fmt: skip
    """Count matching events as filtered for a while (a kill switch), e.g. while a broken integration floods. The source and the
    condition are checked as a rule's are.

    \b
    Examples:
        relay drop --source helpdesk --where 'event.sender.bot' --for 1h
        relay drop --list
    """
    from relay.cli.context import open_context

    context = open_context(place)
    if list_them:
        _list(context, as_json)
    elif end_id:
        _end(context, end_id, as_json)
    else:
        _begin(context, source, where, duration, yes, as_json)


def _list(context: Any, as_json: bool) -> None:
    from relay.operations.drops import list_drops

    drops = list_drops(context.home, context.known_sources)
    if as_json:
        echo_json({"drops": drops})
        return
    if not drops:
        click.echo("nothing is being dropped")
    for row in drops:
        by = f" by {shown(row['by'])}" if row["by"] else ""
        since = f" since {row['since']}" if row["since"] else ""
        click.echo(
            f"{strong(row['id'])}  {shown(row['source'] or 'every source')}  {shown(row['where'] or 'everything')}"
        )
        click.echo(f"    {counted(row['count'], 'event')} dropped{since}{by}, until {row['until']}")
        if row["problem"]:
            click.echo(f"    {bad('drops nothing')}: {shown(row['problem'])}")


def _end(context: Any, drop_id: str, as_json: bool) -> None:
    from relay.operations.drops import end_drop

    context.audit("drop end", id=drop_id)
    found = end_drop(context.home, drop_id)
    if as_json:
        echo_json(found)
    else:
        click.echo(f"ended; it dropped {counted(found['count'], 'event')}")


def _begin(context: Any, source: str, where: str, duration: str, yes: bool, as_json: bool) -> None:
    from relay.cli.context import operator
    from relay.operations.drops import begin_drop, check_drop

    known = context.known_sources
    try:
        check_drop(known, source=source, where=where, lasts=duration)
    except InputInvalid as error:
        raise InputInvalid(error.message, f"--{error.path}") from None
    ask_first(
        f"Count matching events of {source or 'every source'} as filtered for {duration}?",
        yes=yes,
        otherwise="try the condition with `relay explain`",
    )
    context.audit("drop", source=source, where=where, lasts=duration)
    row = begin_drop(context.home, known, source=source, where=where, lasts=duration, by=operator())
    if as_json:
        echo_json(row)
    else:
        click.echo(f"{row['id']}: dropping until {row['until']}; `relay drop --end {row['id']}` ends it")
