"""`relay sign-in`: a link that opens the console, in the place of the token."""

from __future__ import annotations

import json

import click

from relay.cli.context import operator
from relay.cli.place import Place, place_options


@click.command("sign-in")
@click.option(
    "--url", help="Where the relay is; the running `relay up`, or RELAY_HOST and RELAY_PORT otherwise."
)
@click.option("--name", help="Whose name stands in the audit; yours on this machine otherwise.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@place_options
def sign_in(url: str | None, name: str | None, as_json: bool, place: Place) -> None:
    """Print a link that signs you in at the console. It is good once, for 15 minutes; the token itself is in no address and no
    log. Whoever may read the relay's Redis may make one.

    \b
    Example:
        relay sign-in
    """
    from relay.cli.context import open_context
    from relay.operations.sign_in import CODE_S, sign_in_link

    context = open_context(place)
    base = url or context.operators_url
    who = name or operator().removeprefix("cli:")
    context.audit("sign-in link", name=who)
    link = sign_in_link(context.home, base, name=who)
    click.echo(json.dumps({"link": link, "good_for_seconds": CODE_S}) if as_json else link)
