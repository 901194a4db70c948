"""`relay dead mute`, `unmute` and `assign`: what people say of a cause."""

from __future__ import annotations

from typing import Any

import click

from relay.cli.context import operator
from relay.cli.dead.options import json_and_place
from relay.cli.names import CAUSE
from relay.cli.output import echo_json, shown
from relay.cli.place import Place
from relay.errors import UserError

_NOTE = click.option(
    "--note", default=None, help='Why, or what is being done; stands beside the cause. "": none.'
)
_CAUSE = click.argument("cause", type=CAUSE)


@click.command()
@_CAUSE
@click.option("--for", "duration", default="", help="How long: 8h, 3d; until `unmute` otherwise.")
@_NOTE
@json_and_place
def mute(cause: str, duration: str, note: str | None, as_json: bool, place: Place) -> None:
    """Say that a cause is known: `relay doctor`, the console's overview and alerts are silent about its letters, which stay
    where they are. CAUSE is its id (c-3f2a), its text, or a part of it.

    \b
    Example:
        relay dead mute c-3f2a --for 3d --note "the tenant gets the type on Monday"
    """
    from relay.units import parse_duration

    changes: dict[str, Any] = {"muted": True}
    seconds = 0.0
    if duration:
        try:
            seconds = parse_duration(duration)
        except ValueError as error:
            raise UserError(f"--for {duration}: {error}") from error
    _mark("dead mute", cause, changes, note, as_json, place, for_s=seconds)


@click.command()
@_CAUSE
@_NOTE
@json_and_place
def unmute(cause: str, note: str | None, as_json: bool, place: Place) -> None:
    """Let a cause be told of again.

    \b
    Example:
        relay dead unmute c-3f2a
    """
    _mark("dead unmute", cause, {"muted": False}, note, as_json, place)


@click.command()
@_CAUSE
@click.argument("who", default="")
@_NOTE
@json_and_place
def assign(cause: str, who: str, note: str | None, as_json: bool, place: Place) -> None:
    """Say WHO sees to a cause; nobody, where WHO is left out.

    \b
    Example:
        relay dead assign c-3f2a ann --note "asks the sales team"
    """
    _mark("dead assign", cause, {"assigned": who}, note, as_json, place)


def _mark(
    act: str,
    cause: str,
    changes: dict[str, Any],
    note: str | None,
    as_json: bool,
    place: Place,
    *,
    for_s: float = 0,
) -> None:
    from relay.cli.context import open_context
    from relay.operations.dead.causes import mark_cause

    context = open_context(place)
    if act == "dead mute":
        changes["muted_until_ms"] = context.outbox.now_ms() + int(for_s * 1000) if for_s else 0
    if note is not None:
        changes["note"] = note
    context.audit(act, cause=cause, assigned=changes.get("assigned"))
    found = mark_cause(context.outbox, cause, changes, by=operator())
    if as_json:
        echo_json(found)
        return
    until = f" until {found['muted_until']}" if found["muted_until"] else ""
    told = [f"muted{until}" if found["muted"] else "not muted"]
    told += [f"assigned to {shown(found['assigned'])}"] if found["assigned"] else []
    told += [f"note: {shown(found['note'])}"] if found["note"] else []
    click.echo(f"{found['id']}  {shown(found['cause'])}: {', '.join(told)}")


COMMANDS = (mute, unmute, assign)
