"""`relay prune`: memory given back by what is settled."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from typing import Any

import click

from relay.cli.asking import MOMENT, TIMES
from relay.cli.names import SOURCE_PARAM
from relay.cli.place import Place, lane_options
from relay.errors import UserError

#: What came in more recently stays, unless a moment is named.
DEFAULT = "24h"


@click.command()
@click.option("--before", type=MOMENT, default=DEFAULT, show_default=True, help=f"What is older: {TIMES}.")
@click.option("--source", type=SOURCE_PARAM, default="", help="Of this source only.")
@click.option(
    "--free", default="", metavar="SIZE", help="Stop once so much is freed, the oldest first: 500MB."
)
@click.option("--keep-documents", is_flag=True, help="Raw events only.")
@click.option("--dry-run", is_flag=True, help="Free nothing; say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="What went, as JSON.")
@lane_options
def prune(
    before: str,
    source: str,
    free: str,
    keep_documents: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    place: Place,
) -> None:
    """Free the archive of settled events, and the documents of quiet conversations, before they expire by themselves.
    It works while Redis is full. What waits, dead letters and the counts stay.

    What goes can no longer be traced or replayed. A conversation whose document went costs one call when it goes on: what
    Planhat has of it is read before anything is sent.

    \b
    Examples:
        relay prune --dry-run
        relay prune --before 6h --free 500MB --yes
    """
    from relay.cli.context import open_context
    from relay.operations.moments import parse_moment
    from relay.operations.prune import PruneQuery, Pruning
    from relay.units import parse_size

    context = open_context(place)
    now_ms = context.outbox.now_ms()
    try:
        before_ms = parse_moment(before, now_ms)
        enough = parse_size(free) if free else 0
    except ValueError as error:
        raise UserError(str(error)) from error
    context.require_source(source)
    if not dry_run and not yes:
        if not sys.stdin.isatty():
            raise UserError(
                "this frees what can then not be traced or replayed; say --yes, or look first with --dry-run"
            )
        click.confirm(f"free what is settled and older than {before}?", abort=True)
    if not dry_run:
        context.audit("prune", before=before, source=source, free=free)
    wanted = PruneQuery(before_ms, source, enough, documents=not keep_documents, dry_run=dry_run)
    used = _used(context)
    with _Bar() if sys.stderr.isatty() else nullcontext(lambda done, of: None) as progress:
        found = Pruning(context.outbox, wanted, progress).run()
    told = {**found.view(), "dry_run": dry_run, "used_bytes_before": used, "used_bytes": _used(context)}
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    verb = "would be freed" if dry_run else "freed"
    click.echo(
        f"{found.events} raw events and {found.documents} documents {verb}, {found.bytes / 1e6:.1f} MB of keys"
        + ("" if dry_run else f"; Redis uses {told['used_bytes'] / 1e6:.1f} MB now, {used / 1e6:.1f} before")
    )
    if found.kept_newer:
        click.echo(f"{found.kept_newer} documents of a newer release were left")


def _used(context: Any) -> int:
    from relay.outbox.scripts import reaching_redis

    with reaching_redis():
        told: Any = context.redis.info("memory")
    return int(told["used_memory"])


class _Bar:
    """A progress bar on standard error."""

    def __enter__(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("freeing"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=None)
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _tell(self, done: int, of: int) -> None:
        self._bar.update(self._task, completed=done, total=of)
