"""`relay dead`: dead letters, listed, shown, edited, replayed, discarded."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from relay.cli.context import operator
from relay.cli.place import Place, place_options
from relay.cli.trace import short
from relay.errors import UserError

_F = TypeVar("_F", bound=Callable[..., Any])


@click.group()
def dead() -> None:
    """Dead letters: what Planhat refused for good, or no rule could map. Nothing in here is lost: mend the rule, the
    directory or the letter itself, then replay.

    \b
    Examples:
        relay dead list
        relay dead show dead_0123456789abcdef01234567
        relay dead replay --source slack --dry-run
    """


def _json_and_place(command: _F) -> _F:
    for option in (
        place_options,
        click.option("--json", "as_json", is_flag=True, help="In the API's shape."),
    ):
        command = option(command)
    return command


def _filters(command: _F) -> _F:
    for option in (
        click.option("--until", default="", help="Dead before this moment."),
        click.option("--since", default="", help="Dead since: 2h, 3d, or 2026-03-04T05:06:07Z."),
        click.option("--source", default="", help="Letters of this source."),
        click.option("--cause", default="", help="Letters of this cause, as `relay dead list` writes it."),
    ):
        command = option(command)
    return command


@dead.command("list")
@_filters
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@click.option("--after", default="", help="The `next` of the page before.")
@_json_and_place
def list_(
    cause: str, source: str, since: str, until: str, limit: int, after: str, as_json: bool, place: Place
) -> None:
    """Dead letters grouped by cause, then the newest one by one.

    \b
    Example:
        relay dead list --since 24h
    """
    from relay.cli.context import open_context
    from relay.operations.dead.look import list_dead
    from relay.operations.selection import Selection, read_moment

    context = open_context(place)
    now_ms = context.outbox.now_ms()
    asked = {"since": since, "until": until}
    selection = Selection(
        cause=cause,
        source=source,
        since_ms=read_moment(asked, "since", now_ms, blank=True),
        until_ms=read_moment(asked, "until", now_ms, blank=True),
    )
    try:
        found = list_dead(context.outbox, selection, limit=limit, after=after)
    except ValueError as error:
        raise UserError(f"--after: {error}") from error
    if as_json:
        _echo_json(found)
        return
    if not found["groups"]:
        click.echo("no dead letters")
        return
    for group in found["groups"]:
        click.echo(f"{group['count']:>6}  {short(group['cause'])}")
        click.echo(
            f"        {', '.join(group['sources'])}; {group['first_seen']} to {group['last_seen']}; "
            f"relay dead show {group['sample']}"
        )
    click.echo("")
    for item in found["items"]:
        click.echo(
            f"{item['at']}  {item['id']}  {item['source']}  {item['externalId'] or '-'}  {item['stage']}"
        )
    if found["next"]:
        click.echo(f"more: relay dead list --after {found['next']}")


@dead.command()
@click.argument("dead_id", metavar="ID")
@_json_and_place
def show(dead_id: str, as_json: bool, place: Place) -> None:
    """One dead letter in full: why, every attempt with Planhat's answer, the event, the document, the raw request.

    \b
    Example:
        relay dead show dead_0123456789abcdef01234567
    """
    from relay.cli.context import open_context
    from relay.operations.dead.look import show_dead

    context = open_context(place)
    found = show_dead(context, dead_id)
    context.audit("look", page="dead show", id=dead_id)
    if as_json:
        _echo_json(found)
        return
    _print_letter(found)


def _print_letter(found: dict[str, Any]) -> None:
    click.echo(f"{found['id']}  {found['source']}  {found['externalId'] or '-'}  at {found['at']}")
    click.echo(f"  cause:  {short(found['cause'])}  (stage {found['stage']})")
    if found["reason"] and found["reason"] != found["cause"]:
        click.echo(f"  reason: {short(found['reason'])}")
    if found["rule"]:
        click.echo(f"  rule:   {found['rule']}")
    if found["planhat_link"]:
        click.echo(f"  link:   {found['planhat_link']}")
    if found["answer"]:
        click.echo(f"  answer: {short(found['answer'])}")
    for attempt in found["attempts"]:
        click.echo(f"  attempt {attempt['at']}: {attempt['status']} {short(attempt['error'] or '')}")
    for entry in found["edits"]:
        click.echo(
            f"  edited {entry['at']} by {entry['by']}: {entry['what']} {entry['path']}: "
            f"{short(entry['from'])} -> {short(entry['to'])}"
        )
    for name, value in (found["document"] or {}).items():
        click.echo(f"  document.{name} = {short(value)}")
    if found["raw"]:
        click.echo(f"  raw ({found['raw']['encoding']}): {short(found['raw']['body'])}")
    else:
        click.echo("  raw: expired")


@dead.command()
@click.argument("dead_id", metavar="ID")
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
@_json_and_place
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
    context = open_context(place)
    context.audit("dead edit", id=dead_id, payload=sorted(changes), company=company, raw=raw is not None)
    found = edit_dead(context, dead_id, payload=changes, company=company, raw=raw, by=operator())
    if as_json:
        _echo_json(found)
    else:
        _print_letter(found)
        click.echo(f"kept; try it: relay dead replay {dead_id}")


def _read_raw(file: str) -> str:
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return body.decode()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: is no UTF-8 text") from error


def _choice(command: _F) -> _F:
    command = click.option("--yes", is_flag=True, help="Do not ask.")(command)
    command = click.option("--dry-run", is_flag=True, help="Only say how many, and what would change.")(
        command
    )
    command = click.option("--all", "everything", is_flag=True, help="Every dead letter.")(command)
    return click.argument("ids", nargs=-1, metavar="[ID]...")(_filters(command))


@dead.command()
@_choice
@_json_and_place
def replay(
    ids: Sequence[str], cause: str, source: str, since: str, until: str, everything: bool, dry_run: bool, yes: bool,
    as_json: bool, place: Place,
) -> None:  # fmt: skip
    """Map the letters' raw events again with today's rules and put them back to work. A letter that still cannot be
    mapped stays; killing this at any moment loses nothing.

    \b
    Examples:
        relay dead replay dead_0123456789abcdef01234567
        relay dead replay --cause "no company found" --dry-run
        relay dead replay --all --yes
    """
    from relay.cli.context import open_context
    from relay.operations.dead.replay import replay_dead
    from relay.operations.progress import Operation

    context = open_context(place)
    selection, asked = _selection(context, ids, cause, source, since, until, everything)
    if dry_run:
        found = replay_dead(context, selection, by=operator(), dry_run=True)
        context.audit("look", page="dead replay --dry-run", **asked)
        if as_json:
            _echo_json(found)
        else:
            _print_dry_run(found)
        return
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
        _echo_json(found)
    else:
        click.echo(
            f"{found['replayed']} of {found['count']} replayed ({found['events']} events), "
            f"{found['failed']} still cannot be mapped, {found['skipped']} were gone"
        )
        for failure in found["failures"]:
            click.echo(f"  {failure['id']}: {short(failure['cause'])}", err=True)
    sys.exit(1 if found["failed"] else 0)


def _print_dry_run(found: dict[str, Any]) -> None:
    click.echo(
        f"{found['count']} letters; of the first {found['tried']}: {found['ready']} would be sent, {found['filtered']} "
        f"filtered, {found['failing']} still cannot be mapped"
    )
    for entry in found["sample"]:
        click.echo(
            f"  {entry['id']}  {entry['would']}  {entry['externalId'] or ''}  {short(entry.get('cause', ''))}".rstrip()
        )
        for name, change in entry.get("changes", {}).items():
            click.echo(f"      {name}: {short(change['from'])} -> {short(change['to'])}")


@dead.command()
@_choice
@click.option("--reason", default="", help="Why; kept with the event.")
@_json_and_place
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

    context = open_context(place)
    selection, asked = _selection(context, ids, cause, source, since, until, everything)
    if not dry_run:
        _confirm(context, selection, yes, "discard")
        context.audit("dead discard", **asked, reason=reason)
    found = discard_dead(context.outbox, selection, by=operator(), reason=reason, dry_run=dry_run)
    if as_json:
        _echo_json(found)
    elif dry_run:
        click.echo(f"{found['count']} letters would be discarded")
    else:
        click.echo(f"{found['discarded']} of {found['count']} discarded")


def _selection(
    context: Any, ids: Sequence[str], cause: str, source: str, since: str, until: str, everything: bool
) -> tuple[Any, dict[str, Any]]:
    from relay.operations.selection import read_selection

    asked: dict[str, Any] = {
        "cause": cause,
        "source": source,
        "since": since,
        "until": until,
        "all": everything,
    }
    if ids:
        asked["ids"] = list(ids)
    asked = {key: value for key, value in asked.items() if value}
    return read_selection(asked, context.outbox.now_ms()), asked


def _confirm(context: Any, selection: Any, yes: bool, verb: str) -> None:
    """Asks before many at once; ids that are named are not asked about."""
    from relay.operations.selection import select

    if yes or selection.ids:
        return
    if not sys.stdin.isatty():
        raise UserError(f"this would {verb} many at once; say --yes, or look first with --dry-run")
    count = len(select(context.outbox, selection))
    click.confirm(f"{verb} {count} dead letters?", abort=True)


def _echo_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
