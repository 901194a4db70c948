"""`relay completion`: a shell's own script that asks `relay` what may stand where Tab was pressed."""

from __future__ import annotations

import click

#: shell -> where a user puts the script.
_SHELLS = {
    "bash": 'eval "$(relay completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(relay completion zsh)"   in ~/.zshrc, behind compinit',
    "fish": "relay completion fish > ~/.config/fish/completions/relay.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(tuple(_SHELLS)))
def completion(shell: str) -> None:
    """Print the completion of SHELL: commands, options, and names (sources, rules, causes, letters, adapters), which are read
    from the relay that the command would talk to.

    \b
    Examples:
        eval "$(relay completion bash)"     (in ~/.bashrc)
        eval "$(relay completion zsh)"      (in ~/.zshrc)
        relay completion fish > ~/.config/fish/completions/relay.fish
    """
    from click.shell_completion import get_completion_class

    from relay.cli import COMPLETE_VARIABLE, cli

    made = get_completion_class(shell)
    if made is None:  # pragma: no cover - the choice has only shells that click knows
        raise click.UsageError(f"no completion for {shell}")
    click.echo(made(cli, {}, "relay", COMPLETE_VARIABLE).source())
