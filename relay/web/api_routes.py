"""How the API's routes are made: who asks, which lane it is about, the line in the audit, what an error looks like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.errors import RelayError
from relay.lane_name import MAIN
from relay.operations.context import WebContext
from relay.web.access import Access, Operator
from relay.web.answers import BadRequest, answer, read_object, refusal_of
from relay.web.api_lanes import AskLane, LaneChoice, Merge, of_the_first
from relay.web.asked import require_keys
from relay.web.audited import Audit, named_in
from relay.web.peer import require_same_origin
from relay.web.refused import RequestRefused

_SAFE = frozenset({"GET", "HEAD"})
ApiHandler = Callable[[Any, Request, Operator, dict[str, Any]], Any]


class ApiRoutes:
    """Of one lane. `lanes()`: the contexts of the others and of this one, by name; None: there is one."""

    def __init__(
        self,
        context: WebContext,
        access: Access,
        lanes: Callable[[], Mapping[str, WebContext]] | None = None,
    ) -> None:
        self._context = self.context = context
        self._access = access
        self._audit = Audit(context.outbox, base="/api/v1")
        self._choice = LaneChoice(lanes or dict, lambda one: type(self)(one, access))
        #: "POST /pause" -> the audit's word; "own" or "" for what changes nothing.
        self.acts: dict[str, str] = {}
        #: "POST /pause" -> what its body may have.
        self.keys: dict[str, frozenset[str]] = {}

    def route(
        self,
        path: str,
        handler: ApiHandler,
        keys: frozenset[str] | None = None,
        *,
        method: str = "",
        act: str = "",
        own: bool = False,
        asks: frozenset[str] = frozenset(),
        merge: Merge = of_the_first,
    ) -> Route:
        """Return a route for `handler`; one with `keys` (those its body may have) takes POST, or `method`. `act` is the audit's word
        for what it changes; without one it changes nothing. `own`: the answer shows nothing but what was asked with, or what
        is no payload. `asks`: what its query may have beside `lane`; a misspelt one must not widen what is done. `merge` puts the lanes' answers together for who names no lane."""
        verb = method or ("GET" if keys is None else "POST")

        async def endpoint(request: Request) -> Response:
            try:
                operator = await run_in_threadpool(self._access.admit, request)
                body: dict[str, Any] = {}
                if request.method not in _SAFE:
                    require_same_origin(request)
                    if act:
                        self._access.require_change(operator)
                    body = await read_object(request, keys or frozenset())
                require_keys(request.query_params, asks | {"lane"})
                return answer(await run_in_threadpool(answered, request, operator, body))
            except (RelayError, RequestRefused, BadRequest) as error:
                return refusal_of(error)

        def answered(request: Request, operator: Operator, body: dict[str, Any]) -> Any:
            def work() -> Any:
                def ask(api: Any, asked: dict[str, Any]) -> Any:
                    return handler(api, request, operator, asked)

                return self._of_lanes(request, merge, AskLane(ask, body))

            if act and body.get("dry_run") is not True:
                found = self._audit.acting(operator, act, named_in(request, body), work)
            else:
                found = work()
            return found if own else self._audit.shown(request, operator, found)

        wrapped: Callable[[Request], Awaitable[Response]] = endpoint
        route = Route(f"/api/v1{path}", wrapped, methods=[verb], name=f"api{path}:{verb}")
        self.acts[f"{verb} {path}"] = act or ("own" if own else "")
        self.keys[f"{verb} {path}"] = keys or frozenset()
        return route

    def _of_lanes(self, request: Request, merge: Merge, ask: AskLane) -> Any:
        name = request.query_params.get("lane", "")
        apis = self._choice.all()
        if not apis and name in ("", MAIN):
            return ask(self)
        if name:
            return ask(self._choice.one(name))
        return ask(next(iter(apis.values()))) if len(apis) == 1 else merge(apis, ask, request)
