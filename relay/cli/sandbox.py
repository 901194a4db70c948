"""`relay sandbox`: a Planhat to develop against, on this machine."""

from __future__ import annotations

from typing import Literal

import click


@click.command("sandbox")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8081, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--state", type=click.Path(file_okay=False), help="Folder to keep everything in across restarts."
)
@click.option(
    "--seed",
    type=click.Path(exists=True, dir_okay=False),
    help="YAML file with companies, people, custom_fields and types of the tenant.",
)
@click.option("--type", "types", multiple=True, help="A conversation type of the tenant; may be repeated.")
@click.option("--token", help="The only token it takes. Default: any.")
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
    "--unknown-type",
    type=click.Choice(["note", "keep"]),
    default="note",
    show_default=True,
    help="What becomes of a type that the tenant does not have.",
)
@click.option(
    "--foreign-id",
    type=click.Choice(["ignore", "refuse"]),
    default="ignore",
    show_default=True,
    help="What becomes of users and endusers whose id is none of Planhat's.",
)
@click.option(
    "--free-tag",
    type=click.Choice(["keep", "drop"]),
    default="keep",
    show_default=True,
    help="What becomes of activity tags that are words and not ids.",
)
@click.option(
    "--strict-editor", is_flag=True, help="Give descriptions back as Planhat's editor would keep them."
)
@click.option(
    "--style", default="string", show_default=True, help="How its own errors name an item, if at all."
)
@click.option("--fault", "faults", multiple=True, help="A fault, e.g. status=503,times=2; may be repeated.")
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A host name to answer to beside loopback ones; may be repeated; * is any.",
)
def sandbox(
    host: str,
    port: int,
    state: str | None,
    seed: str | None,
    types: tuple[str, ...],
    token: str | None,
    per_minute: int,
    no_quotas: bool,
    reserved: Literal["refuse", "accept", "note"],
    unknown_type: Literal["note", "keep"],
    foreign_id: Literal["ignore", "refuse"],
    free_tag: Literal["keep", "drop"],
    strict_editor: bool,
    style: str,
    faults: tuple[str, ...],
    hosts: tuple[str, ...],
) -> None:
    """Run the Planhat sandbox alone.

    It keeps conversations, companies, endusers, users, custom fields and tickets as Planhat does, answers as Planhat
    answers, and shows what has arrived at its root: as it is stored, and as Planhat's editor would show it. Any bearer
    token will do. With --state everything survives a restart, and --port 0 takes the same port again. Faults can also
    be set while it runs: POST /_sandbox/faults.

    \b
    A seed file:
      types: [Slack thread]
      companies: [extid-acme, {externalId: globex, name: Globex, domains: [globex.example]}]
      people: [{email: ada@globex.example, name: Ada}]
      custom_fields: [Channel, {name: Due, type: date}]

    \b
    Examples:
      relay sandbox --state .sandbox --seed tenant.yaml
      relay sandbox --port 9000 --fault "operation=upsert,status=503,times=2,retry_after=5"
      relay sandbox --fault "refuse=^slack-.*bad,style=string_id"
    """
    from relay.planhat.sandbox.behaviour import Behaviour
    from relay.planhat.sandbox.options import Options
    from relay.planhat.sandbox.server import run

    app, listener = Options(
        host=host,
        port=port,
        state=state,
        seed=seed,
        types=types,
        token=token,
        per_minute=per_minute,
        quotas=not no_quotas,
        hosts=hosts,
        faults=faults,
        behaviour=Behaviour(reserved, unknown_type, foreign_id, free_tag, strict_editor, style),
    ).open()
    click.echo(f"Planhat sandbox on http://{host}:{listener.getsockname()[1]} (Ctrl-C stops it)")
    run(app, listener)
