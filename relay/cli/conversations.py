"""`relay conversations`: Planhat's six conversation operations from the shell."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from relay.cli.conversation_input import (
    ConversationsUnreadable,
    read_bytes,
    read_document,
    read_items,
    refuse_faults,
    rows_of,
)
from relay.cli.conversation_output import COLUMNS, print_json, print_one, print_results, print_table
from relay.cli.place import Place, lane_options
from relay.errors import PlanhatError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.cli.context import CliContext
    from relay.planhat.bulk import InputRow, Result
    from relay.planhat.client import Planhat

P = ParamSpec("P")


def _plainly(command: Callable[P, None]) -> Callable[..., None]:
    """Where the relay is may stand behind the command too. Errors as sentences on standard error: 1 for what Planhat or the
    network did, 2 for the user's mistake."""

    def run(*arguments: P.args, **options: P.kwargs) -> None:
        place = options.pop("place")
        if isinstance(place, Place) and (place.named or place.config or place.env_file or place.lane):
            click.get_current_context().obj = place
        try:
            command(*arguments, **options)
        except UserError as error:
            click.echo(str(error), err=True)
            sys.exit(2)
        except PlanhatError as error:
            click.echo(str(error), err=True)
            detail = getattr(error, "detail", "")
            if detail:
                click.echo(f"Planhat says: {detail}", err=True)
            sys.exit(1)

    return lane_options(update_wrapper(run, command))


def _context() -> CliContext:
    from relay.cli.context import open_context

    held = click.get_current_context().obj
    return open_context(held if isinstance(held, Place) else Place())


def _tenant() -> str:
    """For links to records; "" where no config is here, or it names none."""
    from relay.operations.context import tenant_of

    return tenant_of(_context())


@contextmanager
def _planhat() -> Iterator[Planhat]:
    from relay.planhat.client import Planhat

    context = _context()
    context.require_named()
    tenant = context.tenant
    with Planhat(tenant.url, tenant.token) as planhat:
        yield planhat


@click.group("conversations")
@lane_options
@click.pass_context
def conversations(ctx: click.Context, place: Place) -> None:
    """Run Planhat's six conversation operations from the shell.

    A KEY is a Planhat id, or extid-<externalId>, or srcid-<sourceId>. The tenant comes from RELAY_PLANHAT_URL and
    RELAY_PLANHAT_TOKEN (or RELAY_PLANHAT_TOKEN_FILE), of a config with `lanes:` by --lane; beside a running `relay up` it is
    that one's.

    \b
    Examples:
      relay conversations list --company extid-acme --limit 10
      relay conversations get extid-slack-C1-1.000100 --json
      relay conversations upsert conversations.jsonl
    """
    ctx.obj = place


@conversations.command("list")
@click.option(
    "--company", "companies", multiple=True, help="Only this company's (id or extid-...); may be repeated."
)
@click.option(
    "--limit",
    type=click.IntRange(1, 2000),
    default=30,
    show_default=True,
    help="How many (Planhat's most: 2000).",
)
@click.option(
    "--offset", type=click.IntRange(0), default=0, show_default=True, help="Leave out so many first."
)
@click.option("--all", "everything", is_flag=True, help="Page to the end.")
@click.option("--sort", help="A property to sort by; prefix - for descending.")
@click.option("--select", help="Properties to fetch, separated by commas.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_plainly
def list_(
    companies: tuple[str, ...],
    limit: int,
    offset: int,
    everything: bool,
    sort: str | None,
    select: str | None,
    as_json: bool,
) -> None:
    """List conversations, a page of them or all.

    \b
    Example:
      relay conversations list --company extid-acme --sort -date --select subject,date
    """
    columns = tuple(name.strip() for name in (select or "").split(",") if name.strip())
    with _planhat() as planhat:
        ids = [_company_id(planhat, key) for key in companies]
        if everything:
            rows: Iterable[Mapping[str, Any]] = planhat.list_all(company_ids=ids, sort=sort, select=columns)
        else:
            rows = planhat.list_page(company_ids=ids, limit=limit, offset=offset, sort=sort, select=columns)
        found = list(rows)
    if as_json:
        print_json(found)
    else:
        shown = ("_id", *(name for name in columns if name != "_id")) if columns else COLUMNS
        print_table(found, shown, tenant=_tenant())


@conversations.command("get")
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_plainly
def get(key: str, as_json: bool) -> None:
    """Show one conversation.

    \b
    Example:
      relay conversations get extid-slack-C1-1.000100
    """
    with _planhat() as planhat:
        print_one(planhat.get(key), as_json, tenant=_tenant())


@conversations.command("create")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), required=False)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="One property, or custom.NAME; VALUE may be JSON.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_plainly
def create(file: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Create one conversation from a JSON object (a file, or - for standard input) and properties.

    A second create of the same externalId may make a duplicate: `upsert` is the one that can be repeated.

    \b
    Example:
      relay conversations create --set companyId=extid-acme --set "type=Slack thread" --set subject=Hello
    """
    document = read_document(file, settings)
    refuse_faults(document, partial=False)
    with _planhat() as planhat:
        print_one(planhat.create(document), as_json, tenant=_tenant())


@conversations.command("update")
@click.argument("key")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), required=False)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="One property, or custom.NAME; VALUE may be JSON.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_plainly
def update(key: str, file: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Change one conversation; what is not named stays as it is, lists are replaced whole.

    \b
    Example:
      relay conversations update extid-slack-C1-1.000100 --set archived=true
    """
    document = read_document(file, settings)
    if "_id" in document:
        raise ConversationsUnreadable("_id: the conversation is named by KEY; leave it out of the changes")
    refuse_faults(document, partial=True)
    with _planhat() as planhat:
        print_one(planhat.update(key, document), as_json, tenant=_tenant())


@conversations.command("delete")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_plainly
def delete(keys: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Delete conversations for good. Asks first; without a terminal it wants --yes.

    \b
    Example:
      relay conversations delete 6102e3b08084189dcbf0e3f0 --yes
    """
    if not yes:
        if not sys.stdin.isatty():
            raise ConversationsUnreadable(
                "deleting cannot be undone: say --yes when there is no terminal to ask on"
            )
        click.confirm(f"Delete {len(keys)} conversation{'s'[: len(keys) != 1]} for good?", abort=True)
    gone: list[Mapping[str, Any]] = []
    failed = 0
    with _planhat() as planhat:
        for key in keys:
            try:
                # Planhat's document lets a delete name the `_id` alone, so other keys are looked up.
                by_other = key.startswith(("extid-", "srcid-"))
                gone.append(planhat.delete(planhat.get(key)["_id"] if by_other else key))
            except PlanhatError as error:
                failed += 1
                click.echo(f"{key}: {error}", err=True)
    if as_json:
        print_json(gone)
    else:
        for conversation in gone:
            click.echo(f"deleted {conversation.get('_id', '')}")
    if failed:
        sys.exit(1)


@conversations.command("upsert")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default="-")
@click.option(
    "--max-items", type=click.IntRange(1, 5000), default=5000, show_default=True, help="Items in one call."
)
@click.option("--max-bytes", default="4MB", show_default=True, help="Size of one call, e.g. 500KB or 4MB.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the counts, and the result of each item.")
@_plainly
def upsert(file: str, max_items: int, max_bytes: str, as_json: bool) -> None:
    """Create or update many conversations from a JSON array or JSON lines (a file, or standard input).

    Cut into calls by items and bytes. Every item gets a result; what an answer leaves in doubt is halved and sent
    again, which changes nothing for items with an externalId. Exit code 1 if any item failed.

    \b
    Examples:
      relay conversations upsert conversations.json
      relay conversations list --all --json | jq -c '.[] | {_id, archived: true}' | relay conversations upsert
    """
    from relay.planhat.bulk import cut

    limit_bytes = read_bytes(max_bytes)
    rows, results = rows_of(read_items(file))
    keyless = sum(not any(row.key) for row in rows)
    if keyless:
        click.echo(
            f"{keyless} items have neither externalId nor _id nor sourceId: sending them again makes new records.",
            err=True,
        )
    with _planhat() as planhat:
        batches = list(cut(rows, max_items=max_items, max_bytes=limit_bytes))
        results.extend(_send_all(planhat, batches, len(rows)))
    results.sort(key=lambda result: result.position)
    print_results(results, as_json, tenant=_tenant())
    if any(result.word == "failed" for result in results):
        sys.exit(1)


# ---- sending


def _send_all(planhat: Planhat, batches: Sequence[Sequence[InputRow]], total: int) -> Iterator[Result]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from relay.planhat.bulk import BulkUpsert, Result, Stopped

    console = Console(stderr=True)
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("sending", total=total)
        sender = BulkUpsert(
            planhat.upsert_raw,
            sleep=time.sleep,
            tell=lambda sentence: progress.console.print(sentence, markup=False, highlight=False),
        )
        reason = ""
        for batch in batches:
            if reason:
                yield from (Result(row.position, row.key, "failed", f"not sent: {reason}") for row in batch)
                continue
            try:
                for result in sender.send(batch):
                    progress.advance(task)
                    yield result
            except Stopped as stopped:
                reason = str(stopped)
    if reason:
        click.echo(reason, err=True)


def _company_id(planhat: Planhat, key: str) -> str:
    """The list's filter is documented for Planhat's own ids; other keys are looked up."""
    return planhat.company(key)["_id"] if key.startswith(("extid-", "srcid-")) else key
