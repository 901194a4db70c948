"""The events that came in: found by what people remember of them, newest first; one in full, and sent again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.routing import Route

from relay.event import KINDS
from relay.operations.context import WebContext, tenant_of
from relay.operations.pause import known_sources
from relay.operations.search.list_events import list_events
from relay.operations.search.one_event import explain_event, resend_event, show_event
from relay.operations.search.wanted import FILTERS
from relay.operations.selection import InputInvalid
from relay.operations.trace import conversation_story
from relay.outbox.items import STATES
from relay.web.access import Operator
from relay.web.console.events_live import LiveEvents
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, Go, View
from relay.web.payloads import require_filters

EVENTS_A_PAGE: Final = 50


def routes(frame: Frame) -> list[Route]:
    pages = _Events(frame)
    live = LiveEvents(frame, lambda asked: look(frame.context, asked))
    return [
        frame.get("/events", pages.all),
        Route(f"{frame.base}/events/live", live.stream, methods=["GET"]),
        frame.get("/events/{id}", pages.one),
        frame.post("/events/{id}/resend", pages.resend, act="event resend"),
    ]


def look(context: WebContext, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return what the list shows: `list_events`'s page, and the filters as links have them. Raises InputInvalid, OutboxUnavailable."""
    filters = {name: asked[name].strip()[:1000] for name in FILTERS if asked.get(name, "").strip()}
    found = list_events(context, filters, limit=EVENTS_A_PAGE, after=asked.get("after", ""))
    return {"found": found, "query": urlencode(filters)}


class _Events:
    def __init__(self, frame: Frame) -> None:
        self._context = frame.context

    def all(self, request: Request, operator: Operator, form: FormValues) -> View:
        asked = dict(request.query_params)
        require_filters(asked, sees_payloads=operator.sees_payloads)
        shown: dict[str, Any] = {
            "filter": {name: asked.get(name, "") for name in FILTERS},
            "narrowed": any(asked.get(name, "").strip() for name in FILTERS),
            # An older page stands still.
            "live": not asked.get("after"),
            "older": bool(asked.get("after")),
            "message": "",
            "sources": sorted(known_sources(self._context.outbox, self._context.sources)),
            "kinds": sorted(KINDS),
            "states": STATES,
            "rules": self._rules(),
        }
        try:
            return View("events.html", shown | look(self._context, asked), here="/events")
        except InputInvalid as error:
            # What was typed stays to be mended.
            shown |= {"message": str(error), "found": None, "query": "", "live": False}
            return View("events.html", shown, here="/events", status=422)

    def _rules(self) -> list[str]:
        book = self._context.rulebook
        return sorted({rule.name for of in (book.rules, *book.by_source.values()) for rule in of})

    def one(self, request: Request, operator: Operator, form: FormValues) -> View:
        event = show_event(self._context, request.path_params["id"])
        outbox, home = self._context.outbox, event["externalId"]
        explained = explain_event(self._context, event["id"]) if operator.sees_payloads else None
        if explained:
            explained |= {"known": bool(home), "planhat_link": event["planhat_link"]}
        shown = {
            # Not `event`: what is so named is hidden from readers.
            "one": event,
            "conversation": conversation_story(outbox, home, tenant=tenant_of(self._context))
            if home
            else None,
            "batches": [step for step in event["history"] if step.get("batch")],
            "told": {"skipped": [], "parked": [], "events": [explained]} if explained else None,
        }
        return View("event.html", shown, here="/events")

    def resend(self, request: Request, operator: Operator, form: FormValues) -> Go:
        event_id = request.path_params["id"]
        done = resend_event(self._context, event_id, by=operator.name)
        return Go(f"/events/{quote(event_id, safe='')}", "resent" if done["sent"] else "same")
