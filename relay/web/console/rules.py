"""Today's rules with how often each was hit, a payload tried against them, and a rule tried before it is written to the file."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from relay.errors import OutboxUnavailable, RelayError
from relay.operations.context import WebContext
from relay.operations.rule_hits import RuleHits, count_rule_hits
from relay.operations.try_rules import rules_text, tried_house
from relay.rules.rule import Rule
from relay.web.access import Operator
from relay.web.console.explained import explain_with_links
from relay.web.console.frame import Frame
from relay.web.console.view import FormValues, View


def routes(frame: Frame) -> list[Route]:
    pages = _Rules(frame)
    return [frame.get("/rules", pages.rules, own=True), frame.post("/rules", pages.rules, own=True)]


def rules_of(rules: Iterable[Rule], source: str, hits: RuleHits | None) -> list[dict[str, Any]]:
    """Give rules as lists show them; `hits` None: not known."""
    return [
        {
            "name": rule.name,
            "default": rule.is_default,
            "line": rule.line,
            "when": rule.when.text if rule.when else "",
            "action": rule.action,
            "external_id": rule.external_id.text if rule.external_id else "",
            "made": [part.name for part in rule.fields],
            "hits": hits.by(rule.name, source) if hits else None,
        }
        for rule in rules
    ]


class _Rules:
    def __init__(self, frame: Frame) -> None:
        self._context = frame.context

    def rules(self, request: Request, operator: Operator, form: FormValues) -> View:
        house = self._context.current()
        given = form or request.query_params
        asked = {name: given.get(name, "").replace("\r\n", "\n") for name in ("source", "payload", "rules")}
        source = house.sources.get(asked["source"])
        if form.get("sample") and source is not None:
            sample = source.adapter.sample(serial=1, now_s=time.time())
            asked["payload"] = sample.body.decode("utf-8", "replace")
        own = rules_text(house.config)
        told, message = self._tried(asked, own) if form and asked["payload"] else (None, "")
        hits, here = self._hits(), self._context.sources
        context = {
            "version": house.config.version,
            "file": house.config.file,
            "sources": [name for name in house.sources if name in here],
            "asked": {**asked, "rules": asked["rules"] or own},
            "changed": bool(asked["rules"]) and asked["rules"].strip() != own.strip(),
            "told": told,
            "message": message,
            "hits": hits,
            "by_source": {
                name: rules_of(house.book.rules_for(name), name, hits)
                for name in house.sources
                if name in here
            },
        }
        return View("rules.html", context, here="/rules", status=422 if message else 200)

    def _tried(self, asked: dict[str, str], own: str) -> tuple[dict[str, Any] | None, str]:
        """What the rules as they are written in the form make of the payload, or why nothing; nothing is kept."""
        try:
            context: WebContext = self._context
            if asked["rules"].strip() and asked["rules"].strip() != own.strip():
                house = tried_house(context.current(), asked["rules"])
                context = replace(context, current=lambda: house)
            body = asked["payload"].encode("utf-8", "surrogatepass")
            return explain_with_links(context, asked["source"], body), ""
        except RelayError as error:
            return None, str(error)

    def _hits(self) -> RuleHits | None:
        try:
            return count_rule_hits(self._context.outbox)
        except OutboxUnavailable:
            return None
