"""`relay replay`: stored raw events through today's rules again."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from relay.cli.asking import MOMENT, TIMES, ask_first
from relay.cli.context import operator
from relay.cli.names import RULE_PARAM, SOURCE_PARAM
from relay.cli.output import counted, short
from relay.cli.place import Place, place_options
from relay.errors import UserError


@click.command()
@click.option("--since", type=MOMENT, default="", help=f"From this moment: {TIMES}.")
@click.option("--until", type=MOMENT, default="now", show_default=True, help="To this moment.")
@click.option("--source", type=SOURCE_PARAM, default="", help="Events of this source only.")
@click.option("--rule", type=RULE_PARAM, default="", help="Only events that this rule maps today.")
@click.option("--dry-run", is_flag=True, help="Send nothing; say how many and what would change.")
@click.option(
    "--resume", "resumed", default="", metavar="ID", help="Take up a run where it was cancelled or killed."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="In the API's shape.")
@place_options
def replay(
    since: str,
    until: str,
    source: str,
    rule: str,
    dry_run: bool,
    resumed: str,
    yes: bool,
    as_json: bool,
    place: Place,
) -> None:
    """Map stored raw events again with today's rules and send what differs. Live traffic goes first; older never wins
    over newer. Ctrl-C stops it, and --resume takes it up again.

    \b
    Examples:
        relay replay --since 2h --until now --dry-run
        relay replay --since 2026-03-04T00:00:00Z --until 2026-03-05T00:00:00Z --source slack --yes
    """
    from relay.cli.context import open_context
    from relay.operations.progress import Operation
    from relay.operations.replay import replay_events
    from relay.operations.selection import read_moment

    context = open_context(place)
    now_ms = context.outbox.now_ms()
    asked: dict[str, Any] = {"since": since, "until": until, "source": source, "rule": rule}
    operation = None
    if resumed:
        operation = Operation(context.outbox, resumed)
        held = operation.resume()
        if held.get("kind") != "replay":
            raise UserError(f"{resumed} is no replay")
        asked = json.loads(held["asked"])
        asked["since"] = int(held.get("cursor") or asked["since"])
    elif not since:
        raise UserError("--since is wanted: how far back? For example --since 2h")
    since_ms = read_moment(asked, "since", now_ms)
    until_ms = read_moment(asked, "until", now_ms)
    if until_ms <= since_ms:
        raise UserError("--until must be later than --since")
    if not dry_run and not resumed:
        ask_first("send what differs?", yes=yes)
    if operation is None and not dry_run:
        asked |= {"since": since_ms, "until": until_ms}
        operation = Operation.begin(context.outbox, "replay", operator(), asked)
    if not dry_run:
        context.audit("replay", resumed=resumed, **asked)

    def progress(count: int, changed: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{count} events looked at, {changed} differ", nl=False, err=True)

    try:
        found = replay_events(
            context, since_ms=since_ms, until_ms=until_ms, source=asked["source"], rule=asked["rule"],
            dry_run=dry_run, by=operator(), operation=operation, progress=progress,
        )  # fmt: skip
    except KeyboardInterrupt:
        if operation:
            operation.end("cancelled")
            click.echo(f"\nstopped; go on with: relay replay --resume {operation.operation_id}", err=True)
        sys.exit(130)
    if sys.stderr.isatty():
        click.echo("", err=True)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    _print(found)


def _print(found: dict[str, Any]) -> None:
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
    for entry in found["sample"]:
        click.echo(f"  {entry['id']} -> {entry['externalId']}")
        for name, change in entry["changes"].items():
            click.echo(f"      {name}: {short(change['from'])} -> {short(change['to'])}")
    if found["cancelled"]:
        click.echo("cancelled before the end")
