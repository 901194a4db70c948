"""`relay trace`: one id with its whole story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import click

from relay.cli.output import echo_json, short
from relay.cli.place import Place, lane_options
from relay.errors import NotFound, RelayError
from relay.units import took_words


@click.command()
@click.argument("some_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As GET /api/v1/trace/{id} gives it.")
@lane_options
def trace(some_id: str, as_json: bool, place: Place) -> None:
    """Show the whole story of one event or conversation: received, parsed, which rule, queued, each attempt, what became of
    it. ID is an event id, a delivery id of the provider, an externalId or a Planhat _id; of an email address, the events
    that came from it are listed.

    \b
    Examples:
        relay trace evt_0123456789abcdef01234567
        relay trace slack-C024BE91L-1700000000.000100
    """
    from relay.cli.context import open_context
    from relay.cli.events import list_of_sender
    from relay.operations.trace import find

    context = open_context(place)
    lanes = context.each_lane()
    stories = _stories(lanes, some_id)
    if not stories:
        if "@" not in some_id:
            # Says what was looked for.
            find(lanes[0].outbox, some_id, _sources(lanes[0]))
        # Who asks with an address wants what came from there.
        list_of_sender(context, some_id, as_json=as_json)
        return
    context.audit("look", page="trace", id=some_id)
    if as_json:
        _print_json(stories, several=len(lanes) > 1)
        return
    for lane, found in stories.items():
        if len(lanes) > 1:
            click.echo(f"lane {lane}")
        _print_conversation(found["conversation"])
        for event in found["events"]:
            _print_event(event)


def _stories(lanes: Sequence[Any], some_id: str) -> dict[str, Any]:
    """lane -> what is known there. The same conversation may stand in several tenants."""
    from relay.operations.context import tenant_of
    from relay.operations.trace import find

    stories = {}
    for lane in lanes:
        with suppress(NotFound):
            stories[lane.lane] = find(lane.outbox, some_id, _sources(lane), tenant=tenant_of(lane))
    return stories


def _print_json(stories: Mapping[str, Any], *, several: bool) -> None:
    """Print the answer of the first lane that knows it, as the API does; which others know it too is said beside it."""
    (lane, found), *others = stories.items()
    echo_json({**found, "lane": lane} if several else found)
    for other, _ in others:
        click.echo(f"lane {other} knows it too: --lane {other}", err=True)


def _sources(context: Any) -> list[str]:
    """A broken config must not hide what happened: the outbox knows the sources that sent something."""
    try:
        return list(context.config.sources)
    except RelayError:
        return []


def _print_conversation(told: dict[str, Any]) -> None:
    click.echo(f"conversation {told['externalId'] or '(none)'}")
    for label, key in (
        ("Planhat", "planhat_id"),
        ("link", "planhat_link"),
        ("company", "companyId"),
        ("due", "due_at"),
    ):
        if told[key]:
            click.echo(f"  {label}: {told[key]}")
    if told["waiting"]:
        click.echo(f"  waiting: {told['waiting']} patch(es)")
    for dead_id in told["dead"]:
        click.echo(f"  dead letter: {dead_id}  (relay dead show {dead_id})")
    for name, value in told["fields"].items():
        click.echo(f"  {name} = {short(value)}")


def _print_event(event: dict[str, Any]) -> None:
    took = f" after {took_words(event['end_to_end_ms'])}" if event["end_to_end_ms"] is not None else ""
    click.echo(
        f"\nevent {event['id']} ({event['source']}, {event['kind'] or 'unparsed'}): {event['state']}{took}"
    )
    for step in event["history"]:
        rest = ", ".join(
            f"{k}={short(v)}" for k, v in step.items() if k not in ("at", "what") and v not in (None, "")
        )
        click.echo(f"  {step['at'] or '-':24}  {step.get('what', '?')}{'  ' + rest if rest else ''}")
