"""`relay check`: everything about a config that can be known before it runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import click

from relay.cli.place import Place, place_options
from relay.errors import ConfigInvalid, Mistake, SourceError
from relay.event import Event
from relay.rules.file.load import examine
from relay.sources.base import Adapter, Inbound, Parsed, Skipped
from relay.sources.read.privacy import UNSAID
from relay.sources.registry import build_adapter

#: When an example's request came in; adapters ask for it where a payload holds no time. 2026-01-02T03:04:05Z.
_EXAMPLE_TIME_S = 1_767_323_045.0


#: Their JSON is an administrator's, who may have forgotten to say what is private.
_TRIGGERED = frozenset({"zendesk", "freshdesk", "gorgias", "servicenow"})
_UNSAID = (
    "a comment may be a note that only agents see, and the trigger's JSON does not say: add is_public to it "
    "(Zendesk: {{ticket.latest_comment.is_public}}) or use the public comment's placeholder; privacy: strict skips the others"
)


def check_file(path: str, environ: Mapping[str, str]) -> list[Mistake]:
    """Every mistake and warning of the file, in its order; an empty list: it holds."""
    try:
        first = examine(path, environ)
    except ConfigInvalid as error:
        return error.mistakes
    adapters: dict[str, Adapter] = {}
    found: list[Mistake] = []
    for name, source in first.config.sources.items():
        lines = first.config.lines
        at, upto = lines.get(f"sources.{name}", 0), f"sources.{name}"
        if any(
            m.severity == "error" and (m.where == upto or m.where.startswith(f"{upto}."))
            for m in first.mistakes
        ):
            continue
        try:
            adapters[name] = build_adapter(source.options)
        except ValueError as error:
            found.append(Mistake(str(error), path, at or None, upto))
        except ImportError:
            found.append(
                Mistake(f"the adapter {source.adapter!r} is not in this build", path, at or None, upto)
            )

    unsaid: set[str] = set()

    def parse(name: str, body: bytes, headers: Mapping[str, str]) -> Sequence[Event]:
        adapter = adapters.get(name)
        if adapter is None:
            return []
        parsed = parse_whole(adapter, body, headers, now_s=_EXAMPLE_TIME_S)
        if any(_says_nothing(one) for one in parsed):
            unsaid.add(name)
        return [one for one in parsed if isinstance(one, Event)]

    mistakes = first.mistakes
    if any(
        "payload_file" in example for rule in first.config.rules for example in rule.get("examples") or ()
    ):
        mistakes = examine(path, environ, parse=parse).mistakes
    found += [
        Mistake(
            _UNSAID, path, first.config.lines.get(f"sources.{name}") or None, f"sources.{name}", "warning"
        )
        for name, source in first.config.sources.items()
        if name in unsaid or (source.options.privacy == "as_told" and source.adapter in _TRIGGERED)
    ]
    return sorted((*mistakes, *found), key=lambda mistake: mistake.line or 0)


def parse_payload(adapter: Adapter, body: bytes, headers: Mapping[str, str], *, now_s: float) -> list[Event]:
    """The events of a request's body, without proof of who sent it. Raises ValueError with a sentence."""
    return [one for one in parse_whole(adapter, body, headers, now_s=now_s) if isinstance(one, Event)]


def parse_whole(
    adapter: Adapter, body: bytes, headers: Mapping[str, str], *, now_s: float
) -> Sequence[Parsed]:
    """As `parse_payload`, with what is skipped and parked."""
    types = sorted(adapter.content_types)
    guess = "application/json" if "application/json" in types or not types else types[0]
    inbound = Inbound(body=body, headers={"content-type": guess, **headers})
    try:
        return adapter.parse(inbound, now_s=now_s)
    except SourceError as error:
        raise ValueError(f"not what this source sends: {error}") from error


def _says_nothing(parsed: Parsed) -> bool:
    """Whether this comes of a template that does not say who may read the comment."""
    if isinstance(parsed, Skipped):
        return parsed.reason == UNSAID
    return isinstance(parsed, Event) and UNSAID in parsed.remarks


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@click.option(
    "--schema", is_flag=True, help="Print the config's JSON Schema, for completion in an editor, and end."
)
@click.option("--json", "as_json", is_flag=True, help="The mistakes as JSON.")
@place_options
def check(file: str | None, schema: bool, as_json: bool, place: Place) -> None:
    """Validate a config offline: every mistake at once, each with its place, and the rules' own examples.

    FILE is the config; RELAY_CONFIG otherwise. Exit code 0: it holds (warnings allowed), 1: an example does not come
    out, 2: a mistake.

    \b
    Examples:
        relay check relay.yaml
        relay check --schema > relay.schema.json
    """
    if schema:
        from relay.rules.file.schema import json_schema

        click.echo(json.dumps(json_schema(), indent=2))
        return
    from dataclasses import replace

    from relay.cli.context import open_context

    context = open_context(replace(place, config=file or place.config))
    path, environ = context.settings.config, context.environ
    mistakes = check_file(path, environ)
    errors = [mistake for mistake in mistakes if mistake.severity == "error"]
    failed = [mistake for mistake in mistakes if mistake.severity == "example"]
    warnings = [mistake for mistake in mistakes if mistake.severity == "warning"]
    if as_json:
        held = not errors and not failed
        click.echo(
            json.dumps({"file": path, "holds": held, "mistakes": [asdict(m) for m in mistakes]}, indent=2)
        )
    else:
        for mistake in mistakes:
            head = {"warning": "warning: ", "example": "example: "}.get(mistake.severity, "")
            click.echo(f"{head}{mistake}", err=True)
        if not errors and not failed:
            also = f", with {_count(len(warnings), 'warning')}" if warnings else ""
            click.echo(f"{path} holds: {_summary(path, environ)}{also}")
        else:
            parts = [_count(len(errors), "mistake")] if errors else []
            parts += [_count(len(failed), "example") + " that did not come out"] if failed else []
            click.echo(f"{path}: {' and '.join(parts)}", err=True)
    sys.exit(2 if errors else 1 if failed else 0)


def _summary(path: str, environ: Mapping[str, str] = os.environ) -> str:
    config = examine(path, environ).config
    examples = sum(len(rule.get("examples") or ()) for rule in config.rules)
    return ", ".join(
        (
            _count(len(config.sources), "source"),
            _count(len(config.rules), "rule"),
            _count(examples, "example"),
            f"version {config.version}",
        )
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
