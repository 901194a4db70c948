"""The console of a config with several lanes: each lane's pages lie below /console/lanes/NAME, and link each other there; /console
shows them all. Without `lanes:` the pages lie at /console, and nothing of this is met."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relay.web.lane import WebLane
from relay.web.lanes import WebLanes

_BELOW: Final = "/console/lanes/"
#: What is the same whichever lane is looked at.
_SHARED: Final = ("/console/static/", "/console/sign-in", "/console/sign-out")
#: Where a page of ours names another: in an attribute, never in what people wrote, whose quotes are escaped.
_LINK: Final = re.compile(rb'(=")/console(?!/static/|/sign-|/lanes)')
_LINK_HEADERS: Final = frozenset({b"location", b"hx-redirect", b"hx-push-url", b"hx-location"})
_LINK_ALONE: Final = re.compile(rb"^/console(?!/static/|/sign-|/lanes)")


class LaneConsole:
    """`pages(lane)` gives the routes of one lane's console, `all_lanes` the page of them all."""

    def __init__(
        self, lanes: WebLanes, pages: Callable[[WebLane], Sequence[BaseRoute]], all_lanes: BaseRoute
    ) -> None:
        self._lanes = lanes
        self._pages = pages
        self._all = Router(routes=[all_lanes], redirect_slashes=False)
        self._made: dict[str, tuple[WebLane, Router]] = {}
        # Made now: the navigation knows its pages then.
        self._router(lanes.first)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if not self._lanes.named or path.startswith(_SHARED):
            await self._router(self._lanes.first)(scope, receive, send)
        elif path.startswith(_BELOW):
            await self._below(scope, receive, send)
        elif path.rstrip("/") in ("/console", "/console/lanes"):
            await self._all({**scope, "path": "/console/lanes"}, receive, send)
        else:
            await self._send_on(scope)(scope, receive, send)

    async def _below(self, scope: Scope, receive: Receive, send: Send) -> None:
        name, _, rest = scope["path"].removeprefix(_BELOW).partition("/")
        lane = self._lanes.get(name)
        if lane is None:
            raise HTTPException(404)
        inner = {**scope, "path": f"/console/{rest}" if rest else "/console"}
        inner["raw_path"] = quote(inner["path"]).encode()
        await self._router(lane)(inner, receive, _Linking(send, _BELOW + lane.name))

    def _send_on(self, scope: Scope) -> ASGIApp:
        """Who names no lane is shown the first one's page, under its own address."""
        query = scope["query_string"].decode("latin-1")
        rest = quote(scope["path"].removeprefix("/console"))
        target = f"{_BELOW}{self._lanes.first.name}{rest}"
        return RedirectResponse(f"{target}?{query}" if query else target, 307)

    def _router(self, lane: WebLane) -> Router:
        held = self._made.get(lane.name)
        if held is None or held[0] is not lane:
            held = self._made[lane.name] = (
                lane,
                Router(routes=list(self._pages(lane)), redirect_slashes=False),
            )
        return held[1]


class _Linking:
    """Sends an answer on, its links leading below `base`."""

    def __init__(self, send: Send, base: str) -> None:
        self._send = send
        self._base = base.encode()
        self._start: Message | None = None
        self._page = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name.lower(), value) for name, value in message["headers"]]
            kind = next((value for name, value in headers if name == b"content-type"), b"")
            self._page = kind.startswith((b"text/html", b"text/event-stream"))
            self._start = {
                **message,
                "headers": [
                    (name, self._link(value) if name in _LINK_HEADERS else value) for name, value in headers
                ],
            }
            return
        if message["type"] == "http.response.body" and self._page:
            message = {**message, "body": _LINK.sub(rb"\1" + self._base, message.get("body", b""))}
        if self._start is not None:
            await self._send(self._sized(self._start, message))
            self._start = None
        await self._send(message)

    def _link(self, target: bytes) -> bytes:
        """Where an answer leads, or where a sign-in leads to afterwards."""
        after = quote(self._base, safe="").encode()
        return _LINK_ALONE.sub(self._base, target).replace(b"next=%2Fconsole", b"next=" + after)

    @staticmethod
    def _sized(start: Message, first: Message) -> Message:
        """With the length that the page has now, where it is whole."""
        whole = first["type"] == "http.response.body" and not first.get("more_body", False)
        size = str(len(first.get("body", b""))).encode()
        headers = [
            (name, size if whole and name == b"content-length" else value) for name, value in start["headers"]
        ]
        return {**start, "headers": headers}
