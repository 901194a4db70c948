"""The overview: delivery, what waits, plots, the ledger; and holding delivery."""

from __future__ import annotations

import itertools
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from relay.errors import NotFound
from relay.operations.pause import known_sources, pause_delivery, resume_delivery
from relay.operations.progress import read_operations
from relay.operations.stats import accepted_per_minute, read_samples, read_stats, take_sample
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, Go, View

_COLUMNS = (
    "accepted",
    "pending",
    "delivered",
    "unchanged",
    "superseded",
    "filtered",
    "dead",
    "discarded",
    "duplicate",
    "ignored",
    "rejected",
)


def routes(frame: Frame) -> list[Route]:
    pages = _Overview(frame)
    return [
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
        stats = read_stats(outbox, self._context.delivery)
        take_sample(outbox, stats)
        now_ms = outbox.now_ms()
        samples = read_samples(outbox, since_ms=now_ms - 3_600_000)
        by_source = accepted_per_minute(outbox, now_ms=now_ms)
        accepted = [sum(minute) for minute in zip(*by_source.values(), strict=True)]
        plots: dict[str, Any] = {
            name: [sample[name] for sample in samples] for name in ("pending", "oldest_s", "calls", "dead")
        }
        plots |= {"accepted": accepted, "by_source": by_source, "settled": _per_minute(samples)}
        return {
            "stats": stats,
            "plots": plots,
            "columns": _COLUMNS,
            "budget": self._context.config.planhat.calls_per_minute,
        }

    def pause(self, request: Request, operator: Operator, form: FormValues) -> Go:
        source = self._source(form)
        pause_delivery(self._context.delivery, source)
        return Go("/console/sources" if source else "/console", "held")

    def resume(self, request: Request, operator: Operator, form: FormValues) -> Go:
        source = self._source(form)
        resume_delivery(self._context.delivery, source)
        return Go("/console/sources" if source else "/console", "resumed")

    def _source(self, form: FormValues) -> str:
        source = form.get("source", "")
        if source and source not in known_sources(self._context.outbox, self._context.config.sources):
            raise NotFound(f"no source {source[:80]!r}")
        return source


def _per_minute(samples: list[dict[str, Any]]) -> list[int]:
    """Settled events a minute, from the running totals of the samples."""
    rates = []
    for before, after in itertools.pairwise(samples):
        minutes = max(1, after["at_ms"] - before["at_ms"]) / 60_000
        rates.append(round(max(0, after["delivered"] - before["delivered"]) / minutes))
    return rates
