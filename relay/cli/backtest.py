"""`relay backtest`: new rules against today's, over stored events."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from relay.cli.asking import MOMENT, TIMES
from relay.cli.listing import Listing, listing_options
from relay.cli.names import SOURCE_PARAM
from relay.cli.output import counted
from relay.cli.place import Place, lane_options
from relay.errors import UserError


@click.command()
@click.argument("new_file", metavar="NEW.yaml", type=click.Path(dir_okay=False))
@click.option("--since", type=MOMENT, default="3d", show_default=True, help=f"From this moment: {TIMES}.")
@click.option("--until", type=MOMENT, default="now", show_default=True, help="To this moment.")
@click.option("--source", type=SOURCE_PARAM, default="", help="Events of this source only.")
@click.option("--jobs", type=click.IntRange(0), default=0, help="Processes; one a core otherwise.")
@listing_options
@lane_options
def backtest(
    new_file: str,
    since: str,
    until: str,
    source: str,
    jobs: int,
    listing: Listing,
    place: Place,
) -> None:
    """Map the stored raw events with today's rules and with those of NEW.yaml, and show which conversations would be
    new, changed (field by field) or dropped, by rule and by source. Nothing is sent.

    \b
    Examples:
        relay backtest relay.new.yaml
        relay backtest relay.new.yaml --since 24h --source slack --json
        relay backtest relay.new.yaml --json-lines > changes.jsonl
    """
    from relay.cli.context import open_context
    from relay.operations.backtest import Order
    from relay.operations.backtest import backtest as run
    from relay.operations.moments import parse_moment

    context = open_context(place)
    now_ms = context.outbox.now_ms()
    try:
        since_ms, until_ms = parse_moment(since, now_ms), parse_moment(until, now_ms)
    except ValueError as error:
        raise UserError(str(error)) from error
    if until_ms <= since_ms:
        raise UserError("--until must be later than --since")
    context.require_source(source)
    context.audit("look", page="backtest", source=source)
    order = Order(
        redis_url=context.settings.redis_url,
        old_file=context.settings.config,
        new_file=new_file,
        environ=context.environ,
        lane=context.lane,
    )
    with click.progressbar(
        length=0, label="events", file=sys.stderr, show_pos=True, hidden=not sys.stderr.isatty()
    ) as bar:
        told = run(
            order, since_ms=since_ms, until_ms=until_ms, source=source, jobs=jobs, limit=listing.most,
            listed=listing.as_found(_print_sample), progress=bar.update,
        )  # fmt: skip
    if not listing.printed(told, "samples"):
        print_diff(told)


def print_diff(told: Mapping[str, Any]) -> None:
    totals = told["conversations"]
    unreadable = f", {told['unreadable']:,} no longer readable" if told["unreadable"] else ""
    click.echo(f"{counted(told['events'], 'event')}{unreadable}; conversations: {_counts(totals)}")
    for source, counts in told["by_source"].items():
        click.echo(f"  source {source}: {counted(counts['events'], 'event')}; {_counts(counts)}")
    for rule, counts in told["by_rule"].items():
        click.echo(f"  rule {rule}: {_counts(counts)}")
    if told["fields"]:
        click.echo(
            "fields that change: " + ", ".join(f"{name} ({n:,})" for name, n in told["fields"].items())
        )
    for move in told["moves"]:
        click.echo(f"{counted(move['events'], 'event')} of {move['source']}: {move['from']} -> {move['to']}")
    for failure in told["failures"]:
        click.echo(f"{failure['count']:,} would be dead letters: {failure['cause']}")
    for kind, samples in told["samples"].items():
        for sample in samples:
            _print_sample({"kind": kind, **sample})
        if totals[kind] > len(samples) > 0:
            click.echo(f"and {totals[kind] - len(samples):,} more {kind}: --all, or --json-lines")
    if totals["dropped"]:
        click.echo(
            "dropped: no event of that time makes them any more. Once the rules are in use, `relay replay` names what of them stands "
            "in Planhat, and --archive-orphans archives it"
        )
    if not told["events"]:
        # "No difference" would be said of nothing.
        click.echo(
            "nothing was compared: no event of that time can be read (`relay events` lists what is kept)"
        )
    elif totals["new"] + totals["changed"] + totals["dropped"] == 0:
        click.echo("no conversation would be different")


def _print_sample(sample: Mapping[str, Any]) -> None:
    click.echo(f"{sample['kind']} {sample['externalId']} ({sample['source']}, rule {sample['rule']})")
    for name, change in sample["changes"].items():
        _print_change(name, change)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in ("new", "changed", "dropped", "same"))


def _print_change(name: str, change: Mapping[str, Any]) -> None:
    for side, mark in (("old", "-"), ("new", "+")):
        if side in change:
            click.echo(f"  {mark} {name}: {json.dumps(change[side], ensure_ascii=False)}")
