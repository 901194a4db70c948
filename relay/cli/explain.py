"""`relay explain`: what the relay would do with a payload, sending nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from relay.cli.names import SOURCE_PARAM
from relay.cli.output import shown
from relay.cli.place import Place, place_options
from relay.config import Config
from relay.errors import UserError
from relay.rules.rule import RuleBook


@click.command()
@click.option("--source", type=SOURCE_PARAM, required=True, help="A name under `sources:` in the config.")
@click.argument("payload", type=click.Path(dir_okay=False, allow_dash=True))
@click.option(
    "--headers",
    "headers_file",
    type=click.Path(dir_okay=False),
    help="The request's headers: `Name: value` lines.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@place_options
def explain(source: str, payload: str, headers_file: str | None, as_json: bool, place: Place) -> None:
    """Show what the relay would do with PAYLOAD, a file with a body as SOURCE's provider sends it ("-": standard input):
    the events found, the rules tried and why each did or did not match, every field with the template it came
    from, the final conversation and how its company is found. Signatures are not asked for, nothing is sent.

    \b
    Example:
        relay explain --source slack message.json
    """
    from relay.cli.context import open_context
    from relay.operations.explain import explain_request
    from relay.operations.selection import InputInvalid
    from relay.rules.file.load import load

    context = open_context(place)
    config, book = load(context.settings.config, context.environ)
    headers = _headers(headers_file)
    try:
        told = explain_request(
            _Bench(config, book), source, _read(payload), {**_guessed(config, source), **headers}
        )
    except InputInvalid as error:
        name = "standard input" if payload == "-" else payload
        raise UserError(f"{name}: {error.message}") from error
    if as_json:
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _print(told)
    failed = told["parked"] or any(event["result"] == "failed" for event in told["events"])
    sys.exit(1 if failed else 0)


@dataclass(frozen=True, slots=True)
class _Bench:
    """Explaining needs no outbox."""

    config: Config
    rulebook: RuleBook

    @property
    def outbox(self) -> Any:
        raise UserError("explaining reads no stored events")


def _guessed(config: Config, source: str) -> dict[str, str]:
    """The content type that this source most likely sends, where no headers say it."""
    from relay.sources.registry import build_adapter

    held = config.sources.get(source)
    if held is None:
        return {}
    try:
        types = build_adapter(held.options).content_types
    except ValueError as error:
        raise UserError(f"source {source}: {error}") from error
    return {"content-type": "application/json" if not types or "application/json" in types else min(types)}


def _read(payload: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if payload == "-" else Path(payload).read_bytes()
    except OSError as error:
        raise UserError(f"{payload}: cannot be read: {error.strerror}") from error


def _headers(path: str | None) -> dict[str, str]:
    from relay.rules.examples import read_headers

    if path is None:
        return {}
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {type(error).__name__}") from error
    if text.lstrip().startswith("{"):
        try:
            return {str(name).lower(): str(value) for name, value in json.loads(text).items()}
        except ValueError as error:
            raise UserError(f"{path}: is no JSON") from error
    return read_headers(text)


def _print(told: dict[str, Any]) -> None:
    for skipped in told["skipped"]:
        click.echo(f"skipped by the adapter: {shown(skipped['reason'])}")
    for parked in told["parked"]:
        click.echo(f"accepted, and a dead letter: {shown(parked['cause'])}")
    if not told["events"] and not told["skipped"] and not told["parked"]:
        click.echo("no event in this payload")
    for number, event in enumerate(told["events"], 1):
        if number > 1:
            click.echo("")
        _print_event(event, number)


def _print_event(told: dict[str, Any], number: int) -> None:
    event = told.get("event") or {}
    click.echo(f"event {number}: {event.get('kind', 'unreadable')}  {event.get('id', '')}")
    if event:
        click.echo(f"  thread {shown(event['thread'])}, version {event['version']}, at {event['time']}")
    for tried in told["rules"]:
        mark = "matches" if tried["matched"] else "no match"
        line = f", line {tried['line']}" if tried["line"] else ""
        default = ", default" if tried["default"] else ""
        click.echo(
            f"  rule {tried['rule']} ({tried['action']}{line}{default}): {mark}: {shown(tried['why'])}"
        )
    if told.get("why"):
        click.echo(f"  {shown(told['why'])}")
    for field in told["fields"]:
        _print_field(field)
    _print_company(told.get("company"))
    click.echo(f"  result: {told['result']}" + (f": {shown(told['cause'])}" if told.get("cause") else ""))
    if told.get("document") is not None:
        click.echo("  conversation:")
        for line in json.dumps(told["document"], indent=2, ensure_ascii=False).splitlines():
            click.echo(f"    {shown(line)}")


def _print_field(field: dict[str, Any]) -> None:
    way = f" ({field['way']})" if field["way"] else ""
    value = field.get("error") or field.get("note") or json.dumps(field["value"], ensure_ascii=False)
    click.echo(f"  {field['field']}{way} = {shown(value)}")
    if field["inputs"]:
        line = f"line {field['line']}: " if field["line"] else ""
        click.echo(f"      {line}{field['template']}")
        for path, given in field["inputs"].items():
            text = shown(json.dumps(given, ensure_ascii=False))
            click.echo(f"      {path} = {text if len(text) < 120 else text[:117] + '...'}")


def _print_company(company: dict[str, Any] | None) -> None:
    if company is None:
        return
    click.echo("  company:")
    for step in company["path"]:
        asked = f" asked with {shown(step['asked'])}" if step.get("asked") else ""
        click.echo(f"    {step['step']}{asked}: {shown(step['found'] or step.get('note') or 'nothing')}")
    if not company["path"]:
        click.echo("    no steps under companies:")
    elif company["companyId"] is None:
        click.echo("    nothing found offline")
