"""`relay companies`: what no company was found for."""

from __future__ import annotations

from typing import Any

import click

from relay.cli.asking import MOMENT, TIMES
from relay.cli.names import SOURCE_PARAM
from relay.cli.output import counted, echo_json, faint, shown, strong, warn
from relay.cli.place import Place, lane_options


@click.group()
def companies() -> None:
    """Show how conversations find their company."""


@companies.command()
@click.option("--source", type=SOURCE_PARAM, default="", help="Asked for by this source's events.")
@click.option("--since", type=MOMENT, default="", help=f"Asked for since: {TIMES}.")
@click.option("--limit", type=click.IntRange(1, 5000), default=500, show_default=True)
@click.option("--yaml", "as_yaml", is_flag=True, help="Only what is to be pasted into the config.")
@click.option("--json", "as_json", is_flag=True, help="As GET /api/v1/companies/missing gives it.")
@lane_options
def missing(source: str, since: str, limit: int, as_yaml: bool, as_json: bool, place: Place) -> None:
    """Show what was asked for and not found: addresses, channels and keys of the letters that wait for a company, how often, when
    last, and the YAML that would answer them. Once the config has it, these letters go by themselves.

    \b
    Examples:
        relay companies missing
        relay companies missing --yaml > companies.yaml
    """
    from relay.cli.context import open_context
    from relay.operations.companies import missing_companies
    from relay.operations.merged import merge_missing
    from relay.operations.selection import read_moment

    context = open_context(place)
    since_ms = read_moment({"since": since}, "since", context.home.now_ms(), blank=True)
    context.audit("look", page="companies missing", source=source)
    answers = {
        lane.lane: missing_companies(lane.outbox, source=source, since_ms=since_ms, limit=limit)
        for lane in context.each_lane()
    }
    found = merge_missing(answers) if len(answers) > 1 else answers.popitem()[1]
    if as_json:
        echo_json(found)
    elif as_yaml:
        click.echo(found["yaml"], nl=False)
    elif not found["missing"]:
        click.echo("no letter waits for a company")
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    if found["truncated"]:
        click.echo(warn("only the newest letters were looked at"))
    for row in found["missing"]:
        lane = f" --lane {row['lane']}" if "lane" in row else ""
        click.echo(f"{row['count']:>6,}  {strong(shown(row['key']))} {shown(row['asked_for'])}")
        click.echo(
            faint(
                f"        {', '.join(map(shown, row['sources']))}; {counted(row['events'], 'event')}; last {row['last_seen']}; "
                f"relay dead show {row['sample']}{lane}"
            )
        )
    if found["more"]:
        click.echo(f"{found['more']:,} more: --limit")
    click.echo(f"\n{found['yaml']}", nl=False)
