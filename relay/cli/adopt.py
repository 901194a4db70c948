"""`relay adopt`: a lane moved on purpose to another Planhat."""

from __future__ import annotations

import json
import sys

import click

from relay.cli.place import Place, lane_options
from relay.errors import UserError


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Whose it was and whose it is, as JSON.")
@lane_options
def adopt(yes: bool, as_json: bool, place: Place) -> None:
    """Take a lane over for the Planhat of this relay's settings, after it has really moved: to another tenant, or to a token
    and an address that nothing proves to be the same tenant's.

    What was delivered stays where it is. What waits goes to the new Planhat; each conversation is looked up there first, and
    begins anew where it is not known. Stop the other relay before: it is refused from then on.

    \b
    Example:
        RELAY_PLANHAT_URL=https://api-us4.planhat.com relay adopt
    """
    from relay.cli.context import open_context
    from relay.outbox.epoch import Epoch
    from relay.outbox.owner import Ownership, holder_of

    context = open_context(place)
    context.require_named()
    tenant = context.tenant
    if not tenant.token():
        raise UserError("set RELAY_PLANHAT_TOKEN: whose lane it is to be is told by the token")
    ownership = Ownership(context.outbox, tenant.url, tenant.token)
    before = ownership.read()
    same = not before.url or holder_of(tenant.url, tenant.token()) in before.holders
    if not same:
        waits = sum(counts["pending"] for counts in context.outbox.ledger().values())
        asks = f"These keys belong to the relay of {before.url}; {waits} events wait. Deliver to {tenant.url} from now on?"
        if not yes and not sys.stdin.isatty():
            raise UserError(f"{asks} Say --yes")
        if not yes:
            click.confirm(asks, abort=True)
    if not same:
        context.audit("adopt", before=before.url, now=tenant.url)
    if before.url and not same:
        # First nothing that was delivered is known any more; whoever is killed in between has harmed nothing.
        epoch = Epoch(context.outbox)
        epoch.look()
        epoch.adopt()
    if not same or not before.url:
        ownership.adopt()
    if as_json:
        click.echo(json.dumps({"before": before.url or None, "now": tenant.url, "changed": not same}))
    elif same and before.url:
        click.echo(f"The lane is this relay's already ({tenant.url}); nothing was changed.")
    else:
        click.echo(f"The lane is this relay's now ({tenant.url}). Start it: relay serve, relay work.")
