"""The operators' page at `/console`: rendered here, readable without JavaScript, nothing fetched from elsewhere. A page is a
module with `routes`, and a line here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.operations.context import WebContext
from relay.web.access import Access, access_of
from relay.web.console import (
    audit,
    companies,
    dead,
    differences,
    drops,
    events,
    operations,
    overview,
    rules,
    session,
    sources,
    static_files,
    system,
    trace,
)
from relay.web.console.frame import HOME, Frame
from relay.web.console.lanes import routes as lanes_routes
from relay.web.console.navigation import show_in_navigation

_PAGES = (
    static_files,
    session,
    overview,
    events,
    dead,
    trace,
    companies,
    drops,
    sources,
    differences,
    audit,
    rules,
    operations,
    system,
)


def routes(context: WebContext, access: Access | None = None, base: str = HOME) -> list[Route]:
    """Return every route of the console; `base` is where its pages lie."""
    return console_routes(Frame(context, access or access_of(context), base))


def all_lanes(
    context: WebContext, access: Access, lanes: Callable[[], Mapping[str, WebContext]]
) -> list[Route]:
    """Return the page of all lanes; `lanes()` are the contexts of those that the config has now."""
    return lanes_routes(Frame(context, access), lanes)


def missing_page(
    context: WebContext, access: Access, base: str
) -> Callable[[Request, HTTPException], Awaitable[Response]]:
    """Return what answers a browser whose address leads to no page."""
    return Frame(context, access, base).missing


def console_routes(frame: Frame) -> list[Route]:
    made = [route for page in _PAGES for route in page.routes(frame)]
    show_in_navigation(made, frame.base)
    return made
