"""`relay alerts`: what is wrong now, who is told, and a try of each channel."""

from __future__ import annotations

from typing import Any

import click

from relay.cli.output import counted, echo_json, shown
from relay.cli.place import Place, place_options


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@place_options
@click.pass_context
def alerts(ctx: click.Context, as_json: bool, place: Place) -> None:
    """Show what is wrong now and was told, or is about to be; and the channels of the config's `alerts:`. Exit code 1 while an
    alert is on.

    \b
    Example:
        relay alerts
        relay alerts test
    """
    if ctx.invoked_subcommand is not None:
        return
    from relay.cli.context import open_context
    from relay.operations.alerts.telling import list_alerts

    context = open_context(place)
    config = context.config_or_none
    found = list_alerts([lane.outbox for lane in context.each_lane()], config.alerts if config else None)
    if as_json:
        echo_json(found)
    else:
        _print(found, known=config is not None)
    if any(row["told_at"] for row in found["alerts"]):
        ctx.exit(1)


def _print(found: dict[str, Any], *, known: bool) -> None:
    """`known`: the config says who is told."""
    if known and not found["channels"]:
        click.echo("nobody is told: the config has no alerts: (docs/operating.md, Alerts)")
    for row in found["channels"]:
        late = f"  ({counted(row['unsent'], 'message')} not sent yet" if row["unsent"] else ""
        tries = f", tried {counted(row['tries'], 'time')}" if row["tries"] else ""
        click.echo(f"{row['name']:12} {row['to']}{late}{tries}{')' if late else ''}")
    if found["about"]:
        click.echo(f"told of: {', '.join(found['about'])}")
    if not found["alerts"]:
        click.echo("no alert is on")
    for row in found["alerts"]:
        click.echo(f"{row['kind']:10} {shown(row['title'])}  ({_told(row)})")
    if found["unsent"] and not found["channels"]:
        click.echo(f"{counted(found['unsent'], 'message')} not sent yet")


def _told(row: dict[str, Any]) -> str:
    """Since when, and by whom not yet."""
    if not row["told_at"]:
        return f"seen {row['since']}, not told yet"
    if row["untold"]:
        return f"begun {row['told_at']}, not told yet by {', '.join(row['untold'])}"
    return f"told {row['told_at']}"


@alerts.command()
@click.option("--json", "as_json", is_flag=True, help="A row for each channel, as JSON.")
@place_options
@click.pass_context
def test(ctx: click.Context, as_json: bool, place: Place) -> None:
    """Send a test by each channel of the config, from this machine and at once. Exit code 1 where one did not take it.

    \b
    Example:
        relay alerts test --config relay.yaml
    """
    import time

    from relay.cli.context import open_context
    from relay.errors import UserError
    from relay.operations.alerts.sending import AlertSender
    from relay.operations.alerts.telling import try_channels

    config = open_context(place).config
    if config.alerts is None:
        raise UserError(f"{config.file}: there is no alerts: in it, so nobody is told of anything")
    sender = AlertSender(link=config.alerts.link)
    rows = try_channels(config.alerts, sender=sender, now_ms=int(time.time() * 1000))
    if as_json:
        echo_json(rows)
    for row in () if as_json else rows:
        click.echo(f"{row['channel']:12} {row['error'] or 'ok'}")
    if not all(row["ok"] for row in rows):
        ctx.exit(1)
