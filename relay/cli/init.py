"""`relay init`: a first config, by three questions."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from relay.cli.asking import ask_first
from relay.cli.names import ADAPTER
from relay.cli.output import counted
from relay.cli.proof_lines import proof_lines
from relay.errors import UserError
from relay.rules.defaults import FAMILIES
from relay.rules.file.shape import did_you_mean

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


@click.command()
@click.argument("file", default="relay.yaml", type=click.Path(dir_okay=False))
@click.option(
    "--from", "adapters", multiple=True, type=ADAPTER, metavar="ADAPTER", help="Who sends; repeatable."
)
@click.option("--type", "types", multiple=True, help="The conversation type of each --from, in their order.")
@click.option("--company", help='Where goes what no company is found for, e.g. extid-unsorted; "": nowhere.')
@click.option("--yes", is_flag=True, help="Do not ask: what is not given is the default.")
def init(file: str, adapters: Sequence[str], types: Sequence[str], company: str | None, yes: bool) -> None:
    """Write a first config to FILE (relay.yaml), and `.env` beside it for its secrets. Asks who sends, which conversation
    types they become, and where goes what no company is found for. `relay check` accepts what it writes; a file that stands
    there is never written over.

    \b
    Examples:
        relay init
        relay init --from slack --from postmark --company extid-unsorted --yes
    """
    path = Path(file)
    beside = path.parent / ".env"
    for one in (path, beside):
        if one.exists():
            raise UserError(f"{one} stands there already; name another FILE, in another folder")
    if not yes and not sys.stdin.isatty() and not (adapters and company is not None):
        ask_first("who sends?", yes=False, otherwise="give --from and --company")
    senders = _known(adapters or _ask_senders(yes))
    kinds = _types(senders, types, ask=not yes and not types and sys.stdin.isatty())
    if company is None:
        company = "" if yes else _ask_company()
    if company and not re.fullmatch(r"(extid|srcid)-.{1,200}|[0-9a-f]{24}", company):
        raise UserError(f"--company {company}: write extid-..., srcid-..., or Planhat's _id")
    text = config_text(senders, kinds, company)
    _write(path, text, 0o644)
    _write(beside, env_text(text), 0o600)
    _tell(path, beside, senders)


def _ask_senders(yes: bool) -> list[str]:
    if yes:
        return ["slack"]
    click.echo(f"Known senders: {', '.join(sorted(FAMILIES))}")
    answer: str = click.prompt("1. Who sends (one, or several with commas)", default="slack")
    return [name for name in re.split(r"[\s,]+", answer.strip()) if name]


def _ask_company() -> str:
    answer: str = click.prompt(
        "3. The company for what no company is found for (extid-...; empty: it waits as a dead letter)",
        default="",
        show_default=False,
    )
    return answer.strip()


def _known(adapters: Sequence[str]) -> list[str]:
    for name in adapters:
        if name not in FAMILIES:
            raise UserError(f"no adapter {name!r}{did_you_mean(name, tuple(FAMILIES))}")
    return list(dict.fromkeys(adapters))


def _types(senders: Sequence[str], given: Sequence[str], *, ask: bool) -> dict[str, str]:
    """sender -> conversation type: as given, asked for, or the adapter's customary one."""
    if len(given) > len(senders):
        raise UserError(f"{len(given)} --type for {counted(len(senders), 'sender')}")
    kinds = {}
    for number, name in enumerate(senders):
        usual = FAMILIES[name].types[0] if FAMILIES[name].types else "note"
        kind = given[number] if number < len(given) else usual
        if ask:
            kind = click.prompt(
                f"2. {name}'s conversation type (a custom type of your tenant, or note)", default=kind
            )
        if not kind.strip() or not kind.isprintable():
            raise UserError(f"{name}: {kind!r} is no conversation type")
        kinds[name] = kind.strip()
    return kinds


def config_text(senders: Sequence[str], types: dict[str, str], company: str) -> str:
    """Return the config as YAML; its secrets are `${NAME}`s."""
    own = ", ".join(_quoted(kind) for kind in dict.fromkeys(types.values()) if kind != "note")
    sources = "".join(
        f"  {name}:\n    adapter: {name}\n    type: {_quoted(types[name])}\n{proof_lines(name, name)}"
        for name in senders
    )
    rest = f"  - default: {company}    # what nothing else found\n" if company else ""
    return (
        f"planhat:\n  types: [{own}]    # the custom types that exist in your tenant\n\n"
        f"sources:    # each is a URL: /hooks/NAME\n{sources}\n"
        "companies:    # how a conversation finds its company: the first hit wins\n"
        "  # - table: {domain: {example.com: extid-acme}}\n  - planhat: enduser_email\n  - planhat: company_domain\n"
        f"{rest}\n"
        "# Each adapter has rules of its own: `relay rules show NAME` prints them, to be put here and edited.\nrules: []\n"
    )


def env_text(config: str) -> str:
    """Return a value made for each `${NAME}` of the config."""
    lines = [
        "# Made by `relay init` so that the config holds and `relay send` works. Where the sender shows you its own secret,",
        "# put it here in the place of the one that was made; a login (user:password) is yours to give to the sender.",
    ]
    for name in dict.fromkeys(_VARIABLE.findall(config)):
        word = secrets.token_hex(16)
        lines.append(f"{name}={'relay:' if name.endswith('_LOGIN') else ''}{word}")
    lines.append(
        "# RELAY_PLANHAT_TOKEN=    # `relay up` sends to the sandbox; with --planhat URL this is wanted"
    )
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """As YAML reads it back."""
    return text if re.fullmatch(r"[A-Za-z][A-Za-z0-9 -]*", text) else f'"{text}"'.replace("\\", "\\\\")


def _write(path: Path, text: str, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _tell(path: Path, beside: Path, senders: Sequence[str]) -> None:
    click.echo(f"{path}: {counted(len(senders), 'source')}. {beside}: its secrets, for you alone.")
    click.echo(f"Next:  relay check {path}")
    click.echo(f"       relay up --config {path}")
    click.echo(f"       relay send --source {senders[0]}    (in another terminal)")
