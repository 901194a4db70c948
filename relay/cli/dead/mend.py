"""`relay dead edit`, `replay` and `discard`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from relay.cli.asking import ask_first
from relay.cli.context import operator
from relay.cli.dead.look import print_letter
from relay.cli.dead.options import choice, json_and_place, lane_told, lane_with, selection_of
from relay.cli.names import LETTER
from relay.cli.output import counted, echo_json, shown
from relay.cli.place import Place
from relay.errors import UserError
from relay.operations.selection import Selection


@click.command()
@click.argument("dead_id", metavar="ID", type=LETTER)
@click.option(
    "--set",
    "values",
    multiple=True,
    metavar="PATH=VALUE",
    help="A field: a dotted path of the raw payload "
    "(event.text=hello), or a field of the conversation (subject=Hello). VALUE may be JSON. Repeatable.",
)
@click.option(
    "--company", default="", help="The companyId to send it to (extid-..., srcid-..., or Planhat's _id)."
)
@click.option(
    "--raw",
    "raw_file",
    type=click.Path(dir_okay=False),
    help='A file with the whole request body as it should have come ("-": standard input): for one that cannot be read.',
)
@json_and_place
def edit(
    dead_id: str, values: Sequence[str], company: str, raw_file: str | None, as_json: bool, place: Place
) -> None:
    """Change what a replay will send. The raw event stays as it came; who changed what and when is kept. An edit that
    cannot help, since the body can still not be read, is refused.

    \b
    Examples:
        relay dead edit dead_0123456789abcdef01234567 --set subject="Hello" --company extid-acme
        relay dead edit dead_0123456789abcdef01234567 --raw mended.json
    """
    from relay.cli.context import open_context
    from relay.operations.dead.edit import edit_dead

    changes: dict[str, Any] = {}
    for value in values:
        path, sign, text = value.partition("=")
        if not sign or not path:
            raise UserError(f"--set wants PATH=VALUE, not {value!r}")
        try:
            changes[path] = json.loads(text)
        except ValueError:
            changes[path] = text
    raw = _read_raw(raw_file) if raw_file else None
    if not changes and not company and raw is None:
        raise UserError("nothing to change: give --set PATH=VALUE, --company ID or --raw FILE")
    context = lane_with(open_context(place), [dead_id])
    context.audit("dead edit", id=dead_id, payload=sorted(changes), company=company, raw=raw is not None)
    found = edit_dead(context, dead_id, payload=changes, company=company, raw=raw, by=operator())
    if as_json:
        echo_json(lane_told(context, found))
    else:
        print_letter(found)
        click.echo(f"kept; try it: relay dead replay {dead_id}")


def _read_raw(file: str) -> str:
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        if not body:
            raise UserError(
                f"{'standard input' if file == '-' else file}: is empty; a letter is put away with `relay dead discard`"
            )
        return body.decode()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: is no UTF-8 text") from error


@click.command()
@choice
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Of a dry run: list so many.",
)
@json_and_place
def replay(
    ids: Sequence[str], cause: str, source: str, since: str, until: str, everything: bool, dry_run: bool, yes: bool,
    limit: int, as_json: bool, place: Place,
) -> None:  # fmt: skip
    """Map the letters' raw events again with today's rules and put them back to work. A letter that still cannot be
    mapped stays; killing this at any moment loses nothing. Exit code 1: one stays, or no letter fits.

    Letters that wait for their company go by themselves once it is known; `relay dead show` says when they are looked at
    again.

    \b
    Examples:
        relay dead replay dead_0123456789abcdef01234567
        relay dead replay --cause c-3f2a --dry-run
        relay dead replay --all --yes
    """
    from relay.cli.context import open_context
    from relay.operations.dead.replay import replay_dead
    from relay.operations.progress import Operation

    context = lane_with(open_context(place), ids)
    selection, asked = selection_of(context, ids, cause, source, since, until, everything)
    if dry_run:
        found = replay_dead(context, selection, by=operator(), dry_run=True, limit=limit)
        context.audit("look", page="dead replay --dry-run", **asked)
        if as_json:
            echo_json(found)
        else:
            _print_dry_run(found)
        sys.exit(1 if _missed(found, selection) else 0)
    _confirm(context, selection, yes, "replay")
    context.audit("dead replay", **asked)
    operation = Operation.begin(context.outbox, "dead replay", operator(), asked)
    watched = sys.stderr.isatty()

    def progress(seen: int, count: int) -> None:
        if watched:
            click.echo(f"\r{seen} of {count}", nl=False, err=True)

    found = replay_dead(context, selection, by=operator(), operation=operation, progress=progress)
    if watched:
        click.echo("\r", nl=False, err=True)
    if as_json:
        echo_json(found)
    else:
        click.echo(
            f"{found['replayed']} of {counted(found['count'], 'dead letter')} replayed "
            f"({counted(found['events'], 'event')}), {found['failed']} still cannot be mapped, "
            f"{found['skipped']} {'was' if found['skipped'] == 1 else 'were'} gone"
        )
        for failure in found["failures"]:
            click.echo(f"  {failure['id']}: {shown(failure['cause'])}", err=True)
    sys.exit(1 if found["failed"] or _missed(found, selection) else 0)


def _print_dry_run(found: dict[str, Any]) -> None:
    click.echo(
        f"{counted(found['count'], 'dead letter')}; of the first {found['tried']}: {found['ready']} would be sent, {found['filtered']} "
        f"filtered, {found['failing']} still cannot be mapped"
    )
    for entry in found["sample"]:
        click.echo(
            f"  {entry['id']}  {entry['would']}  {entry['externalId'] or ''}  {shown(entry.get('cause', ''))}".rstrip()
        )
        for name, change in entry.get("changes", {}).items():
            click.echo(f"      {name}: {shown(change['from'])} -> {shown(change['to'])}")
    if found["count"] > len(found["sample"]):
        click.echo(f"  and {found['count'] - len(found['sample']):,} more: --limit")


@click.command()
@choice
@click.option("--reason", default="", help="Why; kept with the event.")
@json_and_place
def discard(
    ids: Sequence[str], cause: str, source: str, since: str, until: str, everything: bool, dry_run: bool, yes: bool,
    reason: str, as_json: bool, place: Place,
) -> None:  # fmt: skip
    """Put letters away for good: their events count as discarded and are never sent.

    \b
    Example:
        relay dead discard dead_0123456789abcdef01234567 --reason "test message"
    """
    from relay.cli.context import open_context
    from relay.operations.dead.discard import discard_dead

    context = lane_with(open_context(place), ids)
    selection, asked = selection_of(context, ids, cause, source, since, until, everything)
    if not dry_run:
        _confirm(context, selection, yes, "discard")
        context.audit("dead discard", **asked, reason=reason)
    found = discard_dead(context.outbox, selection, by=operator(), reason=reason, dry_run=dry_run)
    if as_json:
        echo_json(found)
    elif dry_run:
        click.echo(f"{counted(found['count'], 'dead letter')} would be discarded")
    else:
        click.echo(f"{found['discarded']} of {counted(found['count'], 'dead letter')} discarded")
    sys.exit(1 if _missed(found, selection) else 0)


def _missed(found: dict[str, Any], selection: Selection) -> bool:
    """Whether filters were given that no letter fits."""
    missed = not found["count"] and not selection.everything
    if missed:
        click.echo("no dead letter fits", err=True)
    return missed


def _confirm(context: Any, selection: Selection, yes: bool, verb: str) -> None:
    """Asks before many at once, naming the causes where a part of a text fits several. Ids that are named are not asked about,
    and where nothing fits there is nothing to ask: what follows says so."""
    from relay.operations.dead.look import list_dead
    from relay.operations.dead.select import select

    if selection.ids or yes:
        return
    if selection.cause:
        # Raises, with the nearest, where no letter has it.
        select(context.outbox, selection)
    groups = list_dead(context.outbox, selection, limit=1)["groups"]
    if not groups:
        return
    causes = "; ".join(f"{group['id']} {group['cause']}" for group in groups[:5])
    more = f"; and {len(groups) - 5} more" if len(groups) > 5 else ""
    of = f" of {counted(len(groups), 'cause')} ({shown(causes)}{more})"
    ask_first(f"{verb} {counted(sum(group['count'] for group in groups), 'dead letter')}{of}?", yes=yes)


COMMANDS = (edit, replay, discard)
