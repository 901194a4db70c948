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
from relay.operations.lane_facts import AskedLane, LaneFacts, read_facts_together
from relay.operations.left_lanes import left_lanes
from relay.operations.trace import find
from relay.outbox.items import balanced
from relay.outbox.lane_servers import LaneServers
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, Go, View


def routes(frame: Frame, lanes: Callable[[], Mapping[str, WebContext]]) -> list[Route]:
    """Return `/console` and `/console/lanes`."""
    servers = LaneServers()

    def page(request: Request, operator: Operator, form: FormValues) -> View | Go:
        contexts = lanes()
        wanted = request.query_params.get("id", "").strip()[:1000]
        if found := _lane_of(wanted, contexts) if wanted else "":
            return Go(f"/lanes/{found}/trace?id={quote(wanted, safe='')}")
        asked = [AskedLane(one.outbox, one.delivery) for one in contexts.values()]
        facts = read_facts_together(servers, asked, letters=False)
        rows = [_row(name, contexts[name], one) for name, one in zip(contexts, facts, strict=True)]
        left = []
        # Where it cannot be asked now, the rows say so.
        if not any(row["away"] for row in rows):
            with suppress(OutboxUnavailable):
                left = left_lanes(frame.context.outbox.home, frame.context.config.lane_names, servers)
        shown = {"rows": rows, "left": left, "wanted": wanted}
        return View("lanes.html", shown, here="", status=404 if wanted else 200)

    return [frame.get(path, page) for path in ("", "/", "/lanes", "/lanes/")]


def _lane_of(some_id: str, contexts: Mapping[str, WebContext]) -> str:
    """The first lane that knows an id, "" where none does."""
    away: set[int] = set()
    for name, context in contexts.items():
        if id(context.outbox.redis) in away:
            continue
        try:
            find(context.outbox, some_id, context.config.sources)
        except NotFound:
            continue
        except OutboxUnavailable:
            away.add(id(context.outbox.redis))
            continue
        return name
    return ""


def _row(name: str, context: WebContext, facts: LaneFacts | OutboxUnavailable) -> dict[str, Any]:
    planhat = context.config.lane(name).url or context.settings.planhat_url
    if isinstance(facts, OutboxUnavailable):
        return {"name": name, "planhat": planhat, "away": str(facts)}
    ledger = facts.books.ledger()
    return {
        "name": name,
        "planhat": planhat,
        "away": "",
        "state": facts.delivery.state.state,
        "reason": facts.delivery.state.reason,
        "pending": sum(facts.pending.values()),
        "oldest_s": facts.oldest_s,
        "dead": facts.dead,
        "delivered": sum(counts["delivered"] for counts in ledger.values()),
        "balanced": all(map(balanced, ledger.values())),
    }
