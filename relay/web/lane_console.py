"""The console of a config with several lanes: each lane's pages lie below /console/lanes/NAME, and link each other there; /console
shows them all. Without `lanes:` the pages lie at /console."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from relay.lane_name import MAIN
from relay.web.console.frame import HOME
from relay.web.lane import WebLane
from relay.web.lanes import WebLanes

_BELOW: Final = f"{HOME}/lanes/"
#: What is the same whichever lane is looked at; the front door leads to the console.
_SHARED: Final = (f"{HOME}/static/", f"{HOME}/sign-in", f"{HOME}/sign-out")
_ALL: Final = (HOME, f"{HOME}/", f"{HOME}/lanes", f"{HOME}/lanes/")

Pages = Callable[[WebLane, str], Sequence[BaseRoute]]
NoPage = Callable[[WebLane, str], Callable[[Request, HTTPException], Awaitable[Response]]]


class LaneConsole:
    """`pages(lane, base)` gives the routes of one lane's console, all of them below `base`; `all_lanes` those of the page of them all.
    `missing(lane, base)` answers a browser where there is no page."""

    def __init__(
        self, lanes: WebLanes, pages: Pages, all_lanes: Sequence[BaseRoute], missing: NoPage
    ) -> None:
        self._lanes = lanes
        self._pages = pages
        self._missing = missing
        self._all = Router(routes=list(all_lanes), redirect_slashes=False)
        self._made: dict[str, tuple[WebLane, Router]] = {}
        # Made now: the navigation knows its pages then.
        self._router(lanes.first)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app_for(scope)(scope, receive, send)
        except HTTPException as error:
            # A program is told in JSON, as everywhere.
            if "text/html" not in Headers(scope=scope).get("accept", ""):
                raise
            lane, base = self._meant(str(scope["path"]))
            response = await self._missing(lane, base)(Request(scope), error)
            await response(scope, receive, send)

    def _meant(self, path: str) -> tuple[WebLane, str]:
        """The lane whose page an address would be, with where its pages lie."""
        name = path.removeprefix(_BELOW).partition("/")[0] if path.startswith(_BELOW) else ""
        lane = self._lanes.get(name) if self._lanes.named else None
        return (lane, f"{_BELOW}{name}") if lane else (self._lanes.first, HOME)

    def _app_for(self, scope: Scope) -> ASGIApp:
        path = str(scope["path"])
        if not self._lanes.named or path == "/" or path.startswith(_SHARED):
            return self._router(self._lanes.first)
        if path in _ALL:
            return self._all
        if not path.startswith(_BELOW):
            return self._of_no_lane(scope)
        lane = self._lanes.get(path.removeprefix(_BELOW).partition("/")[0])
        if lane is None:
            raise HTTPException(404)
        return self._router(lane)

    def _of_no_lane(self, scope: Scope) -> ASGIApp:
        """An address that names no lane may be from before there were any: then it is of `main`. Where that is not, the first lane's
        page is shown, under its own address."""
        lane = self._lanes.get(MAIN) or self._lanes.first
        query = scope["query_string"].decode("latin-1")
        target = f"{_BELOW}{lane.name}{quote(scope['path'].removeprefix(HOME))}"
        return RedirectResponse(f"{target}?{query}" if query else target, 307)

    def _router(self, lane: WebLane) -> Router:
        base = f"{_BELOW}{lane.name}" if self._lanes.named else HOME
        held = self._made.get(base)
        if held is None or held[0] is not lane:
            made = Router(routes=list(self._pages(lane, base)), redirect_slashes=False)
            held = self._made[base] = (lane, made)
        return held[1]
