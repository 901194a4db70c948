"""`relay explain`: what the relay would do with a payload, sending nothing."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from relay.errors import NotFound, SourceError, UserError


@click.command()
@click.option("--source", required=True, help="A name under `sources:` in the config.")
@click.argument("payload", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--headers", "headers_file", type=click.Path(dir_okay=False), help="The request's headers: `Name: value` lines.")
@click.option("--config", "config_file", type=click.Path(dir_okay=False), help="The YAML file; RELAY_CONFIG otherwise.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--data", default=".relay", show_default=True, help="The data folder of the `relay up` to use.")
def explain(
    source: str, payload: str, headers_file: str | None, config_file: str | None, as_json: bool, data: str
) -> None:
    """What the relay would do with PAYLOAD, a file with a body as SOURCE's provider sends it ("-": standard input):
    the events found, the rules tried and why each did or did not match, every field with the template it came
    from, the final conversation and how its company is found. Signatures are not asked for, nothing is sent.

    \b
    Example:
        relay explain --source slack message.json
    """
    from relay.cli.context import environment, read_settings
    from relay.rules.load import load
    from relay.sources.registry import build_adapter

    path = config_file or read_settings(data).config
    config, book = load(path, environment(data))
    held = config.sources.get(source)
    if held is None:
        raise NotFound(f"no source {source!r} in {path}; it has: {', '.join(config.sources)}")
    try:
        adapter = build_adapter(held.options)
    except ValueError as error:
        raise UserError(f"{path}: source {source}: {error}") from error
    told = explain_body(config, book, adapter, _read(payload), _headers(headers_file), now_s=time.time())
    if as_json:
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _print(told)
    sys.exit(1 if any(event.get("result") == "failed" for event in told["events"]) else 0)


def explain_body(config: Any, book: Any, adapter: Any, body: bytes, headers: dict[str, str], *, now_s: float) -> dict[str, Any]:
    """The request's events explained: {"events": [...], "skipped": [...]}. Raises UserError for a malformed body."""
    from relay.event import Event
    from relay.rules.explain import explain as explain_event
    from relay.sources.base import Inbound, Skipped

    types = sorted(adapter.content_types)
    guess = "application/json" if "application/json" in types or not types else types[0]
    inbound = Inbound(body=body, headers={"content-type": guess, **headers})
    told: dict[str, Any] = {"events": [], "skipped": []}
    try:
        for parsed in adapter.parse(inbound, now_s=now_s):
            if isinstance(parsed, Event):
                told["events"].append(explain_event(config, book, parsed))
            elif isinstance(parsed, Skipped):
                told["skipped"].append(parsed.reason)
            else:
                told["events"].append({"result": "failed", "cause": parsed.cause, "rules": [], "fields": []})
    except SourceError as error:
        raise UserError(f"not what this source sends: {error}") from error
    return told


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
    for reason in told["skipped"]:
        click.echo(f"skipped by the adapter: {reason}")
    if not told["events"] and not told["skipped"]:
        click.echo("no event in this payload")
    for number, event in enumerate(told["events"], 1):
        if number > 1:
            click.echo("")
        _print_event(event, number)


def _print_event(told: dict[str, Any], number: int) -> None:
    event = told.get("event") or {}
    click.echo(f"event {number}: {event.get('kind', 'unreadable')}  {event.get('id', '')}")
    if event:
        click.echo(f"  thread {event['thread']}, version {event['version']}, at {event['time']}")
    for tried in told["rules"]:
        mark = "matches" if tried["matched"] else "no match"
        line = f", line {tried['line']}" if tried["line"] else ""
        default = ", default" if tried["default"] else ""
        click.echo(f"  rule {tried['rule']} ({tried['action']}{line}{default}): {mark}: {tried['why']}")
    if told.get("why"):
        click.echo(f"  {told['why']}")
    for field in told["fields"]:
        _print_field(field)
    _print_company(told.get("company"))
    click.echo(f"  result: {told['result']}" + (f": {told['cause']}" if told.get("cause") else ""))
    if told.get("document") is not None:
        click.echo("  conversation:")
        for line in json.dumps(told["document"], indent=2, ensure_ascii=False).splitlines():
            click.echo(f"    {line}")


def _print_field(field: dict[str, Any]) -> None:
    way = f" ({field['way']})" if field["way"] else ""
    value = field.get("error") or field.get("note") or json.dumps(field["value"], ensure_ascii=False)
    click.echo(f"  {field['field']}{way} = {value}")
    if field["inputs"]:
        line = f"line {field['line']}: " if field["line"] else ""
        click.echo(f"      {line}{field['template']}")
        for path, given in field["inputs"].items():
            shown = json.dumps(given, ensure_ascii=False)
            click.echo(f"      {path} = {shown if len(shown) < 120 else shown[:117] + '...'}")


def _print_company(company: dict[str, Any] | None) -> None:
    if company is None:
        return
    click.echo("  company:")
    for step in company["path"]:
        asked = f" asked with {step['asked']}" if step.get("asked") else ""
        click.echo(f"    {step['step']}{asked}: {step['found'] or step.get('note') or 'nothing'}")
    if not company["path"]:
        click.echo("    no steps under companies:")
    elif company["companyId"] is None:
        click.echo("    nothing found offline")
