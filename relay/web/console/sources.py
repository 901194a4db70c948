"""The sources: what came in, what was refused; one in full, with its webhook URL, a sample to send, and holding it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.routing import Route

from relay.errors import NotFound
from relay.operations.dead.look import list_dead
from relay.operations.pause import known_sources
from relay.operations.plots import accepted_per_minute
from relay.operations.rule_hits import count_rule_hits
from relay.operations.sample import sample_serial, signed_sample
from relay.operations.selection import InputInvalid, Selection
from relay.operations.source_rows import read_sources
from relay.web.access import Operator
from relay.web.console.explained import explain_with_links
from relay.web.console.frame import Frame
from relay.web.console.minutes import MINUTE_MS, begin_of
from relay.web.console.overview import LEDGER_WORDS
from relay.web.console.rules import rules_of
from relay.web.console.view import FormValues, View

#: Rows that are seen at once; the others are folded away.
_SHOWN: Final = 12


def routes(frame: Frame) -> list[Route]:
    pages = _Sources(frame)
    return [
        frame.get("/sources", pages.all),
        frame.get("/sources/{source}", pages.one),
        frame.post("/sources/{source}/sample", pages.sample, act="send sample", asks=True, own=True),
    ]


class _Sources:
    def __init__(self, frame: Frame) -> None:
        self._context = frame.context

    def all(self, request: Request, operator: Operator, form: FormValues) -> View:
        outbox = self._context.outbox
        paused = self._context.delivery.paused_sources()
        minutes = accepted_per_minute(outbox, now_ms=outbox.now_ms())
        rows = read_sources(outbox, self._adapters())
        ranked = sorted(rows, key=lambda row: _rank(row, row["name"] in paused, minutes.get(row["name"], [])))
        shown = {"shown": ranked[:_SHOWN], "folded": ranked[_SHOWN:], "paused": paused, "minutes": minutes}
        return View("sources.html", shown, here="/sources")

    def one(self, request: Request, operator: Operator, form: FormValues) -> View:
        name, outbox = request.path_params["source"], self._context.outbox
        if name not in known_sources(outbox, self._context.sources):
            raise NotFound(f"no source {name[:80]!r}")
        now_ms = outbox.now_ms()
        [row] = [row for row in read_sources(outbox, self._adapters()) if row["name"] == name]
        config = self._context.config.sources.get(name)
        hits = count_rule_hits(outbox, source=name)
        shown = {
            "row": row,
            "columns": LEDGER_WORDS,
            "held": name in self._context.delivery.paused_sources(),
            "config": config,
            "url": self._url(request, name),
            "apart": bool(self._context.settings.operator_port)
            and not (config and config.options.public_url),
            "minutes": accepted_per_minute(outbox, now_ms=now_ms).get(name, []),
            "end_ms": begin_of(now_ms, 1) + MINUTE_MS,
            "groups": list_dead(outbox, Selection(source=name), limit=1)["groups"],
            "rules": rules_of(self._context.rulebook.rules_for(name), name, hits) if config else [],
            "hits": hits,
            "sends": self._context.post is not None,
        }
        return View("source.html", shown, here="/sources")

    def sample(self, request: Request, operator: Operator, form: FormValues) -> View:
        """First what would come of it, then (`sure`) the answer that its sender would get."""
        name = request.path_params["source"]
        ready = self._context.current().sources.get(name)
        if ready is None or self._context.post is None:
            raise NotFound(f"no source {name[:80]!r} that a sample could be sent to")
        shown: dict[str, Any] = {
            "name": name,
            "told": None,
            "status": 0,
            "answer": None,
            "planhat": self._context.settings.planhat_url,
        }
        try:
            signed = signed_sample(ready.adapter, sample_serial(), self._url(request, name))
        except ValueError as error:
            raise InputInvalid(f"no sample can be signed: {error}") from error
        if form.get("sure") != "yes":
            shown["told"] = explain_with_links(self._context, name, signed.body, signed.headers)
            return View("sample.html", shown, here="/sources")
        status, body = self._context.post(name, signed)
        shown |= {"status": status, "answer": _answer(body)}
        return View("sample.html", shown, here="/sources")

    def _adapters(self) -> dict[str, str]:
        return {name: source.adapter for name, source in self._context.sources.items()}

    def _url(self, request: Request, name: str) -> str:
        """As the config knows it, else below the address that this page was asked at."""
        config = self._context.config.sources.get(name)
        if config and config.options.public_url:
            return config.options.public_url
        return f"{str(request.base_url).rstrip('/')}/hooks/{quote(name, safe='')}"


def _rank(row: Mapping[str, Any], held: bool, minutes: list[int]) -> tuple[bool, int, int, int, str]:
    """What is wrong first, then the busiest."""
    counts = row["counts"]
    return not held, -counts.get("dead", 0), -row["signature_failures"], -sum(minutes), row["name"]


def _answer(body: bytes) -> dict[str, Any]:
    """`event_ids` where there are some, and the answer as text."""
    try:
        told = orjson.loads(body)
    except ValueError:
        told = None
    ids = told.get("event_ids", []) if isinstance(told, dict) else []
    return {"event_ids": ids, "said": body.decode("utf-8", "replace")[:2000]}
