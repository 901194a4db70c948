"""All lanes of a config with several tenants, one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from relay.errors import OutboxUnavailable
from relay.operations.context import WebContext
from relay.operations.left_lanes import left_lanes
from relay.operations.stats import read_stats
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, View


def routes(frame: Frame, lanes: Callable[[], Mapping[str, WebContext]]) -> list[Route]:
    """Return `/console` and `/console/lanes`."""

    def page(request: Request, operator: Operator, form: FormValues) -> View:
        rows = [_row(name, context) for name, context in lanes().items()]
        left = []
        # Where it cannot be asked now, the rows say so.
        with suppress(OutboxUnavailable):
            left = left_lanes(frame.context.outbox.home, frame.context.config.lane_names)
        return View("lanes.html", {"rows": rows, "left": left}, here="")

    return [frame.get(path, page) for path in ("", "/", "/lanes", "/lanes/")]


def _row(name: str, context: WebContext) -> dict[str, Any]:
    planhat = context.config.lane(name).url or context.settings.planhat_url
    try:
        stats = read_stats(context.outbox, context.delivery, problems=False)
    except OutboxUnavailable as error:
        return {"name": name, "planhat": planhat, "away": str(error)}
    return {
        "name": name,
        "planhat": planhat,
        "away": "",
        "state": stats["delivery"]["state"],
        "reason": stats["delivery"]["reason"],
        "pending": stats["pending_items"],
        "oldest_s": stats["oldest_pending_seconds"],
        "dead": stats["dead_letters"],
        "delivered": sum(counts["delivered"] for counts in stats["sources"].values()),
        "balanced": stats["balanced"],
    }
