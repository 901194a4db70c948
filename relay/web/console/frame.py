"""What every page of the console has around it: who asks, that a form is our own, the line in the audit, what an error looks
like. A page is a function of (request, operator, form) that gives a `View` or says where to `Go`; it runs in a thread."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from relay.errors import NotFound, OutboxUnavailable, RelayError
from relay.operations.context import WebContext
from relay.web.access import Access, Operator
from relay.web.answers import BadRequest, read_request_body
from relay.web.audited import Audit, named_in
from relay.web.console.render import HEADERS, page
from relay.web.console.view import FormValues, Go, Handler, PageRoute, View
from relay.web.refused import RequestRefused

#: Where the console is. A lane's pages lie further below, where the config has `lanes:`.
HOME: Final = "/console"

#: What a redirect may say; the words are ours, never the address's.
_SAID = {
    "replayed": "Replayed: it waits for delivery again.",
    "discarded": "Discarded.",
    "resent": "It waits for delivery again.",
    "same": "Nothing to send: what today's rules make of it stands there already.",
    "edited": "The edit is kept. Replay it to send it.",
    "marked": "What is said of this cause is kept.",
    "drops": "What matches is dropped from now on.",
    "drop-ended": "The drop has ended.",
    "held": "Held. What comes in waits.",
    "resumed": "It goes on.",
    "cancelled": "It stops as soon as it can.",
}


class Frame:
    """Makes routes of pages. `context` is what their operations need; `base` is the address below which they lie, and every link of
    theirs begins with it."""

    def __init__(self, context: WebContext, access: Access, base: str = HOME) -> None:
        self.context = context
        self.access = access
        self.base = base
        #: "" where the pages are those of the only lane, or of all.
        self.lane = context.outbox.lane_name if base != HOME else ""
        self.audit = Audit(context.outbox, base=base, lane=self.lane)

    def get(self, path: str, handler: Handler, *, own: bool = False) -> Route:
        return self.route(path, handler, PageRoute("GET", own=own))

    def post(
        self, path: str, handler: Handler, *, act: str = "", asks: bool = False, own: bool = False
    ) -> Route:
        return self.route(path, handler, PageRoute("POST", act, asks, own))

    def route(self, path: str, handler: Handler, way: PageRoute) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                operator = await run_in_threadpool(self.access.admit, request)
            except RequestRefused as refused:
                return self._turn_away(request, refused)
            except OutboxUnavailable as error:
                return self.redis_away(None, error)
            return await self._answer(request, operator, handler, way)

        return Route(f"{self.base}{path}", endpoint, methods=[way.method])

    async def _answer(
        self, request: Request, operator: Operator, handler: Handler, way: PageRoute
    ) -> Response:
        try:
            form: FormValues = {}
            if way.method == "POST":
                form = await read_form(request)
                self.access.require_own_page(request, operator, form.get("csrf", ""))
                if way.act:
                    self.access.require_change(operator)
            result = await run_in_threadpool(self._result, request, operator, form, handler, way)
        except RequestRefused as refused:
            return self.error_page(operator, refused.status, "Not allowed", refused.message)
        except BadRequest as error:
            return self.error_page(operator, error.status, "That cannot be read", str(error))
        except NotFound as error:
            return self.error_page(operator, 404, "Not found", str(error))
        except OutboxUnavailable as error:
            return self.redis_away(operator, error)
        except RelayError as error:
            return self.error_page(operator, 422, "That does not work", str(error))
        if isinstance(result, Go):
            path = f"{self.base}{result.path}"
            if result.said:
                path += f"{'&' if '?' in path else '?'}said={result.said}"
            return RedirectResponse(path, 303, headers=HEADERS)
        said = _SAID.get(request.query_params.get("said", ""), "")
        around = self.around(operator, said=said, here=result.here)
        return page(result.template, {**around, **result.context}, result.status)

    def around(self, operator: Operator | None, *, said: str = "", here: str = "-") -> dict[str, Any]:
        """Return what every page is given beside its own: who looks, and where its links lead."""
        return {
            "operator": operator,
            "said": said,
            "here": here,
            "base": self.base,
            "lane": self.lane,
            "lanes": tuple(self.context.config.lanes) if self.lane else (),
        }

    def _result(
        self, request: Request, operator: Operator, form: FormValues, handler: Handler, way: PageRoute
    ) -> View | Go:
        """The handler's, with a line in the audit where it acts or shows what people wrote."""
        if way.act and not (way.asks and form.get("sure") != "yes"):
            of = named_in(request, {**form, "lane": self.lane})
            result = self.audit.acting(operator, way.act, of, lambda: handler(request, operator, form))
        else:
            result = handler(request, operator, form)
        if isinstance(result, Go) or way.own:
            return result
        return replace(result, context=self.audit.shown(request, operator, result.context))

    # -- what is no page -------------------------------------------------------------------------------------

    def error_page(self, operator: Operator | None, status: int, title: str, message: str) -> Response:
        context = {**self.around(operator), "title": title, "message": message}
        return page("error.html", context, status)

    async def missing(self, request: Request, error: HTTPException) -> Response:
        """Say that no page is at an address (404), or that only a form of ours leads there (405)."""
        try:
            operator = await run_in_threadpool(self.access.admit, request)
        except (RequestRefused, OutboxUnavailable):
            operator = None
        sentence = (
            "No page is at this address." if error.status_code == 404 else "Only a form of a page leads here."
        )
        response = self.error_page(operator, error.status_code, "Not found", sentence)
        response.headers.update(error.headers or {})
        return response

    def redis_away(self, operator: Operator | None, error: OutboxUnavailable) -> Response:
        sentence = f"{error}. What was accepted is kept there; new events are answered 503 meanwhile, and senders try again."
        return self.error_page(operator, 503, "Redis is away", sentence)

    def _turn_away(self, request: Request, refused: RequestRefused) -> Response:
        if refused.status != 401:
            return self.error_page(None, refused.status, "Not allowed", refused.message)
        path, query = str(request.url.path), request.url.query
        target = f"{HOME}/sign-in?" + urlencode({"next": f"{path}?{query}" if query else path})
        if request.headers.get("hx-request"):
            return Response(status_code=401, headers={**HEADERS, "HX-Redirect": f"{HOME}/sign-in"})
        return RedirectResponse(target, 303, headers=HEADERS)


async def read_form(request: Request) -> dict[str, str]:
    """Return a form as browsers send it (urlencoded), the last value of each name. Raises BadRequest."""
    body = await read_request_body(request)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise BadRequest("not a form") from None
    return dict(pairs)
