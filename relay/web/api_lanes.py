"""Which lane a request to the API is about: the one that `?lane=` names, or all, whose answers are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request

from relay.errors import NotFound
from relay.operations.context import WebContext
from relay.operations.lane_facts import AskedLane
from relay.operations.merged import (
    AskPage,
    merge_counts,
    merge_dead,
    merge_delivery,
    merge_events,
    merge_missing,
)
from relay.operations.plots import take_samples
from relay.operations.selection import InputInvalid
from relay.operations.stats import read_stats_together
from relay.outbox.lane_servers import LaneServers
from relay.web.asked import read_whole

#: Asks one lane's API what was asked; `limit` and `after` in the place of the request's own.
AskLane = Callable[..., Any]
#: (lane -> its API, the question, the request) -> one answer.
Merge = Callable[[Mapping[str, Any], AskLane, Request], Any]
MAX_PAGE = 500


def of_the_first(apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
    """Return what is the installation's is the same wherever it is asked."""
    return ask(next(iter(apis.values())))


def of_whoever_has_it(apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
    """Return the answer of the first lane that knows the id, with `lane`. Raises NotFound where none does."""
    missed: NotFound | None = None
    for lane, api in apis.items():
        try:
            return {**ask(api), "lane": lane}
        except NotFound as error:
            missed = missed or error
    raise missed or NotFound("no such id")


def summed(apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
    """Return what was done in each lane that has any of what was named. Raises NotFound where none has."""
    return merge_counts(_of_those_that_know_it(apis, ask))


def of_all_that_know_it(apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
    """Done wherever it is known; the first lane's answer, with `lanes`. Raises NotFound where none knows it."""
    found = _of_those_that_know_it(apis, ask)
    return {**next(iter(found.values())), "lanes": list(found)}


def _of_those_that_know_it(apis: Mapping[str, Any], ask: AskLane) -> dict[str, Any]:
    """Return lane -> its answer, without the lanes that know nothing of what was named. Raises NotFound where none does."""
    found: dict[str, Any] = {}
    missed: NotFound | None = None
    for lane, api in apis.items():
        try:
            found[lane] = ask(api)
        except NotFound as error:
            missed = missed or error
    if not found:
        raise missed or NotFound("no such id")
    return found


class StatsTogether:
    """Reads all lanes' stats at once, and takes their samples."""

    def __init__(self) -> None:
        self._servers = LaneServers()

    def __call__(self, apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
        contexts: list[WebContext] = [api.context for api in apis.values()]
        found = read_stats_together(
            self._servers, [AskedLane(one.outbox, one.delivery, one.config) for one in contexts]
        )
        take_samples(self._servers, [one.outbox for one in contexts])
        return found


def delivery(apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
    return merge_delivery({lane: ask(api) for lane, api in apis.items()})


def missing(apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
    return merge_missing({lane: ask(api) for lane, api in apis.items()})


def sources(apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
    """Return a row for each source and lane in which it is, or has sent something."""
    found = {lane: ask(api)["sources"] for lane, api in apis.items()}
    rows = [
        {**row, "lane": lane} for lane, mine in found.items() for row in mine if any(row["counts"].values())
    ]
    there = {row["name"] for row in rows}
    quiet = {row["name"]: row for mine in found.values() for row in mine if row["name"] not in there}
    return {"sources": sorted([*rows, *quiet.values()], key=lambda row: str(row["name"]))}


def operations(apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
    rows = [{**row, "lane": lane} for lane, api in apis.items() for row in ask(api)["operations"]]
    return {"operations": sorted(rows, key=lambda row: str(row.get("started_at")), reverse=True)[:50]}


def events(apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
    return _paged(merge_events, apis, ask, request)


def dead(apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
    return _paged(merge_dead, apis, ask, request)


def page_of(request: Request, given: Mapping[str, Any]) -> tuple[int, str]:
    """Return `limit` and `after`, as they were given or else as the request has them. Raises InputInvalid."""
    asked = request.query_params
    limit = given.get("limit") or read_whole(asked, "limit", 50, MAX_PAGE)
    return limit, given.get("after", asked.get("after") or asked.get("next") or "")


def _paged(merge: Callable[..., Any], apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
    def page(lane: str, limit: int, after: str) -> dict[str, Any]:
        found: dict[str, Any] = ask(apis[lane], limit=limit, after=after)
        return found

    asked: AskPage = page
    limit, after = page_of(request, {})
    try:
        return merge(tuple(apis), asked, limit=limit, after=after)
    except ValueError as error:
        raise InputInvalid(str(error), "after") from None


class LaneChoice:
    """`lanes()` are the contexts of the config's lanes, by name, as they are now; `make` gives the API over one."""

    def __init__(
        self, lanes: Callable[[], Mapping[str, WebContext]], make: Callable[[WebContext], Any]
    ) -> None:
        self._lanes = lanes
        self._make = make
        self._made: dict[str, tuple[WebContext, Any]] = {}

    def all(self) -> dict[str, Any]:
        """lane -> its API; empty where the config has no `lanes:`."""
        found: dict[str, tuple[WebContext, Any]] = {}
        for name, context in self._lanes().items():
            held = self._made.get(name)
            found[name] = (
                held if held and held[0].outbox is context.outbox else (context, self._make(context))
            )
        self._made = found
        return {name: api for name, (_, api) in found.items()}

    def one(self, name: str) -> Any:
        """Return the API of one lane. Raises NotFound."""
        apis = self.all()
        if name not in apis:
            raise NotFound(f"no lane is called {name[:80]!r}")
        return apis[name]
