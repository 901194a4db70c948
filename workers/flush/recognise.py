"""After Redis was set back: which conversations stand in Planhat is read from Planhat's own list, page by page, and a mark
left for each. Until that is done each conversation that is not known here is looked up by itself (see `recall.py`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from relay.errors import PlanhatError
from relay.outbox.epoch import read_life
from relay.outbox.outbox import Outbox
from relay.outbox.scripts import run_script
from relay.outbox.shared_metrics import SharedMetrics
from relay.telemetry import log

PAGE: Final = 2_000
#: Pages overlap: what is deleted meanwhile moves the others up.
OVERLAP: Final = 50


class Lister(Protocol):
    def list_page(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        select: Iterable[str] = (),
        timeout_s: float | None = None,
    ) -> Sequence[Mapping[str, Any]]: ...


def recognise_delivered(
    outbox: Outbox,
    planhat: Lister,
    *,
    may_call: Callable[[], bool],
    metrics: SharedMetrics,
    page: int = PAGE,
) -> int:
    """Reads on where the last time ended, for as long as `may_call()` allows; how many conversations were found. Raises
    OutboxUnavailable; where Planhat cannot be asked it ends, to be called again."""
    found = 0
    life = read_life(outbox)
    offset = life.offset
    while life.unsure and may_call():
        try:
            rows = planhat.list_page(
                limit=page, offset=offset or None, select=("externalId",), timeout_s=30.0
            )
        except PlanhatError as error:
            metrics.add(
                "relay_planhat_requests_total",
                {"operation": "GET conversations", "status": type(error).__name__},
            )
            return found
        metrics.add("relay_planhat_requests_total", {"operation": "GET conversations", "status": "200"})
        ids = [
            row["externalId"] for row in rows if isinstance(row.get("externalId"), str) and row["externalId"]
        ]
        found += len(ids)
        last = len(rows) < page
        if last and rows and not (found or life.found):
            # Perhaps this Planhat does not tell externalIds in its list: nobody is the wiser.
            log("recognise.nothing_told", level=logging.WARNING, conversations=len(rows))
            return found
        offset += max(1, len(rows) - min(OVERLAP, page // 2))
        noted = run_script(
            outbox.redis,
            "mark",
            outbox.prefix,
            [0, outbox.retention.mark_years, life.number, offset, int(last), *ids],
        )
        if not noted or last:
            log("recognise.done", conversations=found, sure=bool(noted))
            return found
    return found
