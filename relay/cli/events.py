"""`relay events`: what came in, newest first; found by time, source, sender, words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import click

from relay.cli.asking import MOMENT, TIMES
from relay.cli.event_rows import event_line, none_fits
from relay.cli.names import KIND_PARAM, RULE_PARAM, SOURCE_PARAM, STATE_PARAM
from relay.cli.output import reader_gone
from relay.cli.place import Place, lane_options

#: Filters that want events read whole, which the config says how to.
BY_CONTENT: Final = ("kind", "rule", "from", "company", "text")
#: Between two looks of `--follow`.
_FOLLOW_S: Final = 1.0


@click.command()
@click.option("--since", type=MOMENT, default="", help=f"Received from this moment on: {TIMES}.")
@click.option("--until", type=MOMENT, default="", help="Received up to this moment.")
@click.option("--source", type=SOURCE_PARAM, default="", help="Of this source.")
@click.option(
    "--state", "wanted_state", type=STATE_PARAM, default="", help="In this state now; several with commas."
)
@click.option("--kind", type=KIND_PARAM, default="", help="Of this kind, e.g. email.received.")
@click.option("--rule", type=RULE_PARAM, default="", help="That this rule took.")
@click.option("--from", "sender", default="", help="An address, a domain (@example.com), or words of a name.")
@click.option("--company", default="", help="Whose conversation belongs to this company (its _id).")
@click.option("--text", default="", help="That hold all these words, each whole.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--after", default="", help="The `next` of the page before.")
@click.option("--follow", is_flag=True, help="Print each as it comes, and again as its state changes.")
@click.option(
    "--json", "as_json", is_flag=True, help="As GET /api/v1/events gives it; --follow: a line each."
)
@click.option("--json-lines", is_flag=True, help="A JSON object a line for each event.")
@lane_options
def events(
    since: str, until: str, source: str, wanted_state: str, kind: str, rule: str, sender: str, company: str,
    text: str, limit: int, after: str, follow: bool, as_json: bool, json_lines: bool,
    place: Place,
) -> None:  # fmt: skip
    """List the events that came in, newest first: time, source, kind, state, sender, subject, conversation, id. All filters must
    fit. Exit code 1 where none does.

    \b
    Examples:
        relay events --since 2h --state dead
        relay events --from anna@customer.example --text "invoice wrong"
        relay events --source slack --follow
    """
    from relay.cli.context import open_context

    context = open_context(place)
    given = {
        "since": since, "until": until, "source": source, "state": wanted_state, "kind": kind, "rule": rule,
        "from": sender, "company": company, "text": text,
    }  # fmt: skip
    asked = {name: value for name, value in given.items() if value}
    if any(name in asked for name in ("from", "text", "company")):
        context.audit("look", page="events", **{name: asked[name] for name in asked if name != "text"})
    if any(name in asked for name in BY_CONTENT) and context.config_or_none is None:
        click.echo("what came last is found by sender and subject alone", err=True)
    if follow:
        with suppress(KeyboardInterrupt):
            _follow(context, asked, lines=as_json or json_lines)
        return
    rows: list[dict[str, Any]] = []
    following = after
    while len(rows) < limit:
        found = _page(context, asked, min(limit - len(rows), 500), following)
        rows += found["events"]
        if not as_json:
            for row in found["events"]:
                _print(row, lines=json_lines)
        following = found["next"] or ""
        if not following:
            break
    if as_json:
        click.echo(json.dumps({**found, "events": rows}, indent=2, ensure_ascii=False))
    elif following and not json_lines:
        click.echo(f"more: a larger --limit, or --after {following}", err=True)
    if not rows:
        click.echo(none_fits(context, asked), err=True)
        raise click.exceptions.Exit(1)


def list_of_sender(context: Any, email: str, *, as_json: bool) -> None:
    """Prints the last events that came from an address. Exit code 1 where there is none."""
    context.audit("look", page="events", **{"from": email})
    found = _page(context, {"from": email}, 50, "")
    if as_json and found["events"]:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for row in found["events"]:
        _print(row, lines=False)
    if not found["events"]:
        click.echo(f"no event, conversation or sender {email[:200]!r}", err=True)
        raise click.exceptions.Exit(1)


def _page(context: Any, asked: dict[str, str], limit: int, after: str) -> dict[str, Any]:
    """Of the lane that is meant, or of all."""
    from relay.operations.merged import merge_events
    from relay.operations.search.list_events import list_events

    lanes = {lane.lane: lane for lane in context.each_lane()}

    def ask(lane: str, limit: int, after: str) -> dict[str, Any]:
        return list_events(lanes[lane], asked, limit=limit, after=after)

    with _named_options():
        if len(lanes) == 1:
            return ask(next(iter(lanes)), limit, after)
        return merge_events(tuple(lanes), ask, limit=limit, after=after)


@contextmanager
def _named_options() -> Iterator[None]:
    """Says which option makes no sense."""
    from relay.errors import UserError
    from relay.operations.selection import InputInvalid

    try:
        yield
    except InputInvalid as error:
        raise UserError(f"--{error}") from error
    except ValueError as error:
        raise UserError(f"--after: {error}") from error


def _follow(context: Any, asked: dict[str, str], *, lines: bool) -> None:
    """Until it is interrupted, or nobody reads any more."""
    from relay.errors import OutboxUnavailable
    from relay.operations.search.follow import FollowedEvents

    with _named_options():
        followed = {lane.lane: FollowedEvents(lane, asked) for lane in context.each_lane()}
    away = False
    while not reader_gone():
        time.sleep(_FOLLOW_S)
        try:
            rows = [
                {**row, "lane": lane} if len(followed) > 1 else row
                for lane, one in followed.items()
                for row in one.look()
            ]
        except OutboxUnavailable as error:
            if not away:
                click.echo(f"{error}; going on when it is back", err=True)
            away = True
            continue
        away = False
        for row in rows:
            _print(row, lines=lines)


def _print(row: dict[str, Any], *, lines: bool) -> None:
    click.echo(json.dumps(row, ensure_ascii=False) if lines else event_line(row))
