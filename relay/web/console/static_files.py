"""The console's own style, script and icon."""

from __future__ import annotations

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.web.console.frame import HOME, Frame
from relay.web.console.render import HEADERS

_STATIC = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "events.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "LICENSE-htmx.txt": "text/plain; charset=utf-8",
}


def routes(frame: Frame) -> list[Route]:
    return [Route(f"{HOME}/static/{{name}}", static, methods=["GET"])]


async def static(request: Request) -> Response:
    name = request.path_params["name"]
    media = _STATIC.get(name)
    if media is None:
        return Response("no such file", 404, headers=HEADERS, media_type="text/plain")
    body = files("relay.web.console").joinpath("static", name).read_bytes()
    headers = {**HEADERS, "Cache-Control": "public, max-age=3600"}
    return Response(body, headers=headers, media_type=media)
