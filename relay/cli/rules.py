"""`relay rules`: the default rules of each adapter, to copy and edit."""

from __future__ import annotations

import json

import click

from relay.cli.names import ADAPTER
from relay.cli.proof_lines import proof_lines
from relay.errors import NotFound


@click.group()
def rules() -> None:
    """Show the default rules of each adapter, to copy and edit."""


@rules.command()
@click.argument("adapter", type=ADAPTER)
@click.option("--source", help="The source's name in your config; the adapter's name otherwise.")
@click.option("--type", "type_", help="The conversation type; the adapter's customary one otherwise.")
@click.option("--whole", is_flag=True, help="A whole config around them, to start from.")
def show(adapter: str, source: str | None, type_: str | None, whole: bool) -> None:
    """Print the default rules of ADAPTER as YAML: put them under `rules:` and edit, or start a config with --whole.

    \b
    Examples:
        relay rules show slack --source team-slack --type "Slack thread"
        relay rules show slack --whole > relay.yaml
    """
    from relay.rules.defaults import FAMILIES, read_defaults
    from relay.rules.file.shape import did_you_mean

    if adapter not in FAMILIES:
        raise NotFound(f"no adapter {adapter!r}{did_you_mean(adapter, tuple(FAMILIES))}")
    types = FAMILIES[adapter].types
    type_ = type_ or (types[0] if types else "note")
    text = (
        read_defaults(adapter)
        .replace("SOURCE", source or adapter)
        .replace("type: TYPE", f"type: {type_}")
        .replace("THREAD_DATE", "replace")
    )
    if whole:
        # Without planhat.resolve_people nobody would look them up.
        kept = [line for line in text.splitlines() if "users: [{email:" not in line]
        indented = "".join(f"  {line}\n" for line in kept).replace("users: union, endusers: union, ", "")
        text = f"{_head(adapter, source or adapter, type_)}rules:{' ' * 25}# the first match wins\n{indented}"
    click.echo(text, nl=False)


def _head(adapter: str, source: str, type_: str) -> str:
    """The parts of a config that stand before the rules."""
    types = "" if type_ == "note" else type_
    return (
        f"planhat:\n  types: [{types}]      # the custom types that exist in your tenant\n\n"
        f"sources:                       # each is a URL: /hooks/NAME\n  {source}:\n    adapter: {adapter}\n"
        f"{proof_lines(adapter, source)}\n"
        "companies:                     # how a conversation finds its company: the first hit wins\n"
        "  # - table: {domain: {example.com: extid-acme}}\n  - planhat: enduser_email\n  - planhat: company_domain\n"
        "  - default: extid-unsorted    # what nothing else found: a company of yours; without it they wait as dead letters\n\n"
    )


@rules.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_(as_json: bool) -> None:
    """List the adapters, with the conversation type that each one's default rules look for."""
    from relay.rules.defaults import FAMILIES

    if as_json:
        click.echo(json.dumps([{"adapter": name, "types": list(f.types)} for name, f in FAMILIES.items()]))
        return
    for name, family in FAMILIES.items():
        click.echo(f"{name:20}{family.types[0] if family.types else 'note'}")
