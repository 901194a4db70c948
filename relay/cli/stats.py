"""`relay stats`: the ledger and the state of delivery."""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext, suppress
from typing import Any

import click

from relay.cli.output import bad, counted, good, shown, state, warn
from relay.cli.place import Place, lane_options

_COLUMNS = ("accepted", "pending", "delivered", "unchanged", "superseded", "filtered", "dead", "discarded")
_BESIDE = ("duplicate", "ignored", "rejected")


@click.command()
@click.option("--watch", is_flag=True, help="Once more every two seconds, until Ctrl-C.")
@click.option(
    "--json", "as_json", is_flag=True, help="As GET /api/v1/stats gives it (with --watch: a line each time)."
)
@lane_options
def stats(watch: bool, as_json: bool, place: Place) -> None:
    """Show the ledger of every source and the state of delivery. The books balance at every moment:
    accepted = pending + delivered + unchanged + superseded + filtered + dead + discarded.

    \b
    Example:
        relay stats --watch
    """
    from relay.cli.context import asked_lanes, open_context
    from relay.operations.stats import read_stats, read_stats_together
    from relay.outbox.lane_servers import LaneServers

    lanes = open_context(place).each_lane()
    servers = LaneServers()
    with suppress(KeyboardInterrupt) if watch else nullcontext():
        while True:
            asked = asked_lanes(lanes)
            if len(asked) > 1:
                found = read_stats_together(servers, asked)
            else:
                found = read_stats(asked[0].outbox, asked[0].delivery, config=asked[0].config)
            if as_json:
                click.echo(json.dumps(found, indent=None if watch else 2))
            else:
                if watch and sys.stdout.isatty():
                    click.clear()
                _print(found)
            if not watch:
                return
            time.sleep(2)


def _print(found: dict[str, Any]) -> None:
    for lane, own in found.get("lanes", {}).items():
        _print_delivery({**found, **own}, f"lane {lane}")
    if "lanes" not in found:
        _print_delivery(found, "delivery")
    _print_books(found)


def _print_delivery(found: dict[str, Any], what: str) -> None:
    delivery = found["delivery"]
    until = f" until {delivery['until']}" if delivery["until"] else ""
    waits = found["pending_items"]
    oldest = f", the oldest for {found['oldest_pending_seconds']:.1f} s" if waits else ""
    click.echo(
        f"{what}: {state(delivery['state'])}{until}, {counted(delivery['calls_last_minute'], 'call')} in the last minute; "
        f"{counted(waits, 'conversation')} wait{'s' if waits == 1 else ''}{oldest}; "
        f"{counted(found['dead_letters'], 'dead letter')}"
    )


def _print_books(found: dict[str, Any]) -> None:
    if found["sources"]:
        head = ["source", *_COLUMNS, *_BESIDE]
        rows = [
            [name, *(str(counts[word]) for word in (*_COLUMNS, *_BESIDE))]
            for name, counts in found["sources"].items()
        ]
        widths = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]
        for row in [head, *rows]:
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
            ]
            click.echo("  ".join(cells))
    else:
        click.echo("no event has come in yet")
    for name, counts in found["remarks"].items():
        if counts:
            click.echo(f"{name}: " + ", ".join(f"{word} {number}" for word, number in counts.items()))
    click.echo(good("the books balance") if found["balanced"] else bad("THE BOOKS DO NOT BALANCE"))
    for warning in found["warnings"]:
        click.echo(f"{warn('!')} {shown(warning)}")
