"""What the navigation shows: of these pages those that are there, so that a page is linked with its first route."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from starlette.routing import Route

from relay.web.console.render import environment

#: Path below the base, name. The first row is always seen, the second is a menu: whoever goes by the keyboard is soon at the page.
_MAIN: Final = (
    ("", "Overview"),
    ("/events", "Events"),
    ("/dead", "Dead letters"),
    ("/sources", "Sources"),
    ("/rules", "Rules"),
)
_MORE: Final = (
    ("/trace", "Trace an id"),
    ("/companies", "Companies missing"),
    ("/drops", "Drops"),
    ("/differences", "Differences"),
    ("/audit", "Audit"),
    ("/system", "System"),
)


def show_in_navigation(routes: Iterable[Route], base: str) -> None:
    """Lets every page of the console link those of `routes`, which lie below `base`. Each lane has the same pages."""
    there = {route.path.removeprefix(base) for route in routes}
    environment().globals |= {
        "navigation": _those(_MAIN, there),
        "more": _those(_MORE, there),
        "pages": frozenset(there),
    }


def _those(entries: Iterable[tuple[str, str]], there: Collection[str]) -> list[tuple[str, str]]:
    return [entry for entry in entries if entry[0] in there]
