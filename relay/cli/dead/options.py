"""Options that the commands for dead letters share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from relay.cli.asking import MOMENT, TIMES
from relay.cli.names import CAUSE, LETTER, SOURCE_PARAM
from relay.cli.place import lane_options
from relay.operations.selection import Selection

_F = TypeVar("_F", bound=Callable[..., Any])


def json_and_place(command: _F) -> _F:
    for option in (
        lane_options,
        click.option("--json", "as_json", is_flag=True, help="In the API's shape."),
    ):
        command = option(command)
    return command


def filters(command: _F) -> _F:
    for option in (
        click.option("--until", type=MOMENT, default="", help="Dead before this moment."),
        click.option("--since", type=MOMENT, default="", help=f"Dead since: {TIMES}."),
        click.option("--source", type=SOURCE_PARAM, default="", help="Letters of this source."),
        click.option(
            "--cause",
            type=CAUSE,
            default="",
            help="Letters of this cause: its id (c-3f2a), its text, or a part of it.",
        ),
    ):
        command = option(command)
    return command


def choice(command: _F) -> _F:
    """Return ids, or filters, and whether it is only tried."""
    command = click.option("--yes", is_flag=True, help="Do not ask.")(command)
    command = click.option("--dry-run", is_flag=True, help="Only say how many, and what would change.")(
        command
    )
    command = click.option("--all", "everything", is_flag=True, help="Every dead letter.")(command)
    return click.argument("ids", nargs=-1, metavar="[ID]...", type=LETTER)(filters(command))


def lane_with(context: Any, ids: Sequence[str]) -> Any:
    """Return the context of the lane in which these letters are: the one that is meant, or the only one that has any of them. Raises
    UserError where several have."""
    from relay.errors import UserError

    if not ids or not context.several:
        return context
    holders = [lane for lane in context.each_lane() if lane.outbox.dead.get_many(ids)]
    if len(holders) > 1:
        names = ", ".join(lane.lane for lane in holders)
        raise UserError(f"several lanes have such a letter: name one with --lane ({names})")
    return holders[0] if holders else context.each_lane()[0]


def lane_told(context: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Return `found` with the `lane` that it is of, where nobody named one and the config has several: as the API answers."""
    return {**found, "lane": context.lane} if context.whole is not None else found


def selection_of(
    context: Any, ids: Sequence[str], cause: str, source: str, since: str, until: str, everything: bool
) -> tuple[Selection, dict[str, Any]]:
    """Return what is meant, and what of it stands in the audit. Raises UserError where nothing is named."""
    from relay.operations.selection import read_selection

    asked: dict[str, Any] = {
        "cause": cause,
        "source": source,
        "since": since,
        "until": until,
        "all": everything,
    }
    if ids:
        asked["ids"] = list(ids)
    asked = {key: value for key, value in asked.items() if value}
    return read_selection(asked, context.outbox.now_ms()), asked
