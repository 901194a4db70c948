"""All lanes of a config with several tenants, one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.routing import Route

from relay.errors import NotFound, OutboxUnavailable
from relay.operations.context import WebContext
from relay.operations.left_lanes import left_lanes
from relay.operations.stats import read_stats
from relay.operations.trace import find
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, Go, View


def routes(frame: Frame, lanes: Callable[[], Mapping[str, WebContext]]) -> list[Route]:
    """Return `/console` and `/console/lanes`."""

    def page(request: Request, operator: Operator, form: FormValues) -> View | Go:
        contexts = lanes()
        wanted = request.query_params.get("id", "").strip()[:1000]
        if found := _lane_of(wanted, contexts) if wanted else "":
            return Go(f"/lanes/{found}/trace?id={quote(wanted, safe='')}")
        # Lanes behind one connection are away together: asking each would take as many times two seconds.
        away: dict[int, str] = {}
        rows = []
        for name, context in contexts.items():
            behind = id(context.outbox.redis)
            row = _row(name, context, away.get(behind, ""))
            if row["away"]:
                away[behind] = row["away"]
            rows.append(row)
        left = []
        # Where it cannot be asked now, the rows say so.
        if not away:
            with suppress(OutboxUnavailable):
                left = left_lanes(frame.context.outbox.home, frame.context.config.lane_names)
        shown = {"rows": rows, "left": left, "wanted": wanted}
        return View("lanes.html", shown, here="", status=404 if wanted else 200)

    return [frame.get(path, page) for path in ("", "/", "/lanes", "/lanes/")]


def _lane_of(some_id: str, contexts: Mapping[str, WebContext]) -> str:
    """The first lane that knows an id, "" where none does."""
    for name, context in contexts.items():
        with suppress(NotFound, OutboxUnavailable):
            find(context.outbox, some_id, context.config.sources)
            return name
    return ""


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
