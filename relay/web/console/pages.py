"""The console's pages: what each needs from the operations, and where a form leads. Handlers are sync and run in a
thread; every form is checked to be ours before anything else."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from relay.errors import NotFound, OutboxUnavailable, RelayError
from relay.operations.audit import list_audit
from relay.operations.context import WebContext, tenant_of
from relay.operations.dead.discard import discard_dead
from relay.operations.dead.edit import edit_dead
from relay.operations.dead.look import list_dead, show_dead
from relay.operations.dead.replay import replay_dead
from relay.operations.explain import explain_request
from relay.operations.pause import known_sources, pause_delivery, resume_delivery
from relay.operations.progress import Operation, read_operations
from relay.operations.runs import run_beside
from relay.operations.selection import InputInvalid, Selection, read_moment, read_selection
from relay.operations.stats import (
    accepted_per_minute,
    read_samples,
    read_sources,
    read_stats,
    take_sample,
)
from relay.operations.trace import find
from relay.web.access import COOKIE, SESSION_S, Access, Operator, access_of
from relay.web.answers import BadRequest, read_request_body
from relay.web.audited import Audit, named_in
from relay.web.console.differences import differences_page
from relay.web.console.render import HEADERS, page
from relay.web.console.view import FormValues, Go, Handler, PageRoute, View
from relay.web.peer import comes_over_tls, require_same_origin
from relay.web.refused import RequestRefused

_COLUMNS = (
    "accepted",
    "pending",
    "delivered",
    "unchanged",
    "superseded",
    "filtered",
    "dead",
    "discarded",
    "duplicate",
    "ignored",
    "rejected",
)
#: What a redirect may say; the words are ours, never the address's.
_SAID = {
    "replayed": "Replayed: it waits for delivery again.",
    "discarded": "Discarded.",
    "edited": "The edit is kept. Replay it to send it.",
    "held": "Held. What comes in waits.",
    "resumed": "It goes on.",
    "cancelled": "It stops as soon as it can.",
}
_STATIC = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "LICENSE-htmx.txt": "text/plain; charset=utf-8",
}


def routes(context: WebContext, access: Access | None = None) -> list[Route]:
    return console_routes(Console(context, access or access_of(context)))


def console_routes(console: Console) -> list[Route]:
    get, post = console.get, console.post
    return [
        Route("/console/static/{name}", static, methods=["GET"]),
        Route("/console/sign-in", console.sign_in, methods=["GET", "POST"]),
        Route("/console/sign-out", console.sign_out, methods=["POST"]),
        get("", console.overview),
        get("/", console.overview),
        get("/overview/live", console.overview_live),
        get("/dead", console.dead),
        post("/dead/replay", console.dead_replay, act="dead replay", asks=True),
        post("/dead/discard", console.dead_discard, act="dead discard", asks=True),
        get("/dead/{id}", console.dead_one),
        post("/dead/{id}/edit", console.dead_edit, act="dead edit"),
        post("/dead/{id}/replay", console.dead_replay_one, act="dead replay"),
        post("/dead/{id}/discard", console.dead_discard_one, act="dead discard"),
        get("/trace", console.trace),
        get("/sources", console.sources),
        get("/differences", console.differences),
        get("/audit", console.audit, own=True),
        get("/rules", console.rules, own=True),
        post("/rules", console.rules, own=True),
        post("/pause", console.pause, act="pause"),
        post("/resume", console.resume, act="resume"),
        get("/operations/{id}", console.operation),
        get("/operations/{id}/live", console.operation_live),
        post("/operations/{id}/cancel", console.operation_cancel, act="operation cancel"),
    ]


class Console:
    def __init__(self, context: WebContext, access: Access) -> None:
        self._context = context
        self._access = access
        self._audit = Audit(context.outbox)

    # -- requests ---------------------------------------------------------------------------------------------

    def get(self, path: str, handler: Handler, *, own: bool = False) -> Route:
        return self._route(path, handler, PageRoute("GET", own=own))

    def post(
        self, path: str, handler: Handler, *, act: str = "", asks: bool = False, own: bool = False
    ) -> Route:
        return self._route(path, handler, PageRoute("POST", act, asks, own))

    def _route(self, path: str, handler: Handler, way: PageRoute) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                operator = await run_in_threadpool(self._access.admit, request)
            except RequestRefused as refused:
                return self._turn_away(request, refused)
            except OutboxUnavailable as error:
                return _redis_away(None, error)
            return await self._answer(request, operator, handler, way)

        return Route(f"/console{path}", endpoint, methods=[way.method])

    async def _answer(
        self, request: Request, operator: Operator, handler: Handler, way: PageRoute
    ) -> Response:
        try:
            form: FormValues = {}
            if way.method == "POST":
                form = await _read_form(request)
                self._access.require_own_page(request, operator, form.get("csrf", ""))
                if way.act:
                    self._access.require_change(operator)
            result = await run_in_threadpool(self._result, request, operator, form, handler, way)
        except RequestRefused as refused:
            return _error_page(operator, refused.status, "Not allowed", refused.message)
        except BadRequest as error:
            return _error_page(operator, error.status, "That cannot be read", str(error))
        except NotFound as error:
            return _error_page(operator, 404, "Not found", str(error))
        except OutboxUnavailable as error:
            return _redis_away(operator, error)
        except RelayError as error:
            return _error_page(operator, 422, "That does not work", str(error))
        if isinstance(result, Go):
            path = (
                f"{result.path}{'&' if '?' in result.path else '?'}said={result.said}"
                if result.said
                else result.path
            )
            return RedirectResponse(path, 303, headers=HEADERS)
        said = _SAID.get(request.query_params.get("said", ""), "")
        context = {"operator": operator, "said": said, "here": result.here, **result.context}
        return page(result.template, context, result.status)

    def _result(
        self, request: Request, operator: Operator, form: FormValues, handler: Handler, way: PageRoute
    ) -> View | Go:
        """The handler's, with a line in the audit where it acts or shows what people wrote."""
        if way.act and not (way.asks and form.get("sure") != "yes"):
            result = self._audit.acting(
                operator, way.act, named_in(request, form), lambda: handler(request, operator, form)
            )
        else:
            result = handler(request, operator, form)
        if isinstance(result, Go) or way.own:
            return result
        return replace(result, context=self._audit.shown(request, operator, result.context))

    def _turn_away(self, request: Request, refused: RequestRefused) -> Response:
        if refused.status != 401:
            return _error_page(None, refused.status, "Not allowed", refused.message)
        target = "/console/sign-in?" + urlencode(
            {"next": _own_path(str(request.url.path), request.url.query)}
        )
        if request.headers.get("hx-request"):
            return Response(status_code=401, headers={**HEADERS, "HX-Redirect": "/console/sign-in"})
        return RedirectResponse(target, 303, headers=HEADERS)

    async def sign_in(self, request: Request) -> Response:
        code = request.query_params.get("code", "")
        if request.method == "HEAD" or (request.method == "GET" and not code):
            return _sign_in_page(200, "", request.query_params.get("next", ""))
        try:
            if code:
                opened = await run_in_threadpool(self._access.exchange, request, code)
                form: FormValues = request.query_params
            else:
                require_same_origin(request)
                form = await _read_form(request)
                token, name = form.get("token", ""), form.get("name", "")
                opened = await run_in_threadpool(self._access.sign_in, request, token, name)
            session, operator = opened
            await run_in_threadpool(self._audit.said, operator, "sign in")
        except BadRequest as error:
            return _sign_in_page(error.status, str(error), "")
        except OutboxUnavailable as error:
            return _redis_away(None, error)
        except RequestRefused as refused:
            response = _sign_in_page(refused.status, refused.message, "")
            if refused.retry_after_s:
                response.headers["Retry-After"] = str(refused.retry_after_s)
            return response
        response = RedirectResponse(_safe_next(form.get("next", "")), 303, headers=HEADERS)
        _set_cookie(request, response, session)
        return response

    async def sign_out(self, request: Request) -> Response:
        try:
            operator = await run_in_threadpool(self._access.admit, request)
            form = await _read_form(request)
            self._access.require_own_page(request, operator, form.get("csrf", ""))
            await run_in_threadpool(self._access.end, operator)
            await run_in_threadpool(self._audit.said, operator, "sign out")
        except (RequestRefused, BadRequest) as refused:
            return _error_page(None, refused.status, "Not allowed", str(refused))
        except OutboxUnavailable as error:
            return _redis_away(None, error)
        response = RedirectResponse("/console/sign-in", 303, headers=HEADERS)
        response.delete_cookie(COOKIE, path="/")
        return response

    # -- overview -----------------------------------------------------------------------------------------------

    def overview(self, request: Request, operator: Operator, form: FormValues) -> View:
        context = self._live() | {"operations": read_operations(self._context.outbox, limit=5)}
        return View("overview.html", context, here="")

    def overview_live(self, request: Request, operator: Operator, form: FormValues) -> View:
        return View("overview_live.html", self._live())

    def _live(self) -> dict[str, Any]:
        outbox = self._context.outbox
        stats = read_stats(outbox, self._context.delivery)
        take_sample(outbox, stats)
        now_ms = outbox.now_ms()
        samples = read_samples(outbox, since_ms=now_ms - 3_600_000)
        by_source = accepted_per_minute(outbox, now_ms=now_ms)
        accepted = [sum(minute) for minute in zip(*by_source.values(), strict=True)]
        plots: dict[str, Any] = {
            name: [sample[name] for sample in samples] for name in ("pending", "oldest_s", "calls", "dead")
        }
        plots |= {"accepted": accepted, "by_source": by_source, "settled": _per_minute(samples)}
        return {
            "stats": stats,
            "plots": plots,
            "columns": _COLUMNS,
            "budget": self._context.config.planhat.calls_per_minute,
        }

    # -- dead letters -----------------------------------------------------------------------------------------

    def dead(self, request: Request, operator: Operator, form: FormValues) -> View:
        asked = request.query_params
        wanted = {name: asked.get(name, "")[:1000] for name in ("source", "since", "cause")}
        outbox = self._context.outbox
        selection = Selection(
            cause=wanted["cause"],
            source=wanted["source"],
            since_ms=read_moment(wanted, "since", outbox.now_ms(), blank=True),
        )
        try:
            found = list_dead(outbox, selection, after=asked.get("after", ""))
        except ValueError as error:
            raise InputInvalid(str(error), "after") from None
        sources = sorted(known_sources(outbox, self._context.config.sources))
        return View("dead.html", {"found": found, "filter": wanted, "sources": sources}, here="/dead")

    def dead_one(self, request: Request, operator: Operator, form: FormValues) -> View:
        letter = show_dead(self._context, request.path_params["id"])
        return View("dead_one.html", {"letter": letter}, here="/dead")

    def dead_edit(self, request: Request, operator: Operator, form: FormValues) -> Go:
        dead_id = request.path_params["id"]
        path = form.get("path", "").strip()
        company = form.get("company", "").strip()
        raw = form.get("raw", "").replace("\r\n", "\n") or None
        if not path and not company and raw is None:
            raise InputInvalid("nothing to change: name a field, a company, or the raw request")
        changes = {path: _value(form.get("value", ""))} if path else {}
        edit_dead(self._context, dead_id, payload=changes, company=company, raw=raw, by=operator.name)
        return Go(f"/console/dead/{quote(dead_id, safe='')}", "edited")

    def dead_replay_one(self, request: Request, operator: Operator, form: FormValues) -> Go:
        dead_id = request.path_params["id"]
        done = replay_dead(self._context, Selection(ids=(dead_id,)), by=operator.name)
        if done["failed"]:
            raise InputInvalid(f"It stays a dead letter: {done['failures'][0]['cause']}")
        return Go("/console/dead", "replayed")

    def dead_discard_one(self, request: Request, operator: Operator, form: FormValues) -> Go:
        selection = Selection(ids=(request.path_params["id"],))
        discard_dead(self._context.outbox, selection, by=operator.name, reason=form.get("reason", "")[:500])
        return Go("/console/dead", "discarded")

    def dead_replay(self, request: Request, operator: Operator, form: FormValues) -> View | Go:
        selection, asked = self._group(form)
        if form.get("sure") != "yes":
            found = replay_dead(self._context, selection, by=operator.name, dry_run=True)
            return View("confirm.html", {"verb": "replay", "found": found, "asked": asked}, here="/dead")
        return self._begin(
            "dead replay",
            operator,
            asked,
            lambda operation: replay_dead(self._context, selection, by=operator.name, operation=operation),
        )

    def dead_discard(self, request: Request, operator: Operator, form: FormValues) -> View | Go:
        selection, asked = self._group(form)
        outbox, reason = self._context.outbox, form.get("reason", "")[:500]
        if form.get("sure") != "yes":
            found = discard_dead(outbox, selection, by=operator.name, dry_run=True)
            return View("confirm.html", {"verb": "discard", "found": found, "asked": asked}, here="/dead")
        return self._begin(
            "dead discard",
            operator,
            asked,
            lambda operation: discard_dead(
                outbox, selection, by=operator.name, reason=reason, operation=operation
            ),
        )

    def _group(self, form: FormValues) -> tuple[Selection, dict[str, str]]:
        asked = {name: form[name] for name in ("cause", "source", "since") if form.get(name)}
        return read_selection(asked, self._context.outbox.now_ms()), asked

    def _begin(
        self,
        kind: str,
        operator: Operator,
        asked: Mapping[str, str],
        work: Callable[[Operation], dict[str, Any]],
    ) -> Go:
        done = run_beside(self._context.outbox, kind, operator.name, asked, work, patience_s=0.5)
        return Go(f"/console/operations/{done['operation']}")

    # -- trace ------------------------------------------------------------------------------------------------

    def trace(self, request: Request, operator: Operator, form: FormValues) -> View:
        asked = request.query_params.get("id", "").strip()[:1000]
        context: dict[str, Any] = {"asked": asked, "found": None, "message": ""}
        status = 200
        if asked:
            try:
                context["found"] = find(
                    self._context.outbox,
                    asked,
                    self._context.config.sources,
                    tenant=tenant_of(self._context),
                )
            except NotFound as error:
                context["message"], status = str(error), 404
        return View("trace.html", context, here="/trace", status=status)

    # -- differences ------------------------------------------------------------------------------------------

    def differences(self, request: Request, operator: Operator, form: FormValues) -> View:
        return differences_page(self._context, request.query_params.get("rule", "")[:1000])

    # -- audit ------------------------------------------------------------------------------------------------

    def audit(self, request: Request, operator: Operator, form: FormValues) -> View:
        asked = {name: request.query_params.get(name, "")[:1000] for name in ("since", "after")}
        outbox = self._context.outbox
        since_ms = read_moment(asked, "since", outbox.now_ms(), blank=True)
        try:
            found = list_audit(outbox, since_ms=since_ms, after=asked["after"])
        except ValueError as error:
            raise InputInvalid(str(error), "after") from None
        return View("audit.html", {"found": found, "filter": asked}, here="/audit")

    # -- sources, rules -----------------------------------------------------------------------------------------

    def sources(self, request: Request, operator: Operator, form: FormValues) -> View:
        adapters = {name: source.adapter for name, source in self._context.config.sources.items()}
        rows = read_sources(self._context.outbox, adapters)
        return View(
            "sources.html", {"rows": rows, "paused": self._context.delivery.paused_sources()}, here="/sources"
        )

    def pause(self, request: Request, operator: Operator, form: FormValues) -> Go:
        source = self._source(form)
        pause_delivery(self._context.delivery, source)
        return Go("/console/sources" if source else "/console", "held")

    def resume(self, request: Request, operator: Operator, form: FormValues) -> Go:
        source = self._source(form)
        resume_delivery(self._context.delivery, source)
        return Go("/console/sources" if source else "/console", "resumed")

    def _source(self, form: FormValues) -> str:
        source = form.get("source", "")
        if source and source not in known_sources(self._context.outbox, self._context.config.sources):
            raise NotFound(f"no source {source[:80]!r}")
        return source

    def rules(self, request: Request, operator: Operator, form: FormValues) -> View:
        house = self._context.current()
        asked = {"source": form.get("source", ""), "payload": form.get("payload", "")}
        told, message = None, ""
        source = house.sources.get(asked["source"])
        if form.get("sample") and source is not None:
            sample = source.adapter.sample(serial=1, now_s=time.time())
            asked["payload"] = sample.body.decode("utf-8", "replace")
        if asked["payload"] and form:
            try:
                body = asked["payload"].replace("\r\n", "\n").encode("utf-8", "surrogatepass")
                told = explain_request(self._context, asked["source"], body)
            except RelayError as error:
                message = str(error)
        by_source = {
            name: [
                {
                    "name": rule.name,
                    "default": rule.is_default,
                    "line": rule.line,
                    "when": rule.when.text if rule.when else "",
                    "action": rule.action,
                    "external_id": rule.external_id.text if rule.external_id else "",
                    "fields": [part.name for part in rule.fields],
                }
                for rule in house.book.rules_for(name)
            ]
            for name in house.sources
        }
        context = {
            "version": house.config.version,
            "sources": list(house.sources),
            "asked": asked,
            "told": told,
            "message": message,
            "by_source": by_source,
        }
        return View("rules.html", context, here="/rules", status=422 if message else 200)

    # -- long operations ------------------------------------------------------------------------------------------

    def operation(self, request: Request, operator: Operator, form: FormValues) -> View:
        return View(
            "operation.html", {"one": Operation(self._context.outbox, request.path_params["id"]).read()}
        )

    def operation_live(self, request: Request, operator: Operator, form: FormValues) -> View:
        return View(
            "operation_live.html", {"one": Operation(self._context.outbox, request.path_params["id"]).read()}
        )

    def operation_cancel(self, request: Request, operator: Operator, form: FormValues) -> Go:
        operation = Operation(self._context.outbox, request.path_params["id"])
        operation.cancel()
        return Go(f"/console/operations/{quote(operation.operation_id, safe='')}", "cancelled")


async def static(request: Request) -> Response:
    name = request.path_params["name"]
    media = _STATIC.get(name)
    if media is None:
        return Response("no such file", 404, headers=HEADERS, media_type="text/plain")
    body = files("relay.web.console").joinpath("static", name).read_bytes()
    headers = {**HEADERS, "Cache-Control": "public, max-age=3600"}
    return Response(body, headers=headers, media_type=media)


async def _read_form(request: Request) -> dict[str, str]:
    """A form as browsers send it (urlencoded), the last value of each name. Raises BadRequest."""
    body = await read_request_body(request)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise BadRequest("not a form") from None
    return dict(pairs)


def _error_page(operator: Operator | None, status: int, title: str, message: str) -> Response:
    context = {
        "operator": operator,
        "said": "",
        "here": "-",
        "title": title,
        "message": message,
        "back": "/console",
    }
    return page("error.html", context, status)


def _redis_away(operator: Operator | None, error: OutboxUnavailable) -> Response:
    sentence = f"{error}. What was accepted is kept there; new events are answered 503 meanwhile, and senders try again."
    return _error_page(operator, 503, "Redis is away", sentence)


def _sign_in_page(status: int, message: str, next_path: str) -> Response:
    context = {
        "operator": None, "said": "", "here": "-", "message": message, "next": _safe_next(next_path),
    }  # fmt: skip
    return page("sign_in.html", context, status)


def _set_cookie(request: Request, response: Response, session: str) -> None:
    response.set_cookie(
        COOKIE,
        session,
        max_age=SESSION_S,
        path="/",
        httponly=True,
        samesite="strict",
        secure=comes_over_tls(request),
    )


def _safe_next(path: str) -> str:
    """A page of ours to go to after signing in; anything else is the overview."""
    if path == "/console" or (path.startswith("/console/") and not path.startswith("/console/sign-")):
        return path if "\\" not in path and "\n" not in path and len(path) < 2000 else "/console"
    return "/console"


def _own_path(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _value(text: str) -> Any:
    """JSON where it is some, else the text itself."""
    try:
        return orjson.loads(text)
    except ValueError:
        return text


def _per_minute(samples: list[dict[str, Any]]) -> list[int]:
    """Settled events a minute, from the running totals of the samples."""
    rates = []
    for before, after in itertools.pairwise(samples):
        minutes = max(1, after["at_ms"] - before["at_ms"]) / 60_000
        rates.append(round(max(0, after["delivered"] - before["delivered"]) / minutes))
    return rates
