"""`relay pause` and `relay resume`: holding delivery, or one source."""

from __future__ import annotations

import json

import click

from relay.cli.names import SOURCE_PARAM
from relay.cli.place import Place, lane_options

_SOURCE = click.option(
    "--source", type=SOURCE_PARAM, default="", help="This source only; otherwise all delivery."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="The state of delivery afterwards, as JSON.")


@click.command()
@_SOURCE
@_JSON
@lane_options
def pause(source: str, as_json: bool, place: Place) -> None:
    """Hold delivery, or one source. Webhooks are accepted as ever and wait; nothing is lost while held, and nothing
    that waits becomes a dead letter for it before retry.give_up_after.

    \b
    Example:
        relay pause --source slack
    """
    _turn(source, as_json, place, hold=True)


@click.command()
@_SOURCE
@_JSON
@lane_options
def resume(source: str, as_json: bool, place: Place) -> None:
    """Let delivery, or one source, go on. While Planhat is out of reach it ends the wait: the next call is a probe.

    \b
    Example:
        relay resume
    """
    _turn(source, as_json, place, hold=False)


def _turn(source: str, as_json: bool, place: Place, *, hold: bool) -> None:
    from relay.cli.context import open_context, operator
    from relay.operations.merged import merge_delivery
    from relay.operations.pause import pause_delivery, resume_delivery

    context = open_context(place)
    context.require_source(source)
    lanes = context.each_lane()
    context.audit("pause" if hold else "resume", source=source)
    states = {
        lane.lane: pause_delivery(lane.delivery, source, by=operator())
        if hold
        else resume_delivery(lane.delivery, source)
        for lane in lanes
    }
    of = f" of lane {place.lane}" if place.lane else " of every lane" if len(lanes) > 1 else ""
    again = f"{f' --source {source}' if source else ''}{f' --lane {place.lane}' if place.lane else ''}"
    if as_json:
        found = merge_delivery(states) if len(states) > 1 else states[lanes[0].lane]
        click.echo(json.dumps(found, indent=2))
    elif hold:
        click.echo(f"{source or 'delivery'}{of} is held; `relay resume{again}` lets it go on")
    else:
        click.echo(f"{source or 'delivery'}{of} goes on")
