"""All lanes of a config with several tenants, one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from relay.errors import OutboxUnavailable
from relay.operations.context import WebContext
from relay.operations.stats import read_stats
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, View


def route(frame: Frame, lanes: Callable[[], Mapping[str, WebContext]]) -> Route:
    """Return `/console/lanes`."""

    def page(request: Request, operator: Operator, form: FormValues) -> View:
        # Lanes behind one connection are away together: asking each would take as many times two seconds.
        away: dict[int, str] = {}
        rows = []
        for name, context in lanes().items():
            behind = id(context.outbox.redis)
            row = _row(name, context, away.get(behind, ""))
            if row["away"]:
                away[behind] = row["away"]
            rows.append(row)
        return View("lanes.html", {"rows": rows, "lane": ""}, here="")

    return frame.get("/lanes", page)


def _row(name: str, context: WebContext, away: str) -> dict[str, Any]:
    planhat = context.config.lane(name).url or context.settings.planhat_url
    if away:
        return {"name": name, "planhat": planhat, "away": away}
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
