"""`relay sandbox`: a Planhat to develop against, on this machine."""

from __future__ import annotations

import sys

import click

from relay.errors import UserError


@click.command("sandbox")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8081, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--state", type=click.Path(file_okay=False), help="Folder to keep everything in across restarts."
)
@click.option("--token", help="The only token it takes. Default: any.")
@click.option("--type", "types", multiple=True, help="A conversation type of the tenant; may be repeated.")
@click.option(
    "--per-minute", type=click.IntRange(0), default=200, show_default=True, help="Quota of calls; 0: none."
)
@click.option(
    "--no-quotas", is_flag=True, help="No quota at all: neither a minute's, a second's nor in parallel."
)
@click.option(
    "--reserved",
    type=click.Choice(["refuse", "accept", "note"]),
    default="refuse",
    show_default=True,
    help="What becomes of the types email, chat, ticket and call.",
)
@click.option(
    "--style", default="string", show_default=True, help="How its own errors name an item, if at all."
)
@click.option("--fault", "faults", multiple=True, help="A fault, e.g. status=503,times=2; may be repeated.")
def sandbox(
    host: str,
    port: int,
    state: str | None,
    token: str | None,
    types: tuple[str, ...],
    per_minute: int,
    no_quotas: bool,
    reserved: str,
    style: str,
    faults: tuple[str, ...],
) -> None:
    """Run the Planhat sandbox alone.

    It keeps conversations, companies, endusers and users as Planhat does, answers as Planhat answers, and shows what
    has arrived at its root. Any bearer token will do. Faults can also be set while it runs:
    POST /_sandbox/faults.

    \b
    Examples:
      relay sandbox --state .sandbox
      relay sandbox --port 9000 --fault "operation=upsert,status=503,times=2,retry_after=5"
      relay sandbox --fault "refuse=^slack-.*bad,style=string_id"
    """
    from relay.planhat.sandbox import DEFAULT_TYPES, NO_QUOTAS, Fault, Quotas, create_sandbox
    from relay.planhat.sandbox.errors import STYLES
    from relay.planhat.sandbox.server import bind, run

    try:
        if style not in STYLES:
            raise click.BadParameter(f"should be one of {', '.join(STYLES)}", param_hint="--style")
        app = create_sandbox(
            types=types or DEFAULT_TYPES,
            token=token,
            quotas=NO_QUOTAS if no_quotas else Quotas(per_minute=per_minute),
            faults=[Fault.parse(text) for text in faults],
            state=state,
            reserved="accept" if reserved == "accept" else "note" if reserved == "note" else "refuse",
            style=style,
        )
        listener = bind(host, port)
    except UserError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    click.echo(f"Planhat sandbox on http://{host}:{listener.getsockname()[1]} (Ctrl-C stops it)")
    run(app, listener)
