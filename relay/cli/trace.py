"""`relay trace`: one id with its whole story."""

from __future__ import annotations

import json
from typing import Any

import click

from relay.cli.output import short
from relay.cli.place import Place, place_options
from relay.errors import NotFound, RelayError
from relay.units import took_words


@click.command()
@click.argument("some_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As GET /api/v1/trace/{id} gives it.")
@place_options
def trace(some_id: str, as_json: bool, place: Place) -> None:
    """The whole story of one event or conversation: received, parsed, which rule, queued, each attempt, what became of
    it. ID is an event id, a delivery id of the provider, an externalId or a Planhat _id; of an email address, the events
    that came from it are listed.

    \b
    Examples:
        relay trace evt_0123456789abcdef01234567
        relay trace slack-C024BE91L-1700000000.000100
    """
    from relay.cli.context import open_context
    from relay.cli.events import list_of_sender
    from relay.operations.context import tenant_of
    from relay.operations.trace import find

    context = open_context(place)
    try:
        sources = list(context.config.sources)
    except RelayError:
        # A broken config must not hide what happened: the outbox knows the sources that sent something.
        sources = []
    try:
        found = find(context.outbox, some_id, sources, tenant=tenant_of(context))
    except NotFound:
        if "@" not in some_id:
            raise
        # Who asks with an address wants what came from there.
        list_of_sender(context, some_id, as_json=as_json)
        return
    context.audit("look", page="trace", id=some_id)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    _print_conversation(found["conversation"])
    for event in found["events"]:
        _print_event(event)


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
