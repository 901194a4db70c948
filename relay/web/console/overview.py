"""The overview: what is wrong first, then how it goes; and holding delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from relay.errors import NotFound
from relay.operations.dead.look import list_dead
from relay.operations.pause import known_sources, pause_delivery, resume_delivery
from relay.operations.plots import accepted_per_minute, read_samples, take_sample
from relay.operations.progress import read_operations
from relay.operations.selection import Selection
from relay.operations.stats import read_stats
from relay.web.access import Operator
from relay.web.console.frame import HOME, Frame
from relay.web.console.minutes import MINUTE_MS, begin_of, counted_by_minute, highest_by_minute
from relay.web.console.problems import problems_shown
from relay.web.console.render import HEADERS
from relay.web.console.view import FormValues, Go, View

LEDGER_WORDS: Final = (
    "accepted", "pending", "delivered", "unchanged", "superseded", "filtered", "dead", "discarded", "duplicate", "ignored",
    "rejected",
)  # fmt: skip
#: Sources that the overview shows; the others are a page further.
_SOURCES_SHOWN: Final = 8


def routes(frame: Frame) -> list[Route]:
    pages = _Overview(frame)
    return [
        Route("/", _to_the_console, methods=["GET"]),
        frame.get("", pages.overview),
        frame.get("/", pages.overview),
        frame.get("/overview/live", pages.overview_live),
        frame.post("/pause", pages.pause, act="pause"),
        frame.post("/resume", pages.resume, act="resume"),
    ]


class _Overview:
    def __init__(self, frame: Frame) -> None:
        self._context = frame.context

    def overview(self, request: Request, operator: Operator, form: FormValues) -> View:
        context = self._live() | {"operations": read_operations(self._context.outbox, limit=5)}
        return View("overview.html", context, here="")

    def overview_live(self, request: Request, operator: Operator, form: FormValues) -> View:
        return View("overview_live.html", self._live())

    def _live(self) -> dict[str, Any]:
        outbox = self._context.outbox
        stats = read_stats(outbox, self._context.delivery, config=self._context.config)
        take_sample(outbox)
        now_ms = outbox.now_ms()
        samples = read_samples(outbox, since_ms=begin_of(now_ms, 61))
        by_source = accepted_per_minute(outbox, now_ms=now_ms)
        groups = list_dead(outbox, Selection(), limit=1)["groups"] if stats["dead_letters"] else []
        ranked = rank_sources(stats, by_source)
        return {
            "stats": stats,
            "problems": problems_shown(stats, groups, outbox.drops()),
            "causes": len(groups),
            "plots": {
                "accepted": [float(sum(minute)) for minute in zip(*by_source.values(), strict=True)],
                "by_source": by_source,
                "settled": counted_by_minute(samples, "delivered", now_ms=now_ms),
                **{name: highest_by_minute(samples, name, now_ms=now_ms) for name in ("pending", "calls")},
            },
            "end_ms": begin_of(now_ms, 1) + MINUTE_MS,
            "shown": ranked[:_SOURCES_SHOWN],
            "columns": LEDGER_WORDS,
            "budget": self._context.config.planhat.calls_per_minute,
            "configured": sorted(self._context.sources),
            "many": len({*self._context.sources, *stats["sources"]}),
        }

    def pause(self, request: Request, operator: Operator, form: FormValues) -> Go:
        source = self._source(form)
        pause_delivery(self._context.delivery, source)
        return Go("/sources" if source else "", "held")

    def resume(self, request: Request, operator: Operator, form: FormValues) -> Go:
        source = self._source(form)
        resume_delivery(self._context.delivery, source)
        return Go("/sources" if source else "", "resumed")

    def _source(self, form: FormValues) -> str:
        source = form.get("source", "")
        if source and source not in known_sources(self._context.outbox, self._context.sources):
            raise NotFound(f"no source {source[:80]!r}")
        return source


async def _to_the_console(request: Request) -> Response:
    return RedirectResponse(HOME, 303, headers=HEADERS)


def rank_sources(stats: Mapping[str, Any], by_source: Mapping[str, Sequence[int]]) -> list[str]:
    """Return those where something is wrong first, then the busiest."""
    held = stats["delivery"]["paused_sources"]

    def rank(name: str) -> tuple[bool, int, int, str]:
        counts = stats["sources"][name]
        return name not in held, -counts["dead"], -sum(by_source.get(name, ())), name

    return sorted(stats["sources"], key=rank)
