"""`relay conversations`: Planhat's six conversation operations from the shell."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Final, ParamSpec

import click
import orjson

from relay.errors import PlanhatError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.planhat.bulk import Result, Row
    from relay.planhat.client import Planhat

P = ParamSpec("P")

_COLUMNS: Final = ("_id", "date", "type", "companyName", "subject", "externalId")
_SHOWN_RESULTS: Final = 50
_SIZES: Final = {"": 1, "B": 1, "KB": 1000, "MB": 1_000_000, "KIB": 1024, "MIB": 1024 * 1024}


class InputInvalid(UserError):
    """A file or an option that cannot be sent; says where."""


def _plainly(command: Callable[P, None]) -> Callable[P, None]:
    """Errors as sentences on standard error: 1 for what Planhat or the network did, 2 for the user's mistake."""

    def run(*arguments: P.args, **options: P.kwargs) -> None:
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

    return update_wrapper(run, command)


@contextmanager
def _planhat() -> Iterator[Planhat]:
    from relay.cli.context import DATA, read_settings
    from relay.planhat.client import Planhat

    data = click.get_current_context().obj
    settings = read_settings(data if isinstance(data, str) else DATA)
    with Planhat(settings.planhat_url, settings.planhat_token) as planhat:
        yield planhat


@click.group("conversations")
@click.option("--data", default=".relay", show_default=True, help="The data folder of a running `relay up`.")
@click.pass_context
def conversations(ctx: click.Context, data: str) -> None:
    """Planhat's six conversation operations from the shell.

    A KEY is a Planhat id, or extid-<externalId>, or srcid-<sourceId>. The tenant comes from RELAY_PLANHAT_URL and
    RELAY_PLANHAT_TOKEN (or RELAY_PLANHAT_TOKEN_FILE); beside a running `relay up` it is that one's.

    \b
    Examples:
      relay conversations list --company extid-acme --limit 10
      relay conversations get extid-slack-C1-1.000100 --json
      relay conversations upsert conversations.jsonl
    """
    ctx.obj = data


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
        _print_json(found)
    else:
        _print_table(found, ("_id", *(name for name in columns if name != "_id")) if columns else _COLUMNS)


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
        _print_one(planhat.get(key), as_json)


@conversations.command("create")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), required=False)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="One property; VALUE may be JSON."
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
    document = _document(file, settings)
    _refuse_faults(document, partial=False)
    with _planhat() as planhat:
        _print_one(planhat.create(document), as_json)


@conversations.command("update")
@click.argument("key")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), required=False)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="One property; VALUE may be JSON."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_plainly
def update(key: str, file: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Change one conversation; what is not named stays as it is, lists are replaced whole.

    \b
    Example:
      relay conversations update extid-slack-C1-1.000100 --set archived=true
    """
    document = _document(file, settings)
    if "_id" in document:
        raise InputInvalid("_id: the conversation is named by KEY; leave it out of the changes")
    _refuse_faults(document, partial=True)
    with _planhat() as planhat:
        _print_one(planhat.update(key, document), as_json)


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
            raise InputInvalid("deleting cannot be undone: say --yes when there is no terminal to ask on")
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
        _print_json(gone)
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

    limit_bytes = _bytes(max_bytes)
    rows, results = _rows(_read_items(file))
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
    _print_results(results, as_json)
    if any(result.word == "failed" for result in results):
        sys.exit(1)


# ---- sending


def _send_all(planhat: Planhat, batches: Sequence[Sequence[Row]], total: int) -> Iterator[Result]:
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


# ---- reading


def _read(file: str) -> bytes:
    try:
        if file == "-":
            if sys.stdin.isatty():
                click.echo("Reading JSON from standard input; Ctrl-D ends it.", err=True)
            content: bytes = sys.stdin.buffer.read()
            return content
        with open(file, "rb") as opened:
            return opened.read()
    except OSError as error:
        raise InputInvalid(f"{file}: cannot be read: {error.strerror}") from error


def _read_items(file: str) -> list[Any]:
    content = _read(file)
    name = "standard input" if file == "-" else file
    if content.lstrip()[:1] == b"[":
        try:
            items = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise InputInvalid(f"{name}:{error.lineno}: not JSON: {error.msg}") from error
        return list(items)
    lines: list[Any] = []
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            try:
                lines.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise InputInvalid(
                    f"{name}:{number}: should be a JSON array, or one JSON object a line: {error.msg}"
                ) from error
    return lines


def _rows(items: Sequence[Any]) -> tuple[list[Row], list[Result]]:
    """What can be sent, and the results of what cannot. Generated properties are left out, so that what `list` and
    `get` print can be sent back."""
    from relay.planhat.bulk import Result, row_of
    from relay.planhat.fields import GENERATED, faults_of
    from relay.planhat.report import Key

    rows: list[Row] = []
    refused: list[Result] = []
    left_out: set[str] = set()
    for position, item in enumerate(items):
        if not isinstance(item, dict):
            refused.append(Result(position, Key(None), "failed", "should be a JSON object"))
            continue
        generated = (GENERATED - {"_id"}) & item.keys()
        left_out |= generated
        sendable = {name: value for name, value in item.items() if name not in generated}
        row = row_of(position, sendable)
        faults = faults_of(sendable, partial=True)
        if faults:
            refused.append(Result(position, row.key, "failed", "; ".join(faults)))
        else:
            rows.append(row)
    if left_out:
        click.echo(f"Left out, since Planhat generates them itself: {', '.join(sorted(left_out))}", err=True)
    return rows, refused


def _document(file: str | None, settings: Iterable[str]) -> dict[str, Any]:
    from relay.planhat.fields import field_named

    document: Any = {}
    if file is not None:
        name = "standard input" if file == "-" else file
        try:
            document = orjson.loads(_read(file))
        except orjson.JSONDecodeError as error:
            raise InputInvalid(f"{name}:{error.lineno}: not JSON: {error.msg}") from error
        if not isinstance(document, dict):
            raise InputInvalid(f"{name}: should be one JSON object")
    for setting in settings:
        name, found, value = setting.partition("=")
        if not found:
            raise InputInvalid(f"--set {name}: should be NAME=VALUE")
        field = field_named(name)
        if field is not None and field.type not in ("string", "objectId"):
            try:
                document[name] = orjson.loads(value)
            except orjson.JSONDecodeError as error:
                raise InputInvalid(f"--set {name}: should be JSON, being of type {field.type}") from error
        else:
            document[name] = value
    if not document:
        raise InputInvalid("nothing to send: name a file with a JSON object, or properties with --set")
    return dict(document)


def _refuse_faults(document: Mapping[str, Any], *, partial: bool) -> None:
    from relay.planhat.fields import faults_of

    faults = faults_of(document, partial=partial)
    if faults:
        raise InputInvalid("\n".join(faults))


def _bytes(text: str) -> int:
    digits = text.rstrip("KMIBkmib ")
    unit = text[len(digits) :].strip().upper()
    if not (digits.isascii() and digits.isdigit()) or unit not in _SIZES or not int(digits):
        raise InputInvalid(f"--max-bytes: should be a size such as 500KB, 4MB or 1MiB, not {text!r}")
    return int(digits) * _SIZES[unit]


# ---- printing


def _print_json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        click.echo("No conversations.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name == "_id", overflow="fold" if name == "externalId" else "ellipsis")
    for row in rows:
        # As Text: what stands in a conversation is never markup.
        table.add_row(*(Text(_cell(row.get(name))) for name in columns))
    _console().print(table)


def _console() -> Any:
    from rich.console import Console

    console = Console(highlight=False)
    # Piped into another program a table must not be folded to 80 columns.
    return console if console.is_terminal else Console(highlight=False, width=200)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return "".join(character if character.isprintable() else " " for character in text)


def _print_one(conversation: Mapping[str, Any], as_json: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    if as_json:
        _print_json(conversation)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in conversation.items():
        if value not in (None, "", [], {}):
            table.add_row(name, Text(_cell(value)))
    _console().print(table)


def _print_results(results: Sequence[Result], as_json: bool) -> None:
    counts = {
        word: sum(result.word == word for result in results)
        for word in ("created", "updated", "unchanged", "delivered", "failed")
    }
    if as_json:
        items = [
            {
                "position": result.position,
                "externalId": result.key.external_id,
                "_id": result.key.planhat_id,
                "sourceId": result.key.source_id,
                "outcome": result.word,
                "message": result.message,
            }
            for result in results
        ]
        _print_json({**counts, "items": items})
        return
    for result in results:
        if result.word == "failed" or len(results) <= _SHOWN_RESULTS:
            name = next((text for text in reversed(result.key) if text), f"item {result.position + 1}")
            line = f"{_cell(name)}: {result.word}"
            click.echo(f"{line}: {_cell(result.message)}" if result.message else line)
    told = [f"{count} {word}" for word, count in counts.items() if count]
    click.echo(", ".join(told) + "." if told else "Nothing to send.")
