"""`relay dead list` and `relay dead show`."""

from __future__ import annotations

import sys
from typing import Any

import click

from relay.cli.dead.options import filters, json_and_place, lane_told, lane_with
from relay.cli.names import LETTER
from relay.cli.output import counted, echo_json, faint, lines_of, shown, strong, warn
from relay.cli.place import Place
from relay.errors import UserError


@click.command("list")
@filters
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@click.option("--after", default="", help="The `next` of the page before.")
@json_and_place
def list_(
    cause: str, source: str, since: str, until: str, limit: int, after: str, as_json: bool, place: Place
) -> None:
    """List dead letters grouped by cause, then the newest one by one. Exit code 1: filters are given, and no letter fits.

    \b
    Examples:
        relay dead list --since 24h
        relay dead list --cause c-3f2a
    """
    from relay.cli.context import open_context
    from relay.operations.dead.causes import no_such_cause
    from relay.operations.dead.look import list_dead
    from relay.operations.merged import merge_dead
    from relay.operations.selection import Selection, read_moment

    context = open_context(place)
    lanes = {lane.lane: lane for lane in context.each_lane()}
    now_ms = context.home.now_ms()
    asked = {"since": since, "until": until}
    selection = Selection(
        cause=cause,
        source=source,
        since_ms=read_moment(asked, "since", now_ms, blank=True),
        until_ms=read_moment(asked, "until", now_ms, blank=True),
    )

    def ask(lane: str, limit: int, after: str) -> dict[str, Any]:
        return list_dead(lanes[lane].outbox, selection, limit=limit, after=after)

    try:
        several = len(lanes) > 1
        found = (
            merge_dead(tuple(lanes), ask, limit=limit, after=after)
            if several
            else ask(next(iter(lanes)), limit, after)
        )
    except ValueError as error:
        raise UserError(f"--after: {error}") from error
    missed = selection != Selection() and not found["groups"]
    if as_json:
        echo_json(found)
    elif missed and found["nearest"]:
        click.echo(no_such_cause(cause, found["nearest"]), err=True)
    elif missed:
        click.echo(f"no dead letter fits{f': {source}' if source else ''}", err=True)
    elif not found["groups"]:
        click.echo("no dead letters")
    else:
        _print_list(found)
    sys.exit(1 if missed else 0)


def _print_list(found: dict[str, Any]) -> None:
    total = sum(group["count"] for group in found["groups"])
    click.echo(f"{counted(total, 'dead letter')} of {counted(len(found['groups']), 'cause')}")
    if found["truncated"]:
        click.echo(warn("only the newest were looked at for the causes"))
    for group in found["groups"]:
        click.echo(f"\n{strong(group['id'])}  {group['count']:>6}  {shown(group['cause'])}")
        click.echo(
            f"        {', '.join(map(shown, group['sources']))}; {group['first_seen']} to {group['last_seen']}; "
            f"relay dead show {group['sample']}"
        )
        if "lanes" in group:
            click.echo(f"        lane {', '.join(group['lanes'])}")
        for line in _said(group):
            click.echo(f"        {line}")
    click.echo("")
    for item in found["items"]:
        lane = f"{item['lane']:<10}  " if "lane" in item else ""
        click.echo(
            f"{item['at']}  {lane}{item['id']}  {item['cause_id']}  {shown(item['source'])}  "
            f"{shown(item['externalId'] or '-')}  {item['stage']}"
        )
    if found["next"]:
        click.echo(f"more: a larger --limit, or --after {found['next']}")


def _said(told: dict[str, Any]) -> list[str]:
    """What people say of a cause."""
    lines = []
    if told["muted"]:
        lines.append(warn(f"muted until {told['muted_until']}" if told["muted_until"] else "muted"))
    if told["assigned"]:
        lines.append(f"assigned to {shown(told['assigned'])}")
    if told["note"]:
        lines.append(f"note: {shown(told['note'])}")
    if lines and told["marked_by"]:
        lines[-1] += faint(f"  ({shown(told['marked_by'])}, {told['marked_at']})")
    return lines


@click.command()
@click.argument("dead_id", metavar="ID", type=LETTER)
@json_and_place
def show(dead_id: str, as_json: bool, place: Place) -> None:
    """Show one dead letter, whole: why, every attempt with Planhat's answer, the event, the document, the raw request.

    \b
    Example:
        relay dead show dead_0123456789abcdef01234567
    """
    from relay.cli.context import open_context
    from relay.operations.dead.look import show_dead

    context = lane_with(open_context(place), [dead_id])
    found = show_dead(context, dead_id)
    context.audit("look", page="dead show", id=dead_id)
    if as_json:
        echo_json(lane_told(context, found))
        return
    print_letter(found)


def print_letter(found: dict[str, Any]) -> None:
    """Print all of it: nothing is cut."""
    click.echo(
        f"{strong(found['id'])}  {shown(found['source'])}  {shown(found['externalId'] or '-')}  at {found['at']}"
    )
    click.echo(f"  cause:  {shown(found['cause'])}  ({found['cause_id']}, stage {found['stage']})")
    if found["reason"] and found["reason"] != found["cause"]:
        click.echo(f"  reason: {shown(found['reason'])}")
    for one in found["asked_for"]:
        click.echo(f"  asked:  {shown(one['key'])} {shown(one['value'])}")
    if found["goes_by_itself"]:
        click.echo(
            f"  again:  looked at again {found['looked_at_again']}, and whenever the config changes: once its company is "
            "known it goes by itself"
        )
    for line in _said(found):
        click.echo(f"  {line}")
    if found["rule"]:
        click.echo(f"  rule:   {shown(found['rule'])}")
    if found["planhat_link"]:
        click.echo(f"  link:   {found['planhat_link']}")
    if found["answer"]:
        click.echo(f"  answer: {shown(found['answer'])}")
    for attempt in found["attempts"]:
        click.echo(
            f"  attempt {attempt['at']}: {shown(attempt['status'])} {shown(attempt['error'] or '')}".rstrip()
        )
    for entry in found["edits"]:
        click.echo(
            f"  edited {entry['at']} by {shown(entry['by'])}: {entry['what']} {shown(entry['path'])}: "
            f"{shown(entry['from'])} -> {shown(entry['to'])}"
        )
    for name, value in (found["document"] or {}).items():
        click.echo(f"  document.{shown(name)} = {shown(value)}")
    raw = found["raw"]
    if raw is None:
        click.echo("  raw: expired")
        return
    click.echo(
        f"  raw ({raw['encoding']}), received {raw['received_at']}: {raw['method']} {shown(raw['target'] or '')}"
    )
    for name, value in raw["headers"].items():
        click.echo(faint(f"    {shown(name)}: {shown(value)}"))
    click.echo(lines_of(raw["body"], "    "))


COMMANDS = (list_, show)
