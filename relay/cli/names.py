"""Options that name something: a source, a rule, a cause, a lane, an adapter. The shell completes them from the relay that the
command would talk to; where none is found it completes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from relay.cli.place import place_of

#: The name and what is said of it.
_Names = Iterable[tuple[str, str]]


class NameParam(click.ParamType[str]):
    """`known` gives the names there are, from a `CliContext`."""

    def __init__(self, name: str, known: Callable[[Any], _Names]) -> None:
        self.name = name
        self._known = known

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from relay.cli.context import open_context

        try:
            found = list(self._known(open_context(place_of(ctx.params))))
        except Exception:
            # Somebody presses Tab: nothing that is wrong with the set-up may be printed into their line.
            return []
        return [CompletionItem(word, help=said) for word, said in found if word.startswith(incomplete)]


def _sources(context: Any) -> _Names:
    return [(name, source.adapter) for name, source in context.config.sources.items()]


def _rules(context: Any) -> _Names:
    names = {
        rule.name: "" for source in context.config.sources for rule in context.rulebook.rules_for(source)
    }
    return names.items()


def _causes(context: Any) -> _Names:
    from relay.operations.dead.look import list_dead
    from relay.operations.selection import Selection

    found: dict[str, str] = {}
    for lane in context.each_lane():
        for group in list_dead(lane.outbox, Selection(), limit=1)["groups"]:
            found.setdefault(group["id"], f"{group['count']}: {group['cause']}")
    return found.items()


def _letters(context: Any) -> _Names:
    from relay.operations.dead.look import list_dead
    from relay.operations.selection import Selection

    return [
        (item["id"], item["cause"])
        for lane in context.each_lane()
        for item in list_dead(lane.outbox, Selection(), limit=100)["items"]
    ]


def _drops(context: Any) -> _Names:
    return [(str(row["id"]), str(row["where"] or row["source"])) for row in context.home.drops()]


def _lanes(context: Any) -> _Names:
    return [(name, "") for name in context.lane_names]


def _states(context: Any) -> _Names:
    from relay.outbox.items import STATES

    return [(state, "") for state in STATES]


def _kinds(context: Any) -> _Names:
    from relay.event import KINDS

    return [(kind, "") for kind in sorted(KINDS)]


def _adapters(context: Any) -> _Names:
    from relay.rules.defaults import FAMILIES

    return [(name, "") for name in FAMILIES]


SOURCE_PARAM = NameParam("source", _sources)
RULE_PARAM = NameParam("rule", _rules)
CAUSE = NameParam("cause", _causes)
LETTER = NameParam("id", _letters)
DROP = NameParam("id", _drops)
LANE_PARAM = NameParam("lane", _lanes)
STATE_PARAM = NameParam("state", _states)
KIND_PARAM = NameParam("kind", _kinds)
ADAPTER = NameParam("adapter", _adapters)
