"""Questions before something changes many things, and times as people write them."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
from click.shell_completion import CompletionItem

from relay.errors import UserError
from relay.operations.moments import MOMENT_FORMS, iso, names_a_clock, parse_moment


def ask_first(question: str, *, yes: bool, otherwise: str = "look first with --dry-run") -> None:
    """Goes on where `yes` was given, or somebody at a terminal says so. Raises UserError without a terminal, click.Abort."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError(
            f"this asks before it does so ({question}); without a terminal say --yes, or {otherwise}"
        )
    click.confirm(question, abort=True)


class Moment(click.ParamType[str]):
    """A moment, as `parse_moment` takes them. What depends on a clock is read by this machine's and handed on in UTC; "2h" is
    handed on as it stands: it counts from Redis's clock."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not text:
            return ""
        now_ms = int(time.time() * 1000)
        try:
            moment_ms = parse_moment(text, now_ms, None)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return iso(moment_ms) or text if names_a_clock(text) else text

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        words = ("1h", "24h", "7d", "today", "yesterday", "now")
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]


MOMENT = Moment()
#: For help texts.
TIMES = f"{MOMENT_FORMS}; what names no zone is by this machine's clock"
