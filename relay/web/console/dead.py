"""Dead letters: by cause, one by one, one in full; edited, replayed, discarded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.routing import Route

from relay.operations.dead.causes import mark_cause
from relay.operations.dead.discard import discard_dead
from relay.operations.dead.edit import edit_dead
from relay.operations.dead.look import list_dead, show_dead
from relay.operations.dead.replay import replay_dead
from relay.operations.pause import known_sources
from relay.operations.progress import Operation
from relay.operations.runs import run_beside
from relay.operations.selection import InputInvalid, Selection, read_moment, read_selection
from relay.web.access import Operator
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, Go, View

#: A page of letters stays short on a phone, too.
_LETTERS_A_PAGE: Final = 25
_LETTERS_BELOW_CAUSES: Final = 10


def routes(frame: Frame) -> list[Route]:
    pages = _Dead(frame)
    return [
        frame.get("/dead", pages.dead),
        frame.post("/dead/replay", pages.replay, act="dead replay", asks=True),
        frame.post("/dead/discard", pages.discard, act="dead discard", asks=True),
        frame.post("/dead/causes/{id}", pages.mark, act="dead cause"),
        frame.get("/dead/{id}", pages.one),
        frame.post("/dead/{id}/edit", pages.edit, act="dead edit"),
        frame.post("/dead/{id}/replay", pages.replay_one, act="dead replay"),
        frame.post("/dead/{id}/discard", pages.discard_one, act="dead discard"),
    ]


class _Dead:
    def __init__(self, frame: Frame) -> None:
        self._context = frame.context

    # -- looking ---------------------------------------------------------------------------------------------

    def dead(self, request: Request, operator: Operator, form: FormValues) -> View:
        asked = request.query_params
        wanted = {name: asked.get(name, "")[:1000] for name in ("source", "since", "cause")}
        outbox = self._context.outbox
        selection = Selection(
            cause=wanted["cause"],
            source=wanted["source"],
            since_ms=read_moment(wanted, "since", outbox.now_ms(), blank=True),
        )
        try:
            limit = _LETTERS_A_PAGE if any(wanted.values()) or "after" in asked else _LETTERS_BELOW_CAUSES
            found = list_dead(outbox, selection, limit=limit, after=asked.get("after", ""))
        except ValueError as error:
            raise InputInvalid(str(error), "after") from None
        sources = sorted(known_sources(outbox, self._context.sources))
        shown = {"found": found, "filter": wanted, "sources": sources, "narrowed": any(wanted.values())}
        return View("dead.html", shown, here="/dead")

    def one(self, request: Request, operator: Operator, form: FormValues) -> View:
        letter = show_dead(self._context, request.path_params["id"])
        return View("dead_one.html", {"letter": letter}, here="/dead")

    def mark(self, request: Request, operator: Operator, form: FormValues) -> Go:
        changes: dict[str, Any] = {
            "muted": form.get("muted") == "yes",
            "assigned": form.get("assigned", "").strip(),
            "note": form.get("note", "").strip(),
        }
        marked = mark_cause(self._context.outbox, request.path_params["id"], changes, by=operator.name)
        return Go(f"/dead?cause={marked['id']}", "marked")

    # -- one -------------------------------------------------------------------------------------------------

    def edit(self, request: Request, operator: Operator, form: FormValues) -> Go:
        dead_id = request.path_params["id"]
        path = form.get("path", "").strip()
        company = form.get("company", "").strip()
        raw = form.get("raw", "").replace("\r\n", "\n") or None
        if not path and not company and raw is None:
            raise InputInvalid("nothing to change: name a field, a company, or the raw request")
        changes = {path: _value(form.get("value", ""))} if path else {}
        edit_dead(self._context, dead_id, payload=changes, company=company, raw=raw, by=operator.name)
        return Go(f"/dead/{quote(dead_id, safe='')}", "edited")

    def replay_one(self, request: Request, operator: Operator, form: FormValues) -> Go:
        dead_id = request.path_params["id"]
        done = replay_dead(self._context, Selection(ids=(dead_id,)), by=operator.name)
        if done["failed"]:
            raise InputInvalid(f"It stays a dead letter: {done['failures'][0]['cause']}")
        return Go("/dead", "replayed")

    def discard_one(self, request: Request, operator: Operator, form: FormValues) -> Go:
        selection = Selection(ids=(request.path_params["id"],))
        discard_dead(self._context.outbox, selection, by=operator.name, reason=form.get("reason", "")[:500])
        return Go("/dead", "discarded")

    # -- many ------------------------------------------------------------------------------------------------

    def replay(self, request: Request, operator: Operator, form: FormValues) -> View | Go:
        selection, asked = self._group(form)
        if form.get("sure") != "yes":
            found = replay_dead(self._context, selection, by=operator.name, dry_run=True)
            return View("confirm.html", {"verb": "replay", "found": found, "given": asked}, here="/dead")
        return self._begin(
            "dead replay",
            operator,
            asked,
            lambda operation: replay_dead(self._context, selection, by=operator.name, operation=operation),
        )

    def discard(self, request: Request, operator: Operator, form: FormValues) -> View | Go:
        selection, asked = self._group(form)
        outbox, reason = self._context.outbox, form.get("reason", "")[:500]
        if form.get("sure") != "yes":
            found = discard_dead(outbox, selection, by=operator.name, dry_run=True)
            return View("confirm.html", {"verb": "discard", "found": found, "given": asked}, here="/dead")
        return self._begin(
            "dead discard",
            operator,
            asked,
            lambda operation: discard_dead(
                outbox, selection, by=operator.name, reason=reason, operation=operation
            ),
        )

    def _group(self, form: FormValues) -> tuple[Selection, dict[str, str]]:
        asked = {name: form[name] for name in ("cause", "source", "since") if form.get(name)}
        return read_selection(asked, self._context.outbox.now_ms()), asked

    def _begin(
        self,
        kind: str,
        operator: Operator,
        asked: Mapping[str, str],
        work: Callable[[Operation], dict[str, Any]],
    ) -> Go:
        done = run_beside(self._context.outbox, kind, operator.name, asked, work, patience_s=0.5)
        return Go(f"/operations/{done['operation']}")


def _value(text: str) -> Any:
    """JSON where it is some, else the text itself."""
    try:
        return orjson.loads(text)
    except ValueError:
        return text
