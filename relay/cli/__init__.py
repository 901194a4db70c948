"""The command line. One module a command group, imported only when its command runs: `relay --help` stays quick.

Exit codes: 0 done, 1 the thing asked for failed, 2 the user's mistake. Errors are sentences on standard error, never a
traceback.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from relay.cli.output import wants_color
from relay.errors import NotFound, RelayError, UserError

#: What the shells' scripts set when they ask.
COMPLETE_VARIABLE = "_RELAY_COMPLETE"

#: command -> (module, attribute, one line of help).
COMMANDS: dict[str, tuple[str, str, str]] = {
    "up": (
        "relay.cli.up",
        "up",
        "Everything on one machine: embedded Redis, sandbox, web side, workers, console.",
    ),
    "serve": ("relay.cli.serve", "serve", "The web side alone."),
    "work": ("relay.cli.work", "work", "The workers alone."),
    "sandbox": ("relay.cli.sandbox", "sandbox", "The Planhat sandbox alone."),
    "init": ("relay.cli.init", "init", "A first config, by three questions."),
    "check": ("relay.cli.check", "check", "Validate a config offline: every mistake at once."),
    "explain": ("relay.cli.explain", "explain", "What the relay would do with a payload, sending nothing."),
    "rules": ("relay.cli.rules", "rules", "The default rules of each adapter, to copy and edit."),
    "backtest": ("relay.cli.backtest", "backtest", "Compare new rules with today's over stored events."),
    "send": ("relay.cli.send", "send", "Post a sample, signed just as the provider would."),
    "events": (
        "relay.cli.events",
        "events",
        "What came in, newest first: by time, source, state, sender, words.",
    ),
    "trace": ("relay.cli.trace", "trace", "The whole story of one event or conversation."),
    "dead": ("relay.cli.dead", "dead", "Dead letters: list, show, edit, replay, discard."),
    "replay": ("relay.cli.replay", "replay", "Map stored events again with today's rules."),
    "companies": (
        "relay.cli.companies",
        "companies",
        "What no company was found for, with the YAML to paste.",
    ),
    "pause": ("relay.cli.pause", "pause", "Hold delivery, or one source; nothing is lost while held."),
    "resume": ("relay.cli.pause", "resume", "Let delivery, or one source, go on."),
    "drop": ("relay.cli.drop", "drop", "Kill switch: count matching events as filtered, for a while."),
    "rejected": (
        "relay.cli.rejected",
        "rejected",
        "The last refused requests: when, why, how large; never the body.",
    ),
    "audit": ("relay.cli.audit", "audit", "Who changed or looked at what, by name and address."),
    "sign-in": ("relay.cli.sign_in", "sign_in", "A link that opens the console, in the place of the token."),
    "erase": ("relay.cli.erase", "erase", "Erase one person or conversation from everything stored."),
    "stats": ("relay.cli.stats", "stats", "The ledger and the state of delivery."),
    "alerts": ("relay.cli.alerts", "alerts", "What is wrong now and who is told; try each channel."),
    "doctor": ("relay.cli.doctor", "doctor", "Check the live set-up, one line each."),
    "prune": (
        "relay.cli.prune",
        "prune",
        "Free archive and documents that are settled; works while Redis is full.",
    ),
    "adopt": ("relay.cli.adopt", "adopt", "Take a lane over for another Planhat, after a real move."),
    "completion": ("relay.cli.completion", "completion", "Completion for bash, zsh or fish."),
    "conversations": ("relay.cli.conversations", "conversations", "Planhat's conversation operations."),
}


#: What a write to a file says that takes no more.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
#: What Python makes of a byte that is no text.
_NO_TEXT = re.compile("[\ud800-\udfff]")


class _ReaderGone(Exception):
    """Whoever read standard output has enough. Click would end with 1 for it, which says that nothing was found."""


class Commands(click.Group):
    """Loads a command's module when it is asked for; `--help` lists from the table above."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGone from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(import_module(entry[0]), entry[1])
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"planhat-relay {version('planhat-relay')}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Relay webhooks of Slack, mail and help desks to Planhat as conversations: durably, once, in order.

    Start with `relay up`, which needs nothing else on the machine. Every command has a --help with an example. Exit codes:
    0 done, 1 the thing asked for failed, 2 the user's mistake.
    """
    ctx.color = wants_color()


def _called_as() -> str | None:
    """None: as click finds it. `python -m relay.cli` is called by the product's name."""
    return "relay" if sys.argv[0].endswith("__main__.py") else None


def _stand_in_for_closed_streams() -> None:
    """Open the null device for each standard stream that whoever started us has closed: else Python has None there, and the next file
    or connection takes its number."""
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode))


def _refuse_what_is_no_text(arguments: Sequence[str]) -> None:
    """Raise UserError for an argument of bytes that are no text in UTF-8: no address, id or word is written so, and neither Redis nor
    JSON takes it. The name of a file that is there may be."""
    for number, argument in enumerate(arguments, 1):
        if not argument.isascii() and _NO_TEXT.search(argument) and not os.path.lexists(argument):
            raise UserError(f"argument {number} is not UTF-8: {os.fsencode(argument)!r}")


def _leave_output() -> None:
    """Print nothing more: what is still to be flushed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command, as the console script, and turn errors into sentences and exit codes."""
    _stand_in_for_closed_streams()
    try:
        _refuse_what_is_no_text(sys.argv[1:])
        code: Any = cli.main(standalone_mode=False, prog_name=_called_as(), complete_var=COMPLETE_VARIABLE)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except UserError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except NotFound as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except RelayError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except (_ReaderGone, BrokenPipeError):
        # `relay stats | head`: whoever read us has enough.
        _leave_output()
        sys.exit(0)
    except OSError as error:
        if error.errno not in _NO_ROOM or error.filename:
            raise
        # The disk under `relay stats > FILE`.
        _leave_output()
        click.echo(f"standard output cannot be written: {error.strerror}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
