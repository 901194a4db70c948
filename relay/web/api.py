"""`/api/v1`: what the console shows, for programs. Each handler is a sync function run in a thread, because the outbox
speaks to Redis synchronously; the event loop stays with the webhooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.routing import Route

from relay.errors import NotFound
from relay.operations.audit import list_audit
from relay.operations.companies import missing_companies
from relay.operations.context import WebContext, tenant_of
from relay.operations.dead.causes import mark_cause
from relay.operations.dead.discard import discard_dead
from relay.operations.dead.edit import edit_dead
from relay.operations.dead.look import letter_of, list_dead, show_dead
from relay.operations.dead.replay import TOLD_AT_MOST, replay_dead
from relay.operations.drops import begin_drop, end_drop, list_drops
from relay.operations.explain import explain_request
from relay.operations.pause import known_sources, pause_delivery, resume_delivery
from relay.operations.plots import take_sample
from relay.operations.progress import Operation, read_operations
from relay.operations.replay import SAMPLE_TOLD, replay_events, require_kept
from relay.operations.runs import run_beside
from relay.operations.search.list_events import ASKABLE, list_events
from relay.operations.search.one_event import show_event
from relay.operations.selection import (
    InputInvalid,
    Selection,
    read_flag,
    read_moment,
    read_selection,
    read_text,
)
from relay.operations.source_rows import read_sources
from relay.operations.stats import read_stats
from relay.operations.trace import find
from relay.web import api_lanes
from relay.web.access import Access, Operator, access_of
from relay.web.api_lanes import MAX_PAGE, of_letters, of_whoever_has_it, page_of, summed
from relay.web.api_routes import ApiRoutes
from relay.web.asked import read_listed, read_values, read_whole
from relay.web.openapi import api_document
from relay.web.payloads import require_filters

_SELECTION = frozenset({"ids", "cause", "source", "since", "until", "all", "dry_run"})
_DEAD_FILTERS = frozenset({"cause", "source", "since", "until", "limit", "after", "next"})
_AUDIT_FILTERS = frozenset({"since", "until", "limit", "after", "next"})
_MISSING_FILTERS = frozenset({"source", "since", "limit"})


def api_routes(
    context: WebContext,
    access: Access | None = None,
    lanes: Callable[[], Mapping[str, WebContext]] | None = None,
) -> list[Route]:
    """Return `lanes()`: the contexts of the config's lanes, by name; None: there is one."""
    return made(Api(context, access or access_of(context), lanes))


def made(api: Api) -> list[Route]:
    """Return the routes of `api`."""
    return [
        api.route("/stats", Api.stats, merge=api_lanes.StatsTogether()),
        api.route("/sources", Api.sources, merge=api_lanes.sources),
        api.route("/events", Api.events, asks=ASKABLE, merge=api_lanes.events),
        api.route("/events/{id}", Api.event, merge=of_whoever_has_it),
        api.route("/trace/{id:path}", Api.trace, merge=of_whoever_has_it),
        api.route(
            "/companies/missing", Api.companies_missing, asks=_MISSING_FILTERS, merge=api_lanes.missing
        ),
        api.route("/dead", Api.dead, asks=_DEAD_FILTERS, merge=api_lanes.dead),
        api.route(
            "/dead/replay", Api.dead_replay, _SELECTION | {"limit"}, act="dead replay", merge=of_letters
        ),
        api.route(
            "/dead/discard", Api.dead_discard, _SELECTION | {"reason"}, act="dead discard", merge=of_letters
        ),
        api.route(
            "/dead/causes/{id}",
            Api.dead_cause,
            frozenset({"muted", "muted_until", "assigned", "note"}),
            method="PATCH",
            act="dead cause",
            merge=api_lanes.of_all_that_know_it,
        ),
        api.route("/dead/{id}", Api.dead_one, merge=of_whoever_has_it),
        api.route(
            "/dead/{id}",
            Api.dead_edit,
            frozenset({"payload", "fields", "company", "companyId", "raw"}),
            method="PATCH",
            act="dead edit",
            merge=of_whoever_has_it,
        ),
        api.route(
            "/replay",
            Api.replay,
            _SELECTION | {"rule", "archive_orphans", "limit"},
            act="replay",
            merge=summed,
        ),
        api.route("/pause", Api.pause, frozenset({"source"}), act="pause", merge=api_lanes.delivery),
        api.route("/resume", Api.resume, frozenset({"source"}), act="resume", merge=api_lanes.delivery),
        api.route("/drops", Api.drops, own=True),
        api.route("/drops", Api.drop_begin, frozenset({"source", "where", "for"}), act="drop"),
        api.route(
            "/drops", Api.drop_end, frozenset({"id"}), method="DELETE", act="drop end", asks=frozenset({"id"})
        ),
        api.route("/explain", Api.explain, frozenset({"source", "payload", "headers"}), own=True),
        api.route("/audit", Api.audit, own=True, asks=_AUDIT_FILTERS),
        api.route("/operations", Api.operations, merge=api_lanes.operations),
        api.route("/operations/{id}", Api.operation, merge=of_whoever_has_it),
        api.route(
            "/operations/{id}/cancel",
            Api.operation_cancel,
            frozenset(),
            act="operation cancel",
            merge=of_whoever_has_it,
        ),
        api.route("/openapi.json", Api.openapi, own=True),
    ]


class Api(ApiRoutes):
    """The handlers, over one lane."""

    # -- looking ---------------------------------------------------------------------------------------------

    def openapi(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        return api_document()

    def stats(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        found = read_stats(self._context.outbox, self._context.delivery, config=self._context.config)
        take_sample(self._context.outbox)
        return found

    def sources(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        return {"sources": read_sources(self._context.outbox, self._adapters())}

    def events(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        asked = request.query_params
        require_filters(asked, sees_payloads=operator.sees_payloads)
        limit, after = page_of(request, body)
        return list_events(self._context, asked, limit=limit, after=after)

    def event(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        return show_event(self._context, request.path_params["id"])

    def trace(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        return find(
            self._context.outbox,
            request.path_params["id"],
            self._adapters(),
            tenant=tenant_of(self._context),
        )

    def dead(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        asked = request.query_params
        now_ms = self._context.outbox.now_ms()
        selection = Selection(
            cause=read_text(asked, "cause", blank=True),
            source=read_text(asked, "source", blank=True),
            since_ms=read_moment(asked, "since", now_ms, blank=True),
            until_ms=read_moment(asked, "until", now_ms, blank=True),
        )
        limit, after = page_of(request, body)
        try:
            return list_dead(self._context.outbox, selection, limit=limit, after=after)
        except ValueError as error:
            raise InputInvalid(str(error), "after") from None

    def companies_missing(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        asked = request.query_params
        return missing_companies(
            self._context.outbox,
            source=read_text(asked, "source", blank=True),
            since_ms=read_moment(asked, "since", self._context.outbox.now_ms(), blank=True),
            limit=read_whole(asked, "limit", MAX_PAGE, 5000),
        )

    def dead_one(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        return show_dead(self._context, request.path_params["id"])

    def operations(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        return {"operations": read_operations(self._context.outbox, limit=50)}

    def operation(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        return Operation(self._context.outbox, request.path_params["id"]).read()

    def audit(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        asked = request.query_params
        now_ms = self._context.outbox.now_ms()
        try:
            return list_audit(
                self._context.outbox,
                since_ms=read_moment(asked, "since", now_ms, blank=True),
                until_ms=read_moment(asked, "until", now_ms, blank=True),
                limit=read_whole(asked, "limit", 100, MAX_PAGE),
                after=asked.get("after") or asked.get("next") or "",
            )
        except ValueError as error:
            raise InputInvalid(str(error), "after") from None

    # -- mending ---------------------------------------------------------------------------------------------

    def dead_edit(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        payload, fields = read_values(body, "payload"), read_values(body, "fields")
        company = read_text(body, "company") or read_text(body, "companyId")
        raw = body.get("raw")
        if "raw" in body and not (isinstance(raw, str) and raw):
            raise InputInvalid("wanted a string", "raw")
        dead_id = request.path_params["id"]
        letter_of(self._context.outbox, dead_id)
        if not payload and not fields and not company and raw is None:
            raise InputInvalid("nothing to change: give payload, fields, company or raw")
        return edit_dead(
            self._context, dead_id, payload=payload, fields=fields, company=company, raw=raw, by=operator.name
        )

    def dead_cause(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        now_ms = self._context.outbox.now_ms()
        changes: dict[str, Any] = {}
        if "muted" in body:
            changes["muted"] = read_flag(body, "muted")
        if "muted_until" in body:
            until_ms = read_moment(body, "muted_until", now_ms, blank=True)
            changes |= {"muted": True, "muted_until_ms": until_ms}
        for name in ("assigned", "note"):
            if name in body:
                changes[name] = read_text(body, name, blank=True)
        if not changes:
            raise InputInvalid("nothing to change: give muted, muted_until, assigned or note")
        return mark_cause(self._context.outbox, request.path_params["id"], changes, by=operator.name)

    def dead_replay(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        dry_run = read_flag(body, "dry_run")
        selection = read_selection(body, self._context.outbox.now_ms())
        if dry_run:
            limit = read_listed(body, TOLD_AT_MOST)
            return replay_dead(self._context, selection, by=operator.name, dry_run=True, limit=limit)
        return run_beside(
            self._context.outbox,
            "dead replay",
            operator.name,
            body,
            lambda operation: replay_dead(self._context, selection, by=operator.name, operation=operation),
        )

    def dead_discard(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        dry_run, reason = read_flag(body, "dry_run"), read_text(body, "reason", blank=True)
        selection = read_selection(body, self._context.outbox.now_ms())
        outbox = self._context.outbox
        if dry_run:
            return discard_dead(outbox, selection, by=operator.name, dry_run=True)
        return run_beside(
            outbox,
            "dead discard",
            operator.name,
            body,
            lambda operation: discard_dead(
                outbox, selection, by=operator.name, reason=reason, operation=operation
            ),
        )

    def replay(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        now_ms = self._context.outbox.now_ms()
        dry_run, rule = read_flag(body, "dry_run"), read_text(body, "rule")
        archive_orphans, limit = read_flag(body, "archive_orphans"), read_listed(body, SAMPLE_TOLD)
        if "cause" in body:
            raise InputInvalid("events have no cause; dead letters do: POST dead/replay", "cause")
        selection = read_selection(
            {key: value for key, value in body.items() if key in _SELECTION - {"dry_run"}}, now_ms
        )
        until_ms = selection.until_ms or now_ms
        if until_ms <= selection.since_ms:
            raise InputInvalid("must be later than since", "until")
        require_kept(self._context, selection.ids)

        def run(operation: Operation | None = None) -> dict[str, Any]:
            return replay_events(
                self._context,
                since_ms=selection.since_ms,
                until_ms=until_ms,
                source=selection.source,
                rule=rule,
                ids=selection.ids,
                dry_run=dry_run,
                archive_orphans=archive_orphans,
                limit=limit,
                by=operator.name,
                operation=operation,
            )

        told = {"since": selection.since_ms, "until": until_ms, "source": selection.source, "rule": rule}
        return run_beside(
            self._context.outbox,
            "replay dry run" if dry_run else "replay",
            operator.name,
            {**body, **told},
            run,
        )

    def operation_cancel(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        operation = Operation(self._context.outbox, request.path_params["id"])
        operation.cancel()
        return operation.read()

    def pause(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        return pause_delivery(self._context.delivery, self._source(body), by=operator.name)

    def resume(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        return resume_delivery(self._context.delivery, self._source(body))

    def drops(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        return {"drops": list_drops(self._context.outbox, self._known())}

    def drop_begin(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        return begin_drop(
            self._context.outbox,
            self._known(),
            source=read_text(body, "source"),
            where=read_text(body, "where"),
            lasts=read_text(body, "for") or "1h",
            by=operator.name,
        )

    def drop_end(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        drop_id = read_text(body, "id")
        if not drop_id:
            raise InputInvalid("which one? GET drops lists them", "id")
        return end_drop(self._context.outbox, drop_id)

    def explain(self, request: Request, operator: Operator, body: dict[str, Any]) -> Any:
        source = read_text(body, "source")
        if not source:
            raise InputInvalid("which source is the payload for?", "source")
        if "payload" not in body:
            raise InputInvalid("is missing", "payload")
        headers = body.get("headers", {})
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise InputInvalid("wanted an object of strings", "headers")
        payload = body["payload"]
        raw = payload.encode() if isinstance(payload, str) else orjson.dumps(payload)
        return explain_request(self._context, source, raw, headers)

    # -- asking ----------------------------------------------------------------------------------------------

    def _adapters(self) -> dict[str, str]:
        return {name: source.adapter for name, source in self._context.config.sources.items()}

    def _known(self) -> frozenset[str]:
        return known_sources(self._context.outbox, self._context.config.sources)

    def _source(self, body: Mapping[str, Any]) -> str:
        source = read_text(body, "source")
        if source and source not in self._known():
            raise NotFound(f"no source {source[:80]!r}: neither in the config nor in the books")
        return source
