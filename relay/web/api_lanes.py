"""Which lane a request to the API is about: the one that `?lane=` names, or all, whose answers are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request

from relay.errors import NotFound
from relay.operations.context import WebContext
from relay.operations.dead.causes import find_causes, no_such_cause
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
from relay.operations.selection import InputInvalid, read_selection
from relay.operations.stats import read_stats_together
from relay.outbox.lane_servers import LaneServers
from relay.web.asked import read_whole

MAX_PAGE = 500


class AskLane:
    """A request's question, to be asked of one lane's API after the other. `body`: what the request says in its body."""

    def __init__(self, ask: Callable[[Any, dict[str, Any]], Any], body: Mapping[str, Any]) -> None:
        self._ask = ask
        self.body = body

    def __call__(self, api: Any, **given: Any) -> Any:
        """Ask `api`; what is `given` stands in the place of the request's own. Raises what the handler raises."""
        return self._ask(api, {**self.body, **given})


#: (lane -> its API, the question, the request) -> one answer.
Merge = Callable[[Mapping[str, Any], AskLane, Request], Any]


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


def of_letters(apis: Mapping[str, Any], ask: AskLane, request: Request) -> Any:
    """Return what was done in each lane that has such letters; each is asked for its own alone. Nothing is done before it is known
    which these are. Raises NotFound where none has any, InputInvalid."""
    first = next(iter(apis.values()))
    selection = read_selection(ask.body, first.context.outbox.now_ms())
    if selection.ids:
        # Where no lane has one of them, the first says so.
        parts = _letters_of(apis, selection.ids) or {next(iter(apis)): list(selection.ids)}
        return merge_counts({lane: ask(apis[lane], ids=part) for lane, part in parts.items()})
    if selection.cause:
        found = {lane: find_causes(api.context.outbox, selection.cause) for lane, api in apis.items()}
        held = {lane: api for lane, api in apis.items() if found[lane].texts}
        if not held:
            nearest = dict.fromkeys(near for one in found.values() for near in one.nearest)
            raise NotFound(no_such_cause(selection.cause, tuple(nearest)))
        return summed(held, ask, request)
    return summed(apis, ask, request)


def _letters_of(apis: Mapping[str, Any], ids: Sequence[str]) -> dict[str, list[str]]:
    """Give lane -> those of `ids` that it has, in their order; what none has is the first's: it counts them as gone."""
    parts: dict[str, list[str]] = {}
    left = list(ids)
    for lane, api in apis.items():
        here = api.context.outbox.dead.known(left)
        if here:
            parts[lane] = [one for one in left if one in here]
            left = [one for one in left if one not in here]
    if parts:
        next(iter(parts.values())).extend(left)
    return parts


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
