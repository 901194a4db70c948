"""The web side as ASGI applications: the public one takes hooks, the operators' metrics, console and API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from relay.operations.context import WebContext
from relay.settings import Settings
from relay.telemetry import log
from relay.web.app import WebSide
from relay.web.hooks import Hooks
from relay.web.inbound import bounded_receive
from relay.web.lane import WebLane


def create_app(
    settings: Settings, environ: dict[str, str] | None = None, *, operators: bool = True
) -> Starlette:
    """Return the web side as one ASGI application. `operators` False leaves out console, API and metrics (they then have a
    listener of their own). Raises ConfigInvalid, SettingsInvalid."""
    side = WebSide(settings, environ)
    return assemble(side, operators=operators)


def assemble(side: WebSide, *, operators: bool) -> Starlette:
    """Return the public listener's application over `side`; with `operators` theirs is part of it."""
    routes = _public_routes(side)
    if operators:
        routes += _operator_routes(side)
    app = _App(
        side.hooks,
        routes=routes,
        lifespan=side.lifespan,
        exception_handlers=dict(_PLAIN_ERRORS),
    )
    app.state.side = side
    app.router.redirect_slashes = False
    return app


def create_operator_app(side: WebSide) -> Starlette:
    """Return the operators' listener: metrics, console, API and the probes; no hooks."""
    app = _OperatorApp(
        routes=[*_probes(side), *_operator_routes(side)], exception_handlers=dict(_PLAIN_ERRORS)
    )
    app.router.redirect_slashes = False
    return app


def _public_routes(side: WebSide) -> list[BaseRoute]:
    # Webhooks themselves are taken out before (`_App`): this one answers to what else is there.
    return [Route("/hooks/{source}", _endpoint_of(side.hooks), methods=None), *_probes(side)]


def _probes(side: WebSide) -> list[BaseRoute]:
    return [Route("/healthz", side.health.healthz), Route("/readyz", side.health.readyz)]


def _endpoint_of(hooks: Hooks) -> Any:
    class Endpoint:
        """Starlette calls a class endpoint as an ASGI application: `hooks` without Request and Response."""

        def __new__(cls, scope: Any, receive: Any, send: Any) -> Any:
            return hooks(scope, receive, send)

    return Endpoint


def _operator_routes(side: WebSide) -> list[BaseRoute]:
    """Metrics, console and API."""
    return [Route("/metrics", side.health.metrics), *_operator_pages(side)]


def _operator_pages(side: WebSide) -> list[BaseRoute]:
    """Console and API; none where no token is configured, so that nobody is let in by mistake."""
    # Imported here: the hooks alone need neither templates nor OpenAPI.
    from relay.web import api, console
    from relay.web.access import access_of
    from relay.web.lane_console import LaneConsole
    from relay.web.own_door import OwnDoor

    post = OwnDoor(side.hooks)

    def context_of(lane: WebLane) -> WebContext:
        return WebContext(lane.outbox, lane.delivery, side.settings, lambda: side.house, post)

    def contexts() -> dict[str, WebContext]:
        """Of a config with `lanes:`; without, the one above is all there is."""
        return {lane.name: context_of(lane) for lane in side.lanes} if side.lanes.named else {}

    context = context_of(side.lanes.first)
    access = access_of(context)
    if not access.configured:
        log("operators.closed", why="no RELAY_OPERATOR_TOKEN: there is no console and no API")
        return []
    below = LaneConsole(
        side.lanes,
        lambda lane, base: console.routes(context_of(lane), access, base),
        console.all_lanes(context, access, contexts),
        lambda lane, base: console.missing_page(context_of(lane), access, base),
    )
    return [
        *api.api_routes(context, access, contexts),
        Route("/", below),
        Route("/console", below),
        Route("/console/{rest:path}", below),
    ]


class _App(Starlette):
    """A webhook goes straight to `Hooks`: middleware and routes, which give it nothing, are a third of a bare answer."""

    def __init__(self, hooks: Hooks, **options: Any) -> None:
        super().__init__(**options)
        self._hooks = hooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path.startswith("/hooks/") and path.endswith("/"):
            # The same source, and no redirect: that would lead to whatever Host the request names.
            path = path.rstrip("/")
            scope = {**scope, "path": path}
        if path.startswith("/hooks/") and path.count("/") == 2 and len(path) > len("/hooks/"):
            await self._hooks(scope, receive, send)
        else:
            await super().__call__(scope, bounded_receive(scope, receive), send)


class _OperatorApp(Starlette):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, bounded_receive(scope, receive), send)


def _plain(status: int, code: str, message: str) -> Callable[[Request, Exception], Response]:
    body = b'{"error":{"code":"%s","message":"%s","path":""}}' % (code.encode(), message.encode())

    def answer(request: Request, error: Exception) -> Response:
        headers = {name.lower(): value for name, value in (getattr(error, "headers", None) or {}).items()}
        if status == 405 and (methods := _methods(request)):
            headers["allow"] = ", ".join(sorted(methods))
        return Response(body, status_code=status, media_type="application/json", headers=headers)

    return answer


def _methods(request: Request) -> set[str]:
    """All that this path takes: Starlette names those of the first of its routes."""
    return {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


_PLAIN_ERRORS: dict[Any, Any] = {
    404: _plain(404, "not_found", "no such page"),
    405: _plain(405, "method", "method not allowed"),
    408: _plain(408, "too_slow", "the body was not whole in time"),
    500: _plain(500, "internal", "internal error"),
    503: _plain(503, "unavailable", "the bodies of all requests together are too large now"),
}
