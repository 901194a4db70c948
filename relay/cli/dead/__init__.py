"""`relay dead`: dead letters, listed, shown, edited, replayed, discarded; causes muted and assigned."""

from __future__ import annotations

import click

from relay.cli.dead import causes, look, mend


@click.group()
def dead() -> None:
    """Show and mend dead letters: what Planhat refused for good, or no rule could map. Nothing in here is lost: mend the rule, the
    directory or the letter itself, then replay. Each cause has a short id (c-3f2a) that every command takes.

    \b
    Examples:
        relay dead list
        relay dead show dead_0123456789abcdef01234567
        relay dead replay --cause c-3f2a --dry-run
    """


for _command in (*look.COMMANDS, *mend.COMMANDS, *causes.COMMANDS):
    dead.add_command(_command)
