"""`relay replay`: stored raw events through today's rules again."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from relay.cli.asking import MOMENT, TIMES, ask_first
from relay.cli.context import operator
from relay.cli.listing import Listing, listing_options
from relay.cli.names import RULE_PARAM, SOURCE_PARAM
from relay.cli.output import counted, short
from relay.cli.place import Place, lane_options
from relay.errors import NotFound, UserError

if TYPE_CHECKING:
    from relay.operations.progress import Operation


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--since", type=MOMENT, default="", help=f"From this moment: {TIMES}.")
@click.option("--until", type=MOMENT, default="now", show_default=True, help="To this moment.")
@click.option("--source", type=SOURCE_PARAM, default="", help="Events of this source only.")
@click.option("--rule", type=RULE_PARAM, default="", help="Only events that this rule maps today.")
@click.option("--dry-run", is_flag=True, help="Send nothing; say how many and what would change.")
@click.option(
    "--resume", "resumed", default="", metavar="ID", help="Take up a run where it was cancelled or killed."
)
@click.option(
    "--archive-orphans",
    is_flag=True,
    help="Archive the conversations that none of their events makes any more. Without it they are named.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@listing_options
@lane_options
def replay(
    ids: tuple[str, ...],
    since: str,
    until: str,
    source: str,
    rule: str,
    dry_run: bool,
    resumed: str,
    archive_orphans: bool,
    yes: bool,
    listing: Listing,
    place: Place,
) -> None:
    """Map stored raw events again with today's rules and send what differs: those with these IDs, or those of a stretch of time. Live
    traffic goes first; older never wins over newer. Ctrl-C stops it, and --resume takes it up again.

    \b
    Examples:
        relay replay --since 2h --until now --dry-run
        relay replay --since 3d --dry-run --json-lines > changes.jsonl
        relay replay evt_0123456789abcdef01234567
        relay replay --since 2026-03-04T00:00:00Z --until 2026-03-05T00:00:00Z --source slack --yes
    """
    from relay.cli.context import open_context
    from relay.operations.progress import Operation
    from relay.operations.replay import replay_events
    from relay.operations.selection import read_moment

    context = open_context(place)
    now_ms = context.outbox.now_ms()
    operation = None
    if resumed and not ids:
        operation = Operation(context.outbox, resumed)
        asked = _asked_before(operation)
        ids = tuple(asked.get("ids", ()))
    else:
        filters = {"since": since, "until": until, "source": source, "rule": rule}
        asked = _asked_now(context, ids, filters, resumed)
    since_ms = read_moment(asked, "since", now_ms)
    until_ms = read_moment(asked, "until", now_ms)
    if until_ms <= since_ms:
        raise UserError("--until must be later than --since")
    if not dry_run and not resumed and not ids:
        ask_first("send what differs?", yes=yes)
    if operation is None and not dry_run:
        asked |= {"since": since_ms, "until": until_ms, "archive_orphans": archive_orphans}
        operation = Operation.begin(context.outbox, "replay", operator(), asked)
    if not dry_run:
        context.audit("replay", resumed=resumed, **asked)

    def progress(count: int, changed: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{count} events looked at, {changed} differ", nl=False, err=True)

    try:
        found = replay_events(
            context, since_ms=since_ms, until_ms=until_ms, source=asked["source"], rule=asked["rule"], ids=ids,
            dry_run=dry_run, archive_orphans=archive_orphans or bool(asked.get("archive_orphans")),
            limit=listing.most, listed=listing.as_found(_print_change), by=operator(), operation=operation, progress=progress,
        )  # fmt: skip
    except KeyboardInterrupt:
        if operation:
            operation.end("cancelled")
            click.echo(f"\nstopped; go on with: relay replay --resume {operation.operation_id}", err=True)
        sys.exit(130)
    if sys.stderr.isatty():
        click.echo("", err=True)
    if not listing.printed(found, "sample"):
        _print(found, listing)


def _asked_before(operation: Operation) -> dict[str, Any]:
    """What the run was begun with; it goes on where it stopped."""
    held = operation.resume()
    if held.get("kind") != "replay":
        raise UserError(f"{operation.operation_id} is no replay")
    asked: dict[str, Any] = json.loads(held["asked"])
    asked["since"] = int(held.get("cursor") or asked["since"])
    return asked


def _asked_now(context: Any, ids: tuple[str, ...], filters: dict[str, Any], resumed: str) -> dict[str, Any]:
    """The events with these ids, or those that `filters` leave."""
    if ids:
        if filters["since"] or filters["source"] or filters["rule"] or resumed:
            raise UserError("events are named, so no filter goes with them")
        _require_known(context, ids)
        return {"ids": list(ids), "since": 0, "until": "now", "source": "", "rule": ""}
    if not filters["since"]:
        raise UserError("--since is wanted: how far back? For example --since 2h")
    context.require_source(filters["source"])
    context.require_rule(filters["rule"])
    return filters


def _require_known(context: Any, ids: tuple[str, ...]) -> None:
    missing = [name for name, head in zip(ids, context.outbox.events.heads(ids), strict=True) if head is None]
    if missing:
        raise NotFound(
            f"no such event is kept: {', '.join(name[:80] for name in missing[:5])} (raw events expire with keep.events; "
            "`relay events` lists them)"
        )


def _print_change(entry: Mapping[str, Any]) -> None:
    click.echo(f"  {entry['id']} -> {entry['externalId']}")
    for name, change in entry["changes"].items():
        click.echo(f"      {name}: {short(change['from'])} -> {short(change['to'])}")


def _print(found: dict[str, Any], listing: Listing) -> None:
    verb = "would be sent" if found["dry_run"] else "was sent" if found["changed"] == 1 else "were sent"
    click.echo(
        f"{counted(found['count'], 'event')}; {found['changed']} differ{'s' if found['changed'] == 1 else ''} and {verb}"
    )
    for word, sentence in (
        ("unmapped", "cannot be mapped with today's rules"),
        ("filtered", "would not be sent today; what stands in Planhat stays"),
        ("expired", "have no raw body any more"),
        ("dead", "are dead letters: see `relay dead replay`"),
        ("erased", "were erased and stay so"),
    ):
        if found[word]:
            click.echo(f"  {found[word]} {sentence}")
    for cause in found["causes"]:
        click.echo(f"    {cause['count']} x {short(cause['cause'])}")
    if not listing.everything:
        for entry in found["sample"]:
            _print_change(entry)
        if found["changed"] > len(found["sample"]):
            click.echo(f"  and {found['changed'] - len(found['sample']):,} more: --all, or --json-lines")
    _print_orphans(found["orphans"])
    if found["cancelled"]:
        click.echo("cancelled before the end")


def _print_orphans(orphans: list[dict[str, Any]]) -> None:
    if not orphans:
        return
    click.echo(f"{counted(len(orphans), 'conversation')} in Planhat that no event makes any more:")
    for orphan in orphans:
        what = (
            "archived"
            if orphan["archived"]
            else "--archive-orphans archives it"
            if orphan["sure"]
            else "not sure: of its events some have expired or cannot be mapped; look at it yourself"
        )
        click.echo(f"  {orphan['externalId']}  {orphan['planhat_link'] or orphan['planhat_id']}  ({what})")
