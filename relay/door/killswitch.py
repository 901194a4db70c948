"""The kill switch: `relay drop`'s conditions as the door applies them. It fails open: a condition that cannot be read or
evaluated drops nothing, and every drop ends by itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from relay.event import Event
from relay.rules.file.yaml_file import YamlSource
from relay.rules.language.template import Compiled, Context, TemplateFailed, TemplateInvalid
from relay.rules.slots import build_condition
from relay.telemetry import log


class KillSwitch:
    """`update` takes the rows of `Outbox.drops`; calling it with an event gives the id of the drop that it falls under, or None."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._compiled: list[tuple[str, str, Compiled | None]] = []

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What it was updated with."""
        return self._rows

    @property
    def armed(self) -> bool:
        return bool(self._compiled)

    def update(self, rows: Sequence[dict[str, Any]]) -> None:
        if list(rows) == self._rows:
            return
        self._rows = list(rows)
        compiled: list[tuple[str, str, Compiled | None]] = []
        for row in rows:
            try:
                where = Compiled(row["where"], native=True) if row["where"] else None
            except TemplateInvalid:
                log("drop.ignored", level=logging.ERROR, drop=row["id"], why="its condition does not compile")
                continue
            compiled.append((str(row["id"]), str(row["source"]), where))
        self._compiled = compiled
        log("drop.changed", level=logging.WARNING, drops=[drop_id for drop_id, _, _ in compiled])

    def __call__(self, event: Event) -> str | None:
        for drop_id, source, where in self._compiled:
            if source and source != event.source:
                continue
            try:
                if where is None or where(Context(event)):
                    return drop_id
            except TemplateFailed:
                continue
        return None


def condition_problem(where: str) -> str:
    """Return why `where` is no condition, checked as a rule's `when` is (unknown fields, filters and kinds too); "" where it is one."""
    source = YamlSource("")
    build_condition(where, ("where",), source)
    return source.mistakes[0].message if source.mistakes else ""
