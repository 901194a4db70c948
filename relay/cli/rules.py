"""`relay rules`: the default rules of each adapter, to copy and edit."""

from __future__ import annotations

import json

import click

from relay.errors import NotFound


@click.group()
def rules() -> None:
    """The default rules of each adapter, to copy and edit."""


@rules.command()
@click.argument("adapter")
@click.option("--source", help="The source's name in your config; the adapter's name otherwise.")
@click.option("--type", "type_", help="The conversation type; the adapter's customary one otherwise.")
def show(adapter: str, source: str | None, type_: str | None) -> None:
    """Print the default rules of ADAPTER as YAML: put them under `rules:` and edit.

    \b
    Example:
        relay rules show slack --source team-slack --type "Slack thread"
    """
    from relay.rules.defaults import FAMILIES, read_defaults
    from relay.rules.shape import did_you_mean

    if adapter not in FAMILIES:
        raise NotFound(f"no adapter {adapter!r}{did_you_mean(adapter, tuple(FAMILIES))}")
    types = FAMILIES[adapter].types
    text = read_defaults(adapter).replace("SOURCE", source or adapter)
    click.echo(text.replace("type: TYPE", f"type: {type_ or (types[0] if types else 'note')}"), nl=False)


@rules.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_(as_json: bool) -> None:
    """The adapters, with the conversation type that each one's default rules look for."""
    from relay.rules.defaults import FAMILIES

    if as_json:
        click.echo(json.dumps([{"adapter": name, "types": list(f.types)} for name, f in FAMILIES.items()]))
        return
    for name, family in FAMILIES.items():
        click.echo(f"{name:20}{family.types[0] if family.types else 'note'}")
